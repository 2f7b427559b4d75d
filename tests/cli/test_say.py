"""`flowengine say`: a file as a caller hears it, and everything that keeps it from being spoken."""

import wave
from pathlib import Path

import pytest

from tests.cli.terminal import run


def test_it_speaks_as_a_caller_hears_it(tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    ran = run("say", "Hello, this is a test.", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    with wave.open(str(out)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8_000, 1, 2)
        seconds = sound.getnframes() / 8_000
    assert 0.5 < seconds < 5
    assert ran.out == f"{out}: {seconds:.1f} s\n"


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
        (["漢字", "--language", "ja"], "espeak-ng cannot read kanji"),
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
