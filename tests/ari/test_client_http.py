"""Requests over HTTP, for an Asterisk without REST over the websocket; and downloads, which always take it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from flowengine.ari.client import AriClient, AriRefused, AriSettings, AriTimeout, AriUnavailable
from flowengine.ari.messages import AnyEvent
from tests.ari.clock import HandClock
from tests.ari.fake_asterisk import SILENCE, Asked, FakeAsterisk, Reply


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAsterisk]:
    async with FakeAsterisk(rest_over_websocket=False) as old:
        yield old


@pytest.fixture
async def ari(
    asterisk: FakeAsterisk, settings: AriSettings, events: list[AnyEvent], clock: HandClock
) -> AsyncIterator[AriClient]:
    async with AriClient(settings, events.append, clock=clock) as client:
        clock.advance(await clock.armed(2, 2))  # the probe over the websocket, which it ignores
        await client.wait_ready(5)
        yield client


async def test_an_old_asterisk_is_asked_over_http(ari: AriClient, asterisk: FakeAsterisk) -> None:
    assert ari.transport == "http"
    assert asterisk.paths("http") == ["applications/flowengine/eventFilter"]
    asterisk.reply = lambda asked: Reply(200, {"id": "b1"})
    answer = await ari.request(
        "POST", "bridges/b 1;2", {"type": "mixing", "x": "a&b+c é"}, {"variables": {"X": "1"}}
    )
    asked = asterisk.all_asked[-1]
    assert (asked.via, asked.method, asked.path) == ("http", "POST", "bridges/b 1;2")
    assert asked.query == {"type": "mixing", "x": "a&b+c é"}
    assert asked.body == {"variables": {"X": "1"}}
    assert answer.body == {"id": "b1"}


async def test_events_still_come(ari: AriClient, asterisk: FakeAsterisk, events: list[AnyEvent]) -> None:
    line = await asterisk.lines.get()
    await line.event("StasisEnd", channel={"id": "c1"})
    await line.websocket.ping()
    await line.ponged.wait()
    assert [type(event).__name__ for event in events] == ["StasisEnd"]


async def test_a_refusal_reads_the_same(ari: AriClient, asterisk: FakeAsterisk) -> None:
    asterisk.reply = lambda asked: Reply(409, {"message": "Channel not in Stasis application"})
    with pytest.raises(AriRefused, match="not in Stasis") as refused:
        await ari.request("POST", "channels/c1/play")
    assert refused.value.status == 409


async def test_a_lane_keeps_its_order_and_holds_up_no_other(ari: AriClient, asterisk: FakeAsterisk) -> None:
    def stuck(asked: Asked) -> Reply | None:
        return SILENCE if asked.path == "channels/a1" else Reply()

    asterisk.reply = stuck
    first = ari.send("GET", "channels/a1", lane="call a", timeout_s=0.2)
    second = ari.send("GET", "channels/a2", lane="call a")
    other = await ari.request("GET", "channels/b1", lane="call b")
    assert other.status == 200
    assert "channels/a2" not in asterisk.paths("http")
    with pytest.raises(AriTimeout, match=r"within 0\.2 s"):
        await first
    assert (await second).status == 200


async def test_requests_that_name_no_lane_go_in_the_order_of_the_calls(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    paths = [f"channels/c{n}" for n in range(50)]
    await asyncio.gather(*[ari.send("GET", path) for path in paths])
    assert [path for path in asterisk.paths("http") if path.startswith("channels/")] == paths


async def test_waiting_requests_are_bounded(asterisk: FakeAsterisk, settings: AriSettings) -> None:
    asterisk.reply = lambda asked: SILENCE
    bounded = dataclasses.replace(settings, max_in_flight=3)
    async with AriClient(bounded, lambda event: None) as ari:
        await asterisk.attempts.get()
        answers = [ari.send("GET", "channels", over="http") for _ in range(3)]
        with pytest.raises(AriUnavailable, match="3 requests wait"):
            await ari.request("GET", "channels", over="http")
        assert not any(answer.done() for answer in answers)


async def test_an_answer_beyond_all_bounds_is_not_taken_into_memory(
    asterisk: FakeAsterisk, settings: AriSettings
) -> None:
    asterisk.reply = lambda asked: Reply(200, b"x" * 100_001)
    tight = dataclasses.replace(settings, max_frame_bytes=100_000)
    async with AriClient(tight, lambda event: None) as ari:
        await asterisk.attempts.get()
        with pytest.raises(AriUnavailable, match="longer than 100000 bytes"):
            await ari.request("GET", "channels", over="http")


async def test_a_lost_websocket_fails_http_requests_in_flight_too(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    asterisk.reply = lambda asked: SILENCE
    answers = [ari.send("GET", "channels"), ari.send("GET", "bridges", lane="b")]
    await asterisk.next_asked("bridges")
    (await asterisk.lines.get()).drop()
    for answer in answers:
        with pytest.raises(AriUnavailable, match="was lost"):
            await answer


async def test_a_cancelled_caller_frees_its_lane(ari: AriClient, asterisk: FakeAsterisk) -> None:
    asterisk.reply = lambda asked: SILENCE
    waiting = asyncio.create_task(ari.request("GET", "channels", timeout_s=0.2))
    await asterisk.next_asked("channels")
    waiting.cancel()
    asterisk.reply = lambda asked: Reply()
    assert (await ari.request("GET", "bridges")).status == 200


async def test_a_dead_http_server_is_unavailable(asterisk: FakeAsterisk, settings: AriSettings) -> None:
    gone = dataclasses.replace(settings, url="http://127.0.0.1:1")
    async with AriClient(gone, lambda event: None) as ari:
        await asyncio.sleep(0)
        with pytest.raises(AriUnavailable, match="over HTTP"):
            await ari.request("GET", "channels", over="http")


async def test_a_download_comes_in_pieces(ari: AriClient, asterisk: FakeAsterisk) -> None:
    sound = bytes(range(256)) * 2000
    asterisk.reply = lambda asked: Reply(200, sound)
    pieces = [piece async for piece in ari.download("recordings/stored/rec 1/file")]
    assert b"".join(pieces) == sound
    assert len(pieces) > 1
    assert asterisk.all_asked[-1].path == "recordings/stored/rec 1/file"


async def test_a_missing_recording_is_refused(ari: AriClient, asterisk: FakeAsterisk) -> None:
    asterisk.reply = lambda asked: Reply(404)
    with pytest.raises(AriRefused, match="Not Found"):
        await anext(ari.download("recordings/stored/none/file"))


async def test_a_download_that_breaks_off_or_stalls_says_so(settings: AriSettings) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 500)
        if request.path.endswith("stalls/file"):
            await stop.wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    stop = asyncio.Event()
    app = web.Application()
    app.router.add_get("/ari/recordings/{path:.*}", half)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        hasty = dataclasses.replace(settings, url=url, request_timeout_s=0.05)
        async with AriClient(hasty, lambda event: None) as ari:
            await asyncio.sleep(0)
            for path, error in (("breaks", AriUnavailable), ("stalls", AriTimeout)):
                pieces = ari.download(f"recordings/stored/{path}/file")
                assert await anext(pieces) == b"x" * 500
                with pytest.raises(error):
                    await anext(pieces)
        stop.set()


async def test_without_a_start_there_is_no_download(settings: AriSettings) -> None:
    ari = AriClient(settings, lambda event: None)
    with pytest.raises(AriUnavailable, match="not running"):
        await anext(ari.download("recordings/stored/r/file"))
