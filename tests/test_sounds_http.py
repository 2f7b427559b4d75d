"""Sounds over HTTP: whole, in ranges, once, and nothing but sounds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer
from yarl import URL

from flowengine.sounds_http import SoundRoutes
from recordings.prompts import PromptLibrary, Rendered
from tests.recordings.sounds import ToneSpeech


@pytest.fixture
async def sound(tmp_path: Path) -> Rendered:
    return await PromptLibrary(tmp_path / "prompts", ToneSpeech()).render("tone:beep")


@pytest.fixture
async def served(tmp_path: Path, sound: Rendered) -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    SoundRoutes(sound.path.parent).add_to(app)
    async with TestServer(app) as server:
        yield server


@pytest.fixture
async def client(served: BaseTestServer) -> AsyncIterator[ClientSession]:
    async with ClientSession(served.make_url("/")) as session:
        yield session


async def test_both_rates_are_served_for_ever(client: ClientSession, sound: Rendered) -> None:
    for path in (sound.path, sound.wide):
        async with client.get(f"/sounds/{path.name}") as answer:
            assert answer.status == 200
            assert await answer.read() == path.read_bytes()
            assert answer.headers["Content-Type"] == "audio/wav"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            tag = answer.headers["ETag"]
        async with client.head(f"/sounds/{path.name}") as answer:
            assert (answer.status, answer.content_length) == (200, path.stat().st_size)
            assert await answer.read() == b""
        async with client.get(f"/sounds/{path.name}", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")


async def test_ranges(client: ClientSession, sound: Rendered) -> None:
    whole = sound.path.read_bytes()
    for asked, expected in (
        ("bytes=0-43", whole[:44]),
        ("bytes=100-", whole[100:]),
        ("bytes=-10", whole[-10:]),
    ):
        async with client.get(f"/sounds/{sound.path.name}", headers={"Range": asked}) as answer:
            assert answer.status == 206
            assert await answer.read() == expected
    async with client.get(f"/sounds/{sound.path.name}", headers={"Range": "bytes=9999999-"}) as answer:
        assert answer.status == 416


@pytest.mark.parametrize(
    "name",
    [
        "", "..", "../secret.wav", "%2e%2e%2fsecret.wav", "..%5csecret.wav", "secret.wav", ".part", "made-0-0.wav",
        f"made-{'0' * 40}-{'0' * 24}.wav", f"made-{'0' * 40}-{'0' * 24}.mp3", f"x/made-{'0' * 40}-{'0' * 24}.wav",
        f"made-{'0' * 40}-{'0' * 24}.wav%00", f"made-{'0' * 40}-{'0' * 24}.wav%0a",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(
    served: BaseTestServer, client: ClientSession, sound: Rendered, name: str
) -> None:
    (sound.path.parent / "secret.wav").write_bytes(b"secret")
    (sound.path.parent.parent / "secret.wav").write_bytes(b"secret")
    address = URL(f"{served.make_url('/sounds/')}{name}", encoded=True)
    async with ClientSession() as plain, plain.get(address) as answer:
        assert answer.status == 404
        assert b"secret" not in await answer.read()


async def test_nothing_is_written(client: ClientSession, sound: Rendered) -> None:
    for method in ("PUT", "POST", "DELETE"):
        async with client.request(method, f"/sounds/{sound.path.name}", data=b"x") as answer:
            assert answer.status == 405
    assert sound.path.exists()
