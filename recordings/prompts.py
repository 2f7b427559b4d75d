"""Every prompt a caller may hear, ready as a file before the call needs it.

A flow names sounds by key (`recordings.keys`). Publishing renders them; a live call only looks up. A rendered file is
never changed: its name is made of the hash of the key and the hash of what went into it (renderer, speech engine,
bytes of the source), so a prompt being played survives the publication of its successor, several engines may share
a directory, and after a restart the names alone tell what is there.
"""

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from recordings import audio, decode, keys, phrases, wav
from recordings.errors import BadAudio, SoundError, SoundsUnavailable, SoundUnavailable
from recordings.files import PART
from recordings.keys import Audio, Builtin, Made, Say, Url
from recordings.sources import located
from recordings.speech import Speech

RENDERER: Final = "1"
"""Raise it when the same key and source would be rendered differently."""
AT_ONCE: Final = 2
NAME: Final = re.compile(r"(say|audio|made)-([0-9a-f]{40})-([0-9a-f]{24})\.wav")
ROOM_PREFIX: Final = ".render-"
LEFT_OVER_S: Final = 3_600.0
NOT_IN_A_MEDIA_URI: Final = frozenset(",&?#%\n\r\0")

Progress = Callable[[int, int], None]
"""Called with how many of how many keys are done (rendered or failed)."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A sound that Asterisk can play now."""

    path: Path
    duration_ms: int

    @property
    def media(self) -> str:
        """What follows `sound:` in an ARI media URI: the absolute path without `.wav` (Asterisk adds it)."""
        return str(self.path.with_suffix(""))


