"""A file under examination: read at any place, and called broken off where it ends too early."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from recordings.errors import BadAudio
from recordings.wav import EXPORT_AGAIN

BUFFER_BYTES: Final = 1 << 16
NOTES_BYTES: Final = 8_000_000
"""The most that may be told about a sound (tags, cover pictures), which a decoder takes into memory as a whole."""
PACKET_BYTES: Final = 4_000_000
"""The largest piece of sound: more than a second of eight channels at 96 kHz."""
SOUND_ALONE: Final = "export the sound alone, as WAV or FLAC"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a container proves about its sound, by its structure, before anything is decoded."""

    duration_ms: int
    channels: int
    rate_hz: int
    exact: bool = True
    """Whether decoding gives this length, give or take a frame; else the codec may drop some 0.5 s at the ends."""


class Source:
    """An open file, its size and the name by which it is spoken of."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self.file = file
        self.size = size
        self.name = name

    def read(self, at: int, length: int) -> bytes:
        """Exactly these bytes. Raises `BadAudio` when the file ends before."""
        data = self.some(at, length)
        if len(data) < length:
            raise self.broken_off()
        return data

    def some(self, at: int, length: int) -> bytes:
        """At most these bytes: as many as there are."""
        self.file.seek(at)
        return self.file.read(length)

    def bad(self, reason: str, mend: str = EXPORT_AGAIN) -> BadAudio:
        """The refusal of this file."""
        return BadAudio(self.name, reason, mend)

    def broken_off(self, how: str = "the file ends in the middle of it") -> BadAudio:
        """The refusal of a file of which the end is missing."""
        return self.bad(f"it breaks off: {how}")

    def wordy(self) -> BadAudio:
        """The refusal of a file with too much beside the sound."""
        reason = f"its tags and pictures take more than {NOTES_BYTES // 1_000_000} MB"
        return self.bad(reason, "export it again without pictures")

    def lumpy(self) -> BadAudio:
        """The refusal of a file whose sound comes in too large a piece."""
        return self.bad(f"a piece of sound in it is bigger than {PACKET_BYTES // 1_000_000} MB")

    def too_long(self, limit_ms: int) -> BadAudio:
        """The refusal of a sound beyond the limit."""
        return self.bad(
            f"it is too long (more than {limit_ms / 1_000:g} s)", f"shorten it to {limit_ms / 1_000:g} s"
        )


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Examine a file. Raises `BadAudio` when it cannot be read."""
    try:
        with path.open("rb", buffering=BUFFER_BYTES) as file:
            yield Source(file, file.seek(0, 2), path.name)
    except OSError as error:
        mend = "give a file that the engine may read"
        raise BadAudio(path.name, f"it cannot be read ({error.strerror})", mend) from error
