"""Speech to text as a plug-in: any program that writes on its standard output what it heard in a sound file.

What was said is nobody's business but that of whoever reads it: neither the text nor what the program complains about
is ever part of an error. The program runs behind calls (nice), without a shell, without our secrets and without a
terminal, and is stopped with everything it has started when its time is up or its result is not wanted any more.
"""

import asyncio
import os
import re
import shlex
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from recordings.errors import SpeechRefused, ToolFailed, ToolMissing
from recordings.process import INHERITED

TRANSCRIBE_S: Final = 600.0
"""How long a program may take over one sound: five times the longest message."""
MOST_BYTES: Final = 65_536
"""What a program may write at most; people say some 3,000 characters in two minutes."""
NICENESS: Final = 10
MEND: Final = "correct transcribe_command, or leave it empty"


class Transcriber(Protocol):
    """Hears what is said in a sound."""

    async def transcribe(self, audio: Path, language: str) -> str:
        """What is said in a WAV file, on one line; "" when nothing can be understood. In bounded time.

        `audio` is a whole path, `language` a tag such as ja or en-GB. Raises `ToolFailed`, `ToolMissing`.
        """
        ...


class CommandTranscriber:
    """Any program, from a command line with `{audio}` and, as needed, `{language}` (en-GB) or `{lang}` (en).

    The line is split into arguments once, and each is filled in separately.
    """

    def __init__(self, command: str, seconds: float = TRANSCRIBE_S) -> None:
        """Raises `SpeechRefused` for a command line that cannot work."""
        try:
            self._template = shlex.split(command)
        except ValueError as error:
            raise SpeechRefused(
                "transcribe command", f"it cannot be read ({error})", "check its quotes"
            ) from error
        if not any("{audio}" in part for part in self._template):
            mend = "write it like: whisper-cli --language {lang} --file {audio}"
            raise SpeechRefused("transcribe command", "it does not say where the sound comes from", mend)
        self._seconds = seconds

    @property
    def program(self) -> str:
        """What is started."""
        return self._template[0]

    async def transcribe(self, audio: Path, language: str) -> str:
        """See `Transcriber.transcribe`."""
        values = {
            "audio": str(audio),
            "language": language,
            "lang": language.partition("-")[0],
        }
        argv = [_filled(part, values) for part in self._template]
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment | {"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError as error:
            raise ToolMissing(argv[0], f"it cannot be started ({error.strerror})", MEND) from error
        try:
            async with asyncio.timeout(self._seconds):
                return one_line(await _heard(process, argv[0]))
        except TimeoutError:
            reason = f"it did not finish within {self._seconds:g} s and was stopped"
            raise ToolFailed(argv[0], reason, "choose a faster program or model") from None
        finally:
            await _stop(process)


def one_line(text: str) -> str:
    """Words with single spaces between them, and nothing that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


async def _heard(process: Process, program: str) -> str:
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PGRP, process.pid, NICENESS)
    assert process.stdout is not None
    said = b""
    while piece := await process.stdout.read(MOST_BYTES):
        said += piece
        if len(said) > MOST_BYTES:
            raise ToolFailed(program, f"it wrote more than {MOST_BYTES:,} bytes and was stopped", MEND)
    if code := await process.wait():
        raise ToolFailed(program, f"it ended with {code}", f"try it by hand on a saved recording; {MEND}")
    return said.decode("utf-8", "replace")


async def _stop(process: Process) -> None:
    """End a program that has not ended, with everything that it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _filled(part: str, values: dict[str, str]) -> str:
    """Replace each placeholder once, so that a value that looks like a placeholder stays what it is."""
    return re.sub(r"\{(audio|language|lang)\}", lambda found: values[found[1]], part)
