"""What a process writes to standard error. Each test is a process, for logging is set up once in each."""

import json
import os
import pty
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import asyncio, logging, sys, warnings
import structlog
from flowengine import log

log.configure(sys.argv[1], sys.argv[2])
ours = structlog.get_logger("ours").bind(call="cal_1")

def takes(pressed_key):
    try:
        raise ValueError("no such key")
    except ValueError:
        ours.exception("failed")

takes("key-secret")
ours.debug("a detail")
ours.info("a word", name="Zoë", lines="a\\nb", thing=object())
logging.getLogger("library").info("chatter")
logging.getLogger("library").warning("a warning of %s\\nin two lines", "theirs")
warnings.warn("old ways", DeprecationWarning, stacklevel=1)

async def loses_a_task(key="key-secret"):
    async def fails(digit="key-secret"):
        raise RuntimeError("lost")
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

asyncio.run(loses_a_task())
print("reached the end")
"""


def run(level: str, form: str, *, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", SCRIPT, level, form],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=60,
        check=True,
    )


@pytest.fixture(scope="module")
def as_json() -> list[dict[str, str]]:
    """Every line as JSON, standard error being no terminal."""
    return [json.loads(line) for line in run("info", "auto").stderr.decode().splitlines()]


def test_every_line_is_json_whoever_wrote_it(as_json: list[dict[str, str]]) -> None:
    by_event = {line["event"].split("\n")[0].split(" (")[0]: line for line in as_json}
    assert by_event["a word"]["name"] == "Zoë"
    assert by_event["a word"]["lines"] == "a\nb"
    assert by_event["a word"]["call"] == "cal_1"
    assert by_event["a warning of theirs"]["logger"] == "library"
    assert (
        "RuntimeError: lost" in next(line for line in as_json if line.get("logger") == "asyncio")["exception"]
    )
    assert any("DeprecationWarning: old ways" in line["event"] for line in as_json)
    for line in as_json:
        assert line["level"] in ("info", "warning", "error")
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_levels_are_kept_and_libraries_keep_quiet(as_json: list[dict[str, str]]) -> None:
    events = [line["event"] for line in as_json]
    assert "a detail" not in events
    assert "chatter" not in events
    assert "a detail" in run("debug", "json").stderr.decode()
    assert "a word" not in run("error", "json").stderr.decode()


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_no_values(form: str) -> None:
    written = run("info", form).stderr.decode()
    assert "ValueError: no such key" in written
    assert "RuntimeError: lost" in written
    assert "key-secret" not in written.replace('takes("key-secret")', "")


def test_text_is_coloured_on_terminals_only() -> None:
    assert b"\x1b[" not in run("info", "text").stderr
    ours, theirs = pty.openpty()
    try:
        run("info", "auto", stderr=theirs)
        shown = os.read(ours, 65_536)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"\x1b[" in shown
    assert b"a word" in shown
    assert not shown.startswith(b"{")


def test_nobody_dies_because_nobody_reads_the_log() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("info", "json", stderr=writing)
    finally:
        os.close(writing)
    assert done.stdout == b"reached the end\n"
