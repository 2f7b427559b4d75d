"""Talks recorded on a real Asterisk: both parties are in it, on one channel or on two, and a pause leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowengine.call.commands import (
    Answer,
    CloseBridge,
    Dial,
    HangUp,
    Join,
    OpenBridge,
    PauseRecord,
    Record,
    ResumeRecord,
    StopRecord,
)
from flowengine.call.events import LegAnswered, RecordingEnded
from simulator.sip import Answers, Caller
from simulator.sip.sound import Sound, read_sides, seconds_of_tone, tone_power
from tests.asterisk.test_switch import HANAKO, Scene, scene

__all__ = ["scene"]

CALLER_HZ = 400.0
AGENT_HZ = 700.0


@asynccontextmanager
async def talking(on: Scene) -> AsyncIterator[Caller]:
    """Caller and agent in a bridge, each with a tone of their own."""
    async with on.phone(Answers(0.1, speaks_hz=AGENT_HZ)):
        await on.hearing.until(lambda: on.hearing.devices.get(HANAKO), 5, "hanako in reach")
        async with on.caller() as caller:
            await on.answer(caller)
            on.do(Dial("leg-1", HANAKO, "+15550100", 20.0))
            await on.hearing.event(LegAnswered, leg="leg-1")
            on.do(OpenBridge("bridge-1"), Join("bridge-1", "caller"), Join("bridge-1", "leg-1"))
            speaking = asyncio.create_task(caller.speak(CALLER_HZ, 20.0))
            await caller.hears(AGENT_HZ, seconds=0.3)
            yield caller
            speaking.cancel()
            on.do(HangUp("leg-1", 16), HangUp("caller", 16))
            await caller.ended()


async def kept(on: Scene, folder: Path, recording: str = "rec-1") -> list[Sound]:
    """The finished recording as the engine fetches it, its channels; deleted on Asterisk afterwards."""
    file = folder / "kept.wav"
    file.write_bytes(b"".join([piece async for piece in on.switch.fetch(on.call, recording)]))
    await on.switch.discard(on.call, recording)
    return read_sides(file)


async def stored(on: Scene) -> list[str]:
    """Names of what Asterisk still stores of this call."""
    answer = await on.switch.client.request("GET", "recordings/stored")
    return [each["name"] for each in answer.read(list[dict[str, str]]) if each["name"].startswith(on.call)]


async def test_one_channel_holds_both_parties(scene: Scene, tmp_path: Path) -> None:
    async with talking(scene):
        scene.do(Record("rec-1", "bridge-1"))
        await asyncio.sleep(2.0)
        scene.do(StopRecord("rec-1"))
        await scene.hearing.event(RecordingEnded, recording="rec-1")
    [both] = await kept(scene, tmp_path)
    assert 1.6 < both.seconds < 2.6
    for hz in (CALLER_HZ, AGENT_HZ):
        assert 0.3 < tone_power(both.part(0.3, 1.5), hz) < 0.7
    assert await stored(scene) == []


@pytest.mark.parametrize("ends", ["stopped", "caller", "agent"])
async def test_two_channels_hold_one_party_each(scene: Scene, tmp_path: Path, ends: str) -> None:
    async with talking(scene):
        scene.do(Record("rec-1", "bridge-1", sides=("caller", "leg-1")))
        await asyncio.sleep(2.0)
        match ends:
            case "stopped":
                scene.do(StopRecord("rec-1"))
            case "caller":
                scene.do(HangUp("caller", 16))
            case _:
                scene.do(HangUp("leg-1", 16), StopRecord("rec-1"), CloseBridge("bridge-1"))
        ended = await scene.hearing.event(RecordingEnded, recording="rec-1")
        assert ended.ok
    left, right = await kept(scene, tmp_path)
    assert abs(left.seconds - right.seconds) < 0.001
    assert 1.6 < left.seconds < 2.6
    assert seconds_of_tone(left, CALLER_HZ) > 1.4
    assert seconds_of_tone(left, AGENT_HZ) < 0.1
    assert seconds_of_tone(right, AGENT_HZ) > 1.4
    assert seconds_of_tone(right, CALLER_HZ) < 0.1
    assert await stored(scene) == []
    assert len(scene.hearing.of(RecordingEnded)) == 1


@pytest.mark.parametrize("sides", [(), ("caller", "leg-1")])
async def test_a_pause_is_left_out(scene: Scene, tmp_path: Path, sides: tuple[str, ...]) -> None:
    async with talking(scene):
        scene.do(Record("rec-1", "bridge-1", sides=sides))
        await asyncio.sleep(1.0)
        scene.do(PauseRecord("rec-1"))
        await asyncio.sleep(2.0)
        scene.do(ResumeRecord("rec-1"))
        await asyncio.sleep(1.0)
        scene.do(StopRecord("rec-1"))
        await scene.hearing.event(RecordingEnded, recording="rec-1")
    for channel in await kept(scene, tmp_path):
        assert 1.5 < channel.seconds < 2.8


async def test_a_lost_connection_leaves_both_sides_running(scene: Scene, tmp_path: Path) -> None:
    async with talking(scene):
        scene.do(Record("rec-1", "bridge-1", sides=("caller", "leg-1")))
        await asyncio.sleep(1.0)
        await scene.switch.client.close()
        await scene.switch.client.__aenter__()
        await scene.switch.client.wait_ready(5)
        await asyncio.sleep(1.5)
        scene.do(StopRecord("rec-1"))
        await scene.hearing.event(RecordingEnded, recording="rec-1")
    for channel in await kept(scene, tmp_path):
        assert channel.seconds > 2.2


async def test_a_leg_that_has_left_is_a_recording_that_failed(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Answer("caller"), HangUp("caller", 16))
        await caller.ended()
        scene.do(Record("rec-1", "bridge-1", sides=("caller", "leg-1")))
        ended = await scene.hearing.event(RecordingEnded, recording="rec-1")
        assert not ended.ok
