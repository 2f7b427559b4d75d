"""Whole files of every kind are let in with their true length; cut, broken and misnamed ones are not."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import decode, wav
from recordings.containers import examined, recognise
from recordings.errors import BadAudio
from tests.recordings.hostile import flac, m4a, matroska, mp3_frames, opus
from tests.recordings.sounds import sine, wav_bytes, wav_file

LIMIT_MS = 600_000
LENGTH_MS = 2_000
MADE: dict[str, tuple[str, ...]] = {
    "plain.flac": (),
    "stereo.flac": ("-ar", "44100", "-ac", "2", "-compression_level", "12"),
    "small_blocks.flac": ("-frame_size", "100"),
    "deep.flac": ("-sample_fmt", "s32", "-ar", "96000"),
    "plain.mp3": (),
    "varying.mp3": ("-q:a", "2", "-ar", "44100"),
    "telephone.mp3": ("-ar", "8000", "-b:a", "8k"),
    "without_figures.mp3": ("-b:a", "64k", "-write_xing", "0"),
    "old_tag.mp3": ("-write_id3v1", "1", "-metadata", "title=x"),
    "plain.ogg": (),
    "stereo.ogg": ("-ac", "2", "-ar", "44100"),
    "opus.ogg": ("-c:a", "libopus"),
    "short_packets.opus": ("-c:a", "libopus", "-frame_duration", "2.5"),
    "flac.ogg": ("-c:a", "flac"),
    "plain.m4a": (),
    "fast_start.m4a": ("-movflags", "faststart"),
    "lossless.m4a": ("-c:a", "alac"),
    "plain.mp4": (),
    "pcm.mov": ("-c:a", "pcm_s16le"),
    "plain.webm": (),
    "live.webm": ("-live", "1"),
    "vorbis.mka": (),
    "pcm.mka": ("-c:a", "pcm_s16le"),
    "plain.aiff": (),
    "mulaw.aifc": ("-c:a", "pcm_mulaw", "-f", "aiff"),
    "plain.au": (),
    "plain.caf": (),
    "mulaw.caf": ("-c:a", "pcm_mulaw"),
    "alaw.wav": ("-c:a", "pcm_alaw"),
    "ima.wav": ("-c:a", "adpcm_ima_wav"),
    "ms.wav": ("-c:a", "adpcm_ms"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "six_channels.wav": ("-c:a", "pcm_s24le", "-ac", "6", "-ar", "48000"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two seconds of sound in every kind."""
    folder = tmp_path_factory.mktemp("made")
    tone = sine(16_000, LENGTH_MS / 1_000, (440, 0.3), (1_730, 0.1))
    plain = wav_file(folder / "in.wav", tone, 16_000)
    outputs = [part for name, options in MADE.items() for part in (*options, str(folder / name))]
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(plain), *outputs]
    subprocess.run(argv, check=True, timeout=60)
    (folder / "phone.amr").write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * (LENGTH_MS // 20))
    return folder


@pytest.mark.parametrize("name", [*MADE, "in.wav", "phone.amr"])
def test_a_whole_file_tells_its_length_and_keeps_it(made: Path, tmp_path: Path, name: str) -> None:
    source = made / name
    shape = examined(source, recognise(source, name), LIMIT_MS)
    assert abs(shape.duration_ms - LENGTH_MS) < (100 if shape.exact else 400)
    assert shape.channels == (6 if "six" in name else 2 if "stereo" in name else shape.channels)
    decode.decode(source, tmp_path / "out.wav", LIMIT_MS)
    assert abs(wav.duration_ms(tmp_path / "out.wav") - LENGTH_MS) < 120


WITHOUT_END = frozenset({"without_figures.mp3", "phone.amr", "old_tag.mp3"})
"""Cut between two frames, an AMR or an MP3 without a frame of figures does not tell; cut in its last tag, none does."""


@pytest.mark.parametrize("name", [*MADE, "in.wav", "phone.amr"])
def test_a_cut_file_is_never_called_whole(made: Path, tmp_path: Path, name: str) -> None:
    whole = (made / name).read_bytes()
    cut = tmp_path / name
    let_in: list[int] = []
    for part in range(1, 60):
        end = len(whole) * part // 60
        cut.write_bytes(whole[:end])
        try:
            examined(cut, recognise(cut), LIMIT_MS)
        except BadAudio:
            continue
        let_in.append(end)
    assert not let_in or (name in WITHOUT_END and len(let_in) < 10), let_in


def test_an_mp3_cut_between_two_frames_lacks_some_that_its_figures_promise(
    made: Path, tmp_path: Path
) -> None:
    whole = (made / "plain.mp3").read_bytes()
    frame = whole.rindex(whole[-108:-106])
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole[:frame])
    with pytest.raises(BadAudio, match=r"it breaks off: \d+ frames promised, \d+ there"):
        examined(cut, "mp3", LIMIT_MS)


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), b"APETAGEX" + bytes(24)])
def test_tags_at_the_end_of_an_mp3_are_no_damage(made: Path, tmp_path: Path, tail: bytes) -> None:
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes((made / "plain.mp3").read_bytes() + tail)
    assert examined(tagged, "mp3", LIMIT_MS) == examined(made / "plain.mp3", "mp3", LIMIT_MS)


