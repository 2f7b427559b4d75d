"""Everything that can be wrong with a sound, said so that a person can mend it.

SoundError
├── BadAudio              the bytes are not usable sound
│   └── NoSound           well formed, and empty
├── SpeechRefused         the words, the language or the voice cannot be spoken
├── SoundUnavailable      a sound key that cannot be turned into sound here and now
├── SoundsUnavailable     several of them, all at once
├── ToolFailed            an outside program failed or took too long
│   └── ToolMissing       an outside program is not installed
└── RecordingRefused      a recording cannot be kept
    ├── RecordingMissing  nothing is kept under this id
    ├── RecordingDamaged  what is kept is not what was once kept
    ├── RangeRefused      a range of bytes that the recording does not have
    └── LibraryUnavailable  the library itself cannot be reached, read or written now
"""

from collections.abc import Mapping


class SoundError(Exception):
    """Names the thing, says what is wrong with it, and what mends it."""

    def __init__(self, name: str, reason: str, mend: str) -> None:
        super().__init__(name, reason, mend)
        self.name = name
        self.reason = reason
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}; {self.mend}"


class BadAudio(SoundError):
    """The bytes are not sound that can be played whole."""


class NoSound(BadAudio):
    """A well-formed file in which there is nothing to hear."""


class SpeechRefused(SoundError):
    """Words, a language or a voice that the speech engine cannot or must not speak."""


class SoundUnavailable(SoundError):
    """A sound key that is malformed, or names a sound that cannot be had."""


class SoundsUnavailable(SoundError):
    """Every sound key of a list that failed; the others were rendered."""

    def __init__(self, failures: Mapping[str, SoundError]) -> None:
        first = next(iter(failures.values()))
        others = len(failures) - 1
        name = f"{first.name} (and {others} more)" if others else first.name
        super().__init__(name, first.reason, first.mend)
        self.failures = dict(failures)


class ToolFailed(SoundError):
    """An outside program ended badly or was stopped because it took too long."""


class ToolMissing(ToolFailed):
    """An outside program is not installed or cannot be started."""


class RecordingRefused(SoundError):
    """A recording that cannot be kept: bad id, id taken, stream broken off, no space."""


class RecordingMissing(RecordingRefused):
    """Nothing (or nothing complete) is kept under this id."""


class RecordingDamaged(RecordingRefused):
    """The kept bytes differ from the checksum taken when they were kept."""


class RangeRefused(RecordingRefused):
    """A range of bytes that is empty, backwards, or not within the recording."""


class LibraryUnavailable(RecordingRefused):
    """The volume or the bucket of the library is full, gone, closed to us or silent; later it may be well again."""
