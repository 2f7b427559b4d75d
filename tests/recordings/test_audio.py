"""What a caller hears after conversion, in decibels and milliseconds."""

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recordings import audio, wav
from recordings.errors import BadAudio, NoSound, ToolMissing
from tests.recordings.sounds import quiet, sine, wav_bytes, wav_file


def ffmpeg(source: Path, target: Path, *options: str) -> Path:
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", str(source), *options, str(target)],
        check=True,
        timeout=20,
    )
    return target


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_tone_survives_and_what_a_telephone_cannot_carry_leaves_no_alias(
    tmp_path: Path, rate_hz: int
) -> None:
    source = wav_file(tmp_path / "in.wav", sine(rate_hz, 0.6, (1_000, 0.3), (5_000, 0.3)), rate_hz)
    sound = audio.canonical(source, tmp_path / "out.wav")
    assert abs(sound.duration_ms - 600) <= 20
    assert audio.tone_level(sound.path, 1_000) == pytest.approx(audio.TARGET_LUFS, abs=1.0)
    assert audio.tone_level(sound.path, 3_000) < -70
    assert max(audio.tone_level(sound.path, hz) for hz in (2_600, 2_800, 3_200, 3_600, 3_900)) < -70


def test_just_above_the_band_there_is_no_alias_either(tmp_path: Path) -> None:
    source = wav_file(tmp_path / "in.wav", sine(44_100, 0.4, (1_000, 0.1), (4_200, 0.5)), 44_100)
    sound = audio.canonical(source, tmp_path / "out.wav")
    assert audio.tone_level(sound.path, 3_800) < -50


def test_output_is_what_asterisk_plays(tmp_path: Path) -> None:
    stereo = wav_bytes(sine(22_050, 0.4, (500, 0.5)), 22_050, channels=2)
    (tmp_path / "in.wav").write_bytes(stereo)
    audio.canonical(tmp_path / "in.wav", tmp_path / "out.wav")
    out = (tmp_path / "out.wav").read_bytes()
    assert out == wav_bytes(out[44:]), "a plain 44-byte header: PCM, mono, 8 kHz, 16 bit, true lengths"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.wav", "out.wav", "out.wav16"]


@pytest.mark.parametrize(("amplitude", "level"), [(0.9, -20.0), (0.1, -20.0), (0.02, -25.0), (0.004, -39.0)])
def test_loudness_is_brought_near_and_a_whisper_stays_one(
    tmp_path: Path, amplitude: float, level: float
) -> None:
    source = wav_file(tmp_path / "in.wav", sine(8_000, 0.5, (700, amplitude)))
    assert audio.canonical(source, tmp_path / "out.wav").level_dbfs == pytest.approx(level, abs=1.0)


def speech_like(pause_s: float) -> bytes:
    """Syllables, with pauses between the sentences."""
    syllable = sine(16_000, 0.15, (300, 0.2), (900, 0.1), (2_500, 0.04)) + quiet(16_000, 0.05)
    return (syllable * 6 + quiet(16_000, pause_s)) * 3


def test_pauses_do_not_make_speech_louder(tmp_path: Path) -> None:
    """The mean of all samples would make the one with pauses louder by 3 dB: half of it is silence."""
    levels = []
    for pause_s in (0.05, 2.0):
        source = wav_file(tmp_path / "in.wav", speech_like(pause_s), 16_000)
        sound = audio.canonical(source, tmp_path / "out.wav")
        levels.append(audio.tone_level(cut(sound.path, tmp_path / "first.wav", 1_100), 300))
    assert levels[0] == pytest.approx(levels[1], abs=0.7)


def cut(path: Path, target: Path, length_ms: int) -> Path:
    """The beginning of a canonical file."""
    target.write_bytes(path.read_bytes())
    audio.trim(target, length_ms)
    return target


