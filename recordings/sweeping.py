"""Cleaning the prompt directory: left-overs of a crash within the hour, sounds nobody wants after a day."""

import os
import shutil
import time
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Final

from recordings.audio import wide_of
from recordings.files import PART
from recordings.rendered import FILE

ROOM: Final = ".render-"
"""Beginning of the name of a folder in which a sound is being made."""
LEFT_OVER_S: Final = 3_600.0
DAY_S: Final = 86_400.0


def clear_left_overs(directory: Path) -> None:
    """Remove what a crash left of a rendering; a rendering of this hour may be going on. Raises `OSError`."""
    for entry in os.scandir(directory):
        with suppress(FileNotFoundError):  # Another engine may be at work in this directory.
            if entry.stat(follow_symlinks=False).st_mtime > time.time() - LEFT_OVER_S:
                continue
            if entry.name.startswith(ROOM):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name.endswith(PART):
                Path(entry.path).unlink()


def sweep(directory: Path, keep: Container[str], older_than_s: float) -> int:
    """Delete sounds, except those whose 8 kHz file is named in `keep`, which are marked as wanted now.

    Nothing that was wanted within `older_than_s`, or within a day, is touched: a running call may play it.
    Gives how many sounds are gone. Raises `OSError`.
    """
    clear_left_overs(directory)
    before = time.time() - max(older_than_s, DAY_S)
    gone = 0
    for entry in list(os.scandir(directory)):
        name = FILE.fullmatch(entry.name)
        if name is None:
            continue
        path = Path(entry.path)
        narrow = path.with_suffix(".wav")
        with suppress(FileNotFoundError):
            if narrow.name in keep:
                os.utime(path)
            elif path == narrow and path.stat().st_mtime < before:
                path.unlink()  # First, for it is the one that says that the sound is there.
                wide_of(path).unlink(missing_ok=True)
                gone += 1
            elif path != narrow and not narrow.exists() and path.stat().st_mtime < before:
                path.unlink()
    return gone
