"""A terminal for tests: run a command in this process or in one of its own, and never see a traceback."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from flowengine.cli import app

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples"
HISTORIES = ROOT / "tests" / "histories"


@dataclass(frozen=True)
class Ran:
    """How a command went."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*words: object, given: bytes = b"") -> Ran:
    """Run a command in this process; not `serve`, which sets up logging for the rest of its process."""
    done = CliRunner().invoke(app, [str(word) for word in words], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"flowengine {' '.join(map(str, words))} raised") from done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def start(*words: object, given: bytes | None = b"", env: dict[str, str] | None = None, **how: Any) -> Ran:
    """Run a command as people do, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flowengine.cli", *map(str, words)],
        input=given,
        capture_output=True,
        cwd=how.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        timeout=60,
        check=False,
        **how,
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ran.err, ran.err
    return ran
