"""What is known of a kept recording, and under which names its two files lie.

Disk and bucket have the same layout, so that a library can be copied from one to the other by any tool: the sound is
`3f/rec_1.wav`, spread over 256 folders by a hash of the id, and beside it lies its record, `3f/rec_1.json`.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from recordings.errors import RecordingRefused

PIECE_BYTES: Final = 1 << 18
"""16 s of mono sound at a time: little memory for many readers, few calls for one."""
ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def place_of(recording_id: str) -> str:
    """Where the sound of a recording lies below its library. Raises `RecordingRefused` for an id that is none."""
    if not ID.fullmatch(recording_id):
        mend = "use up to 128 letters, digits, `_`, `.` and `-`, beginning with a letter, digit or `_`"
        raise RecordingRefused(f"recording {recording_id[:40]!r}", "it is not an id", mend)
    folder = hashlib.sha256(recording_id.encode()).hexdigest()[:2]
    return f"{folder}/{recording_id}.wav"


def record_place_of(recording_id: str) -> str:
    """Where the record of a recording lies below its library: the file that makes it visible."""
    return place_of(recording_id).removesuffix(".wav") + ".json"


@dataclass(frozen=True, slots=True)
class Record:
    """What is written down of a recording when it is kept, as JSON with these names."""

    duration_ms: int
    sha256: str
    bytes: int
    repaired: bool
    trimmed: bool

    def to_json(self) -> str:
        """The text of a record file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a record file. Raises `ValueError` when it is none."""
        try:
            record = cls(**json.loads(text))
        except TypeError as error:
            raise ValueError("it is not the record of a recording") from error
        if not isinstance(record.bytes, int) or not isinstance(record.sha256, str):
            raise ValueError("it is not the record of a recording")
        return record


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording that is safely in its library."""

    place: str
    """Below the directory or the bucket's prefix, such as `3f/rec_1.wav`: what a database should remember."""
    duration_ms: int
    sha256: str
    bytes: int
    repaired: bool
    """The header was written by us, because the switch died: the last seconds may be missing."""
    trimmed: bool
    """It was longer than its limit, and was cut there."""
    directory: Path | None = None
    """The directory of the library, None when it is not on this machine's disk."""

    @property
    def complete(self) -> bool:
        """Whether all that the switch heard, up to the limit, is certainly there."""
        return not self.repaired

    @property
    def path(self) -> Path:
        """The file of its sound. Raises `RecordingRefused` when it lies in a bucket."""
        if self.directory is None:
            reason = "it is not on a disk of this machine"
            raise RecordingRefused(self.place, reason, "take its bytes from the library: `read`")
        return self.directory / self.place


@dataclass(frozen=True, slots=True)
class Reading:
    """The bytes of a recording from `start` up to `end`, fetched piece by piece while one iterates over it.

    Iterating raises `RecordingMissing` when the recording is deleted meanwhile, `RecordingDamaged` when it has become
    shorter than it was, `LibraryUnavailable`. Nothing is open in between, so a reading may be left at any time.
    """

    kept: Kept
    start: int
    end: int
    fetch: Callable[[int, int], Awaitable[bytes]]

    @property
    def size(self) -> int:
        """Bytes of the whole recording."""
        return self.kept.bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at = self.start
        while at < self.end:
            piece = await self.fetch(at, min(self.end, at + PIECE_BYTES))
            at += len(piece)
            yield piece