def noise() -> Iterator[bytes]:
    """One small file of each kind that can be made here."""
    yield wav_bytes(sine(8_000, 0.05, (440, 0.3)))
    yield flac(2)
    yield mp3_frames(5)
    yield opus(2, lambda page: page * 5_760)
    yield m4a()
    yield matroska()


@given(st.sampled_from(list(noise())), st.data())
def test_any_damage_gives_a_shape_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, min(len(damaged), 600) - 1))
        damaged[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]) | st.integers(0, 255))
    path = tmp_path_factory.mktemp("noise") / "a.bin"
    path.write_bytes(damaged)
    complaints: list[str] = []
    try:
        shape = examined(path, recognise(path), LIMIT_MS)
    except BadAudio as error:
        complaints += [error.reason, error.mend]
    else:
        assert 0 <= shape.duration_ms <= LIMIT_MS
        assert 1 <= shape.channels <= wav.MAX_CHANNELS
    assert all(said and said.isprintable() for said in complaints)


def test_work_beyond_any_prompt_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(bytes(8_000_000), 384_000, 8, 8))
    examined(path, "wav", 60_000)
    with pytest.raises(
        BadAudio, match="it holds 3 s of 8 channels at 384000 Hz; export it again with 48,000 Hz"
    ):
        examined(path, "wav", 30_000)


NAMED = {
    "hello.wav": ("plain.mp3", "it is named .wav but is MP3; name it .mp3, or export it again as WAV"),
    "HELLO.WAV": ("plain.ogg", "it is named .wav but is Ogg"),
    "hello.mp3": ("in.wav", "it is named .mp3 but is WAV; name it .wav, or export it again as MP3"),
    "music/hello.wave": ("plain.m4a", "it is named .wave but is M4A"),
    "a.mp3.wav": ("plain.mp3", "it is named .wav but is MP3"),
    "hello.opus": ("plain.webm", "it is named .opus but is WebM"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_that_promises_another_kind_is_refused(made: Path, name: str) -> None:
    content, reason = NAMED[name]
    with pytest.raises(BadAudio) as caught:
        recognise(made / content, name)
    assert str(caught.value).startswith(f"{name}: {reason}")


@pytest.mark.parametrize(
    "name", ["hello", "hello.mp3", "hello.MP3", "hello.bak", "hello.", ".mp3", "v1.2", None]
)
def test_a_name_that_promises_nothing_else_is_fine(made: Path, name: str | None) -> None:
    assert recognise(made / "plain.mp3", name) == "mp3"
