"""Open JTalk: Japanese with its kanji, spoken by the voice "Mei". The extra `tts-ja` brings both.

It runs in a child process (`open_jtalk_child` says why), so nothing of it is ever imported here. What its dictionary
would read wrongly is put right before (`japanese`).
"""

import json
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from recordings.errors import SpeechRefused, ToolFailed, ToolMissing
from recordings.process import run
from recordings.speech.engine import (
    INSTALL_OPEN_JTALK,
    LANGUAGE,
    VOICE,
    Engine,
    Offer,
    checked,
    failure,
    named,
    speakable,
    spoken,
)
from recordings.speech.japanese import PREPARATION, sentences

NAME: Final = "open-jtalk"
SPEAK_S: Final = 30.0
SPEAK_A_CHARACTER_S: Final = 0.04
"""Four times what it takes on one core that has nothing else to do; two prompts are made at a time."""
MORA_LIMIT: Final = 4_200
"""Ten minutes, the longest prompt there is."""
ATTRIBUTION: Final = (
    'HTS Voice "Mei", © 2009-2013 Nagoya Institute of Technology, Department of Computer Science, released by the '
    "MMDAgent Project Team (http://www.mmdagent.jp/), Creative Commons Attribution 3.0 "
    "(https://creativecommons.org/licenses/by/3.0/)"
)
_PROGRAM: Final = Path(__file__).with_name("open_jtalk_child.py")
_PACKAGES: Final = ("pyopenjtalk-plus", "sudachidict-core")
"""Their releases decide how a text is read. The original pyopenjtalk will not do: it downloads its dictionary."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a voice speaks: a factor of its own speed, and by how many half tones it is higher."""

    speed: float
    half_tone: float


MANNERS: Final = {"mei": Manner(0.85, 0.0), "mei-low": Manner(0.85, -4.0), "mei-slow": Manner(0.7, 0.0)}
"""By voice, the first if none is named. At 0.85 it says some seven moras a second, as an announcer does."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text is read: its sentences as they are pronounced, in katakana, and the number of moras in all."""

    sentences: tuple[str, ...]
    moras: int

    @property
    def kana(self) -> str:
        """All of it in a line."""
        return "".join(self.sentences)


class OpenJTalkSpeech(Engine):
    """Japanese, kanji and all; each text in a process of its own."""

    def __init__(self, seconds: float = SPEAK_S) -> None:
        self._seconds = seconds

    @property
    def name(self) -> str:
        """See `Engine.name`."""
        return NAME

    @property
    def edition(self) -> str:
        """See `Speech.edition`."""
        return f"{NAME}/{self._installed or 'none'}/{PREPARATION}/{MANNERS}"

    def edition_for(self, language: str, voice: str) -> str:
        """See `Speech.edition_for`."""
        del language
        manner = MANNERS.get(voice.lower() or _DEFAULT)
        return f"{NAME}/{self._installed or 'none'}/{PREPARATION}/{manner}"

    def takes(self, language: str, voice: str) -> bool:
        """Japanese, and without a voice only if it is installed; its own voices also if not, for a clear answer."""
        wanted = voice.lower() in MANNERS if voice else self._installed is not None
        return wanted and _japanese(language)

    def offer(self) -> Offer:
        """See `Engine.offer`."""
        if self._installed is None:
            raise _missing()
        return Offer(NAME, ("ja",), tuple(MANNERS), ATTRIBUTION)

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """See `Speech.speak`; `voice` is one of `MANNERS`. Takes half a second, and a second for 16 s of speech."""
        if not _japanese(checked(LANGUAGE, "language", language)):
            raise SpeechRefused(
                f"language {language}", "Open JTalk speaks Japanese only", "leave the voice empty"
            )
        if voice and checked(VOICE, "voice", voice).lower() not in MANNERS:
            mend = f"leave it empty or use one of: {', '.join(MANNERS)}"
            raise SpeechRefused(f"voice {voice}", "Open JTalk has no such voice", mend)
        self._run(text, MANNERS[voice.lower() or _DEFAULT], target)

    def reading(self, text: str) -> Reading:
        """How a text would be read, without speaking it. Raises what `speak` raises."""
        return self._run(text, MANNERS[_DEFAULT], None)

    def _run(self, text: str, manner: Manner, target: Path | None) -> Reading:
        if self._installed is None:
            raise _missing()
        words = speakable(text)
        out = str(target.absolute()) if target else ""
        order = {"path": sys.path, "out": out, "mora_limit": MORA_LIMIT, **asdict(manner)}
        argv = [sys.executable, "-I", str(_PROGRAM), json.dumps(order)]
        try:
            seconds = self._seconds + SPEAK_A_CHARACTER_S * len(words)
            ended = run(argv, seconds=seconds, mend=INSTALL_OPEN_JTALK, text="\n".join(sentences(words)))
        except ToolFailed as error:
            raise type(error)("Open JTalk", error.reason, error.mend) from error
        if ended.code != 0:
            raise failure(ended, "Open JTalk", text)
        answer = json.loads(ended.output)
        if answer["unread"] or not answer["moras"]:
            words = " ".join(answer["unread"][:10]) or "any of it"
            mend = "write it as it is spoken, in kana"
            raise SpeechRefused(named(text), f"Open JTalk cannot read {words}", mend)
        if answer["moras"] > MORA_LIMIT:
            raise SpeechRefused(named(text), "it takes more than ten minutes to say", "split it")
        if target:
            spoken(ended, "Open JTalk", text, target)
        return Reading(tuple(answer["kana"]), answer["moras"])

    @cached_property
    def _installed(self) -> str | None:
        """The releases that decide how a text sounds, or nothing if it is not installed."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return "+".join(version(package) for package in _PACKAGES)
        except PackageNotFoundError:
            return None


_DEFAULT: Final = next(iter(MANNERS))


def _japanese(language: str) -> bool:
    return language.lower().partition("-")[0] == "ja"


def _missing() -> ToolMissing:
    return ToolMissing("Open JTalk", "it is not installed", INSTALL_OPEN_JTALK)
