"""Run an outside program: no shell, no inherited secrets, no terminal, and never longer than it may take.

Input and output go through files instead of pipes, so that neither a chatty program nor a grandchild that
keeps a pipe open can hold us up. The program leads its own process group, and the whole group is stopped at
the time limit. A program that reads what strangers sent may be held to a lead besides: work, memory, output.
"""

import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from recordings.errors import ToolFailed, ToolMissing

OUTPUT_LIMIT_BYTES: Final = 1_000_000
COMPLAINT_LIMIT_BYTES: Final = 2_000
INHERITED: Final = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "ESPEAK_DATA_PATH")
"""The only variables an outside program sees; passwords and database addresses are not among them."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended by itself: exit code, what it wrote, and the end of what it complained about."""

    code: int
    output: str
    complaint: str


@dataclass(frozen=True, slots=True)
class Lead:
    """What a program may use, enforced by the kernel (setrlimit); it runs behind everything else, too (nice)."""

    cpu_s: int
    memory_bytes: int
    """Private memory; the code of the program and of its libraries, which all processes share, is not counted."""
    file_bytes: int
    """The largest file it may write."""


NICENESS: Final = 5
"""Calls go first; but somebody may be waiting for this, too."""


def run(
    argv: Sequence[str], *, seconds: float, mend: str, text: str = "", lead: Lead | None = None
) -> Finished:
    """Run `argv` with `text` on its standard input, for at most `seconds`, and within `lead`.

    Raises `ToolMissing` (with `mend`) when it cannot be started, `ToolFailed` when the time is up. A program that
    goes beyond its lead is killed by a signal or fails by itself: its exit code is not 0.
    """
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {"LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(text.encode("utf-8"))
        stdin.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list, never a shell line
                list(argv), stdin=stdin, stdout=out, stderr=err, env=environment, start_new_session=True
            )
        except OSError as error:
            raise ToolMissing(argv[0], f"it cannot be started ({error.strerror})", mend) from error
        with process:
            try:
                if lead is not None:
                    _hold(process.pid, lead)
                code = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                reason = f"it did not finish within {seconds:g} s and was stopped"
                raise ToolFailed(argv[0], reason, "try a shorter sound or text") from error
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        out.seek(0)
        output = out.read(OUTPUT_LIMIT_BYTES)
        size = err.seek(0, os.SEEK_END)
        err.seek(max(0, size - COMPLAINT_LIMIT_BYTES))
        complaint = err.read()
    return Finished(code, output.decode("utf-8", "replace"), complaint.decode("utf-8", "replace").strip())


def _hold(pid: int, lead: Lead) -> None:
    """Limit a program that has just been started: it has hardly loaded its libraries by then.

    Done from outside, because code between fork and exec is not safe in a process with threads.
    """
    limits = {
        resource.RLIMIT_CPU: lead.cpu_s,
        resource.RLIMIT_DATA: lead.memory_bytes,
        resource.RLIMIT_FSIZE: lead.file_bytes,
        resource.RLIMIT_CORE: 0,
    }
    with suppress(ProcessLookupError):  # It has ended already.
        for limit, amount in limits.items():
            _, most = resource.prlimit(pid, limit)  # What the engine itself is held to cannot be exceeded.
            least = amount if most == resource.RLIM_INFINITY else min(amount, most)
            resource.prlimit(pid, limit, (least, least))
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