def test_what_the_ear_hears_less_counts_less(tmp_path: Path) -> None:
    """A hum of 60 Hz under a voice must not push the voice down."""
    levels = []
    for hum in (0.0, 0.25):
        source = wav_file(tmp_path / "in.wav", sine(16_000, 1.0, (1_000, 0.1), (60, hum)), 16_000)
        levels.append(audio.tone_level(audio.canonical(source, tmp_path / "out.wav").path, 1_000))
    by_rms = 20 * math.log10(math.hypot(0.1, 0.25) / 0.1)
    assert by_rms > 8
    assert levels[0] - levels[1] < by_rms - 2


def test_both_rates_are_the_same_sound(tmp_path: Path) -> None:
    data = quiet(44_100, 0.7) + sine(44_100, 0.9, (1_000, 0.2), (6_000, 0.02)) + quiet(44_100, 0.7)
    sound = audio.canonical(wav_file(tmp_path / "in.wav", data, 44_100), tmp_path / "out.wav")
    wide = audio.wide_of(sound.path)
    assert wide == tmp_path / "out.wav16"
    header = (tmp_path / "out.wav16").read_bytes()[:44]
    assert header == wav_bytes((tmp_path / "out.wav16").read_bytes()[44:], 16_000)[:44]
    assert wav.duration_ms(wide) == pytest.approx(sound.duration_ms, abs=1)
    assert audio.tone_level(wide, 1_000) == pytest.approx(audio.tone_level(sound.path, 1_000), abs=0.1)
    assert audio.tone_level(wide, 6_000) == pytest.approx(audio.tone_level(wide, 1_000) - 20, abs=0.5)
    assert audio.tone_level(sound.path, 2_000) < -80, "6 kHz left no alias"


def test_a_narrow_source_has_a_wide_form_too(tmp_path: Path) -> None:
    source = wav_file(tmp_path / "in.wav", sine(8_000, 0.6, (1_000, 0.2), (3_000, 0.1)))
    sound = audio.canonical(source, tmp_path / "out.wav")
    wide = audio.wide_of(sound.path)
    for hz in (1_000, 3_000):
        assert audio.tone_level(wide, hz) == pytest.approx(audio.tone_level(sound.path, hz), abs=0.2)
    assert max(audio.tone_level(wide, hz) for hz in (5_000, 7_000)) < -70, "no mirror above 4 kHz"


def test_a_sound_that_clips_already_gets_room_at_both_rates(tmp_path: Path) -> None:
    square = (b"\xff\x7f" * 20 + b"\x01\x80" * 20) * 400
    sound = audio.canonical(wav_file(tmp_path / "in.wav", square, 16_000), tmp_path / "out.wav")
    for path in (sound.path, audio.wide_of(sound.path)):
        assert audio.peak_dbfs(path) <= audio.PEAK_DBTP + 0.1


def test_a_word_too_short_to_be_measured_is_levelled_by_its_mean(tmp_path: Path) -> None:
    source = wav_file(tmp_path / "in.wav", sine(8_000, 0.2, (700, 0.6)))
    assert audio.canonical(source, tmp_path / "out.wav").level_dbfs == pytest.approx(-20, abs=0.7)


def test_gain_never_clips(tmp_path: Path) -> None:
    click = sine(8_000, 0.02, (500, 0.95)) + sine(8_000, 1.0, (500, 0.02))
    sound = audio.canonical(wav_file(tmp_path / "in.wav", click), tmp_path / "out.wav")
    assert audio.peak_dbfs(sound.path) <= audio.PEAK_DBTP + 0.1


