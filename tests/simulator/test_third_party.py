"""Somebody else's ARI client runs a call on the fake ARI: `ari-client`, the one for Node.js.

It makes its methods and its reading of events from the documents under `api-docs`, so it proves those, too.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from simulator.fake_ari import FakeAri
from simulator.fake_ari.script import steps_of
from simulator.sip.sound import tone, write_wav

pytestmark = pytest.mark.timeout(180)

CLIENT: Final = "ari-client@2.2.0"
PROGRAM: Final = Path(__file__).with_name("third_party.js")
INSTALL_S: Final = 120
STEP_S: Final = 10
DEBIAN: Final = {"node": "nodejs", "npm": "npm"}
PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def program(name: str) -> str:
    """The path of a program. Without it nothing is proved, so that is a failure."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: apt-get install {DEBIAN[name]}")
    return found


@pytest.fixture
async def modules(tmp_path: Path) -> Path:
    """The client and what it needs, installed outside the repository."""
    folder = tmp_path / "third-party"
    folder.mkdir()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    words = ["install", CLIENT, "--prefix", str(folder), "--cache", str(home / "flowengine" / "npm")]
    quiet = [
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefer-offline",
        "--loglevel=error",
    ]
    npm = await asyncio.create_subprocess_exec(
        program("npm"),
        *words,
        *quiet,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    try:
        async with asyncio.timeout(INSTALL_S):
            told, _ = await npm.communicate()
    finally:
        if npm.returncode is None:
            npm.kill()
            await npm.wait()
    assert npm.returncode == 0, told.decode()
    return folder / "node_modules"


@asynccontextmanager
async def client(modules: Path, ari: FakeAri, sound: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, at work."""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    running = await asyncio.create_subprocess_exec(
        program("node"),
        "--no-deprecation",
        *(str(PROGRAM), str(modules), ari.url, "somebody", "else", sound),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def next_told(running: asyncio.subprocess.Process) -> list[Any]:
    """What the program says next; lines that are no JSON list are its libraries' own."""
    assert running.stdout is not None
    async with asyncio.timeout(STEP_S):
        while line := await running.stdout.readline():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, list) and told:
                return told
    return ["nothing more"]


async def test_a_foreign_client_runs_a_call(modules: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "prompt.wav", tone(500, 0.6))
    async with (
        FakeAri(user="somebody", password="else") as ari,
        client(modules, ari, f"sound:{tmp_path}/prompt") as running,
    ):
        listed = await next_told(running)
        assert listed[0] == "methods"
        assert listed[1] == ["applications", "bridges", "channels", "deviceStates", "endpoints", "sounds"]
        assert await next_told(running) == ["ready"]
        steps = [
            {"answered": True},
            {"wait": 0.2},
            {"press": "5"},
            {"wait": 0.8},
            {"speak": 1.2},
            {"press": "#"},
        ]
        leg = ari.place_call("+815055550100", "+15550100", steps_of(steps))
        told: dict[str, list[Any]] = {}
        while "StasisEnd" not in told:
            word, *rest = await next_told(running)
            assert word != "nothing more", f"the program ended after {told}"
            told[f"key {rest[0]}" if word == "key" else word] = rest
        kind, size = told.pop("file")
        assert kind == "RIFF"
        assert size == pytest.approx(44 + 16_000 * 1.7, rel=0.2)
        assert told == {
            "StasisStart": [["+815055550100"], "+15550100"],
            "channels": [1],
            "refused": ['{"message":"Channel not found"}'],
            "bridge": ["empty"],
            "key 5": ["5"],
            "PlaybackFinished": ["done"],
            "key #": ["#"],
            "RecordingFinished": [1],
            "StasisEnd": [],
        }
        assert not leg.open
        assert await running.wait() == 0
