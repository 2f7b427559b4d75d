"""Uploads: whole or not at all, under their checksum, once."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recordings import shelf as shelves
from recordings.errors import BadAudio, NoSound, SoundUnavailable
from recordings.shelf import Shelf
from tests.recordings.sounds import quiet, sine, stream, wav_bytes

GOOD = wav_bytes(quiet(8_000, 0.5) + sine(8_000, 0.5, (700, 0.3)))
SHA256 = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "uploads")


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "uploads").rglob("*") if path.is_file())


async def test_an_upload_is_kept_as_it_came(shelf: Shelf, tmp_path: Path) -> None:
    taken = await shelf.add(stream([GOOD[:50], GOOD[50:]]), "hello.wav")
    assert (taken.sha256, taken.size_bytes, taken.duration_ms) == (SHA256, len(GOOD), 1_000)
    assert shelf.path(SHA256).read_bytes() == GOOD
    assert SHA256 in shelf
    (tmp_path / "again.wav").write_bytes(GOOD)
    assert await shelf.add(tmp_path / "again.wav", "again.wav") == taken
    assert files(tmp_path) == [SHA256], "one file, however often it comes"


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "0 bytes"), (b"a letter to somebody", "not audio"), (GOOD[:3_000], "breaks off")],
)
async def test_what_is_no_sound_is_not_taken(shelf: Shelf, tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason) as caught:
        await shelf.add(stream([data]), "the menu")
    assert caught.value.name == "the menu"
    assert files(tmp_path) == []


async def test_silence_is_no_sound(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(NoSound, match="silence"):
        await shelf.add(stream([wav_bytes(quiet(8_000, 1.0))]), "silence.wav")
    assert files(tmp_path) == []


async def test_an_upload_that_breaks_off_or_stalls_leaves_nothing(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadAudio, match="broke off on its way"):
        await shelf.add(stream([GOOD[:100]], ConnectionResetError()), "broken.wav")
    monkeypatch.setattr(shelves, "STALL_S", 0.05)

    async def stalled() -> AsyncIterator[bytes]:
        yield GOOD[:100]
        await asyncio.sleep(10)

    with pytest.raises(BadAudio, match="nothing came"):
        await shelf.add(stalled(), "slow.wav")
    assert files(tmp_path) == []


async def test_too_big(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MAX_SOURCE_BYTES", 1_000)
    (tmp_path / "big.wav").write_bytes(GOOD)
    for source in (stream([GOOD]), tmp_path / "big.wav"):
        with pytest.raises(BadAudio, match="bigger than"):
            await shelf.add(source, "big.wav")
    assert files(tmp_path) == []


async def test_a_spoilt_file_is_mended_by_the_next_upload(shelf: Shelf) -> None:
    await shelf.add(stream([GOOD]), "hello.wav")
    shelf.path(SHA256).write_bytes(b"short")
    await shelf.add(stream([GOOD]), "hello.wav")
    assert shelf.path(SHA256).read_bytes() == GOOD


async def test_a_missing_file_is_told(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(BadAudio, match="No such file"):
        await shelf.add(tmp_path / "none.wav", "none.wav")


@pytest.mark.parametrize("sha256", ["", "..", "../../etc/passwd", SHA256.upper(), SHA256[:-1], f"{SHA256}\n"])
def test_only_a_checksum_is_a_place(shelf: Shelf, sha256: str) -> None:
    assert sha256 not in shelf
    with pytest.raises(SoundUnavailable, match="no sha256"):
        shelf.path(sha256)


async def test_remove_and_sweep(shelf: Shelf, tmp_path: Path) -> None:
    sounds = [wav_bytes(sine(8_000, 0.3, (hz, 0.3))) for hz in (500, 600, 700, 800)]
    taken = [(await shelf.add(stream([sound]), "x")).sha256 for sound in sounds]
    used, young, old, gone = taken
    assert shelf.remove(gone) is True
    assert shelf.remove(gone) is False
    part = tmp_path / "uploads" / ".upload-1.part"
    busy = tmp_path / "uploads" / ".upload-2.part"
    for path in (part, busy):
        path.touch()
    for path in (shelf.path(used), shelf.path(old), part):
        os.utime(path, (1, 1))
    assert shelf.sweep({used}) == 1
    assert files(tmp_path) == sorted([used, young, busy.name])
    os.utime(shelf.path(young), (1, 1))
    await shelf.add(stream([sounds[1]]), "x")
    assert shelf.sweep({used}) == 0, "just brought again: its row may be on the way"


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SoundUnavailable, match="folder for uploads"):
        Shelf(tmp_path / "file")
