"""`flowengine say`: a file as a caller hears it, and everything that keeps it from being spoken."""

import os
import sys
import wave
from importlib import metadata
from pathlib import Path

import pytest

from flowengine.cli import player as players
from tests.cli.terminal import run


def test_it_speaks_as_a_caller_hears_it(tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    ran = run("say", "Hello, this is a test.", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    with wave.open(str(out)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (8_000, 1, 2)
        seconds = wav.getnframes() / 8_000
    assert 0.5 < seconds < 5
    assert ran.out == f"{out}: {seconds:.1f} s by espeak-ng\n"


def test_a_language_and_a_voice_can_be_chosen(tmp_path: Path) -> None:
    assert run("say", "Guten Tag", "-o", tmp_path / "a.wav", "--language", "de-DE", "--voice", "f3").code == 0
    assert run("say", "Guten Tag", "-o", tmp_path / "b.wav", "--language", "de-DE").code == 0
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["Hello", "--language", "xx-XX"], "language xx-XX: espeak-ng has no voice for it; use one of: "),
        (["Hello", "--language", "no/language"], "it is not the name of a language"),
        (["Hello", "--voice", "nobody"], "voice nobody: espeak-ng has no such variant"),
        (["漢字", "--language", "ja", "--voice", "espeak-ng"], "espeak-ng cannot read kanji"),
        (["もしもし"], "it is Japanese, and the voice is en-us; name the language ja"),
        (["營業"], "there are Chinese characters in it, and the voice is en-us"),
        (["한국", "--language", "ja"], "Open JTalk cannot read"),
        (["はい", "--language", "ja", "--voice", "command.x"], "there is no engine command here"),
        (["..."], "there is no word in it"),
        ([""], "there is no word in it"),
        (["x" * 6_000], "shorten it"),
    ],
)
def test_what_cannot_be_spoken(tmp_path: Path, words: list[str], why: str) -> None:
    out = tmp_path / "said.wav"
    ran = run("say", *words, "--out", out)
    assert (ran.code, ran.out) == (3, "")
    assert why in ran.err
    assert not out.exists()


def test_without_a_speech_engine_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = run("say", "Hello", "--out", tmp_path / "said.wav")
    assert ran.code == 3
    assert "install espeak-ng" in ran.err


@pytest.mark.parametrize("out", ["", "none/said.wav"])
def test_a_file_that_cannot_be_written(tmp_path: Path, out: str) -> None:
    ran = run("say", "Hello", "--out", tmp_path / out)
    assert ran.code == 2
    assert "cannot be written" in ran.err


WELCOME = "お電話ありがとうございます。営業時間は午前九時から午後五時三十分までです。"
READ = "オデンワアリガトーゴザイマス、エーギョージカンワゴゼンクジカラゴゴゴジサンジュップンマデデス、"


def test_japanese_is_spoken_and_how_it_was_read_is_told(tmp_path: Path) -> None:
    out = tmp_path / "welcome.wav"
    told = run("say", WELCOME, "--language", "ja", "-o", out)
    assert (told.code, told.err) == (0, "")
    with wave.open(str(out)) as wav:
        assert wav.getframerate() == 8_000
        seconds = wav.getnframes() / 8_000
    assert 5 < seconds < 8
    assert told.out == f"{out}: {seconds:.1f} s by open-jtalk\nread as: {READ}\n"


def test_machines_are_told_all_of_it(tmp_path: Path) -> None:
    out = tmp_path / "said.wav"
    told = run("say", "はい", "--language", "ja", "--voice", "mei-slow", "-o", out, "--json").json
    assert 0.2 < told.pop("seconds") < 1.5
    assert -22 < told.pop("level_dbfs") < -18
    assert told == {"file": str(out), "language": "ja", "engine": "open-jtalk", "reading": "ハイ"}


