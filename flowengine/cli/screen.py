"""What every command shares: writing to the terminal, reading files, and ending with the right exit code."""

import json
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

PROBLEMS: Final = 1
UNREADABLE: Final = 2
MISSING: Final = 3
MAX_INPUT_BYTES: Final = 64_000_000

_COLOURS: Final = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "ok": typer.colors.GREEN}


def say(text: str, tone: str = "") -> None:
    """Print a line to standard output, in colour on terminals only."""
    typer.secho(text, fg=_COLOURS.get(tone) if sys.stdout.isatty() else None)


def say_json(value: Any) -> None:
    """Print a machine's answer."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def fail(message: str, code: int = UNREADABLE) -> NoReturn:
    """End with a message on standard error."""
    typer.secho(f"flowengine: {message}", err=True, fg=_COLOURS["error"] if sys.stderr.isatty() else None)
    raise typer.Exit(code)


def read_bytes(path: Path) -> bytes:
    """Read an input file ("-": standard input), or end with exit code 2 saying why not."""
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        elif not path.exists():
            fail(f"{path}: there is no such file")
        elif not path.is_file():
            fail(f"{path}: is not a file")
        else:
            with path.open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        fail(f"{path}: cannot be read ({error.strerror})")
    if len(data) > MAX_INPUT_BYTES:
        fail(f"{path}: larger than {MAX_INPUT_BYTES:,} bytes; is it the right file?")
    return data
