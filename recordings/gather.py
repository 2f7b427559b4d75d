"""From a stream or a file to a part on the disk, and from there to a finished recording: repaired, cut, measured.

No file stays open between two pieces: whoever is cut off leaves a name that can be deleted, and nothing else.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from recordings import wav
from recordings.errors import BadAudio, RecordingRefused
from recordings.kept import Record
from recordings.storage import on_disk, sha256_of

SIZE_LIMIT_BYTES: Final = 1_000_000_000
"""More than 17 hours at 8 kHz; a stream that goes on longer is a fault."""
PIECE_S: Final = 30.0
LOOK: Final = "look at the recording directory of the switch"
WRITE_BYTES: Final = 1 << 19
"""Pieces are collected up to this size and written at once: a thread is not asked for every packet."""


async def gather(
    data: AsyncIterator[bytes], recording_id: str, write: Callable[[bytearray], Awaitable[None]]
) -> int:
    """Hand a stream to `write`, in few big pieces; how many bytes. Whatever it raises goes to the caller.

    Raises `RecordingRefused` when it stalls for `PIECE_S` seconds or is longer than `SIZE_LIMIT_BYTES`.
    """
    size = 0
    waiting = bytearray()
    try:
        while (piece := await _next(data, recording_id)) is not None:
            size += len(piece)
            _within_limit(size, recording_id)
            waiting += piece
            if len(waiting) >= WRITE_BYTES:
                await write(waiting)
                waiting = bytearray()
        if waiting:
            await write(waiting)
    finally:
        if isinstance(data, AsyncGenerator):
            await data.aclose()  # a connection to the switch may hang on it
    return size


async def _next(data: AsyncIterator[bytes], recording_id: str) -> bytes | None:
    try:
        async with asyncio.timeout(PIECE_S):
            return await anext(data, None)
    except TimeoutError as error:
        reason = f"nothing of it came for {PIECE_S:g} s"
        raise RecordingRefused(recording_id, reason, "fetch it again from the switch") from error


def size_of(source: Path, recording_id: str) -> int:
    """Bytes of a file of the switch. Raises `RecordingRefused` when it is not there or too long."""
    if not source.is_file():
        raise RecordingRefused(recording_id, "the switch left no file for it", LOOK)
    size = source.stat().st_size
    _within_limit(size, recording_id)
    return size


class Arrival:
    """The part of one recording: bytes go in, checksummed on their way, and a record of what they are comes out."""

    def __init__(self, part: Path, recording_id: str, address: str) -> None:
        """`part` is empty; `address` names the library in errors."""
        self._part = part
        self._id = recording_id
        self._address = address
        self._sha256 = hashlib.sha256()

    def append(self, piece: bytes | bytearray) -> None:
        """Write the next piece."""
        self._sha256.update(piece)
        with on_disk(self._id, self._address):
            # Without O_CREAT: a part that vanished with its volume must not come back half.
            handle = os.open(self._part, os.O_WRONLY | os.O_APPEND)
            try:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            finally:
                os.close(handle)

    def copy(self, source: Path) -> None:
        """Write all of a file of the switch. Raises `RecordingRefused` when it cannot be read."""
        try:
            with source.open("rb", buffering=0) as origin:
                while piece := origin.read(WRITE_BYTES):
                    self.append(piece)
        except OSError as error:
            reason = f"the file of the switch cannot be read ({error.strerror})"
            raise RecordingRefused(self._id, reason, LOOK) from error

    def finish(self, limit_ms: int | None) -> Record:
        """Repair what came, cut it to its limit, and measure it.

        Every step may be cut off by a crash and done again. Raises `NoSound`, `BadAudio`.
        """
        part = self._part
        with on_disk(self._id, self._address):
            try:
                repaired = wav.repair(part)
                trimmed = limit_ms is not None and wav.trim(part, limit_ms)
                duration_ms = wav.duration_ms(part)
            except BadAudio as error:
                raise type(error)(self._id, error.reason, error.mend) from error
            sha256 = sha256_of(part) if repaired or trimmed else self._sha256.hexdigest()
            return Record(duration_ms, sha256, part.stat().st_size, repaired, trimmed)


def _within_limit(size: int, name: str) -> None:
    if size > SIZE_LIMIT_BYTES:
        mend = "record it in parts, or stop the recording"
        raise RecordingRefused(name, f"it is longer than {SIZE_LIMIT_BYTES} bytes", mend)
