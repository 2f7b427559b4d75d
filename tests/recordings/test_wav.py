"""Headers: believed where the file bears them out, repaired where a writer died, and cut exactly."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import wav
from recordings.errors import BadAudio, NoSound
from tests.recordings.sounds import quiet, sine, wav_bytes, wav_file

TONE = sine(8_000, 1.5, (440, 0.3))


def test_duration_is_that_of_the_samples(tmp_path: Path) -> None:
    assert wav.duration_ms(wav_file(tmp_path / "a.wav", TONE)) == 1_500
    assert wav.duration_ms(wav_file(tmp_path / "b.wav", sine(44_100, 0.25, (440, 0.3)), 44_100)) == 250


def test_chunks_before_and_after_the_sound_are_passed_over(tmp_path: Path) -> None:
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    plain = wav_bytes(TONE, after=note)
    path = tmp_path / "a.wav"
    path.write_bytes(plain[:12] + note + plain[12:])
    assert wav.duration_ms(path) == 1_500
    assert wav.trim(path, 1_000)
    assert path.read_bytes() == wav_bytes(TONE[:16_000])


@pytest.mark.parametrize(
    ("claimed", "believed"), [(0, True), (0xFFFFFFFF, True), (20_000, False), (0x3D522F2A, False)]
)
def test_a_length_of_all_the_file_that_is_not_there_is_a_part_missing(
    tmp_path: Path, claimed: int, believed: bool
) -> None:
    plain = wav_bytes(TONE[:8_000])
    path = tmp_path / "a.wav"
    path.write_bytes(plain[:4] + struct.pack("<I", claimed) + plain[8:])
    if believed:
        assert wav.duration_ms(path) == 500
    else:
        with pytest.raises(BadAudio, match=f"breaks off: {claimed} bytes promised in all, 8044 there"):
            wav.whole(path)


@pytest.mark.parametrize("behind", [False, True])
def test_a_file_in_shreds_is_refused_for_that(tmp_path: Path, behind: bool) -> None:
    shreds = (b"note" + struct.pack("<I", 0)) * (wav.MAX_CHUNKS + 1)
    plain = wav_bytes(TONE)
    path = tmp_path / "a.wav"
    path.write_bytes(plain + shreds if behind else plain[:12] + shreds + plain[12:])
    with pytest.raises(BadAudio, match="it is cut into more than 64 chunks"):
        wav.whole(path)


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF])
def test_repair_gives_a_dead_switchs_file_its_length(tmp_path: Path, declared: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(TONE + b"\x01", declared=declared))
    with pytest.raises(BadAudio, match="never completed"):
        wav.duration_ms(path)
    assert wav.repair(path)
    assert path.read_bytes() == wav_bytes(TONE), "the half sample at the end is gone"
    assert not wav.repair(path), "again is harmless"


def test_repair_does_not_call_a_part_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(TONE)[:-1_000])
    before = path.read_bytes()
    assert not wav.repair(path)
    assert path.read_bytes() == before
    with pytest.raises(BadAudio, match="breaks off"):
        wav.whole(path)


def test_repair_of_nothing_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(b""))
    assert not wav.repair(path)
    with pytest.raises(NoSound):
        wav.whole(path)


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 1), (11_025, 1), (8_000, 2)])
def test_trim_is_a_hard_cap(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    data = quiet(rate_hz * channels, 2.0)
    path.write_bytes(wav_bytes(data, rate_hz, channels))
    assert wav.trim(path, 1_333)
    header = wav.whole(path)
    assert header.frames == 1_333 * rate_hz // 1_000
    assert header.duration_ms <= 1_333
    assert (header.rate_hz, header.channels) == (rate_hz, channels)
    assert not wav.trim(path, 1_333)
    assert sorted(tmp_path.iterdir()) == [path]


def test_compressed_wav_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(bytes(8_000), bits=8, codec=7))
    with pytest.raises(BadAudio, match="compressed"):
        wav.trim(path, 100)


@given(st.binary(max_size=200), st.integers(0, 80), st.binary(max_size=8))
def test_any_bytes_are_a_header_or_bad_audio(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, patch: bytes
) -> None:
    good = wav_bytes(TONE[:100])
    path = tmp_path_factory.mktemp("fuzz") / "a.wav"
    complaints: list[tuple[str, str]] = []
    for data in (noise, good[:at] + patch + good[at + len(patch) :], good[:at], good[:44] + noise):
        path.write_bytes(data)
        try:
            header = wav.whole(path)
        except BadAudio as error:
            complaints.append((error.reason, error.mend))
        else:
            assert 0 < header.declared_bytes <= len(data)
    assert all(reason and mend for reason, mend in complaints)
