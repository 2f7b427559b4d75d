"""Words to sound. Two engines: espeak-ng, always at hand, and any command line that writes an audio file.

Text comes from admins, and one day from callers, so it never meets a shell, an option parser or a file name: it goes
in on standard input or in a file. What comes out is foreign audio like any other, converted by `audio.canonical`.
"""

import re
import shlex
import tempfile
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from recordings.errors import SpeechRefused, ToolFailed
from recordings.process import Finished, run

TEXT_LIMIT: Final = 5_000
"""Characters, the same as in a flow document; about six minutes of speech."""
SPEAK_S: Final = 30.0
LIST_S: Final = 5.0
WORDS_PER_MINUTE: Final = 160
"""A little slower than espeak-ng's own 175: on a telephone there is no second look."""
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
VOICE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
KANJI: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々〆]")
INSTALL_ESPEAK: Final = (
    "install espeak-ng (the espeak-ng package of your distribution) or set a speech command"
)
PREFERRED: Final = {"en": "en-us"}
"""Where espeak-ng would take another voice for a bare language than a caller expects."""


class Speech(Protocol):
    """A text-to-speech engine. It blocks, is bounded in time, and is called from several threads."""

    @property
    def edition(self) -> str:
        """Changes whenever the same words would sound different, so that no stale sound is played."""
        ...

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """Write `text`, spoken, to `target` as audio of any kind `audio.canonical` reads.

        `language` is a BCP 47 tag, `voice` a name of the engine or empty. Raises `SpeechRefused`, `ToolFailed`,
        `ToolMissing`.
        """
        ...


class EspeakSpeech:
    """espeak-ng: every language, understandable, not beautiful; Japanese only in kana."""

    def __init__(self, binary: str = "espeak-ng") -> None:
        self._binary = binary

    @property
    def edition(self) -> str:
        """See `Speech.edition`."""
        return f"espeak-ng/{WORDS_PER_MINUTE}"

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """See `Speech.speak`; `voice` is one of espeak-ng's variants, such as `f3` or `Annie`."""
        words = speakable(text)
        name = self._voice(language, voice)
        if name.startswith("ja") and KANJI.search(words):
            mend = "write it in kana, or set a speech engine for Japanese"
            raise SpeechRefused(_named(text), "espeak-ng cannot read kanji", mend)
        argv = ["-b", "1", "-s", str(WORDS_PER_MINUTE), "-v", name, "-w", str(target.absolute()), "--stdin"]
        _spoken(self._run(argv, SPEAK_S, words), self._binary, text, target)

    def languages(self) -> list[str]:
        """Language tags espeak-ng has a voice for, sorted."""
        return sorted(self._voices)

    def _voice(self, language: str, variant: str) -> str:
        """The espeak-ng voice for a tag: itself, else the same without its last part, and so on."""
        tag = _checked(LANGUAGE, "language", language).lower()
        known = self._voices
        while tag not in known:
            tag, dash, _ = tag.rpartition("-")
            if not dash:
                mend = f"use one of: {', '.join(sorted(known))}"
                raise SpeechRefused(f"language {language}", "espeak-ng has no voice for it", mend)
        if not variant:
            return known[tag]
        if _checked(VOICE, "voice", variant).lower() not in self._variants:
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

    def _listed(self, option: str) -> Iterable[tuple[int, str, str, str]]:
        """Rank, language, file and other languages of each line of espeak-ng's list of voices."""
        for line in self._run([option], LIST_S).output.splitlines()[1:]:
            fields = line.split(maxsplit=5)
            if len(fields) >= 5 and fields[0].isdigit():
                yield int(fields[0]), fields[1].lower(), fields[4], fields[5] if len(fields) > 5 else ""

    def _run(self, options: list[str], seconds: float, text: str = "") -> Finished:
        return run([self._binary, *options], seconds=seconds, mend=INSTALL_ESPEAK, text=text)


class CommandSpeech:
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
    def edition(self) -> str:
        """See `Speech.edition`."""
        return f"command/{shlex.join(self._template)}"

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        """See `Speech.speak`."""
        words = speakable(text)
        tag = _checked(LANGUAGE, "language", language)
        if self._languages and not {tag.lower(), tag.lower().partition("-")[0]} & self._languages:
            mend = f"use one of: {', '.join(sorted(self._languages))}"
            raise SpeechRefused(f"language {language}", "the speech command does not speak it", mend)
        if voice:
            _checked(VOICE, "voice", voice)
        elif any("{voice}" in part for part in self._template):
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
            _spoken(run(argv, seconds=self._seconds, mend=mend, text=words), argv[0], text, target)


def speakable(text: str) -> str:
    """The text as it is handed to an engine, white space made even. Raises `SpeechRefused` if it must not be."""
    if len(text) > TEXT_LIMIT:
        mend = f"shorten it to {TEXT_LIMIT} characters or split it"
        raise SpeechRefused(_named(text), f"it has {len(text)} characters", mend)
    words = " ".join(text.split())
    strange = sorted(
        {f"U+{ord(c):04X}" for c in words if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn")}
    )
    if strange:
        reason = f"there are characters in it that cannot be spoken ({', '.join(strange)})"
        raise SpeechRefused(_named(words), reason, "delete them")
    if not any(c.isalnum() for c in words):
        raise SpeechRefused(_named(words), "there is no word in it", "write what the caller shall hear")
    return words


def _checked(pattern: re.Pattern[str], what: str, value: str) -> str:
    if not pattern.fullmatch(value):
        mend = (
            "write a tag such as en-US or ja"
            if what == "language"
            else "use letters, digits, `_`, `.` and `-`"
        )
        raise SpeechRefused(f"{what} {value[:40]!r}", f"it is not the name of a {what}", mend)
    return value


def _filled(part: str, values: dict[str, str]) -> str:
    """Replace each placeholder once, so that a value that looks like a placeholder stays what it is."""
    return re.sub(r"\{(text_file|language|voice|out)\}", lambda found: values[found[1]], part)


def _spoken(finished: Finished, program: str, text: str, target: Path) -> None:
    if finished.code != 0 or not target.is_file() or target.stat().st_size == 0:
        lines = finished.complaint.splitlines()
        said = f": {lines[-1].strip()[:200]}" if lines else ""
        reason = f"it did not speak {_named(text)} (exit {finished.code}{said})"
        raise ToolFailed(program, reason, "run it by hand to see what it lacks")


def _named(text: str) -> str:
    """A text in a message: its beginning, for people to recognise it by."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:30])
    return f"text “{shown}{'…' if len(text) > 30 else ''}”"