def test_a_program_of_the_settings_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWENGINE_SPEECH_COMMAND", "espeak-ng -v {language}+f3 -w {out} -f {text_file}")
    monkeypatch.setenv("FLOWENGINE_SPEECH_LANGUAGES", "de, fr")
    out = tmp_path / "said.wav"
    assert " by command\n" in run("say", "Guten Tag", "--language", "de", "-o", out).out
    assert " by espeak-ng\n" in run("say", "Hello", "-o", out).out


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("SPEECH_COMMAND", "piper", "it does not say where the sound goes"),
        ("SPEECH_COMMAND", "piper '{out}", "it cannot be read (No closing quotation): check its quotes"),
        ("SPEECH_LANGUAGES", "ja;en", "expected language tags with commas between them"),
        ("SPEECH_LANGUAGES", "ja,,en", "expected language tags with commas between them"),
    ],
)
def test_wrong_settings_of_speech(monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str) -> None:
    monkeypatch.setenv(f"FLOWENGINE_{name}", value)
    ran = run("say", "Hello")
    assert (ran.code, ran.out) == (2, "")
    assert f"FLOWENGINE_{name}" in ran.err
    assert why in ran.err


def test_nothing_to_say() -> None:
    ran = run("say")
    assert (ran.code, ran.err) == (2, "flowengine: there is nothing to say: write a text, or --voices\n")


# Voices


def test_voices_are_listed_with_whose_they_are() -> None:
    ran = run("say", "--voices")
    assert (ran.code, ran.err) == (0, "")
    assert "open-jtalk: ja\n  voices: mei, mei-low, mei-slow\n  HTS Voice" in ran.out
    assert "Nagoya Institute of Technology" in ran.out
    assert "Creative Commons Attribution 3.0" in ran.out
    assert "espeak-ng: af, " in ran.out
    assert " f3, " in ran.out


def test_voices_of_one_language(monkeypatch: pytest.MonkeyPatch) -> None:
    def engines(language: str) -> list[str]:
        told = run("say", "--voices", "--json", "--language", language).json
        assert told["missing"] == []
        return [engine["engine"] for engine in told["engines"]]

    assert engines("ja-JP") == ["open-jtalk", "espeak-ng"]
    assert engines("de") == ["espeak-ng"]
    assert engines("tlh") == []
    monkeypatch.setenv("FLOWENGINE_SPEECH_COMMAND", "piper {out}")
    assert engines("de") == ["command", "espeak-ng"]
    monkeypatch.setenv("FLOWENGINE_SPEECH_LANGUAGES", "fr")
    assert engines("de-AT") == ["espeak-ng"]


def test_an_engine_that_is_missing_is_named_among_the_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    ran = run("say", "--voices")
    assert ran.code == 0
    assert "Open JTalk: it is not installed; install Open JTalk: pip install 'flowengine[tts-ja]'" in ran.out


# Playing


def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a program called ffplay before any other; it may note what it was told in the file that is returned."""
    notes = tmp_path / "notes"
    program = tmp_path / "bin" / "ffplay"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys, time, pathlib\nnotes = pathlib.Path({str(notes)!r})\n{body}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return notes


def test_it_is_played_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = player(tmp_path, monkeypatch, "notes.write_text(sys.argv[-1]); time.sleep(1)")
    ran = run("say", "Hello", "--play", "-o", tmp_path / "said.wav")
    assert (ran.code, ran.err) == (0, "")
    assert notes.read_text() == str(tmp_path / "said.wav")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit('no sound card')", "ffplay cannot play it: no sound card: carry "),
        ("print('audio open failed', file=sys.stderr)", "ffplay cannot play it: audio open failed: carry "),
        ("", "ffplay cannot play it: it does not say why: carry "),
    ],
)
def test_a_machine_without_a_loudspeaker_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    player(tmp_path, monkeypatch, body)
    out = tmp_path / "said.wav"
    ran = run("say", "This is long enough to be noticed. " * 5, "--play", "-o", out)
    assert ran.code == 3
    assert f"{why}{out}" in ran.err
    assert out.exists()


def test_a_player_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "AT_START_S", 0.5)
    player(tmp_path, monkeypatch, "time.sleep(60)")
    ran = run("say", "Hello", "--play", "-o", tmp_path / "said.wav")
    assert ran.code == 3
    assert "did not come to the end" in ran.err


def test_without_a_player_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "PLAYERS", (("no-such-player",),))
    ran = run("say", "Hello", "--play", "-o", tmp_path / "said.wav")
    assert ran.code == 3
    assert "there is no player here (no-such-player): install ffmpeg" in ran.err
