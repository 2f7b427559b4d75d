"""Recordings, kept: whole, checked, never longer than allowed, and found again by id alone, on a disk or in a bucket.

A recording becomes visible in one step. Its bytes go to a part file; its header is repaired, it is cut to its limit
and made durable; then it gets its name, and last of all its record (a small JSON file with length and checksum).
Without a record nothing is there: what a crash leaves behind is never taken for a recording.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

from recordings.errors import (
    LibraryUnavailable,
    RangeRefused,
    RecordingDamaged,
    RecordingMissing,
    RecordingRefused,
)
from recordings.gather import SIZE_LIMIT_BYTES, Arrival, gather, size_of
from recordings.kept import Kept, Reading, Record, place_of
from recordings.storage import RESTORE, Storage
from recordings.storage_disk import DiskStorage
from recordings.work import CHECK_S, Check, Steps, Work

__all__ = ["VOICEMAIL_LIMIT_MS", "Kept", "Reading", "RecordingLibrary"]

VOICEMAIL_LIMIT_MS: Final = 120_000
"""A voicemail is never longer than 2 minutes (product rules, section 3)."""
PART_STALE_S: Final = 86_400.0
PATIENCE_S: Final = 60.0
SLOWEST_BYTES_S: Final = 250_000
"""What a library must at least take in or give out in a second, beyond `PATIENCE_S`: 2 Mbit/s."""
CHECK_BYTES: Final = 1 << 20


class RecordingLibrary:
    """Recordings in a directory, or in whatever storage is given."""

    def __init__(self, where: Path | Storage) -> None:
        """Raises `RecordingRefused` when it is a directory that cannot be made or written."""
        self._storage: Storage = DiskStorage(where) if isinstance(where, Path) else where
        self._work = Work(self._storage.address)
        self._reading = Work(self._storage.address)  # nobody who listens waits for a slow upload
        self._check = Check(self._storage.probe, self._storage.address)
        self._arriving: set[str] = set()

    @classmethod
    def at(cls, address: str, spool: Path) -> "RecordingLibrary":
        """Open the library at an address.

        Args:
            address: a directory, or `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-central-1`.
            spool: a directory on a local disk for recordings on their way to a bucket; not used for a directory.

        Raises:
            RecordingRefused: a wrong address, the extra `s3` is not installed, or a directory cannot be made.
        """
        if not address.startswith("s3:"):
            if "://" in address:
                mend = "name a directory, or write s3://bucket/prefix"
                raise RecordingRefused("address of the recordings", "there is no such kind of library", mend)
            return cls(Path(address))
        from recordings.storage_s3 import S3Storage

        return cls(S3Storage.at(address, DiskStorage(spool)))

    @property
    def address(self) -> str:
        """Where it is, for people; without secrets."""
        return self._storage.address

    async def keep(
        self, recording_id: str, data: AsyncIterator[bytes] | Path, limit_ms: int | None = None
    ) -> Kept:
        """Keep a PCM WAV recording, from a stream or as a copy of a file, cut to `limit_ms`.

        Keeping the same sound again under the same id is harmless. Raises `NoSound` when nobody spoke a sample,
        `BadAudio` when it is broken off or no PCM WAV, `LibraryUnavailable` when it cannot be stored now (in front of
        a bucket it then waits in the spool, see `retry`), `RecordingRefused` when it never will. A stream that fails
        or stalls leaves nothing behind, and its error is passed on.
        """
        place_of(recording_id)
        steps, part = self._begin(recording_id), None
        try:
            with suppress(RecordingMissing, RecordingDamaged):
                # While the bucket is away it is asked first, so that the switch is not read again and again in vain.
                await steps.do(_patience(SIZE_LIMIT_BYTES), self._storage.deliver, recording_id)
            part = await steps.do(PATIENCE_S, self._storage.part, recording_id)
            arrival = Arrival(part, recording_id, self.address)
            if isinstance(data, Path):
                size = await steps.do(PATIENCE_S, size_of, data, recording_id)
                await steps.do(_patience(size), arrival.copy, data)
            else:
                write = arrival.append
                size = await gather(data, recording_id, lambda piece: steps.do(PATIENCE_S, write, piece))
            record = await steps.do(_patience(size), arrival.finish, limit_ms)
            record = await steps.do(_patience(size), self._storage.put, recording_id, part, record)
            part = None
            return self._kept(recording_id, record)
        finally:
            tidy = partial(_clear, part) if part is not None else None
            await steps.end(tidy, partial(self._arriving.discard, recording_id))

    async def find(self, recording_id: str) -> Kept:
        """What is kept under an id. Raises `RecordingMissing`, `RecordingDamaged`, `LibraryUnavailable`."""
        record = await self._reading.do(recording_id, PATIENCE_S, self._storage.find, recording_id)
        return self._kept(recording_id, record)

    async def read(self, recording_id: str, start: int = 0, end: int | None = None) -> Reading:
        """The bytes of a recording from `start` up to (not including) `end`; without one, to its last.

        Raises `RangeRefused` when it has no such bytes, and what `find` and `Reading` raise.
        """
        kept = await self.find(recording_id)
        last = kept.bytes if end is None else end
        if not 0 <= start < last <= kept.bytes:
            reason = f"bytes from {start} up to {last} are not in its {kept.bytes}"
            raise RangeRefused(recording_id, reason, "ask for 0 <= start < end <= size")
        return Reading(kept, start, last, partial(self._piece, recording_id))

    async def verify(self, recording_id: str) -> Kept:
        """Read a recording and compare it with its checksum. Raises `RecordingDamaged` and what `find` raises."""
        kept = await self.find(recording_id)
        patience_s = _patience(kept.bytes)
        sha256 = await self._reading.do(recording_id, patience_s, self._checksum, recording_id, kept.bytes)
        if sha256 != kept.sha256:
            raise RecordingDamaged(recording_id, "its bytes are not those that were kept", RESTORE)
        return kept

    async def delete(self, recording_id: str) -> bool:
        """Delete a recording. False when there was none: deleting twice is harmless."""
        return await self._work.do(recording_id, PATIENCE_S, self._storage.delete, recording_id)

    async def check(self, seconds: float = CHECK_S) -> None:
        """See whether recordings can be written now, by writing a few bytes.

        Raises `LibraryUnavailable`, after `seconds` at the latest. Cheap enough for every few seconds; however long a
        volume hangs, at most one thread hangs with it.
        """
        await self._check(seconds)

    async def waiting(self) -> list[str]:
        """Ids of recordings that are in the spool because the bucket did not take them."""
        return await self._work.do("spool", PATIENCE_S, self._storage.waiting)

    async def retry(self) -> dict[str, Kept]:
        """Bring what waits in the spool into the bucket; what has arrived, by id.

        Recordings that are being kept at this moment are left to their keeper. Raises `LibraryUnavailable` when the
        first one is refused; when a later one is, it ends and the rest goes on waiting. What can never arrive (its id
        is taken by another sound, or a crash damaged it) stays in the spool for a person to look at.
        """
        arrived: dict[str, Kept] = {}
        for recording_id in await self.waiting():
            if recording_id in self._arriving:
                continue
            steps = self._begin(recording_id)
            try:
                record = await steps.do(_patience(SIZE_LIMIT_BYTES), self._storage.deliver, recording_id)
            except LibraryUnavailable:
                if not arrived:
                    raise
                break
            except RecordingRefused:
                continue
            finally:
                await steps.end(None, partial(self._arriving.discard, recording_id))
            arrived[recording_id] = self._kept(recording_id, record)
        return arrived

    def path(self, recording_id: str) -> Path:
        """Where a recording lies or would lie on this disk. Raises `RecordingRefused` for a wrong id or a bucket."""
        place = place_of(recording_id)
        if self._storage.directory is None:
            reason = f"its library is {self.address}, not a disk of this machine"
            raise RecordingRefused(recording_id, reason, "take its bytes from the library: `read`")
        return self._storage.directory / place

    def sweep(self) -> int:
        """Delete parts that a crash left behind a day ago or earlier; how many. Blocks. No sound is ever swept.

        Raises `LibraryUnavailable`.
        """
        return self._storage.sweep(time.time() - PART_STALE_S)

    def _begin(self, recording_id: str) -> Steps:
        if recording_id in self._arriving:
            mend = "wait for the first to end"
            raise RecordingRefused(recording_id, "it is being kept at this moment", mend)
        self._arriving.add(recording_id)
        return Steps(self._work, recording_id)

    async def _piece(self, recording_id: str, start: int, end: int) -> bytes:
        piece = await self._reading.do(
            recording_id, PATIENCE_S, self._storage.piece, recording_id, start, end
        )
        return _some(piece, recording_id, start)

    def _checksum(self, recording_id: str, size: int) -> str:
        digest, at = hashlib.sha256(), 0
        while at < size:
            piece = _some(
                self._storage.piece(recording_id, at, min(size, at + CHECK_BYTES)), recording_id, at
            )
            digest.update(piece)
            at += len(piece)
        return digest.hexdigest()

    def _kept(self, recording_id: str, record: Record) -> Kept:
        return Kept(place_of(recording_id), **asdict(record), directory=self._storage.directory)


def _clear(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _patience(size: int) -> float:
    """Seconds that work on so many bytes may take."""
    return PATIENCE_S + size / SLOWEST_BYTES_S


def _some(piece: bytes, recording_id: str, at: int) -> bytes:
    if not piece:
        raise RecordingDamaged(recording_id, f"it ends after {at} bytes, too early", RESTORE)
    return piece
