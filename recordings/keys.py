"""Sound keys: the one-line names by which a flow, a journal and the prompt cache speak of a sound.

say:<language>:<voice>:<text>     words, spoken; the voice may be empty, the text may hold colons
audio:<id or relative path>       a sound which the account uploaded, or a file below the audio root
url:<https address>               a file elsewhere
tone:beep                         the sign to speak now
builtin:hold-music                music for a waiting caller
builtin:<phrase>[:<language>]     goodbye, apology, mailbox-full, minute-left: spoken; English if the language has none
builtin:place:<language>:<n>      the caller's place in a waiting line, 1 to 20
builtin:wait:<language>:<minutes> the expected wait: 1, 2, 3, 5, 10, 15, 20 or 30 minutes

A phrase may name a voice of its language at its end: builtin:place:ja-JP:3@mei.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from recordings.errors import SoundUnavailable

Fixed = Literal["goodbye", "apology", "mailbox-full", "minute-left"]
Counted = Literal["place", "wait"]
Phrase = Fixed | Counted
COUNTS: Final[dict[Counted, frozenset[int]]] = {
    "place": frozenset(range(1, 21)),
    "wait": frozenset({1, 2, 3, 5, 10, 15, 20, 30}),
}
"""The numbers there are phrases for: each is a sound of its own, ready before a call needs it."""
FIXED: Final[tuple[Fixed, ...]] = get_args(Fixed)
KINDS: Final = (
    f"say:, audio:, url:, tone:beep, builtin:hold-music, {', '.join(f'builtin:{each}' for each in FIXED)}, "
    "builtin:place:<language>:<1 to 20> or builtin:wait:<language>:<1, 2, 3, 5, 10, 15, 20 or 30>"
)
_BY: Final = re.compile(r"(.*)@([A-Za-z0-9_.+-]{1,64})", re.DOTALL)


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
    """A short phrase the product brings with it. `number` is the place, or the minutes, it speaks of.

    `voice` is one of the language's; "" for any.
    """

    phrase: Phrase
    language: str
    number: int = 0
    voice: str = ""


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
        case "builtin", _ if (phrase := _phrase(rest)) is not None:
            return phrase
        case _:
            raise SoundUnavailable(shown(key), "it is not a sound key", f"use {KINDS}")


def _phrase(rest: str) -> Builtin | None:
    """The phrase of a key, after its `builtin:`."""
    spoken_by = _BY.fullmatch(rest)
    named, voice = spoken_by.groups() if spoken_by else (rest, "")
    match named.split(":"):
        case ["goodbye" | "apology" | "mailbox-full" | "minute-left" as phrase, *language]:
            return Builtin(phrase, ":".join(language) or "en", voice=voice)
        case ["place" | "wait" as phrase, language, number] if _counts(phrase, number):
            return Builtin(phrase, language or "en", int(number), voice)
        case _:
            return None


def _counts(phrase: Counted, number: str) -> bool:
    """Whether there is such a phrase; a number has one spelling, so that a sound has one key."""
    return number in {str(each) for each in COUNTS[phrase]}


def say(text: str, language: str, voice: str = "") -> str:
    """The key of spoken words."""
    return f"say:{language}:{voice}:{text}"


def shown(key: str) -> str:
    """A key in a message: its beginning, printable."""
    beginning = "".join(c if c.isprintable() else "?" for c in key[:60])
    return f"sound “{beginning}{'…' if len(key) > 60 else ''}”"
