"""Recordings, kept: whole, checked, never longer than allowed, and found again by id alone.

A recording becomes visible in one step. Bytes go to a part file; its header is repaired, it is cut to its limit and
made durable; then it gets its name, and last of all its record (a small JSON file with length and checksum). Without
a record nothing is there: what a crash leaves behind is never taken for a recording.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final

from recordings import wav
from recordings.errors import BadAudio, RecordingDamaged, RecordingMissing, RecordingRefused
from recordings.files import PART, flush, part_of, replacing, settle

VOICEMAIL_LIMIT_MS: Final = 120_000
"""A voicemail is never longer than 2 minutes (product rules, section 3)."""
SIZE_LIMIT_BYTES: Final = 1_000_000_000
"""More than 17 hours at 8 kHz; a stream that goes on longer is a fault."""
PIECE_S: Final = 30.0
PART_STALE_S: Final = 86_400.0
ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
RESTORE: Final = "restore it from a backup, or delete it"
FREE_SPACE: Final = "free some space, and let the engine write its recording directory"


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording that is safely on the disk."""

    path: Path
    duration_ms: int
    sha256: str
    bytes: int
    repaired: bool
    """The header was written by us, because the switch died: the last seconds may be missing."""
    trimmed: bool
    """It was longer than its limit, and was cut there."""

    @property
    def complete(self) -> bool:
        """Whether all that the switch heard, up to the limit, is certainly there."""
        return not self.repaired


