"""What every speech engine is, and what is checked before any of them gets a text.

Text comes from admins, and one day from callers, so it never meets a shell, an option parser or a file name: it goes
in on standard input or in a file. What comes out is foreign audio like any other, converted by `audio.canonical`.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from recordings.errors import SpeechRefused, ToolFailed
from recordings.process import Finished

TEXT_LIMIT: Final = 5_000
"""Characters, the same as in a flow document; about six minutes of speech."""
SPEAK_S: Final = 30.0
INSTALL_OPEN_JTALK: Final = "install Open JTalk: pip install 'flowengine[tts-ja]'"
"""Told by two engines: the one that is missing and the one that cannot do without."""
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
VOICE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")


class Speech(Protocol):
    """A text-to-speech engine. It blocks, is bounded in time, and is called from several threads."""

    @property
    def edition(self) -> str:
        """Changes whenever the same words would sound different, so that no stale sound is played."""
        ...

    def edition_for(self, language: str, voice: str) -> str:
        """Changes whenever a prompt in this language and voice would sound different, and at no other time.

        A live call may ask: but for the first time it touches memory only, and it never raises, whatever the tag and
        the name.
        """
        del language, voice  # One engine, one sound, unless it knows better.
        return self.edition

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """Write `text`, spoken, to `target` as audio of any kind `audio.canonical` reads.

        `language` is a BCP 47 tag, `voice` a name of the engine or empty. Raises `SpeechRefused`, `ToolFailed`,
        `ToolMissing`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What an engine has to choose from."""

    engine: str
    languages: tuple[str, ...]
    """Language tags; empty: any, the engine judges itself."""
    voices: tuple[str, ...]
    """Empty: not known here."""
    attribution: str
    """Whose voice it is, and under which licence."""

    def speaks(self, language: str) -> bool:
        """Whether a tag, or the same without its last parts, is among the languages."""
        tag = language.lower()
        while tag not in self.languages and self.languages:
            tag, dash, _ = tag.rpartition("-")
            if not dash:
                return False
        return True


class Engine(Speech, Protocol):
    """One of the engines that `choice.Speeches` chooses from."""

    @property
    def name(self) -> str:
        """What stands before the dot in a voice such as `espeak-ng.f3`."""
        ...

    def takes(self, language: str, voice: str) -> bool:
        """Whether it speaks the language, and has the voice if one is named; as quick as `edition_for`."""
        ...

    def offer(self) -> Offer:
        """Languages and voices. Raises `ToolMissing` where only the program itself knows."""
        ...


def speakable(text: str) -> str:
    """The text as it is handed to an engine, white space made even. Raises `SpeechRefused` if it must not be."""
    if len(text) > TEXT_LIMIT:
        mend = f"shorten it to {TEXT_LIMIT} characters or split it"
        raise SpeechRefused(named(text), f"it has {len(text)} characters", mend)
    words = " ".join(text.split())
    strange = sorted(
        {f"U+{ord(c):04X}" for c in words if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn")}
    )
    if strange:
        reason = f"there are characters in it that cannot be spoken ({', '.join(strange)})"
        raise SpeechRefused(named(words), reason, "delete them")
    if not any(c.isalnum() for c in words):
        raise SpeechRefused(named(words), "there is no word in it", "write what the caller shall hear")
    return words


def checked(pattern: re.Pattern[str], what: str, value: str) -> str:
    """`value`, if it is a name and nothing else. Raises `SpeechRefused`."""
    if not pattern.fullmatch(value):
        mend = (
            "write a tag such as en-US or ja"
            if what == "language"
            else "use letters, digits, `_`, `.` and `-`"
        )
        raise SpeechRefused(f"{what} {value[:40]!r}", f"it is not the name of a {what}", mend)
    return value


def spoken(finished: Finished, program: str, text: str, target: Path) -> None:
    """Raise `ToolFailed` unless a program ended well and left a sound in `target`."""
    if finished.code != 0 or not target.is_file() or target.stat().st_size == 0:
        raise failure(finished, program, text)


def failure(finished: Finished, program: str, text: str) -> ToolFailed:
    """A program that did not speak, and the last thing it said about it."""
    lines = finished.complaint.splitlines()
    said = f": {lines[-1].strip()[:200]}" if lines else ""
    reason = f"it did not speak {named(text)} (exit {finished.code}{said})"
    return ToolFailed(program, reason, "run it by hand to see what it lacks")


def named(text: str) -> str:
    """A text in a message: its beginning, for people to recognise it by."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:30])
    return f"text “{shown}{'…' if len(text) > 30 else ''}”"
