"""Recordings: kept whole or not at all, never too long, and what is damaged is told."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recordings import gather as module
from recordings.errors import BadAudio, NoSound, RecordingDamaged, RecordingMissing, RecordingRefused
from recordings.library import VOICEMAIL_LIMIT_MS, RecordingLibrary
from recordings.storage_disk import MARK
from tests.recordings.sounds import quiet, sine, stream, wav_bytes, wav_file

TALK = wav_bytes(sine(8_000, 1.5, (440, 0.3)))


@pytest.fixture
def library(tmp_path: Path) -> RecordingLibrary:
    return RecordingLibrary(tmp_path / "kept")


def files(tmp_path: Path) -> list[str]:
    return sorted(
        path.name for path in (tmp_path / "kept").rglob("*") if path.is_file() and path.name != MARK
    )


async def test_a_stream_is_kept_with_length_and_checksum(library: RecordingLibrary, tmp_path: Path) -> None:
    kept = await library.keep("rec_1", stream([TALK[:10], TALK[10:7_000], b"", TALK[7_000:]]))
    assert kept.path.read_bytes() == TALK
    assert (kept.duration_ms, kept.bytes) == (1_500, len(TALK))
    assert kept.sha256 == hashlib.sha256(TALK).hexdigest()
    assert kept.complete
    assert not kept.trimmed
    assert files(tmp_path) == ["rec_1.json", "rec_1.wav"]
    assert kept.path.stat().st_mode & 0o077 == 0, "a voicemail is private"


async def test_a_file_is_copied_and_stays(library: RecordingLibrary, tmp_path: Path) -> None:
    spool = tmp_path / "spool.wav"
    spool.write_bytes(TALK)
    kept = await library.keep("rec_1", spool)
    assert kept.path.read_bytes() == spool.read_bytes()


async def test_a_voicemail_is_never_longer_than_two_minutes(
    library: RecordingLibrary, tmp_path: Path
) -> None:
    spool = wav_file(tmp_path / "spool.wav", quiet(8_000, 122.7))
    kept = await library.keep("rec_1", spool, VOICEMAIL_LIMIT_MS)
    assert kept.duration_ms == 120_000
    assert kept.path.stat().st_size == 44 + 120 * 16_000
    assert kept.trimmed
    assert kept.complete
    assert kept.path.stat().st_mode & 0o077 == 0


async def test_a_dead_switchs_recording_is_repaired_and_not_called_complete(
    library: RecordingLibrary,
) -> None:
    kept = await library.keep("rec_1", stream([wav_bytes(TALK[44:], declared=0)]))
    assert kept.path.read_bytes() == TALK
    assert kept.repaired
    assert not kept.complete
    assert not (await library.find("rec_1")).complete, "and that is not forgotten"


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (TALK[:-2_000], BadAudio, "breaks off"),
        (TALK[:20], BadAudio, "no sound data"),
        (b"", BadAudio, "0 bytes"),
        (b"<html>502</html>", BadAudio, "not a WAV"),
        (wav_bytes(b""), NoSound, "no sound"),
    ],
)
async def test_what_is_not_whole_is_not_kept(
    library: RecordingLibrary, tmp_path: Path, data: bytes, error: type[BadAudio], reason: str
) -> None:
    with pytest.raises(error, match=reason) as caught:
        await library.keep("rec_1", stream([data]))
    assert caught.value.name == "rec_1"
    assert files(tmp_path) == []


async def test_a_stream_that_fails_leaves_nothing_and_its_error_is_told(
    library: RecordingLibrary, tmp_path: Path
) -> None:
    with pytest.raises(ConnectionResetError):
        await library.keep("rec_1", stream([TALK[:5_000]], ConnectionResetError("gone")))
    assert files(tmp_path) == []
    assert (await library.keep("rec_1", stream([TALK]))).duration_ms == 1_500


async def test_a_stream_that_stalls_is_given_up(
    library: RecordingLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE_S", 0.05)

    async def stalling() -> AsyncIterator[bytes]:
        yield TALK[:5_000]
        await asyncio.Event().wait()

    with pytest.raises(RecordingRefused, match="nothing of it came"):
        await library.keep("rec_1", stalling())
    assert files(tmp_path) == []


async def test_a_stream_without_end_is_refused(
    library: RecordingLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIZE_LIMIT_BYTES", 10_000)
    with pytest.raises(RecordingRefused, match="longer than 10000 bytes"):
        await library.keep("rec_1", stream([TALK]))
    spool = tmp_path / "spool.wav"
    spool.write_bytes(TALK)
    with pytest.raises(RecordingRefused, match="longer than 10000 bytes"):
        await library.keep("rec_1", spool)
    assert files(tmp_path) == []


async def test_keeping_again_is_harmless_and_another_sound_is_refused(library: RecordingLibrary) -> None:
    first = await library.keep("rec_1", stream([TALK]))
    assert await library.keep("rec_1", stream([TALK])) == first
    with pytest.raises(RecordingRefused, match="another recording"):
        await library.keep("rec_1", stream([wav_bytes(quiet(8_000, 1))]))
    assert (await library.verify("rec_1")) == first


async def test_one_id_is_kept_once_at_a_time(library: RecordingLibrary) -> None:
    results = await asyncio.gather(
        *(library.keep("rec_1", stream([TALK])) for _ in range(3)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, RecordingRefused)]
    assert len(refused) == 2
    assert (await library.find("rec_1")).duration_ms == 1_500


async def test_found_after_a_restart(library: RecordingLibrary, tmp_path: Path) -> None:
    kept = await library.keep("rec_1", stream([TALK]))
    again = RecordingLibrary(tmp_path / "kept")
    assert await again.find("rec_1") == kept
    assert b"".join([piece async for piece in await again.read("rec_1")]) == TALK


async def test_damage_is_told(library: RecordingLibrary) -> None:
    kept = await library.keep("rec_1", stream([TALK]))
    kept.path.write_bytes(TALK[:-2] + b"\x07\x07")
    with pytest.raises(RecordingDamaged, match="not those that were kept"):
        await library.verify("rec_1")
    kept.path.write_bytes(TALK[:-2])
    with pytest.raises(RecordingDamaged, match="bytes instead of"):
        await library.find("rec_1")
    kept.path.unlink()
    with pytest.raises(RecordingDamaged, match="sound is gone"):
        await library.find("rec_1")
    kept.path.with_suffix(".json").write_text("{}")
    with pytest.raises(RecordingDamaged, match="record cannot be read"):
        await library.find("rec_1")
    assert await library.keep("rec_1", stream([TALK])) == kept, "the switch may still have it"


async def test_a_crash_between_sound_and_record_is_no_recording(library: RecordingLibrary) -> None:
    kept = await library.keep("rec_1", stream([TALK]))
    kept.path.with_suffix(".json").unlink()
    with pytest.raises(RecordingMissing):
        await library.find("rec_1")
    assert await library.keep("rec_1", stream([TALK])) == kept


async def test_delete(library: RecordingLibrary, tmp_path: Path) -> None:
    await library.keep("rec_1", stream([TALK]))
    assert await library.delete("rec_1")
    assert not await library.delete("rec_1")
    assert files(tmp_path) == []
    with pytest.raises(RecordingMissing):
        await library.read("rec_1")


@pytest.mark.parametrize(
    "id", ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "a b", ".hidden", "-rf", "é", "x" * 129]
)
async def test_only_ids_are_ids(library: RecordingLibrary, tmp_path: Path, id: str) -> None:
    for use in (library.find, library.read, library.verify, library.delete):
        with pytest.raises(RecordingRefused, match="not an id"):
            await use(id)
    with pytest.raises(RecordingRefused, match="not an id"):
        await library.keep(id, stream([TALK]))
    assert files(tmp_path) == []


async def test_a_file_that_is_not_there(library: RecordingLibrary, tmp_path: Path) -> None:
    with pytest.raises(RecordingRefused, match="left no file"):
        await library.keep("rec_1", tmp_path / "none.wav")


def test_sweep_deletes_old_parts_only(library: RecordingLibrary, tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "ab"
    folder.mkdir()
    for name in (".old.wav.1.part", ".new.wav.2.part", "old.wav"):
        (folder / name).touch()
    for name in (".old.wav.1.part", "old.wav"):
        os.utime(folder / name, (1, 1))
    assert library.sweep() == 1
    assert sorted(path.name for path in folder.iterdir()) == [".new.wav.2.part", "old.wav"]
