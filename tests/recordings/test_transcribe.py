"""Speech to text by any program: real little programs that hear, babble, hang, fail, and start others."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from recordings import transcribe
from recordings.errors import SpeechRefused, ToolFailed, ToolMissing
from recordings.transcribe import CommandTranscriber, one_line

SECRET = "the caller says 4111"


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "a b.wav"
    path.write_bytes(b"RIFF")
    return path


def program(folder: Path, body: str, arguments: str = "{audio} {language} {lang}") -> str:
    """A command line for a Python program with this body."""
    file = folder / "program.py"
    file.write_text(f"import os, subprocess, sys, time\n{body}\n")
    return f"{sys.executable} {file} {arguments}"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_program_gets_the_sound_and_the_language(tmp_path: Path, audio: Path) -> None:
    line = program(tmp_path, "print(sys.argv[1:], open(sys.argv[1], 'rb').read())")
    assert await CommandTranscriber(line).transcribe(audio, "en-GB") == f"['{audio}', 'en-GB', 'en'] b'RIFF'"


async def test_no_shell_and_no_placeholder_within_a_value(tmp_path: Path) -> None:
    odd = tmp_path / "{lang} $(touch x); 'y'.wav"
    odd.write_bytes(b"")
    line = program(tmp_path, "print(sys.argv[1:])", "--file={audio} '$HOME'")
    assert await CommandTranscriber(line).transcribe(odd, "ja") == str([f"--file={odd}", "$HOME"])
    assert not (tmp_path / "x").exists()


async def test_what_it_says_becomes_one_line_that_no_terminal_obeys(tmp_path: Path, audio: Path) -> None:
    line = program(
        tmp_path,
        "sys.stdout.buffer.write('\\n Hello,\\n\\tこんにちは \\x1b[2J\\x00x\\r\\n'.encode() + b'\\xff')",
    )
    assert await CommandTranscriber(line).transcribe(audio, "ja") == "Hello, こんにちは [2J x \ufffd"
    assert one_line(" \n ") == ""


async def test_nothing_understood_is_an_empty_text(tmp_path: Path, audio: Path) -> None:
    assert await CommandTranscriber(program(tmp_path, "")).transcribe(audio, "ja") == ""


async def test_it_runs_behind_calls_in_a_group_of_its_own_without_our_secrets(
    tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWENGINE_ARI_PASSWORD", "s3cret")
    body = """
deadline = time.monotonic() + 10
while os.nice(0) < 10 and time.monotonic() < deadline:
    time.sleep(0.01)
print(os.nice(0), os.getpgid(0) == os.getpid(), sys.stdin.read() == "", "FLOWENGINE_ARI_PASSWORD" in os.environ)
"""
    said = await CommandTranscriber(program(tmp_path, body)).transcribe(audio, "ja")
    assert said == f"{max(10, os.nice(0))} True True False"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (f"print({SECRET!r}); print({SECRET!r}, file=sys.stderr); sys.exit(3)", "it ended with 3"),
        ("os.kill(os.getpid(), 9)", "it ended with -9"),
        ("print('x' * 70_000)", "it wrote more than 65,536 bytes and was stopped"),
        ("while True: print('x' * 1_000)", "it wrote more than 65,536 bytes and was stopped"),
        ("time.sleep(60)", "it did not finish within 0.5 s and was stopped"),
        ("os.close(1); time.sleep(60)", "it did not finish within 0.5 s and was stopped"),
    ],
)
async def test_a_program_that_fails_babbles_or_hangs(
    body: str, complaint: str, tmp_path: Path, audio: Path
) -> None:
    seconds = 0.5 if "within" in complaint else 20.0
    began = time.monotonic()
    with pytest.raises(ToolFailed) as caught:
        await CommandTranscriber(program(tmp_path, body), seconds).transcribe(audio, "ja")
    assert complaint in str(caught.value)
    assert SECRET not in str(caught.value)
    assert time.monotonic() - began < 15


async def test_what_a_program_has_started_is_stopped_with_it(tmp_path: Path, audio: Path) -> None:
    note = tmp_path / "pid"
    body = f"""
child = subprocess.Popen(["sleep", "60"])
open({str(note)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    with pytest.raises(ToolFailed):
        await CommandTranscriber(program(tmp_path, body), 1.5).transcribe(audio, "ja")
    await _until_gone(int(note.read_text()))


async def test_a_program_whose_result_is_not_wanted_any_more_is_stopped(tmp_path: Path, audio: Path) -> None:
    note = tmp_path / "pid"
    body = f"open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(CommandTranscriber(program(tmp_path, body)).transcribe(audio, "ja"))
    async with asyncio.timeout(20):
        while not (note.exists() and note.read_text()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until_gone(int(note.read_text()))


async def test_a_program_that_is_not_there(audio: Path) -> None:
    with pytest.raises(ToolMissing, match=r"no-such-program: it cannot be started .*transcribe_command"):
        await CommandTranscriber("no-such-program {audio}").transcribe(audio, "ja")


@pytest.mark.parametrize("command", ["whisper", "whisper 'x {audio}", " ", "whisper --file {Audio}"])
def test_a_command_line_that_cannot_work(command: str) -> None:
    with pytest.raises(SpeechRefused):
        CommandTranscriber(command)


def test_the_longest_message_has_time_enough() -> None:
    assert transcribe.TRANSCRIBE_S >= 2 * 120


async def _until_gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while is_alive(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
