"""Whole files or none: write beside the target, flush to the disk, then rename over it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PART: Final = ".part"
"""Ending of a file that is still being written; nobody reads one, and left-overs may be deleted."""


def part_of(target: Path) -> Path:
    """A new hidden name beside `target`, on the same file system so that the rename is atomic."""
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}{PART}")


def settle(part: Path, target: Path) -> None:
    """Make `part` durable and let it take the place of `target`."""
    flush(part)
    part.replace(target)
    flush(target.parent)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a name to write to; the file becomes `target` when the block ends well, else it vanishes."""
    part = part_of(target)
    try:
        yield part
        settle(part, target)
    finally:
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
