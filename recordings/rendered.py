"""Rendered sounds as files: their names, both rates of each, and finding them again in a directory.

A name is `<kind>-<what it is>-<edition>`, each of the two a piece of a sha256. A sound is whole when it has its name at
8 kHz, which it gets last; from then on it is never changed. What the two pieces are of:

kind   what it is                     edition
say    the key                        renderer, speech engine for that language and voice
made   the key                        renderer
audio  the uploaded bytes             renderer
file   the key (a shared file)        renderer, bytes of the file
url    the key                        renderer, bytes that were fetched

So equal uploads are one sound, and of a shared file and an address the newest edition is the one that counts.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from recordings import audio, wav
from recordings.errors import BadAudio

RENDERER: Final = "2"
"""Raise it when the same key and source would be rendered differently."""
Kind = Literal["say", "made", "audio", "file", "url"]
NAME: Final = re.compile(r"((say|made|audio|file|url)-[0-9a-f]{40})-[0-9a-f]{24}")
FILE: Final = re.compile(rf"{NAME.pattern}(\.wav|\.wav16)")
NEWEST_COUNTS: Final = frozenset({"file", "url"})
"""Kinds of which only the fetched or copied bytes tell the edition."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A sound that Asterisk can play now, at 8 kHz (`path`) and at 16 kHz (`wide`)."""

    path: Path
    duration_ms: int

    @property
    def wide(self) -> Path:
        """The same sound at 16 kHz."""
        return audio.wide_of(self.path)

    @property
    def name(self) -> str:
        """The name both files have, without an ending."""
        return self.path.stem

    @property
    def media(self) -> str:
        """What follows `sound:` in a media URI of an Asterisk that sees this directory under this path.

        Without an ending: Asterisk adds it, and takes the rate that suits the channel.
        """
        return str(self.path.with_suffix(""))


def named(kind: Kind, what: str) -> str:
    """The beginning of a name; `what` is a key, or for an upload its sha256."""
    piece = what if kind == "audio" else hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}-{piece[:40]}"


@lru_cache(maxsize=256)
def edition(*parts: str) -> str:
    """The end of a name: everything that decides how a key sounds, apart from the key itself."""
    return hashlib.sha256("\0".join((RENDERER, *parts)).encode()).hexdigest()[:24]


def known(path: Path) -> Rendered | None:
    """A sound rendered before, if it is there and whole."""
    try:
        wav.duration_ms(audio.wide_of(path))
        return Rendered(path, wav.duration_ms(path))
    except (BadAudio, OSError):
        return None


def found(directory: Path) -> dict[str, Rendered]:
    """Every whole sound in a directory: by its name, and where the newest counts by the beginning of it.

    Blocks, some 0.2 ms a sound. Raises `OSError`.
    """
    here: dict[str, Rendered] = {}
    newest: dict[str, float] = {}
    for changed, beginning, path in _files(directory):
        kind = beginning.partition("-")[0]
        rendered = known(path)
        if rendered is None:
            continue
        if kind not in NEWEST_COUNTS:
            here[path.stem] = rendered
        elif changed >= newest.get(beginning, changed):
            newest[beginning] = changed
            here[beginning] = rendered
    return here


def _files(directory: Path) -> Iterator[tuple[float, str, Path]]:
    """Each 8 kHz file: when it was last wanted, the beginning of its name, where it is."""
    with os.scandir(directory) as entries:
        for entry in entries:
            name = FILE.fullmatch(entry.name)
            if name is None or name[3] != ".wav":
                continue
            with suppress(FileNotFoundError):  # Another engine may be at work in this directory.
                yield entry.stat(follow_symlinks=False).st_mtime, name[1], Path(entry.path)
