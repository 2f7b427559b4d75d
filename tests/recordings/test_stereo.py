"""Two sides in one file: each where it belongs, sample by sample, however they begin and end."""

import wave
from array import array
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings import stereo
from recordings.audio import tone_level
from recordings.errors import BadAudio
from recordings.library import RecordingLibrary
from recordings.stereo import interleave
from tests.recordings.sounds import quiet, sine, wav_bytes, wav_file


def side(path: Path, channel: int) -> bytes:
    """One channel of a stereo file, read by another hand than ours."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        return array("h", file.readframes(file.getnframes()))[channel::2].tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    left=st.integers(1, 200),
    right=st.integers(1, 200),
    offset_ms=st.integers(-40, 40),
    block=st.integers(1, 97),
)
def test_every_sample_is_where_it_belongs(
    tmp_path: Path, left: int, right: int, offset_ms: int, block: int
) -> None:
    ours = array("h", range(1, left + 1)).tobytes()
    theirs = array("h", range(-1, -right - 1, -1)).tobytes()
    target = tmp_path / "both.wav"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stereo, "BLOCK_FRAMES", block)
        length_ms = interleave(
            wav_file(tmp_path / "l.wav", ours), wav_file(tmp_path / "r.wav", theirs), target, offset_ms
        )
    expected_left = bytes(16 * max(0, -offset_ms)) + ours
    expected_right = bytes(16 * max(0, offset_ms)) + theirs
    longer = max(len(expected_left), len(expected_right))
    assert side(target, 0) == expected_left.ljust(longer, b"\0")
    assert side(target, 1) == expected_right.ljust(longer, b"\0")
    assert abs(length_ms - longer / 16) <= 0.5


async def test_a_talk_can_be_heard_side_by_side_and_kept(tmp_path: Path) -> None:
    caller = wav_file(tmp_path / "caller.wav", sine(8_000, 3, (440, 0.3)))
    agent = wav_file(tmp_path / "agent.wav", sine(8_000, 2, (1_000, 0.3)))
    both = tmp_path / "both.wav"
    assert interleave(caller, agent, both, offset_ms=1_500) == 3_500
    alone = [wav_file(tmp_path / f"{n}.wav", side(both, n)) for n in (0, 1)]
    assert tone_level(alone[0], 440) > -20 > -70 > tone_level(alone[0], 1_000)
    assert tone_level(alone[1], 1_000) > -20 > -70 > tone_level(alone[1], 440)
    kept = await RecordingLibrary(tmp_path / "kept").keep("rec_1", both)
    assert kept.duration_ms == 3_500
    assert kept.path.read_bytes() == both.read_bytes()


async def test_a_stereo_recording_is_cut_between_frames(tmp_path: Path) -> None:
    loud = array("h", [1_000, -1_000] * 8_000).tobytes()
    source = tmp_path / "both.wav"
    source.write_bytes(wav_bytes(loud, channels=2))
    kept = await RecordingLibrary(tmp_path / "kept").keep("rec_1", source, 333)
    assert (kept.duration_ms, kept.trimmed) == (333, True)
    assert set(array("h", side(kept.path, 0))) == {1_000}
    assert set(array("h", side(kept.path, 1))) == {-1_000}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wav_bytes(quiet(16_000, 1), 16_000), "not 8 kHz mono"),
        (wav_bytes(quiet(8_000, 1), channels=2), "not 8 kHz mono"),
        (wav_bytes(quiet(8_000, 1), declared=0), "never completed"),
        (wav_bytes(quiet(8_000, 1))[:-100], "breaks off"),
        (b"", "0 bytes"),
    ],
)
def test_what_is_no_side_is_told_and_the_target_stays(tmp_path: Path, data: bytes, reason: str) -> None:
    good = wav_file(tmp_path / "good.wav", quiet(8_000, 1))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(data)
    target = tmp_path / "both.wav"
    target.write_text("before")
    for left, right in ((good, bad), (bad, good)):
        with pytest.raises(BadAudio, match=rf"bad\.wav: .*{reason}"):
            interleave(left, right, target)
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.wav", "both.wav", "good.wav"]


def test_a_joined_file_is_no_less_private_than_its_sides(tmp_path: Path) -> None:
    open_to_all, private = (wav_file(tmp_path / name, quiet(8_000, 1)) for name in ("l.wav", "r.wav"))
    open_to_all.chmod(0o644)
    private.chmod(0o600)
    interleave(open_to_all, private, tmp_path / "both.wav")
    assert (tmp_path / "both.wav").stat().st_mode & 0o777 == 0o600
