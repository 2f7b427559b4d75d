"""Sound keys: the one-line names by which a flow, a journal and the prompt cache speak of a sound.

say:<language>:<voice>:<text>     words, spoken; the voice may be empty, the text may hold colons
audio:<id or relative path>       a file below the audio root
url:<https address>               a file elsewhere
tone:beep                         the sign to speak now
builtin:<phrase>[:<language>]     goodbye, apology (spoken; English if the language has none), hold-music
builtin:place:<language>:<n>      the caller's place in a waiting line, 1 to 20
builtin:wait:<language>:<minutes> the expected wait: 1, 2, 3, 5, 10, 15, 20 or 30 minutes
"""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

from recordings.errors import SoundUnavailable

Fixed = Literal["goodbye", "apology"]
Counted = Literal["place", "wait"]
Phrase = Fixed | Counted
COUNTS: Final[dict[Counted, frozenset[int]]] = {
    "place": frozenset(range(1, 21)),
    "wait": frozenset({1, 2, 3, 5, 10, 15, 20, 30}),
}
"""The numbers there are phrases for: each is a sound of its own, ready before a call needs it."""
KINDS: Final = (
    "say:, audio:, url:, tone:beep, builtin:goodbye, builtin:apology, builtin:hold-music, "
    "builtin:place:<language>:<1 to 20> or builtin:wait:<language>:<1, 2, 3, 5, 10, 15, 20 or 30>"
)


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
    """A short phrase the product brings with it. `number` is the place, or the minutes, it speaks of."""

    phrase: Phrase
    language: str
    number: int = 0


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
        case "builtin", ["place" | "wait" as phrase, language, number] if _counts(phrase, number):
            return Builtin(phrase, language or "en", int(number))
        case _:
            raise SoundUnavailable(shown(key), "it is not a sound key", f"use {KINDS}")


def _counts(phrase: Counted, number: str) -> bool:
    """Whether there is such a phrase; a number has one spelling, so that a sound has one key."""
    return number in {str(each) for each in COUNTS[phrase]}


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
