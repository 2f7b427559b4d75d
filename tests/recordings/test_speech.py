"""Speech, by what can be measured: it is there, it has the length of its words, and it takes no orders."""

import os
import select
import sys
from pathlib import Path

import pytest

from recordings import audio
from recordings.errors import SpeechRefused, ToolFailed, ToolMissing
from recordings.speech import TEXT_LIMIT, CommandSpeech, EspeakSpeech, speakable

ESPEAK = EspeakSpeech()


def spoken(tmp_path: Path, text: str, language: str = "en-US", voice: str = "") -> audio.Sound:
    ESPEAK.speak(text, language, voice, tmp_path / "raw")
    return audio.canonical(tmp_path / "raw", tmp_path / "out.wav")


def test_espeak_is_heard_and_longer_text_is_longer(tmp_path: Path) -> None:
    short = spoken(tmp_path, "For sales press one.")
    assert short.level_dbfs > -30
    assert 900 < short.duration_ms < 4_000
    longer = spoken(
        tmp_path, "For sales press one. For service press two. To leave a message press the star key."
    )
    assert longer.duration_ms > 2 * short.duration_ms


@pytest.mark.parametrize("language", ["en-US", "en-GB", "en-AU", "en", "de-DE", "pt-BR", "zh-CN", "EN-us"])
def test_language_tags_find_a_voice(tmp_path: Path, language: str) -> None:
    ESPEAK.speak("Hello 1 2 3", language, "", tmp_path / "raw")
    assert audio.duration_ms(tmp_path / "raw") > 700


def test_regions_differ(tmp_path: Path) -> None:
    ESPEAK.speak("Can you schedule a bath", "en-US", "", tmp_path / "us")
    ESPEAK.speak("Can you schedule a bath", "en-GB", "", tmp_path / "gb")
    ESPEAK.speak("Can you schedule a bath", "en", "", tmp_path / "en")
    assert (tmp_path / "us").read_bytes() != (tmp_path / "gb").read_bytes()
    assert (tmp_path / "us").read_bytes() == (tmp_path / "en").read_bytes()


def test_japanese_is_spoken_from_kana_and_refused_in_kanji(tmp_path: Path) -> None:
    assert spoken(tmp_path, "おでんわ、ありがとうございます。", "ja-JP").duration_ms > 800
    with pytest.raises(SpeechRefused, match="kana"):
        spoken(tmp_path, "お電話ありがとうございます", "ja")


def test_variants_are_voices(tmp_path: Path) -> None:
    ESPEAK.speak("Hello", "en-US", "", tmp_path / "plain")
    ESPEAK.speak("Hello", "en-US", "F3", tmp_path / "female")
    assert (tmp_path / "plain").read_bytes() != (tmp_path / "female").read_bytes()
    with pytest.raises(SpeechRefused, match=r"no such variant.*f3"):
        ESPEAK.speak("Hello", "en-US", "nobody", tmp_path / "out")


def test_an_unknown_language_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SpeechRefused, match=r"language tlh.*use one of: af, .*en-us.*ja"):
        ESPEAK.speak("Hello", "tlh", "", tmp_path / "out")
    assert {"en-us", "en-gb", "ja", "de", "zh"} <= set(ESPEAK.languages())


@pytest.mark.parametrize(
    ("language", "voice"),
    [("", ""), ("-v", ""), ("../../en", ""), ("en us", ""), ("en-US", "../f3"), ("en-US", "-w")],
)
def test_language_and_voice_are_names_and_nothing_else(tmp_path: Path, language: str, voice: str) -> None:
    with pytest.raises(SpeechRefused, match="not the name of a"):
        ESPEAK.speak("Hello", language, voice, tmp_path / "out")


@pytest.mark.parametrize(
    "text", ["--version", "-w /tmp/x", "$(touch evil)", "; touch evil", "<break/> one", "a\nb"]
)
def test_text_is_spoken_and_not_obeyed(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ESPEAK.speak(text, "en-US", "", tmp_path / "raw")
    assert audio.duration_ms(tmp_path / "raw") > 400
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no word"),
        ("  ...  ", "no word"),
        ("bell \x07", r"U\+0007"),
        ("nul \0 byte", r"U\+0000"),
        ("half \ud83d pair", r"U\+D83D"),
        ("x" * (TEXT_LIMIT + 1), "5001 characters"),
    ],
)
def test_text_that_cannot_be_spoken_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SpeechRefused, match=reason) as caught:
        ESPEAK.speak(text, "en-US", "", tmp_path / "out")
    assert str(caught.value).isprintable()


def test_white_space_is_evened_out() -> None:
    assert speakable(" One\r\n\ttwo  three ") == "One two three"


def test_a_missing_engine_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match=r"no-such-espeak.*install espeak-ng"):
        EspeakSpeech("no-such-espeak").speak("Hello", "en", "", tmp_path / "out")


def script(tmp_path: Path, body: str) -> str:
    path = tmp_path / "engine.py"
    path.write_text("import sys, os, time, pathlib\n" + body, encoding="utf-8")
    return f"'{sys.executable}' '{path}'"


def test_a_command_gets_text_language_voice_and_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    body = (
        "out, text, language, voice = sys.argv[1:]\n"
        "given = [pathlib.Path(text).read_text('utf-8'), sys.stdin.read(), language, voice]\n"
        "given.append(str('DATABASE_PASSWORD' in os.environ))\n"
        "pathlib.Path(out).write_text('|'.join(given), 'utf-8')\n"
    )
    speech = CommandSpeech(
        script(tmp_path, body) + " {out} {text_file} {language} v-{voice}", languages=["ja"]
    )
    speech.speak("もしもし {voice} $HOME", "ja-JP", "hana", tmp_path / "out.wav")
    words = "もしもし {voice} $HOME"
    assert (tmp_path / "out.wav").read_text("utf-8") == f"{words}|{words}|ja-JP|v-hana|False"
    with pytest.raises(SpeechRefused, match="use one of: ja"):
        speech.speak("Hello", "en-US", "hana", tmp_path / "out.wav")
    with pytest.raises(SpeechRefused, match="needs one"):
        speech.speak("もしもし", "ja", "", tmp_path / "out.wav")


def test_a_command_that_fails_or_writes_nothing_is_told(tmp_path: Path) -> None:
    failing = CommandSpeech(script(tmp_path, "sys.exit('no model for this voice')") + " {out}")
    with pytest.raises(ToolFailed, match="no model for this voice"):
        failing.speak("Hello", "en", "", tmp_path / "out.wav")
    silent = CommandSpeech(script(tmp_path, "pass") + " {out}")
    with pytest.raises(ToolFailed, match="did not speak"):
        silent.speak("Hello", "en", "", tmp_path / "out.wav")


def test_a_command_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    hanging = tmp_path / "engine.sh"
    hanging.write_text(f"sleep 60 &\necho $! > '{tmp_path}/child'\nwait\n")
    speech = CommandSpeech(f"sh '{hanging}' {{out}}", seconds=1.0)
    with pytest.raises(ToolFailed, match="within 1 s"):
        speech.speak("Hello", "en", "", tmp_path / "out.wav")
    assert ended(int((tmp_path / "child").read_text()), within_s=5)


def ended(pid: int, within_s: float) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


@pytest.mark.parametrize("command", ["", "piper --voice {voice}", "piper 'unfinished {out}"])
def test_a_command_that_cannot_work_is_refused_at_once(command: str) -> None:
    with pytest.raises(SpeechRefused, match="speech command"):
        CommandSpeech(command)
