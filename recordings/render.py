"""Making one sound: what is wanted, resolved as far as memory goes, and the work itself, which blocks.

What comes out has its name and both its files only when it is complete; two engines that render the same at once give
the same, and the later rename wins.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, assert_never

from recordings import audio, decode, keys, phrases, rendered
from recordings.errors import BadAudio
from recordings.keys import Audio, Builtin, Made, Say, Url
from recordings.rendered import Rendered, known
from recordings.sources import located
from recordings.speech import Speech


@dataclass(frozen=True, slots=True)
class Upload:
    """A sound which an account owns: the sha256 of its bytes, and where they lie."""

    sha256: str
    path: Path


class Audios(Protocol):
    """Who owns which sound. Asked by live calls, so it answers from memory."""

    def find(self, account: str, id: str) -> Upload | None:
        """The upload which flows of this account know by this id or name; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """A sound that is wanted. `name` is what it is found by: see `recordings.rendered`."""

    key: str
    sound: Say | Made | Url | Audio | Upload
    name: str


def ordered(key: str, account: str, audios: Audios | None, speech: Speech) -> Order:
    """Understand a key as flows of an account mean it. Touches memory only. Raises `SoundUnavailable`."""
    sound = keys.parse(key)
    if isinstance(sound, Builtin):
        sound = phrases.words(sound)
        key = keys.say(sound.text, sound.language, sound.voice)
    match sound:
        case Say(language, voice, _):
            how = rendered.edition(speech.edition_for(language, voice))
            return Order(key, sound, f"{rendered.named('say', key)}-{how}")
        case Made():
            return Order(key, sound, f"{rendered.named('made', key)}-{rendered.edition()}")
        case Audio(id):
            upload = audios.find(account, id) if audios is not None and account else None
            if upload is None:
                return Order(key, sound, rendered.named("file", key))
            return Order(key, upload, f"{rendered.named('audio', upload.sha256)}-{rendered.edition()}")
        case Url():
            return Order(key, sound, rendered.named("url", key))
        case _:
            assert_never(sound)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where sounds are made, and with what."""

    directory: Path
    speech: Speech
    audio_root: Path | None

    def make(self, order: Order, room: Path) -> Rendered:
        """Make a sound, or find it made; `room` is an empty folder for this alone. For an address, what was
        fetched lies there as `source`.

        Raises as `PromptLibrary.render` does, and `OSError`.
        """
        match order.sound:
            case Say(language, voice, text):
                target = self._target(order.name)
                if there := known(target):
                    return there
                # Named .wav, for programs that choose a format by the name.
                spoken = room / "speech.wav"
                self.speech.speak(text, language, voice, spoken)
                return _canonical(spoken, target, keys.shown(order.key))
            case Made(name):
                target = self._target(order.name)
                made = {"beep": audio.beep, "hold-music": audio.hold_music}[name]
                return known(target) or _of(made(target))
            case Upload(_, path):
                target = self._target(order.name)
                return known(target) or _canonical(path, target, keys.shown(order.key))
            case Audio(id):
                with _about(f"audio {id!r}"):
                    # A copy, so that what is hashed is what is converted, whatever becomes of the file meanwhile.
                    source = _copied(located(self.audio_root, id), room / "source")
                return self._edition(order, source, f"audio {id!r}")
            case Url():
                return self._edition(order, room / "source", keys.shown(order.key))
            case _:
                assert_never(order.sound)

    def _edition(self, order: Order, source: Path, name: str) -> Rendered:
        """Make a sound whose bytes decide its edition, and let it be the newest."""
        target = self._target(f"{order.name}-{rendered.edition(_sha256(source))}")
        if there := known(target):
            os.utime(target)
            return there
        return _canonical(source, target, name)

    def _target(self, name: str) -> Path:
        return self.directory / f"{name}.wav"


def _canonical(source: Path, target: Path, name: str) -> Rendered:
    with _about(name):
        return _of(audio.canonical(source, target))


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Name the sound as the flow does, and not by a file that nobody has heard of."""
    try:
        yield
    except BadAudio as error:
        raise type(error)(name, error.reason, error.mend) from error


def _of(sound: audio.Sound) -> Rendered:
    return Rendered(sound.path, sound.duration_ms)


def _copied(source: Path, target: Path) -> Path:
    decode.recognise(source)  # Refuses what is too big to be worth a copy.
    shutil.copyfile(source, target)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
