"""Outside programs on their lead: the kernel holds them to it, whatever they try."""

import os
import sys
import time
from pathlib import Path

import pytest

from recordings.errors import ToolFailed, ToolMissing
from recordings.process import NICENESS, Lead, run

LEAD = Lead(cpu_s=1, memory_bytes=64 << 20, file_bytes=10_000)
MEND = "install it"


def python(code: str) -> list[str]:
    # The limits come from outside, a moment after the start.
    return [sys.executable, "-I", "-c", f"import time; time.sleep(0.2)\n{code}"]


def test_without_a_lead_a_program_may_take_what_it_needs() -> None:
    finished = run(python("print(len(bytes(200 << 20)))"), seconds=20, mend=MEND)
    assert (finished.code, finished.output) == (0, f"{200 << 20}\n")


def test_memory_ends_at_the_lead() -> None:
    finished = run(python("print(len(bytes(200 << 20)))"), seconds=20, mend=MEND, lead=LEAD)
    assert finished.code != 0
    assert "MemoryError" in finished.complaint


def test_work_ends_at_the_lead() -> None:
    began = time.monotonic()
    finished = run(python("while True: pass"), seconds=60, mend=MEND, lead=LEAD)
    assert finished.code < 0
    assert time.monotonic() - began < 30


def test_files_end_at_the_lead(tmp_path: Path) -> None:
    target = tmp_path / "out"
    code = f"open({str(target)!r}, 'wb', buffering=0).write(bytes(1_000_000)); raise SystemExit(0)"
    run(python(code), seconds=20, mend=MEND, lead=LEAD)
    assert target.stat().st_size == LEAD.file_bytes


def test_calls_go_first() -> None:
    code = "import os; print(os.nice(0))"
    finished = run(python(code), seconds=20, mend=MEND, lead=LEAD)
    assert int(finished.output) >= max(NICENESS, os.nice(0))


def test_a_program_that_ends_at_once_is_not_missed() -> None:
    for _ in range(5):
        assert run(["true"], seconds=5, mend=MEND, lead=LEAD).code == 0


def test_time_ends_for_grandchildren_too(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ToolFailed, match=r"did not finish within 0\.5 s"):
        run(["sh", "-c", "sleep 30 & sleep 30"], seconds=0.5, mend=MEND)
    assert time.monotonic() - began < 5


def test_what_is_not_there_is_named_with_its_mend() -> None:
    with pytest.raises(ToolMissing, match=r"cannot be started .*; install it"):
        run(["no-such-program-anywhere"], seconds=1, mend=MEND)
