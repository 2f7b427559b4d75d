"""The launcher for installations: Asterisk as a process of its own, found again by the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from flowengine.ari.node import local_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for Asterisk's control socket."""
    made = Path(tempfile.mkdtemp(prefix="launch-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextlib.asynccontextmanager
async def launched(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "deploy/asterisk/launch.py", str(folder), *words),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.communicate()


async def test_it_tells_the_engine_where_asterisk_is_and_keeps_the_password(folder: Path) -> None:
    ports = local_settings(folder)
    words = ("--http-port", str(ports.http_port), "--sip-port", str(ports.sip_port), "--rtp", "20000-20099")
    passwords = []
    for _ in range(2):
        async with launched(folder, *words) as process:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                assert b"Asterisk is up" in await process.stdout.readline()
            env = _variables(folder / "engine.env")
            passwords.append(env["FLOWENGINE_ARI_PASSWORD"])
            login = aiohttp.encode_basic_auth(env["FLOWENGINE_ARI_USER"], env["FLOWENGINE_ARI_PASSWORD"])
            async with (
                aiohttp.ClientSession(headers={"Authorization": login}) as http,
                http.get(f"{env['FLOWENGINE_ARI_URL']}/ari/asterisk/ping") as answer,
            ):
                assert answer.status == 200
        assert process.returncode == 0
    assert passwords[0] == passwords[1]
    assert (folder / "engine.env").stat().st_mode & 0o077 == 0


async def test_a_bad_line_in_the_phones_file_is_named(folder: Path) -> None:
    phones = folder / "phones.txt"
    phones.write_text("hanako=secret\n\ntaro secret\n")
    async with launched(folder, "--phones", str(phones)) as process:
        _, error = await process.communicate()
    assert process.returncode == 3
    assert error.decode().strip() == (
        f"launch: {phones}, line 3: expected NAME=PASSWORD or NAME=PASSWORD browser"
    )


def _variables(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())