class RecordingLibrary:
    """A directory of recordings, spread over 256 folders by a hash of the id."""

    def __init__(self, directory: Path) -> None:
        """Raises `RecordingRefused` when the directory cannot be made or written."""
        self._directory = directory.resolve()
        self._arriving: set[str] = set()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise RecordingRefused(
                str(directory), f"it cannot be made ({error.strerror})", FREE_SPACE
            ) from error

    async def keep(
        self, recording_id: str, data: AsyncIterator[bytes] | Path, limit_ms: int | None = None
    ) -> Kept:
        """Keep a PCM WAV recording, from a stream or as a copy of a file, cut to `limit_ms`.

        Keeping the same sound again under the same id is harmless. Raises `NoSound` when nobody spoke a sample,
        `BadAudio` when it is broken off or no PCM WAV, `RecordingRefused` when it cannot be stored. A stream that
        fails or stalls for `PIECE_S` seconds leaves nothing behind, and its error is passed on.
        """
        target = self.path(recording_id)
        if recording_id in self._arriving:
            mend = "wait for the first to end"
            raise RecordingRefused(recording_id, "it is being kept at this moment", mend)
        self._arriving.add(recording_id)
        part = part_of(target)
        try:
            with _storing(recording_id):
                target.parent.mkdir(mode=0o700, exist_ok=True)
                await asyncio.to_thread(flush, self._directory)
                if isinstance(data, Path):
                    await asyncio.to_thread(_copy, data, part, recording_id)
            if not isinstance(data, Path):
                await _gather(data, part, recording_id)
            return await asyncio.to_thread(self._finish, recording_id, part, target, limit_ms)
        finally:
            self._arriving.discard(recording_id)
            with suppress(OSError):
                part.unlink()

    async def find(self, recording_id: str) -> Kept:
        """What is kept under an id. Raises `RecordingMissing`."""
        return await asyncio.to_thread(self._find, recording_id)

    async def open(self, recording_id: str) -> BinaryIO:
        """The bytes of a recording, from the start. Raises `RecordingMissing`."""
        kept = await self.find(recording_id)
        return await asyncio.to_thread(kept.path.open, "rb")

    async def verify(self, recording_id: str) -> Kept:
        """Read a recording and compare it with its checksum. Raises `RecordingMissing`, `RecordingDamaged`."""
        return await asyncio.to_thread(self._verify, recording_id)

    async def delete(self, recording_id: str) -> bool:
        """Delete a recording. False when there was none: deleting twice is harmless."""
        return await asyncio.to_thread(self._delete, recording_id)

    def path(self, recording_id: str) -> Path:
        """Where a recording lies or would lie. Raises `RecordingRefused` for an id that is none."""
        if not ID.fullmatch(recording_id):
            mend = "use up to 128 letters, digits, `_`, `.` and `-`, beginning with a letter, digit or `_`"
            raise RecordingRefused(f"recording {recording_id[:40]!r}", "it is not an id", mend)
        folder = hashlib.sha256(recording_id.encode()).hexdigest()[:2]
        return self._directory / folder / f"{recording_id}.wav"

    def sweep(self) -> int:
        """Delete parts that a crash left behind a day ago or earlier; how many. Blocks."""
        before = time.time() - PART_STALE_S
        stale = [path for path in self._directory.glob(f"??/.*{PART}") if path.stat().st_mtime < before]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _finish(self, recording_id: str, part: Path, target: Path, limit_ms: int | None) -> Kept:
        """From a gathered part to a kept recording; every step may be cut off by a crash and done again."""
        with _storing(recording_id):
            try:
                repaired = wav.repair(part)
                trimmed = limit_ms is not None and wav.trim(part, limit_ms)
                duration = wav.duration_ms(part)
            except BadAudio as error:
                raise type(error)(recording_id, error.reason, error.mend) from error
            kept = Kept(target, duration, _sha256(part), part.stat().st_size, repaired, trimmed)
            try:
                before = self._find(recording_id)
            except (RecordingMissing, RecordingDamaged):
                before = None
            if before is not None:
                if before.sha256 == kept.sha256:
                    return before
                raise RecordingRefused(
                    recording_id, "another recording is kept under this id", "use a new id"
                )
            settle(part, target)
            record = {name: value for name, value in asdict(kept).items() if name != "path"}
            with replacing(_record(target)) as file:
                file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            return kept

    def _find(self, recording_id: str) -> Kept:
        path = self.path(recording_id)
        try:
            kept = Kept(path=path, **json.loads(_record(path).read_text(encoding="utf-8")))
            size = path.stat().st_size
        except FileNotFoundError as error:
            if _record(path).exists():
                reason = "its record is there, but its sound is gone"
                raise RecordingDamaged(recording_id, reason, RESTORE) from error
            mend = "it was deleted or never kept"
            raise RecordingMissing(recording_id, "there is no such recording", mend) from error
        except (TypeError, ValueError) as error:
            raise RecordingDamaged(recording_id, "its record cannot be read", RESTORE) from error
        if size != kept.bytes:
            reason = f"it has {size} bytes instead of {kept.bytes}"
            raise RecordingDamaged(recording_id, reason, RESTORE)
        return kept

    def _verify(self, recording_id: str) -> Kept:
        kept = self._find(recording_id)
        if _sha256(kept.path) != kept.sha256:
            raise RecordingDamaged(recording_id, "its bytes are not those that were kept", RESTORE)
        return kept

    def _delete(self, recording_id: str) -> bool:
        path = self.path(recording_id)
        there = _record(path).exists() or path.exists()
        # The record goes first: what is half deleted is not there, rather than damaged.
        _record(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return there


async def _gather(data: AsyncIterator[bytes], part: Path, name: str) -> None:
    """Write a stream to `part`. Whatever the stream raises goes to the caller."""
    with _storing(name):
        file = await asyncio.to_thread(_new, part)
    size = 0
    try:
        while True:
            try:
                async with asyncio.timeout(PIECE_S):
                    piece = await anext(data)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                reason = f"nothing of it came for {PIECE_S:g} s"
                raise RecordingRefused(name, reason, "fetch it again from the switch") from error
            size += len(piece)
            _within_limit(size, name)
            with _storing(name):
                await asyncio.to_thread(_write, file, piece)
    finally:
        file.close()


def _copy(source: Path, part: Path, name: str) -> None:
    if not source.is_file():
        raise RecordingRefused(
            name, "the switch left no file for it", "look at the recording directory of the switch"
        )
    _within_limit(source.stat().st_size, name)
    with source.open("rb") as origin, _new(part) as copy:
        shutil.copyfileobj(origin, copy)


def _new(part: Path) -> BinaryIO:
    """A file that only the engine can read: a voicemail is private."""
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)


def _write(file: BinaryIO, piece: bytes) -> None:
    """Write all of a piece: an unbuffered file may take less at a time, and has nothing left to say at its close."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _within_limit(size: int, name: str) -> None:
    if size > SIZE_LIMIT_BYTES:
        mend = "record it in parts, or stop the recording"
        raise RecordingRefused(name, f"it is longer than {SIZE_LIMIT_BYTES} bytes", mend)


@contextmanager
def _storing(name: str) -> Iterator[None]:
    """Turn a complaint of the disk into one that names the recording."""
    try:
        yield
    except OSError as error:
        raise RecordingRefused(name, f"it cannot be stored ({error.strerror})", FREE_SPACE) from error


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
