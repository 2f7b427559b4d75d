"""espeak-ng: always at hand, a hundred languages, plain; Japanese in kana only."""

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from recordings.errors import SpeechRefused, ToolFailed
from recordings.process import Finished, run
from recordings.speech.engine import (
    INSTALL_OPEN_JTALK,
    LANGUAGE,
    SPEAK_S,
    VOICE,
    Engine,
    Offer,
    checked,
    named,
    speakable,
    spoken,
)

LIST_S: Final = 5.0
WORDS_PER_MINUTE: Final = 160
"""A little slower than espeak-ng's own 175: on a telephone there is no second look."""
KANJI: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々〆]")
KANA: Final = re.compile(r"[ぁ-ゖァ-ヺ]")
CHINESE: Final = ("cmn", "yue", "hak", "zh")
INSTALL_ESPEAK: Final = (
    "install espeak-ng (the espeak-ng package of your distribution) or set a speech command"
)
ATTRIBUTION: Final = "eSpeak NG (GPL-3.0-or-later), https://github.com/espeak-ng/espeak-ng"
PREFERRED: Final = {"en": "en-us"}
"""Where espeak-ng would take another voice for a bare language than a caller expects."""


class EspeakSpeech(Engine):
    """espeak-ng: every language, understandable, not beautiful; Japanese only in kana."""

    def __init__(self, binary: str = "espeak-ng") -> None:
        self._binary = binary

    @property
    def name(self) -> str:
        """See `Engine.name`."""
        return "espeak-ng"

    @property
    def edition(self) -> str:
        """See `Speech.edition`."""
        return f"espeak-ng/{WORDS_PER_MINUTE}"

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """See `Speech.speak`; `voice` is one of espeak-ng's variants, such as `f3` or `Annie`."""
        words = speakable(text)
        name = self._voice(language, voice)
        _refuse_other_writing(words, name)
        argv = ["-b", "1", "-s", str(WORDS_PER_MINUTE), "-v", name, "-w", str(target.absolute()), "--stdin"]
        spoken(self._run(argv, SPEAK_S, words), self._binary, text, target)

    def takes(self, language: str, voice: str) -> bool:
        """Every language, and the variants it has. The first answer about a voice waits for a list of them."""
        del language
        return not voice or voice.lower() in self._variants_if_any

    def offer(self) -> Offer:
        """See `Engine.offer`."""
        return Offer(self.name, tuple(self.languages()), tuple(sorted(self._variants.values())), ATTRIBUTION)

    def languages(self) -> list[str]:
        """Language tags espeak-ng has a voice for, sorted."""
        return sorted(self._voices)

    def _voice(self, language: str, variant: str) -> str:
        """The espeak-ng voice for a tag: itself, else the same without its last part, and so on."""
        tag = checked(LANGUAGE, "language", language).lower()
        known = self._voices
        while tag not in known:
            tag, dash, _ = tag.rpartition("-")
            if not dash:
                mend = f"use one of: {', '.join(sorted(known))}"
                raise SpeechRefused(f"language {language}", "espeak-ng has no voice for it", mend)
        if not variant:
            return known[tag]
        if checked(VOICE, "voice", variant).lower() not in self._variants:
            mend = f"leave it empty or use one of: {', '.join(sorted(self._variants))}"
            raise SpeechRefused(f"voice {variant}", "espeak-ng has no such variant", mend)
        return f"{known[tag]}+{self._variants[variant.lower()]}"

    @cached_property
    def _voices(self) -> dict[str, str]:
        """Language tag -> voice; of several voices for a tag the one espeak-ng ranks first."""
        ranked: list[tuple[int, str, str]] = []
        for rank, voice, _, others in self._listed("--voices"):
            ranked.append((rank, voice, voice))
            ranked += [(int(other), tag, voice) for tag, other in re.findall(r"\(([\w-]+) (\d+)\)", others)]
        voices: dict[str, str] = {}
        for _, tag, voice in sorted(ranked):
            voices.setdefault(tag, voice)
        return voices | {tag: voice for tag, voice in PREFERRED.items() if voice in voices}

    @cached_property
    def _variants(self) -> dict[str, str]:
        """Lower-case name of a variant's file -> that name."""
        files = (Path(file).name for _, _, file, _ in self._listed("--voices=variant"))
        return {file.lower(): file for file in files}

    @cached_property
    def _variants_if_any(self) -> dict[str, str]:
        """The variants; none without espeak-ng, so that it is not looked for at every call."""
        try:
            return self._variants
        except ToolFailed:
            return {}

    def _listed(self, option: str) -> Iterable[tuple[int, str, str, str]]:
        """Rank, language, file and other languages of each line of espeak-ng's list of voices."""
        for line in self._run([option], LIST_S).output.splitlines()[1:]:
            fields = line.split(maxsplit=5)
            if len(fields) >= 5 and fields[0].isdigit():
                yield int(fields[0]), fields[1].lower(), fields[4], fields[5] if len(fields) > 5 else ""

    def _run(self, options: list[str], seconds: float, text: str = "") -> Finished:
        return run([self._binary, *options], seconds=seconds, mend=INSTALL_ESPEAK, text=text)


def _refuse_other_writing(words: str, voice: str) -> None:
    """espeak-ng says "Chinese letter" or "Japanese letter" for each character that is not of its language."""
    if voice.startswith("ja"):
        if KANJI.search(words):
            mend = f"write it in kana, or {INSTALL_OPEN_JTALK}"
            raise SpeechRefused(named(words), "espeak-ng cannot read kanji", mend)
    elif KANA.search(words):
        raise SpeechRefused(named(words), f"it is Japanese, and the voice is {voice}", "name the language ja")
    elif KANJI.search(words) and not voice.startswith(CHINESE):
        mend = "name its language, such as ja or cmn"
        raise SpeechRefused(
            named(words), f"there are Chinese characters in it, and the voice is {voice}", mend
        )