def test_silence_at_the_ends_is_cut_and_a_pause_inside_stays(tmp_path: Path) -> None:
    word = sine(8_000, 0.4, (800, 0.3))
    data = quiet(8_000, 1.5) + word + quiet(8_000, 0.7) + word + quiet(8_000, 2.0)
    sound = audio.canonical(wav_file(tmp_path / "in.wav", data), tmp_path / "out.wav")
    assert abs(sound.duration_ms - (400 + 700 + 400 + audio.LEAD_MS + audio.TAIL_MS)) <= 30


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg", "m4a", "webm"])
def test_common_formats_are_read(tmp_path: Path, kind: str) -> None:
    plain = wav_file(tmp_path / "in.wav", sine(16_000, 0.5, (1_000, 0.3)), 16_000)
    sound = audio.canonical(ffmpeg(plain, tmp_path / f"in.{kind}"), tmp_path / "out.wav")
    assert abs(sound.duration_ms - 500) < 80
    assert audio.tone_level(sound.path, 1_000) > -24


def test_a_cover_picture_does_no_harm_and_a_film_is_refused(tmp_path: Path) -> None:
    plain = wav_file(tmp_path / "in.wav", sine(16_000, 0.5, (1_000, 0.3)), 16_000)
    picture = ("-f", "lavfi", "-i", "color=red:s=64x64:d=0.1", "-map", "0", "-map", "1")
    once = ("-c:v", "mjpeg", "-frames:v", "1", "-disposition:v", "attached_pic")
    covered = ffmpeg(plain, tmp_path / "in.mp3", *picture, *once)
    assert audio.canonical(covered, tmp_path / "out.wav").duration_ms > 400
    film = ffmpeg(plain, tmp_path / "in.mp4", *picture, "-c:v", "mpeg4")
    with pytest.raises(BadAudio, match="there is mpeg4 in it; export the sound alone"):
        audio.canonical(film, tmp_path / "out.wav")


def test_a_name_is_only_a_name(tmp_path: Path) -> None:
    for name in ("-y.wav", "concat:a|b.wav", "100%d.wav", "a b'c.wav"):
        source = wav_file(tmp_path / name, sine(8_000, 0.2, (900, 0.3)))
        assert audio.canonical(source, tmp_path / "out.wav").duration_ms > 100


