"""Hostile uploads: refused within a second and 50 MiB, programs included, and with a reason. Measured, not assumed."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.recordings.hostile import lying, refused

ROOT = Path(__file__).parents[2]
WITHIN_S = 1.0
EXTRA_MIB = 50.0


def measured(folder: Path, files: Iterable[tuple[str, bytes, str]]) -> list[dict[str, Any]]:
    """What a process that converts these files tells of each."""
    for name, content, _ in files:
        (folder / name).write_bytes(content)
    argv = [sys.executable, "-m", "tests.recordings.measured", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("made", [refused, lying])
def test_hostile_files_are_refused_fast_in_little_memory_and_with_a_reason(tmp_path: Path, made: Any) -> None:
    files = list(made())
    reasons = {name: reason for name, _, reason in files}
    assert len(reasons) == len(files)
    told = measured(tmp_path, files)
    assert len(told) == len(files)
    for each in told:
        assert each["refusal"], f"{each['file']} is refused"
        name, reason, mend = each["refusal"]
        assert name == each["file"]
        assert reasons[name] in reason, name
        assert mend
        assert "Traceback" not in reason
        assert str(tmp_path) not in reason
        assert each["cpu_s"] < WITHIN_S, name
        assert each["wall_s"] < 5 * WITHIN_S, f"{name}: other tests may be running, but not this long"
        assert each["own_mib"] + each["program_mib"] < EXTRA_MIB, name
        assert not each["left"], name
        if made is refused:
            assert each["programs"] == 0, f"{name} is refused before any program sees it"
        else:
            assert each["programs"] == 1, name
            assert each["looks"], "the program was really watched"
