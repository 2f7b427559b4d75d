"""An Asterisk that sees the prompts elsewhere: in a shared folder under another path, or over HTTP from the engine."""

from __future__ import annotations

import asyncio
import math
import struct
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from flowengine.ari.node import AsteriskNode
from flowengine.config import load
from flowengine.sounds import media_of
from flowengine.sounds_http import SoundRoutes
from recordings.prompts import PromptLibrary, Rendered
from simulator.sip import Caller, seconds_of_tone
from tests.asterisk.node import BareApp, running_node
from tests.recordings.sounds import ToneSpeech, sine, wav_file

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NUMBER = "+81312345678"
LOW_HZ, HIGH_HZ = 1_000.0, 6_000.0
SECONDS = 1.5
ONLY_THE_ENGINE = """[general]
timeout_secs = 5
follow_location = no
protocols = http
redirect_protocols = http
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node() -> AsyncIterator[AsteriskNode]:
    """An Asterisk of its own, with what it needs to fetch sounds, held as `docs/sound.md` says."""
    async with running_node() as node:
        (node.settings.directory / "etc" / "res_http_media_cache.conf").write_text(ONLY_THE_ENGINE)
        for module in ("res_curl.so", "res_http_media_cache.so"):
            assert "Loaded" in await node.cli(f"module load {module}")
        yield node


@pytest.fixture
async def sound(tmp_path: Path) -> Rendered:
    """A tone that every telephone carries, and one that only a wide one does."""
    source = sine(16_000, SECONDS, (LOW_HZ, 0.2), (HIGH_HZ, 0.2))
    wav_file(tmp_path / "two-tones.wav", source, 16_000)
    return await PromptLibrary(tmp_path / "prompts", ToneSpeech(), tmp_path).render("audio:two-tones.wav")


class Server:
    """The engine's own server, and a bad one beside it. Counts what it is asked for."""

    def __init__(self, prompts: Path) -> None:
        self.asked: list[str] = []
        self.app = web.Application(middlewares=[self._count])
        SoundRoutes(prompts).add_to(self.app)
        self.app.router.add_get("/elsewhere.wav", self._elsewhere)

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(request.path)
        return await handler(request)

    async def _elsewhere(self, _: web.Request) -> web.Response:
        raise web.HTTPFound("/sounds/secret.wav")


@pytest.fixture
def server(sound: Rendered) -> Server:
    return Server(sound.path.parent)


@pytest.fixture
async def served(server: Server) -> AsyncIterator[BaseTestServer]:
    async with TestServer(server.app, host="127.0.0.1") as running:
        yield running


async def played(node: AsteriskNode, *media: str) -> tuple[list[str], Caller]:
    """Play to a caller one after the other; how each ended, and the caller, who has hung up."""
    ended = []
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port) as caller:
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/answer")
        await caller.answered()
        for place, each in enumerate(media):
            await app.call("POST", f"channels/{channel}/play/p{place}", media=each)
            end = partial(over, app, f"p{place}")
            finished = await app.until(end, within=10, what="end of playback")
            ended.append(finished["state"])
        await caller.hang_up()
        await app.event("StasisEnd")
    return ended, caller


def over(app: BareApp, playback: str) -> dict[str, str] | None:
    """A playback that has ended."""
    told = (each["playback"] for each in app.events if each["type"] == "PlaybackFinished")
    return next((each for each in told if each["id"] == playback), None)


async def test_a_shared_folder_under_another_path(
    node: AsteriskNode, sound: Rendered, tmp_path: Path
) -> None:
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt" / "prompts").symlink_to(sound.path.parent)
    settings = load(switch="asterisk", prompts_as=f"{tmp_path}/mnt/prompts/")
    media = media_of(sound, settings)
    assert media == f"sound:{tmp_path}/mnt/prompts/{sound.name}"
    ended, caller = await played(node, media)
    assert ended == ["done"]
    assert seconds_heard(caller) == pytest.approx(SECONDS, abs=0.3)


async def test_over_http_and_once_only(
    node: AsteriskNode, sound: Rendered, server: Server, served: BaseTestServer
) -> None:
    media = media_of(sound, load(switch="asterisk", prompts_as=str(served.make_url("/sounds"))))
    assert media.startswith("sound:http://127.0.0.1:")
    assert media.endswith(f"/sounds/{sound.name}.wav")
    ended, caller = await played(node, media, media)
    assert ended == ["done", "done"]
    assert seconds_heard(caller) == pytest.approx(2 * SECONDS, abs=0.4)
    assert server.asked == [f"/sounds/{sound.name}.wav"], "the second time from Asterisk's own cache"


async def test_what_the_engine_does_not_serve_is_not_played(
    node: AsteriskNode, server: Server, served: BaseTestServer
) -> None:
    nowhere = f"sound:{served.make_url('/sounds/none.wav')}"
    elsewhere = f"sound:{served.make_url('/elsewhere.wav')}"
    ended, _ = await played(node, nowhere, elsewhere)
    assert ended == ["failed", "failed"]
    assert "/sounds/secret.wav" not in server.asked, "a redirect is not followed"


async def test_a_narrow_line_gets_the_narrow_sound(node: AsteriskNode, sound: Rendered) -> None:
    """Proven by a wide file that sounds otherwise: Asterisk does not compute a narrow sound from it."""
    wav_file(sound.wide, sine(16_000, SECONDS, (2_000.0, 0.2)), 16_000)
    ended, caller = await played(node, f"sound:{sound.media}")
    assert ended == ["done"]
    assert seconds_heard(caller) == pytest.approx(SECONDS, abs=0.3)
    assert seconds_of_tone(caller.heard, 2_000.0) == 0


async def test_a_wide_line_gets_the_wide_sound(node: AsteriskNode, sound: Rendered) -> None:
    heard = Listener()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: heard, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    try:
        async with BareApp(node.settings) as app:
            host = f"127.0.0.1:{port}"
            leg = await app.call(
                "POST", "channels/externalMedia", app=node.settings.app, external_host=host, format="slin16"
            )
            await app.event("StasisStart")
            await app.call("POST", f"channels/{leg['id']}/play/wide", media=f"sound:{sound.media}")
            await app.until(partial(over, app, "wide"), within=10, what="end of playback")
            await app.call("DELETE", f"channels/{leg['id']}")
    finally:
        transport.close()
    low, high = heard.amplitude(LOW_HZ), heard.amplitude(HIGH_HZ)
    assert low > 500
    assert high == pytest.approx(low, rel=0.2), "8 kHz could not carry it at all"


class Listener(asyncio.DatagramProtocol):
    """What comes as RTP of 16-bit samples at 16 kHz."""

    def __init__(self) -> None:
        self.samples: array[int] = array("h")

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Twelve bytes of header (RFC 3550), then samples, the high byte first."""
        del addr
        payload = data[12:]
        self.samples.extend(struct.unpack(f">{len(payload) // 2}h", payload[: len(payload) // 2 * 2]))

    def amplitude(self, hz: float) -> float:
        """Of this frequency, over a second in the middle."""
        start = max(0, len(self.samples) // 2 - 8_000)
        part = self.samples[start : start + 16_000]
        turns = [2 * math.pi * hz * i / 16_000 for i in range(len(part))]
        along = sum(sample * math.cos(turn) for sample, turn in zip(part, turns, strict=True))
        across = sum(sample * math.sin(turn) for sample, turn in zip(part, turns, strict=True))
        return 2 * math.hypot(along, across) / max(1, len(part))


def seconds_heard(caller: Caller) -> float:
    """How long the low tone was on the line."""
    return seconds_of_tone(caller.heard, LOW_HZ)
