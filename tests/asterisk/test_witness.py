"""What a real Asterisk writes down of legs that end, and what the witness and the life watch make of it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from flowengine.ari.client import AriClient, AriSettings
from flowengine.ari.liveness import Life, LifeWatch, Restarted, SameLife, Unknown
from flowengine.ari.node import AsteriskNode, NodeSettings
from flowengine.ari.witness import PREFIX, Witness
from flowengine.clock import SystemClock
from simulator.sip import AgentPhone, Answers, Caller
from tests.asterisk.node import BareApp, running_node

NUMBER = "+81312345678"
CLOSE_US = 50_000
SECOND = 1_000_000


def now_us() -> int:
    return time.time_ns() // 1_000


@asynccontextmanager
async def engine(settings: NodeSettings) -> AsyncIterator[AriClient]:
    """A line to Asterisk, as an engine has it that is started again."""
    account = AriSettings(
        app=settings.app, username=settings.ari_user, password=settings.ari_password, url=settings.ari_url
    )
    async with AriClient(account, lambda _event: None) as client:
        await client.wait_ready(10)
        yield client


async def up(app: BareApp, caller: Caller) -> str:
    """Answer the call that just came in; its channel."""
    started = await app.until(lambda: _newest(app), within=5, what="StasisStart")
    await app.call("POST", f"channels/{started}/answer")
    await caller.answered()
    return started


def _newest(app: BareApp) -> str | None:
    known = [e["channel"]["id"] for e in app.events if e["type"] == "StasisStart"]
    answered = {e["channel"]["id"] for e in app.events if e["type"] == "ChannelStateChange"}
    return next((id for id in known if id not in answered), None)


async def test_ends_that_nobody_heard_are_found_within_50_ms(node: AsteriskNode) -> None:
    port = node.settings.sip_port
    began = now_us()
    phone = AgentPhone("hanako", port, Answers(0.1), password="hanako-secret")
    callers = [Caller(NUMBER, port) for _ in range(3)]
    truth: dict[str, tuple[int, int]] = {}
    # When the end was asked for, and when it was seen.
    async with AsyncExitStack() as people:
        await people.enter_async_context(phone)
        async with BareApp(node.settings) as app:
            for caller in callers:
                await people.enter_async_context(caller)
            channels = [await up(app, caller) for caller in callers[:2]]
            channels.append(await app.until(lambda: _newest(app), within=5, what="third call"))
            await app.call("POST", "channels/cal_w-leg2", endpoint="PJSIP/hanako", app=node.settings.app)
            await app.until(
                lambda: [e for e in app.events if e["type"] == "StasisStart"][3:],
                within=5,
                what="outside leg",
            )
        # Nobody listens from here on.
        ends = [callers[0].hang_up, callers[1].hang_up, callers[2].cancel]
        for channel, end in zip(channels, ends, strict=True):
            asked = now_us()
            await end()
            truth[channel] = asked, now_us()
            await asyncio.sleep(0.2)
        asked = now_us()
        phone.hang_up()
        await phone.until(lambda: phone.calls[-1].ended_at is not None)
        truth["cal_w-leg2"] = asked, now_us()
        async with engine(node.settings) as client:
            found = await Witness(client, SystemClock()).ended(list(truth), began)
    assert found.keys() == truth.keys()
    for channel, (asked, seen) in truth.items():
        assert asked <= found[channel].at <= seen + CLOSE_US
    assert [found[channel].was_up for channel in truth] == [True, True, False, True]
    assert found[channels[0]].cause == 16


async def test_each_end_is_written_once_and_without_numbers(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port) as caller:
        channel = await up(app, caller)
        await app.call("DELETE", f"channels/{channel}", reason_code=17)
        await caller.ended()
    text = written(node)
    [line] = [line for line in text.splitlines() if channel in line]
    assert line.split()[1:] == [channel, "17", "Up"]
    assert NUMBER not in text


async def test_time_is_right_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    async with running_node() as tokyo:
        began = now_us()
        await Caller(NUMBER, tokyo.settings.sip_port).run()  # nobody is there: refused at once
        async with engine(tokyo.settings) as client:
            at = await Witness(client, SystemClock()).last_sign(began, now_us())
    assert at is not None
    assert began <= at <= now_us()


async def test_the_log_outlives_asterisk_however_it_ends() -> None:
    async with running_node() as node:
        port = node.settings.sip_port
        began = now_us()
        async with BareApp(node.settings) as app:
            async with Caller(NUMBER, port) as caller:
                early = await up(app, caller)
                asked = now_us()
                await caller.hang_up()
                await caller.ended()
            hung_up = now_us()
            async with Caller(NUMBER, port) as caller:
                late = await up(app, caller)
                await node.kill()
                caller.vanish()
        await node.start()
        async with engine(node.settings) as client:
            witness = Witness(client, SystemClock())
            watch = LifeWatch(client, node.settings.ari_url, Life(), SystemClock(), lambda _: None)
            judgement = await watch.greet(client)
            assert isinstance(judgement, Unknown)
            found = await witness.ends({early: began, late: began}, judgement.started_at)
        assert asked <= found[early].at <= hung_up + CLOSE_US
        # Who was in a call when Asterisk was killed has no line: the last proof of life is the other's end.
        assert (found[late].at, found[late].proof) == (found[early].at, "lost")

        async with BareApp(node.settings) as app, Caller(NUMBER, port) as caller:
            stopped = await up(app, caller)
            asked = now_us()
            await node.stop()
            over = now_us()
        await node.start()
        async with engine(node.settings) as client:
            found = await Witness(client, SystemClock()).ended([stopped], began)
        assert asked <= found[stopped].at <= over  # an orderly stop hangs up, and says so


async def test_old_lines_are_pruned_on_asterisk(node: AsteriskNode) -> None:
    await Caller(NUMBER, node.settings.sip_port).run()
    folder = node.settings.spool / "recording"
    old = folder / f"{PREFIX}20200101T000.ulaw"
    old.write_text("20200101T000001.000000 sw-1 16 Up\n")
    kept = folder / "cal_x-rec1.wav"
    kept.touch()
    young = {path.name for path in folder.glob(f"{PREFIX}*")} - {old.name}
    async with engine(node.settings) as client:
        assert await Witness(client, SystemClock()).prune() == 1
    assert not old.exists()
    assert kept.exists()
    assert {path.name for path in folder.glob(f"{PREFIX}*")} == young
    kept.unlink()


async def test_a_restart_is_known_and_a_pause_is_none() -> None:
    clock = SystemClock()
    lost: list[int] = []
    async with running_node() as node, engine(node.settings) as client:
        watch = LifeWatch(client, node.settings.ari_url, Life(), clock, lost.append)
        assert isinstance(await watch.greet(client), Unknown)
        assert isinstance(await watch.greet(client), SameLife)
        watching = asyncio.create_task(watch.run())
        assert node.pid is not None
        os.kill(node.pid, signal.SIGSTOP)
        await asyncio.sleep(5)
        os.kill(node.pid, signal.SIGCONT)
        await asyncio.sleep(1)
        assert lost == []
        assert isinstance(await watch.greet(client), SameLife)

        killed = clock.now()
        await node.kill()
        async with asyncio.timeout(15):
            while not lost:  # noqa: ASYNC110 - the end of a wait is what is measured
                await asyncio.sleep(0.05)
        told_after_s = (clock.now() - killed) / SECOND
        await node.start()
        await client.wait_ready(20)
        judgement = await watch.greet(client)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert isinstance(judgement, Restarted)
    assert abs(killed - lost[0]) <= 1.1 * SECOND  # a sign of life a second
    assert judgement.lost_at == lost[0]
    assert judgement.started_at > killed
    assert len(lost) == 1
    assert 8.9 <= told_after_s <= 12


def written(node: AsteriskNode) -> str:
    return "".join(path.read_text() for path in (node.settings.spool / "recording").glob(f"{PREFIX}*"))
