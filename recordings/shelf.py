"""Uploads as they came, each under the sha256 of its bytes: taken whole or not at all, and never changed.

A shelf knows no accounts and no names; who may use what is the database's business (`flowengine.store.audios`). Equal
uploads of two companies are one file. Nothing is deleted because one company let go of it: `sweep` takes away what
nobody has any more, and not before a day has passed, so that an upload whose row is about to be written stays.
"""

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recordings import audio
from recordings.containers import MAX_SOURCE_BYTES
from recordings.errors import BadAudio, SoundUnavailable
from recordings.files import PART, flush, settle

SHA256: Final = re.compile(r"[0-9a-f]{64}")
COPY_BYTES: Final = 1 << 18
LEFT_OVER_S: Final = 3_600.0
DAY_S: Final = 86_400.0
STALL_S: Final = 30.0
"""How long an upload may be silent between two pieces."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """An upload on the shelf: the sha256 and size of its bytes, and how long it plays (ms)."""

    sha256: str
    size_bytes: int
    duration_ms: int


class Shelf:
    """Uploads in a directory, two characters of the checksum a folder."""

    def __init__(self, directory: Path) -> None:
        """Raises `SoundUnavailable` when the directory cannot be used."""
        self._directory = directory.resolve()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            mend = "give the engine a folder for uploads that it may write"
            raise SoundUnavailable(
                str(self._directory), f"it cannot be used ({error.strerror})", mend
            ) from error

    async def add(self, source: Path | AsyncIterator[bytes], name: str) -> Shelved:
        """Take an upload, once it has proved to be sound a prompt can be made of. `name` is for messages.

        Raises `BadAudio` (no sound, too big, too long, broken off), `ToolMissing`, `SoundUnavailable` (the disk).
        """
        part = self._directory / f".upload-{secrets.token_hex(8)}{PART}"
        try:
            sha256, size = await self._written(source, part, name)
            duration_ms = await asyncio.to_thread(_heard, part, name)
            await asyncio.to_thread(self._shelve, part, sha256, size)
        except OSError as error:
            mend = "free some space, and let the engine write its folder for uploads"
            raise SoundUnavailable(name, f"it cannot be stored ({error.strerror})", mend) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return Shelved(sha256, size, duration_ms)

    def path(self, sha256: str) -> Path:
        """Where an upload lies, whether or not it is there. Raises `SoundUnavailable` for no sha256."""
        if not SHA256.fullmatch(sha256):
            raise SoundUnavailable(
                f"upload {sha256[:70]!r}", "it is no sha256", "give the sha256 of the bytes"
            )
        return self._directory / sha256[:2] / sha256

    def __contains__(self, sha256: object) -> bool:
        """Whether an upload is here. Looks at the disk."""
        return (
            isinstance(sha256, str) and SHA256.fullmatch(sha256) is not None and self.path(sha256).is_file()
        )

    def remove(self, sha256: str) -> bool:
        """Delete an upload at once, whoever has it; True when it was there. Blocks."""
        path = self.path(sha256)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        flush(path.parent)
        return True

    def sweep(self, referenced: Container[str], older_than_s: float = DAY_S) -> int:
        """Delete uploads that are not referenced and were not brought for so long; gives how many. Blocks.

        Clears what broken uploads left, too.
        """
        now = time.time()
        gone = 0
        for folder, _, names in os.walk(self._directory):
            for name in names:
                path = Path(folder) / name
                with suppress(FileNotFoundError):
                    age = now - path.stat().st_mtime
                    if name.endswith(PART) and age > LEFT_OVER_S:
                        path.unlink()
                    elif SHA256.fullmatch(name) and name not in referenced and age > older_than_s:
                        path.unlink()
                        gone += 1
        return gone

    async def _written(self, source: Path | AsyncIterator[bytes], part: Path, name: str) -> tuple[str, int]:
        """Write the bytes beside the others; sha256 and size."""
        if isinstance(source, Path):
            return await asyncio.to_thread(_copied, source, part, name)
        digest = hashlib.sha256()
        size = 0
        pieces = aiter(source)
        with part.open("xb") as file:
            while True:
                try:
                    async with asyncio.timeout(STALL_S):
                        piece = await anext(pieces, None)
                except TimeoutError as error:
                    raise BadAudio(name, f"nothing came for {STALL_S:g} s", "upload it again") from error
                except OSError as error:
                    raise BadAudio(name, "it broke off on its way", "upload it again") from error
                if piece is None:
                    return digest.hexdigest(), size
                size += len(piece)
                _small_enough(size, name)
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)

    def _shelve(self, part: Path, sha256: str, size: int) -> None:
        """Give the part its name. What is there already is kept, unless a disk has spoilt it."""
        path = self.path(sha256)
        path.parent.mkdir(exist_ok=True)
        flush(self._directory)
        try:
            if path.stat().st_size == size:
                os.utime(path)
                return
        except FileNotFoundError:
            pass
        settle(part, path)


def _copied(source: Path, part: Path, name: str) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    try:
        file = source.open("rb")
    except OSError as error:
        mend = "give a file that this user may read"
        raise BadAudio(name, f"it cannot be read ({error.strerror})", mend) from error
    with file, part.open("xb") as target:
        while piece := file.read(COPY_BYTES):
            size += len(piece)
            _small_enough(size, name)
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest(), size


def _small_enough(size: int, name: str) -> None:
    if size > MAX_SOURCE_BYTES:
        mend = "shorten it, or save it as FLAC or MP3"
        raise BadAudio(name, f"it is bigger than {MAX_SOURCE_BYTES // 1_000_000} MB", mend)


def _heard(part: Path, name: str) -> int:
    """Its length, named in a refusal as its owner named it."""
    try:
        return audio.length_ms(part)
    except BadAudio as error:
        raise type(error)(name, error.reason, error.mend) from error
