"""A switch that died while recording: whatever byte its file ends at, all whole samples are kept, and no more."""

import wave
from pathlib import Path

import pytest

from recordings.errors import BadAudio, NoSound
from recordings.library import RecordingLibrary
from tests.recordings.sounds import sine, stream, wav_bytes

SOUND = sine(8_000, 0.01, (440, 0.3))
HEADER = 44
A_CHUNK = 8
"""Fewer bytes after a length of 0 may be the end of a file that was closed without a sample: half a millisecond."""
EMPTY, UNKNOWN = 0, 0xFFFF_FFFF


@pytest.fixture
def library(tmp_path: Path) -> RecordingLibrary:
    return RecordingLibrary(tmp_path / "kept")


@pytest.mark.parametrize("declared", [EMPTY, UNKNOWN])
@pytest.mark.parametrize("channels", [1, 2])
async def test_cut_at_every_byte(library: RecordingLibrary, declared: int, channels: int) -> None:
    full = wav_bytes(SOUND, channels=channels, declared=declared)
    frame = 2 * channels
    for cut in (*range(HEADER + A_CHUNK + 3 * frame + 1), *range(len(full) - 2 * frame, len(full) + 1)):
        id, data = f"rec_{cut}", full[:cut]
        frames = (cut - HEADER) // frame
        if cut < HEADER:
            with pytest.raises(BadAudio, match=f"{id}: it (is empty|is not a WAV|has a WAV header but)"):
                await library.keep(id, stream([data]))
        elif declared == EMPTY and cut < HEADER + A_CHUNK:
            with pytest.raises(NoSound, match=f"{id}: it holds no sound"):
                await library.keep(id, stream([data]))
        elif frames == 0:
            with pytest.raises(BadAudio, match=f"{id}: its header was never completed"):
                await library.keep(id, stream([data]))
        else:
            kept = await library.keep(id, stream([data]))
            assert kept.repaired
            assert not kept.complete
            assert kept.duration_ms == (frames + 4) // 8
            assert kept.bytes == HEADER + frames * frame
            with wave.open(str(kept.path), "rb") as file:
                assert file.readframes(10**6) == SOUND[: frames * frame]


@pytest.mark.parametrize("cut", [HEADER, HEADER + 1, HEADER + 2, HEADER + 101, HEADER + len(SOUND) - 1])
async def test_a_file_that_breaks_off_under_a_true_header_is_refused(
    library: RecordingLibrary, cut: int
) -> None:
    with pytest.raises(BadAudio, match="breaks off"):
        await library.keep("rec_1", stream([wav_bytes(SOUND)[:cut]]))


async def test_a_repaired_one_is_cut_to_its_limit_too(library: RecordingLibrary) -> None:
    kept = await library.keep("rec_1", stream([wav_bytes(sine(8_000, 2, (440, 0.3)), declared=0)]), 1_250)
    assert (kept.duration_ms, kept.repaired, kept.trimmed) == (1_250, True, True)


async def test_the_same_crash_kept_twice_is_one_recording(library: RecordingLibrary) -> None:
    data = wav_bytes(SOUND, declared=0)[:-1]
    assert await library.keep("rec_1", stream([data])) == await library.keep("rec_1", stream([data]))