GOOD = sine(8_000, 0.5, (440, 0.3))
BAD = {
    "empty": (b"", "0 bytes"),
    "text": (b"RIFF is not what this is, it is a letter to somebody", "not audio"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "not audio"),
    "header_only": (wav_bytes(b""), "no sound"),
    "no_data_chunk": (wav_bytes(GOOD)[:36], "no sound data"),
    "cut_header": (wav_bytes(GOOD)[:30], "no sound data"),
    "cut_upload": (wav_bytes(GOOD)[:4_000], "breaks off"),
    "promises_too_much": (wav_bytes(GOOD, declared=1_000_000), "breaks off"),
    "promises_too_little": (wav_bytes(GOOD, declared=1_000), "follow it"),
    "zero_length": (wav_bytes(GOOD, declared=0), "never completed"),
    "unknown_length": (wav_bytes(GOOD, declared=0xFFFFFFFF), "never completed"),
    "zero_hertz": (wav_bytes(GOOD, 0), "0 Hz"),
    "absurd_rate": (wav_bytes(GOOD, 4_000_000_000), "4000000000 Hz"),
    "255_channels": (wav_bytes(GOOD, channels=255), "255 channels"),
    "no_channels": (wav_bytes(GOOD, channels=0), "0 channels"),
    "odd_bits": (wav_bytes(GOOD, bits=13), "contradicts"),
    "silence": (wav_bytes(quiet(8_000, 1.0)), "silence"),
    "unknown_codec": (wav_bytes(GOOD, codec=0x4243), ""),
    "fake_mp3": (b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"no sound here " * 50, ""),
    "fake_ogg": (b"OggS" + bytes(range(200)), ""),
    "fake_m4a": (b"\x00\x00\x00\x18ftypM4A " + bytes(200), ""),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_fast_with_name_reason_and_mend(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    source = tmp_path / f"{name}.wav"
    source.write_bytes(data)
    began = time.monotonic()
    with pytest.raises(BadAudio) as caught:
        audio.canonical(source, tmp_path / "out.wav")
    assert time.monotonic() - began < 3
    assert reason in caught.value.reason
    assert caught.value.name == source.name
    assert caught.value.mend
    assert str(tmp_path) not in str(caught.value), "a path of the machine is nobody's business"
    assert not (tmp_path / "out.wav").exists()


def test_a_missing_file_is_bad_audio_too(tmp_path: Path) -> None:
    with pytest.raises(BadAudio, match="No such file"):
        audio.canonical(tmp_path / "none.wav", tmp_path / "out.wav")


def test_a_cut_off_upload_of_another_format_is_refused(tmp_path: Path) -> None:
    plain = wav_file(tmp_path / "in.wav", sine(16_000, 2.0, (1_000, 0.3), (1_730, 0.1)), 16_000)
    for kind in ("flac", "m4a"):
        whole = ffmpeg(plain, tmp_path / f"in.{kind}", "-movflags", "faststart" if kind == "m4a" else "0")
        cut = tmp_path / f"cut.{kind}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(BadAudio):
            audio.canonical(cut, tmp_path / "out.wav")


def test_the_limit_holds_whether_or_not_the_file_tells_its_length(tmp_path: Path) -> None:
    plain = wav_file(tmp_path / "in.wav", sine(8_000, 3.0, (1_000, 0.3)))
    ogg = ffmpeg(plain, tmp_path / "in.ogg", "-ar", "16000")
    for source in (plain, ogg):
        assert audio.canonical(source, tmp_path / "out.wav", limit_ms=3_100).duration_ms > 2_900
        with pytest.raises(BadAudio, match="too long"):
            audio.canonical(source, tmp_path / "refused.wav", limit_ms=1_000)


def test_without_ffmpeg_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    source = wav_file(tmp_path / "in.wav", GOOD)
    with pytest.raises(ToolMissing, match="install ffmpeg"):
        audio.canonical(source, tmp_path / "out.wav")


def test_a_failed_conversion_leaves_the_old_file(tmp_path: Path) -> None:
    wav_file(tmp_path / "out.wav", GOOD)
    with pytest.raises(NoSound):
        audio.canonical(wav_file(tmp_path / "in.wav", quiet(8_000, 0.5)), tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == wav_bytes(GOOD)


def test_tones(tmp_path: Path) -> None:
    beep = audio.beep(tmp_path / "beep.wav")
    assert beep.duration_ms == 400
    assert audio.tone_level(beep.path, 1_000) == pytest.approx(-15, abs=1.5)
    silence = audio.silence(tmp_path / "silence.wav", 250)
    assert (silence.duration_ms, silence.level_dbfs) == (250, audio.FLOOR_DBFS)
    music = audio.hold_music(tmp_path / "music.wav")
    assert music.duration_ms > 15_000
    assert -40 < music.level_dbfs < -20
    assert audio.peak_dbfs(music.path) < -10


def test_the_meters_agree_with_arithmetic(tmp_path: Path) -> None:
    path = wav_file(tmp_path / "in.wav", sine(8_000, 1.0, (1_000, 0.5)))
    expected = 20 * math.log10(0.5 / math.sqrt(2))
    assert audio.level_dbfs(path) == pytest.approx(expected, abs=0.1)
    assert audio.tone_level(path, 1_000) == pytest.approx(expected, abs=0.1)
    assert audio.tone_level(path, 2_000) < -80
    assert audio.peak_dbfs(path) == pytest.approx(-6, abs=0.1)


def test_pydub_is_loaded_only_when_needed_and_quietly(tmp_path: Path) -> None:
    path = wav_file(tmp_path / "in.wav", GOOD)
    script = (
        "import sys; from pathlib import Path; from recordings import audio\n"
        "assert 'pydub' not in sys.modules\n"
        f"assert audio.level_dbfs(Path({str(path)!r})) < 0\n"
        "assert 'pydub' in sys.modules"
    )
    nothing = {"PATH": "/nowhere"}
    argv = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, env=nothing)
    assert (done.returncode, done.stderr) == (0, "")
