"""`flowengine apply` and `export --folder`: an account goes out with its sounds and comes back the same."""

import os
from pathlib import Path

import pytest

from tests.cli.terminal import run
from tests.recordings.sounds import sine, wav_bytes

SOUND = wav_bytes(sine(8_000, 0.4, (700, 0.3)))
ACCOUNT = """
format: flowengine-account/1
account: {key: demo, name: Demo, country: JP, language: en-US, time_zone: Asia/Tokyo, currency: JPY}
audios: [audio/hello.wav]
"""


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("FLOWENGINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLOWENGINE_DATA_DIR", str(tmp_path / "var"))
    (tmp_path / "demo" / "audio").mkdir(parents=True)
    (tmp_path / "demo" / "audio" / "hello.wav").write_bytes(SOUND)
    (tmp_path / "demo" / "account.yaml").write_text(ACCOUNT)
    return tmp_path / "demo"


def test_out_and_back(company: Path, tmp_path: Path) -> None:
    ran = run("apply", str(company / "account.yaml"))
    assert (ran.code, "create audio audio/hello.wav" in ran.out) == (0, True)
    ran = run("export", "demo", "--folder", str(tmp_path / "out"))
    assert (ran.code, ran.out) == (0, f"{tmp_path / 'out' / 'demo.yaml'}\n")
    assert (tmp_path / "out" / "audio" / "hello.wav").read_bytes() == SOUND
    ran = run("apply", str(tmp_path / "out" / "demo.yaml"), "--prune")
    assert (ran.code, ran.out) == (0, "nothing to change\n")
    assert "- audio/hello.wav" in run("export", "demo").out


def test_what_cannot_be_written(company: Path, tmp_path: Path) -> None:
    run("apply", str(company / "account.yaml"))
    (tmp_path / "file").touch()
    ran = run("export", "demo", "--folder", str(tmp_path / "file"))
    assert ran.code == 2
    assert str(tmp_path / "file") in ran.err
    assert run("export", "none", "--folder", str(tmp_path / "none")).code == 1
    assert not (tmp_path / "none").exists()
    for upload in (tmp_path / "var" / "uploads").rglob("*"):
        if upload.is_file():
            upload.unlink()
    ran = run("export", "demo", "--folder", str(tmp_path / "out"))
    assert ran.code == 1
    assert "audio/hello.wav: its upload is not on the shelf; upload it again" in ran.err


def test_a_sound_that_is_none_is_named(company: Path) -> None:
    (company / "audio" / "hello.wav").write_bytes(b"a letter to somebody")
    ran = run("apply", str(company / "account.yaml"))
    assert ran.code == 1
    assert "nothing was changed" in ran.err
    assert "audio/hello.wav: it is not audio" in ran.err
