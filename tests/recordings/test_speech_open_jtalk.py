"""Open JTalk by what can be measured: length by moras, pitch by voice, speech where a telephone has its band."""

import wave
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recordings import audio
from recordings.errors import SpeechRefused, ToolFailed, ToolMissing
from recordings.speech import OpenJTalkSpeech, open_jtalk

SPEECH = OpenJTalkSpeech()
WELCOME = "お電話ありがとうございます。営業時間は午前九時から午後五時三十分までです。"
Samples = np.ndarray[Any, np.dtype[np.float64]]


def spoken(tmp_path: Path, text: str, voice: str = "") -> audio.Sound:
    """What a caller hears of it."""
    SPEECH.speak(text, "ja", voice, tmp_path / "raw.wav")
    return audio.canonical(tmp_path / "raw.wav", tmp_path / f"heard-{voice}.wav")


def samples(path: Path) -> Samples:
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8_000, 1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float64)


def frames(heard: Samples, size: int = 320) -> Samples:
    """Windows of 40 ms that have something in them."""
    cut = heard[: len(heard) // size * size].reshape(-1, size)
    loudness = np.sqrt((cut**2).mean(axis=1))
    loud: Samples = cut[loudness > loudness.max() / 10]
    return loud


def pitch_hz(heard: Samples) -> float:
    """Median of the fundamental of voiced frames, from 100 to 400 Hz, by autocorrelation."""
    found = []
    for frame in frames(heard):
        echo = np.correlate(frame, frame, "full")[len(frame) - 1 :]
        lag = 20 + int(np.argmax(echo[20:80]))
        if echo[lag] > 0.5 * echo[0]:
            found.append(8_000 / lag)
    return float(np.median(found))


def test_a_sentence_is_heard_at_a_telephone(tmp_path: Path) -> None:
    sound = spoken(tmp_path, WELCOME)
    heard = samples(sound.path)
    power = np.abs(np.fft.rfft(heard)) ** 2
    hz = np.fft.rfftfreq(len(heard), 1 / 8_000)
    assert power[(hz >= 150) & (hz <= 3_400)].sum() > 0.95 * power.sum()
    assert power[(hz >= 1_000) & (hz <= 3_400)].sum() > 0.02 * power.sum()  # consonants, not a hum
    assert 0.6 < len(frames(heard)) * 320 / len(heard) < 0.98  # pauses, and not pauses alone
    assert -22 < sound.level_dbfs < -18
    assert 150 < pitch_hz(heard) < 350  # a woman's voice


@pytest.mark.parametrize(
    "text",
    [
        "少々お待ちください",
        "営業時間は午前九時から午後五時三十分までです",
        "この通話は品質向上のため録音させていただきます",
    ],
)
def test_it_takes_its_time_by_moras(tmp_path: Path, text: str) -> None:
    usual = spoken(tmp_path, text).duration_ms
    assert 115 < usual / SPEECH.reading(text).moras < 170
    assert spoken(tmp_path, text, "mei-slow").duration_ms / usual == pytest.approx(0.85 / 0.7, rel=0.1)


@pytest.mark.parametrize(
    ("kanji", "kana"),
    [
        ("お電話ありがとうございます", "おでんわありがとうございます"),
        ("本日の営業は終了いたしました", "ほんじつのえいぎょうはしゅうりょういたしました"),
        ("発信音の後にお名前をどうぞ", "はっしんおんのあとにおなまえをどうぞ"),
        ("東京と大阪", "とうきょうとおおさか"),
    ],
)
def test_kanji_last_as_long_as_their_kana(tmp_path: Path, kanji: str, kana: str) -> None:
    assert spoken(tmp_path, kanji).duration_ms == pytest.approx(spoken(tmp_path, kana).duration_ms, rel=0.03)


def test_the_low_voice_is_lower_by_its_half_tones(tmp_path: Path) -> None:
    text = "お電話ありがとうございます"
    usual, low = (pitch_hz(samples(spoken(tmp_path, text, voice).path)) for voice in ("mei", "MEI-low"))
    assert low / usual == pytest.approx(2 ** (-4 / 12), abs=0.06)


def test_no_name_is_the_first_voice_and_voices_differ(tmp_path: Path) -> None:
    heard = [
        spoken(tmp_path, "はい", voice).path.read_bytes() for voice in ("", "mei", "mei-low", "mei-slow")
    ]
    assert heard[0] == heard[1]
    assert len(set(heard)) == 3


def test_the_same_words_are_the_same_bytes_from_several_threads(tmp_path: Path) -> None:
    def one(place: int) -> bytes:
        SPEECH.speak(WELCOME, "ja-JP", "", tmp_path / f"{place}.wav")
        return (tmp_path / f"{place}.wav").read_bytes()

    with ThreadPoolExecutor(3) as threads:
        assert len(set(threads.map(one, range(3)))) == 1


def test_sentences_follow_one_another(tmp_path: Path) -> None:
    one = spoken(tmp_path, "はい。").duration_ms
    two = spoken(tmp_path, "はい。はい。").duration_ms
    assert 2 * one < two < 2 * one + 1_000


@pytest.mark.parametrize("text", ["鿿です", "お電話は彁まで"])
def test_a_character_that_no_dictionary_has_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpeechRefused, match=r"cannot read [鿿彁].*kana"):
        SPEECH.speak(text, "ja", "", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


def test_only_japanese_and_only_its_voices(tmp_path: Path) -> None:
    with pytest.raises(SpeechRefused, match="Japanese only"):
        SPEECH.speak("Hello", "en-US", "", tmp_path / "out.wav")
    with pytest.raises(SpeechRefused, match="use one of: mei, mei-low, mei-slow"):
        SPEECH.speak("はい", "ja", "takumi", tmp_path / "out.wav")


def test_the_voice_is_attributed() -> None:
    offer = SPEECH.offer()
    assert (offer.engine, offer.languages, offer.voices) == (
        "open-jtalk",
        ("ja",),
        ("mei", "mei-low", "mei-slow"),
    )
    for part in ("Mei", "2009-2013 Nagoya Institute of Technology", "MMDAgent", "Attribution 3.0"):
        assert part in offer.attribution


def test_a_text_of_more_than_ten_minutes_is_refused_before_it_is_spoken(tmp_path: Path) -> None:
    text = "営業時間は午前九時から午後五時までです。" * 240
    with pytest.raises(SpeechRefused, match=r"more than ten minutes.*split it"):
        SPEECH.speak(text, "ja", "", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


def test_a_hang_of_its_program_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(open_jtalk, "_PROGRAM", child)
    with pytest.raises(ToolFailed, match=r"Open JTalk: it did not finish within 0\.48 s"):
        OpenJTalkSpeech(seconds=0.4).speak("はい", "ja", "", tmp_path / "out.wav")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os; os.abort()", r"exit -6"),
        ("raise SystemExit('the dictionary is broken')", "exit 1: the dictionary is broken"),
        ('print(\'{"kana": ["ハイ"], "moras": 2, "unread": []}\')', "exit 0"),
    ],
)
def test_a_crash_of_its_program_is_an_error_of_this_prompt_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    child = tmp_path / "child.py"
    child.write_text(program, encoding="utf-8")
    monkeypatch.setattr(open_jtalk, "_PROGRAM", child)
    with pytest.raises(ToolFailed, match=rf"Open JTalk: it did not speak .*{why}"):
        SPEECH.speak("はい", "ja", "", tmp_path / "out.wav")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    speech = OpenJTalkSpeech()
    for asked in (
        lambda: speech.speak("はい", "ja", "mei", tmp_path / "out.wav"),
        lambda: speech.reading("はい"),
        speech.offer,
    ):
        with pytest.raises(ToolMissing, match=r"Open JTalk: it is not installed.*flowengine\[tts-ja\]"):
            asked()
    assert speech.takes("ja", "mei")
    assert not speech.takes("ja", "")


def test_its_edition_follows_the_releases_and_the_manner(monkeypatch: pytest.MonkeyPatch) -> None:
    editions = {SPEECH.edition_for("ja", voice) for voice in ("", "mei", "mei-low", "mei-slow")}
    assert len(editions) == 3
    monkeypatch.setattr(metadata, "version", lambda package: "99")
    assert OpenJTalkSpeech().edition_for("ja", "") not in editions
    assert OpenJTalkSpeech().edition != SPEECH.edition
