"""Where a library puts what it keeps: the port, what every storage shares, and how complaints are worded.

A storage blocks; the library calls it from threads of its own, so that a hanging volume stops nobody else. It is
handed finished files only: gathering, repairing and measuring happen before, on a local disk.
"""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from recordings.errors import LibraryUnavailable, RecordingDamaged, RecordingMissing, RecordingRefused
from recordings.kept import Record

RESTORE: Final = "restore it from a backup, or delete it"
FREE_SPACE: Final = "free some space, and let the engine write its recording directory"
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Storage(Protocol):
    """A disk or a bucket. All methods block, and raise `LibraryUnavailable` when it does not do its work."""

    @property
    def address(self) -> str:
        """For people: where it is, without secrets."""
        ...

    @property
    def directory(self) -> Path | None:
        """Where sounds lie as files, None when they do not."""
        ...

    def part(self, recording_id: str) -> Path:
        """Make a new empty private file to gather a recording in."""
        ...

    def put(self, recording_id: str, part: Path, record: Record) -> Record:
        """Keep a finished part, which is gone afterwards, and return what is now kept under the id.

        The same sound again changes nothing. Raises `RecordingRefused` when another sound is kept under the id.
        """
        ...

    def find(self, recording_id: str) -> Record:
        """What is kept. Raises `RecordingMissing`, `RecordingDamaged` (record without its sound, or unreadable)."""
        ...

    def piece(self, recording_id: str, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, fewer when there are no more. Raises `RecordingMissing`."""
        ...

    def delete(self, recording_id: str) -> bool:
        """Delete sound and record; False when there was neither."""
        ...

    def sweep(self, before: float) -> int:
        """Delete parts that were left behind before a time (seconds since the Unix epoch); how many."""
        ...

    def probe(self) -> None:
        """Write a few bytes, to see whether it takes any."""
        ...

    def waiting(self) -> list[str]:
        """Ids of recordings that were taken in here and have not reached their place yet."""
        ...

    def deliver(self, recording_id: str) -> Record:
        """Bring one that waits to its place. Raises `RecordingMissing` when it does not wait."""
        ...


def kept_before(storage: Storage, recording_id: str, record: Record) -> Record | None:
    """The record under which the same sound is already kept. Raises `RecordingRefused` when it is another sound."""
    try:
        before = storage.find(recording_id)
    except (RecordingMissing, RecordingDamaged):
        return None
    if before.sha256 != record.sha256:
        raise RecordingRefused(recording_id, "another recording is kept under this id", "use a new id")
    return before


def missing(recording_id: str) -> RecordingMissing:
    """The error for an id under which nothing is kept."""
    return RecordingMissing(recording_id, "there is no such recording", "it was deleted or never kept")


def record_of(recording_id: str, text: bytes, size: int | None) -> Record:
    """Read a record and hold it against the size of its sound, None when there is no sound.

    Raises `RecordingDamaged`.
    """
    try:
        record = Record.from_json(text.decode())
    except ValueError as error:
        raise RecordingDamaged(recording_id, "its record cannot be read", RESTORE) from error
    if size is None:
        raise RecordingDamaged(recording_id, "its record is there, but its sound is gone", RESTORE)
    if size != record.bytes:
        raise RecordingDamaged(recording_id, f"it has {size} bytes instead of {record.bytes}", RESTORE)
    return record


@contextmanager
def on_disk(name: str, address: str) -> Iterator[None]:
    """Turn a complaint of the disk into one that names the recording, the library and the mend."""
    try:
        yield
    except OSError as error:
        raise unavailable(name, address, error) from error


def unavailable(name: str, address: str, error: OSError) -> LibraryUnavailable:
    """What the disk complains of, in our words."""
    reason = f"it cannot be stored or read in {address} ({error.strerror or type(error).__name__})"
    if error.errno in FULL:
        return LibraryUnavailable(name, reason, FREE_SPACE)
    mend = "mount the volume again and let the engine read and write it; then it goes on by itself"
    return LibraryUnavailable(name, reason, mend)


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
