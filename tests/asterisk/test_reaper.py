"""On a real Asterisk: what belongs to nobody is ended, what is somebody's is not, and dead peers do not stay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from flowengine.ari.client import AriClient, AriSettings
from flowengine.ari.messages import AnyEvent, StasisStart
from flowengine.ari.node import AsteriskNode
from flowengine.ari.reaper import Known, Reaper
from flowengine.ari.resources import Bridge, Channel
from simulator.sip import Caller
from tests.asterisk.node import BareApp, running_node

NUMBER = "+81312345678"


class Line:
    """A client, and the channels that came into Stasis."""

    def __init__(self, node: AsteriskNode) -> None:
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        settings = node.settings
        account = AriSettings(
            app=settings.app, username=settings.ari_user, password=settings.ari_password, url=settings.ari_url
        )
        self.client = AriClient(account, self._heard)

    def _heard(self, event: AnyEvent) -> None:
        if isinstance(event, StasisStart):
            self.arrived.put_nowait(event.channel.id)

    async def call(self, caller: Caller) -> str:
        """Answer the call that comes in; its channel."""
        channel = await self.next()
        await self.client.request("POST", f"channels/{channel}/answer")
        await caller.answered()
        return channel

    async def next(self) -> str:
        """The next channel that comes."""
        async with asyncio.timeout(5):
            return await self.arrived.get()

    async def channels(self) -> set[str]:
        answer = await self.client.request("GET", "channels")
        return {channel.id for channel in answer.read(list[Channel])}

    async def bridges(self) -> set[str]:
        return {bridge.id for bridge in (await self.client.request("GET", "bridges")).read(list[Bridge])}


@pytest_asyncio.fixture
async def line(node: AsteriskNode) -> AsyncIterator[Line]:
    of = Line(node)
    async with of.client as client:
        await client.wait_ready(10)
        yield of


async def test_what_is_nobodys_is_ended_and_the_rest_goes_on(node: AsteriskNode, line: Line) -> None:
    app, port = node.settings.app, node.settings.sip_port
    async with AsyncExitStack() as people:
        ours, strange = Caller(NUMBER, port), Caller(NUMBER, port)
        await people.enter_async_context(ours)
        mine = await line.call(ours)
        await people.enter_async_context(strange)
        stray = await line.call(strange)
        for spy in ("cal_a-rec4-left", "cal_a-rec9-left"):
            await line.client.request("POST", f"channels/{mine}/snoop/{spy}", {"spy": "in", "app": app})
            assert await line.next() == spy
            await line.client.request("POST", f"channels/{spy}/record", {"name": spy, "format": "wav"})
        for bridge in ("cal_a-bri3", "cal_b-bri3"):
            await line.client.request("POST", f"bridges/{bridge}", {"type": "mixing"})
        await line.client.request("POST", "bridges/cal_b-bri3/addChannel", {"channel": stray})

        reaper = Reaper(
            line.client,
            app,
            lambda: Known({"cal_a": frozenset({"caller", "rec4", "bri3"})}, frozenset({mine})),
        )
        assert await reaper.look() == []
        ended = await reaper.look()
        assert {each.id for each in ended} == {stray, "cal_a-rec9-left", "cal_b-bri3"}
        assert (await strange.ended()).ended_by == "switch"
        async with asyncio.timeout(3):
            while await line.channels() != {mine, "cal_a-rec4-left"}:  # noqa: ASYNC110 - no event tells this
                await asyncio.sleep(0.02)
        assert await reaper.look() == []
        assert await line.bridges() == {"cal_a-bri3"}
        assert reaper.ended == 3
        await ours.hang_up()
    await line.client.request("DELETE", "bridges/cal_a-bri3")
    for recording in ("cal_a-rec4-left", "cal_a-rec9-left"):
        await line.client.request("DELETE", f"recordings/stored/{recording}")


async def test_a_recording_of_nobodys_leg_ends_with_it(node: AsteriskNode, line: Line) -> None:
    async with Caller(NUMBER, node.settings.sip_port) as caller:
        stray = await line.call(caller)
        await line.client.request("POST", f"channels/{stray}/record", {"name": "cal_z-rec1", "format": "wav"})
        reaper = Reaper(line.client, node.settings.app, Known)
        await reaper.look()
        assert [each.id for each in await reaper.look()] == [stray]
        await caller.ended()
        live = await asyncio.gather(
            line.client.request("GET", "recordings/live/cal_z-rec1"), return_exceptions=True
        )
        assert getattr(live[0], "status", None) == 404
    await line.client.request("DELETE", "recordings/stored/cal_z-rec1")


async def test_a_caller_who_vanished_is_ended_by_the_silence_and_one_who_waits_is_not() -> None:
    async with running_node() as node:
        conf = node.settings.directory / "etc" / "pjsip.conf"
        conf.write_text(conf.read_text().replace("rtp_timeout = 300", "rtp_timeout = 2"))
        await node.cli("module reload res_pjsip.so")
        port = node.settings.sip_port
        channels: list[str] = []

        def next_call() -> str | None:
            came = [event["channel"]["id"] for event in app.events if event["type"] == "StasisStart"]
            return next((channel for channel in came if channel not in channels), None)

        async with AsyncExitStack() as people:
            app = await people.enter_async_context(BareApp(node.settings))
            gone, waits = Caller(NUMBER, port), Caller(NUMBER, port)
            for caller in (gone, waits):
                await people.enter_async_context(caller)
                channels.append(await app.until(next_call, within=5, what="call"))
                await app.call("POST", f"channels/{channels[-1]}/answer")
                await caller.answered()
                await app.call("POST", f"channels/{channels[-1]}/moh")
            gone.vanish()
            ended = await app.event("StasisEnd", within=8)
            await asyncio.sleep(3)
            ends = [e["channel"]["id"] for e in app.events if e["type"] == "StasisEnd"]
            await waits.hang_up()
    assert ended["channel"]["id"] == channels[0]
    assert ends == channels[:1]
