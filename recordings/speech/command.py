"""Any speech program as a plug-in, by the command line that starts it."""

import re
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from recordings.errors import SpeechRefused
from recordings.process import run
from recordings.speech.engine import LANGUAGE, SPEAK_S, VOICE, Engine, Offer, checked, speakable, spoken

ATTRIBUTION: Final = "as the licence of the program and its voices asks"


class CommandSpeech(Engine):
    """Any speech program, from a command line with `{out}` and, as needed, `{text_file}`, `{language}`, `{voice}`.

    The text is also on standard input. The line is split into arguments once, and each is filled in separately.
    Without a `{voice}` or `{language}` in the line the program has one voice for all.
    """

    def __init__(self, command: str, languages: Iterable[str] = (), seconds: float = SPEAK_S) -> None:
        """`languages`: those the program can speak (with or without region); empty means it judges itself."""
        try:
            self._template = shlex.split(command)
        except ValueError as error:
            raise SpeechRefused(
                "speech command", f"it cannot be read ({error})", "check its quotes"
            ) from error
        if not self._template or not any("{out}" in part for part in self._template):
            mend = "write it like: piper --model {voice}.onnx --output_file {out}"
            raise SpeechRefused("speech command", "it does not say where the sound goes", mend)
        self._languages = {language.lower() for language in languages}
        self._seconds = seconds

    @property
    def name(self) -> str:
        """See `Engine.name`."""
        return "command"

    @property
    def edition(self) -> str:
        """See `Speech.edition`."""
        return f"command/{shlex.join(self._template)}"

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """See `Speech.speak`."""
        words = speakable(text)
        tag = checked(LANGUAGE, "language", language)
        if not self._speaks(tag):
            mend = f"use one of: {', '.join(sorted(self._languages))}"
            raise SpeechRefused(f"language {language}", "the speech command does not speak it", mend)
        if voice:
            checked(VOICE, "voice", voice)
        elif self._has_voices:
            raise SpeechRefused("voice", "the speech command needs one", "name a voice in the prompt")
        with tempfile.TemporaryDirectory(prefix="flowengine-speech-") as room:
            text_file = Path(room) / "text.txt"
            text_file.write_text(words, encoding="utf-8")
            values = {
                "text_file": str(text_file),
                "language": tag,
                "voice": voice,
                "out": str(target.absolute()),
            }
            argv = [_filled(part, values) for part in self._template]
            mend = "install it, or correct the speech command"
            spoken(run(argv, seconds=self._seconds, mend=mend, text=words), argv[0], text, target)

    def takes(self, language: str, voice: str) -> bool:
        """A program with voices takes prompts that name one; a program with one voice, prompts that name none."""
        return self._speaks(language) and bool(voice) == self._has_voices

    def offer(self) -> Offer:
        """See `Engine.offer`; a command line does not tell its voices."""
        return Offer(self.name, tuple(sorted(self._languages)), (), ATTRIBUTION)

    @property
    def _has_voices(self) -> bool:
        return any("{voice}" in part for part in self._template)

    def _speaks(self, language: str) -> bool:
        tag = language.lower()
        return not self._languages or bool({tag, tag.partition("-")[0]} & self._languages)


def _filled(part: str, values: dict[str, str]) -> str:
    """Replace each placeholder once, so that a value that looks like a placeholder stays what it is."""
    return re.sub(r"\{(text_file|language|voice|out)\}", lambda found: values[found[1]], part)