class PromptLibrary:
    """Renders sound keys into a directory and remembers what is there."""

    def __init__(self, directory: Path, speech: Speech, audio_root: Path | None = None) -> None:
        """Reads the directory (blocking, some 0.1 ms a file). Raises `SoundUnavailable` if it cannot serve."""
        self._directory = directory.resolve()
        self._speech = speech
        self._audio_root = audio_root.resolve() if audio_root else None
        self._ready: dict[str, Rendered] = {}
        """By hash of the key."""
        self._rendering: dict[str, asyncio.Task[Rendered]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        if NOT_IN_A_MEDIA_URI & set(str(self._directory)):
            mend = "choose a directory of letters, digits, `-`, `_` and `.`"
            raise SoundUnavailable(str(self._directory), "Asterisk cannot be told a path like this", mend)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._find_rendered()
        except OSError as error:
            mend = "give the engine a prompt directory it may write"
            raise SoundUnavailable(
                str(self._directory), f"it cannot be used ({error.strerror})", mend
            ) from error

    def lookup(self, key: str) -> Rendered | None:
        """The rendered sound, if there is one. Touches memory only, so a live call may ask."""
        try:
            return self._ready.get(_key_hash(_plain(key)))
        except SoundUnavailable:
            return None

    async def render(self, key: str) -> Rendered:
        """Render a sound, or find it rendered. Several callers with one key share the work.

        Raises `SoundUnavailable`, `BadAudio`, `SpeechRefused`, `ToolFailed`, `ToolMissing`.
        """
        key = _plain(key)
        task = self._rendering.get(key)
        if task is None:
            task = asyncio.create_task(self._render(key))
            self._rendering[key] = task
            task.add_done_callback(lambda done: self._rendered(key, done))
        return await asyncio.shield(task)

    async def render_all(
        self, wanted: Iterable[str], progress: Progress | None = None
    ) -> dict[str, Rendered]:
        """Render every key; a failure stops none of the others.

        Raises `SoundsUnavailable` with all failures when everything else is rendered.
        """
        order = list(dict.fromkeys(wanted))
        rendered: dict[str, Rendered] = {}
        failures: dict[str, SoundError] = {}

        async def one(key: str) -> None:
            try:
                rendered[key] = await self.render(key)
            except SoundError as error:
                failures[key] = error
            if progress:
                progress(len(rendered) + len(failures), len(order))

        async with asyncio.TaskGroup() as group:
            for key in order:
                group.create_task(one(key))
        if failures:
            raise SoundsUnavailable({key: failures[key] for key in order if key in failures})
        return {key: rendered[key] for key in order}

    async def _render(self, key: str) -> Rendered:
        async with self._turns:
            try:
                rendered = await asyncio.to_thread(self._make, key)
            except OSError as error:
                mend = "free some space, and let the engine write its prompt directory"
                raise SoundUnavailable(
                    keys.shown(key), f"it cannot be written ({error.strerror})", mend
                ) from error
        self._ready[_key_hash(key)] = rendered
        return rendered

    def _rendered(self, key: str, task: asyncio.Task[Rendered]) -> None:
        self._rendering.pop(key, None)
        if not task.cancelled():
            task.exception()  # Retrieved here too: whoever asked may be gone, and the next who asks tries again.

    def _make(self, key: str) -> Rendered:
        """Runs in a thread, and may run in several processes at once: the last rename wins with equal sound."""
        sound = keys.parse(key)
        with tempfile.TemporaryDirectory(dir=self._directory, prefix=ROOM_PREFIX) as name:
            room = Path(name)
            match sound:
                case Say(language, voice, text):
                    target = self._target(sound, key)
                    if known := _known(target):
                        return known
                    # Named .wav, for programs that choose a format by the name.
                    spoken = room / "speech.wav"
                    self._speech.speak(text, language, voice, spoken)
                    with _about(keys.shown(key)):
                        return _of(audio.canonical(spoken, target))
                case Audio(id):
                    # A copy, so that what is hashed is what is converted, whatever becomes of the upload meanwhile.
                    with _about(f"audio {id!r}"):
                        source = _copied(located(self._audio_root, id), room / "source")
                        target = self._target(sound, key, _sha256(source))
                        return _known(target) or _of(audio.canonical(source, target))
                case Made(name):
                    target = self._target(sound, key)
                    made = {"beep": audio.beep, "hold-music": audio.hold_music}[name]
                    return _known(target) or _of(made(target))
                case Url():
                    mend = "upload the file and choose it as audio"
                    raise SoundUnavailable(keys.shown(key), "sounds by URL are not served yet", mend)
                case Builtin():
                    raise AssertionError("phrases are rendered as their words")
                case _:
                    assert_never(sound)

    def _target(self, sound: Say | Audio | Made, key: str, content: str = "") -> Path:
        kind = keys.kind(sound)
        return self._directory / f"{kind}-{_key_hash(key)}-{self._edition(kind, content)}.wav"

    def _edition(self, kind: str, content: str = "") -> str:
        """Hash of all that decides how a key sounds, apart from the key itself."""
        speech = self._speech.edition if kind == "say" else ""
        return hashlib.sha256("\0".join((RENDERER, speech, content)).encode()).hexdigest()[:24]

    def _find_rendered(self) -> None:
        """Fill the index from the names in the directory; of an audio's editions, the newest counts."""
        current = {kind: self._edition(kind) for kind in ("say", "made")}
        newest: dict[str, float] = {}
        for entry in os.scandir(self._directory):
            with suppress(FileNotFoundError):  # Another engine may be rendering into this directory.
                changed = entry.stat(follow_symlinks=False).st_mtime
                name = NAME.fullmatch(entry.name)
                if name is None:
                    _clear_left_over(Path(entry.path), changed)
                    continue
                kind, key, edition = name.groups()
                if edition != current.get(kind, edition) or changed < newest.get(key, changed):
                    continue
                if rendered := _known(Path(entry.path)):
                    newest[key] = changed
                    self._ready[key] = rendered


def _clear_left_over(path: Path, changed: float) -> None:
    """Remove what a crash left of a rendering; a rendering of this hour may be going on."""
    if changed > time.time() - LEFT_OVER_S:
        return
    if path.name.startswith(ROOM_PREFIX):
        shutil.rmtree(path, ignore_errors=True)
    elif path.name.endswith(PART):
        path.unlink()


def _plain(key: str) -> str:
    """The key itself; for a phrase of the product, the key of its words, so that it is rendered as such."""
    if not key.startswith("builtin:"):
        return key
    sound = keys.parse(key)
    if not isinstance(sound, Builtin):
        return key
    words = phrases.words(sound)
    return keys.say(words.text, words.language, words.voice)


def _key_hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(source: Path, target: Path) -> Path:
    decode.recognise(source)  # Refuses what is too big to be worth a copy.
    shutil.copyfile(source, target)
    return target


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Name the sound as the flow does, and not by a file that nobody has heard of."""
    try:
        yield
    except BadAudio as error:
        raise type(error)(name, error.reason, error.mend) from error


def _of(sound: audio.Sound) -> Rendered:
    return Rendered(sound.path, sound.duration_ms)


def _known(path: Path) -> Rendered | None:
    """A file rendered before, if it is there and whole."""
    try:
        return Rendered(path, wav.duration_ms(path))
    except (BadAudio, OSError):
        return None
