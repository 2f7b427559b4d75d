"""How long a media URI lasts, and what a person on the line hears of it."""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

SECOND: Final = 1_000_000
ENDLESS_US: Final = 6 * 3_600 * SECOND
"""A tone plays until it is stopped; nobody listens longer than this."""
A_DIGIT_US: Final = 600_000
A_NUMBER_US: Final = 700_000
TONES: Final = frozenset(
    {"dial", "busy", "ring", "congestion", "callwaiting", "dialrecall", "record", "info", "stutter", "beep"}
)
PLAYABLE_RATE: Final = 8_000
"""Asterisk plays a `.wav` of this rate, mono and 16 bit, and no other."""


class Heard(str):
    """What is heard, as the telephones of the world know it, with the media URI it came from."""

    __slots__ = ("uri",)
    uri: str

    def __new__(cls, text: str, uri: str) -> "Heard":
        """Make one."""
        made = super().__new__(cls, text)
        made.uri = uri
        return made


def wav_length(file: Path) -> int | None:
    """Microseconds of a WAV file that Asterisk can play; None for any other, and for no file."""
    try:
        with wave.open(str(file), "rb") as sound:
            playable = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (
                PLAYABLE_RATE,
                1,
                2,
            )
            return sound.getnframes() * SECOND // PLAYABLE_RATE if playable else None
    except (OSError, EOFError, wave.Error, ValueError):
        return None


class Lengths:
    """Lengths of media URIs.

    Args:
        stored: length of a stored recording by name, None when there is none.
    """

    def __init__(self, stored: Callable[[str], int | None]) -> None:
        self._stored = stored

    def __call__(self, uri: str) -> int | None:
        """Microseconds; None for what cannot be played."""
        scheme, colon, rest = uri.partition(":")
        if not colon or not rest:
            return None
        match scheme:
            case "sound":
                return wav_length(Path(rest + ".wav")) if rest.startswith("/") else None
            case "recording":
                return self._stored(rest)
            case "tone":
                name = rest.split(";")[0]
                return ENDLESS_US if name in TONES or name[:1].isdigit() or name[:1] == "!" else None
            case "number":
                return A_NUMBER_US * len(rest.lstrip("-"))
            case "digits" | "characters":
                return A_DIGIT_US * len(rest)
            case "silence":
                return _silence(rest.strip("/"))
            case _:
                return None


def _silence(seconds: str) -> int | None:
    return int(seconds) * SECOND if seconds.isdigit() and len(seconds) < 5 else None
