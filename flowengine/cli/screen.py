"""What every command shares: writing to the terminal, reading and writing files, ending with the right exit code."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

PROBLEMS: Final = 1
UNREADABLE: Final = 2
MISSING: Final = 3
MAX_INPUT_BYTES: Final = 64_000_000

_COLOURS: Final = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "ok": typer.colors.GREEN}


class CannotRead(Exception):
    """An input file that cannot be read; the message names it and says why."""


def say(text: str, tone: str = "") -> None:
    """Print a line to standard output, in colour on terminals only."""
    typer.echo(_coloured(text, tone, sys.stdout.isatty()))


def say_json(value: Any) -> None:
    """Print a machine's answer."""
    typer.echo(_printable(json.dumps(value, ensure_ascii=False, indent=2)))


def fail(message: str, code: int = UNREADABLE) -> NoReturn:
    """End with a message on standard error."""
    typer.echo(_coloured(f"flowengine: {message}", "error", sys.stderr.isatty()), err=True)
    raise typer.Exit(code)


def read_input(path: Path) -> bytes:
    """Read an input file ("-": standard input). Raises `CannotRead`."""
    try:
        if str(path) == "-":
            if sys.stdin is None:
                raise CannotRead("-: standard input is closed")
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        elif path.is_dir():
            raise CannotRead(f"{path}: is a folder, and not a file")
        else:
            with path.open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except FileNotFoundError:
        raise CannotRead(f"{path}: there is no such file") from None
    except OSError as error:
        raise CannotRead(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_INPUT_BYTES:
        raise CannotRead(f"{path}: larger than {MAX_INPUT_BYTES:,} bytes; is it the right file?")
    return data


def read_bytes(path: Path) -> bytes:
    """Read an input file, or end with exit code 2 saying why not."""
    try:
        return read_input(path)
    except CannotRead as error:
        fail(str(error))


def write_text(path: Path, text: str) -> None:
    """Write an output file, its folder too, or end with exit code 2 saying why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: cannot be written ({error.strerror})")


def _coloured(text: str, tone: str, on_terminal: bool) -> str:
    colour = _COLOURS.get(tone) if on_terminal and not os.environ.get("NO_COLOR") else None
    return typer.style(_printable(text), fg=colour) if colour else _printable(text)


def _printable(text: str) -> str:
    """Half surrogate pairs, as in the name of a file that is not UTF-8, as their escape."""
    return text.encode("utf-8", "backslashreplace").decode()
