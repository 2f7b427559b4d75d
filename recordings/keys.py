"""Sound keys: the one-line names by which a flow, a journal and the prompt cache speak of a sound.

say:<language>:<voice>:<text>     words, spoken; the voice may be empty, the text may hold colons
audio:<id or relative path>       a file below the audio root
url:<https address>               a file elsewhere
tone:beep                         the sign to speak now
builtin:<phrase>[:<language>]     goodbye, apology (spoken; English if the language has none), hold-music
"""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

from recordings.errors import SoundUnavailable

Phrase = Literal["goodbye", "apology"]
KINDS: Final = "say:, audio:, url:, tone:beep, builtin:goodbye, builtin:apology or builtin:hold-music"


@dataclass(frozen=True, slots=True)
class Say:
    """Words to be spoken."""

    language: str
    voice: str
    text: str


@dataclass(frozen=True, slots=True)
class Audio:
    """An uploaded file, by id or by path below the audio root."""

    id: str


@dataclass(frozen=True, slots=True)
class Url:
    """A file to be fetched."""

    address: str


@dataclass(frozen=True, slots=True)
class Made:
    """A sound made of numbers."""

    name: Literal["beep", "hold-music"]


@dataclass(frozen=True, slots=True)
class Builtin:
    """A short phrase the product brings with it."""

    phrase: Phrase
    language: str


SoundKey = Say | Audio | Url | Made | Builtin


def parse(key: str) -> SoundKey:
    """Read a sound key. Raises `SoundUnavailable` when it is none."""
    kind, _, rest = key.partition(":")
    match kind, rest.split(":", 2):
        case "say", [language, voice, text]:
            return Say(language, voice, text)
        case "audio", _ if rest:
            return Audio(rest)
        case "url", _ if rest:
            return Url(rest)
        case "tone", ["beep"]:
            return Made("beep")
        case "builtin", ["hold-music", *_]:
            return Made("hold-music")
        case "builtin", ["goodbye" | "apology" as phrase, *language]:
            return Builtin(phrase, ":".join(language) or "en")
        case _:
            raise SoundUnavailable(shown(key), "it is not a sound key", f"use {KINDS}")


def kind(sound: Say | Audio | Made) -> Literal["say", "audio", "made"]:
    """The family of a sound, as it begins the names of rendered files."""
    match sound:
        case Say():
            return "say"
        case Audio():
            return "audio"
        case Made():
            return "made"
        case _:
            assert_never(sound)


def say(text: str, language: str, voice: str = "") -> str:
    """The key of spoken words."""
    return f"say:{language}:{voice}:{text}"


def shown(key: str) -> str:
    """A key in a message: its beginning, printable."""
    beginning = "".join(c if c.isprintable() else "?" for c in key[:60])
    return f"sound “{beginning}{'…' if len(key) > 60 else ''}”"
