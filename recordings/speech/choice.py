"""Which engine speaks a prompt: by its language and its voice.

- A voice with an engine before it (`espeak-ng.f3`, or `open-jtalk` alone) is spoken by that engine.
- A prompt without a voice is spoken by the first that speaks the language: the speech command, Open JTalk, espeak-ng.
- Any other voice is looked for the other way round, for the voices of a command line are not known: setting one up
  takes no voice away from the engines that had it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from recordings.errors import SpeechRefused
from recordings.speech.command import CommandSpeech
from recordings.speech.engine import Engine, Speech
from recordings.speech.espeak import EspeakSpeech
from recordings.speech.open_jtalk import OpenJTalkSpeech

NAMES: Final = ("command", "open-jtalk", "espeak-ng")


class Speeches(Speech):
    """Several engines as one."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        """`engines` in the order they are asked for a voice; the last answers for what no other takes."""
        self.engines = tuple(engines)

    @property
    def edition(self) -> str:
        """See `Speech.edition`: changes with every engine; `edition_for` is what a prompt wants."""
        return " ".join(engine.edition for engine in self.engines)

    def edition_for(self, language: str, voice: str) -> str:
        """See `Speech.edition_for`."""
        try:
            engine, own = self.chosen(language, voice)
        except SpeechRefused:
            return "nobody"
        return engine.edition_for(language, own)

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """See `Speech.speak`."""
        engine, own = self.chosen(language, voice)
        engine.speak(text, language, own, target)

    def chosen(self, language: str, voice: str) -> tuple[Engine, str]:
        """The engine of a prompt, and the voice by the engine's own name.

        Raises `SpeechRefused` for a voice of an engine that is not set up.
        """
        name, _, own = voice.partition(".")
        if name in NAMES:
            for engine in self.engines:
                if engine.name == name:
                    return engine, own
            mend = "set a speech command, or leave the voice empty"
            raise SpeechRefused(f"voice {voice}", f"there is no engine {name} here", mend)
        for engine in reversed(self.engines) if voice else self.engines:
            if engine.takes(language, voice):
                return engine, voice
        return self.engines[-1], voice


def configured(command: str = "", languages: str | Iterable[str] = "") -> Speeches:
    """The engines of an installation, from its settings `speech_command` and `speech_languages` (a comma list).

    Raises `SpeechRefused` for a command line that cannot work.
    """
    tags = languages.split(",") if isinstance(languages, str) else languages
    plugged = [CommandSpeech(command, [tag.strip() for tag in tags if tag.strip()])] if command else []
    return Speeches([*plugged, OpenJTalkSpeech(), EspeakSpeech()])
