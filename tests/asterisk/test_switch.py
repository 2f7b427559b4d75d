"""The switch on a real Asterisk: every command a call can say, and what comes back, with SIPp at both ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from flowengine.ari.client import AriSettings
from flowengine.ari.node import AsteriskNode
from flowengine.ari.switch import AriSwitch
from flowengine.call import causes
from flowengine.call.commands import (
    Answer,
    CloseBridge,
    Dial,
    HangUp,
    Join,
    OpenBridge,
    Play,
    Record,
    Ring,
    StopPlay,
    StopRecord,
    StopRing,
    SwitchCommand,
)
from flowengine.call.events import (
    CommandFailed,
    DigitPressed,
    Event,
    LegAnswered,
    LegHungUp,
    LegRinging,
    PlaybackEnded,
    RecordingEnded,
)
from flowengine.clock import SystemClock
from flowengine.ports import RecordingMissing
from simulator.sip import (
    AgentPhone,
    Answers,
    Caller,
    Rejects,
    Rings,
    dominant_hz,
    is_silent,
    read_wav,
    seconds_of_tone,
    tone,
    write_wav,
)
from tests.ari.hearing import Hearing

NUMBER = "+81312345678"
HANAKO = "PJSIP/hanako"
_numbers = itertools.count(1)


class Scene:
    """A switch, what it reports, and one call on it."""

    def __init__(self, node: AsteriskNode, sounds: Path) -> None:
        self.node = node
        self.hearing = Hearing()
        self.call = f"cal_{next(_numbers):026d}"
        self.sounds = {"prompt": f"sound:{sounds}/prompt", "lost": "sound:/nowhere/lost"}
        settings = AriSettings(
            app=node.settings.app,
            username=node.settings.ari_user,
            password=node.settings.ari_password,
            url=node.settings.ari_url,
        )
        self.switch = AriSwitch(
            settings, self.hearing, lambda _, key: self.sounds.get(key), SystemClock(), orphan_grace_s=0.5
        )

    def caller(self) -> Caller:
        return Caller(NUMBER, self.node.settings.sip_port)

    def phone(self, behaviour: Answers | Rejects | Rings, name: str = "hanako") -> AgentPhone:
        return AgentPhone(name, self.node.settings.sip_port, behaviour, password=f"{name}-secret")

    def do(self, *commands: object) -> None:
        self.switch.perform(self.call, commands)  # type: ignore[arg-type]

    async def adopt(self) -> None:
        """Wait for the caller and take the call."""
        arrival = await self.hearing.arrival()
        self.switch.adopt(arrival, self.call)

    async def answer(self, caller: Caller) -> None:
        """Take the call and answer it."""
        await self.adopt()
        self.do(Answer("caller"))
        await self.hearing.event(LegAnswered, leg="caller")
        await caller.answered()

    async def left(self) -> dict[str, list[str]]:
        """What is on Asterisk now, by its own word."""
        settings = self.node.settings
        login = {"Authorization": aiohttp.encode_basic_auth(settings.ari_user, settings.ari_password)}
        found = {}
        async with aiohttp.ClientSession(headers=login) as http:
            for kind in ("channels", "bridges"):
                async with http.get(f"{settings.ari_url}/ari/{kind}") as answer:
                    found[kind] = [thing["id"] for thing in await answer.json()]
        return found

    async def nothing_left(self, within: float = 3.0) -> None:
        """Wait until Asterisk has no channel and no bridge any more."""
        async with asyncio.timeout(within):
            while any((await self.left()).values()):  # noqa: ASYNC110 - Asterisk tells nobody
                await asyncio.sleep(0.05)


@pytest.fixture
async def scene(node: AsteriskNode, tmp_path: Path) -> AsyncIterator[Scene]:
    write_wav(tmp_path / "prompt.wav", tone(600, 1.0))
    scene = Scene(node, tmp_path)
    async with scene.switch:
        await scene.switch.client.wait_ready(5)
        yield scene
        scene.switch.release(scene.call)
        await scene.nothing_left()


@asynccontextmanager
async def dialled(scene: Scene, behaviour: Answers | Rejects | Rings) -> AsyncIterator[AgentPhone]:
    """A waiting caller, and an agent's phone that is being rung as leg-1."""
    async with scene.phone(behaviour) as phone:
        await scene.hearing.until(lambda: scene.hearing.devices.get(HANAKO), 5, "hanako in reach")
        async with scene.caller():
            await scene.adopt()
            scene.do(Ring("caller"), Dial("leg-1", HANAKO, "+15550100", 20.0, "Bob\x07 <x>"))
            yield phone


async def test_a_caller_is_answered_hears_a_prompt_and_presses_a_key(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.adopt()
        assert scene.hearing.arrivals[0].number == NUMBER
        assert scene.hearing.arrivals[0].caller == "+15550100"
        scene.do(Ring("caller"))
        await caller.ringing()
        scene.do(Answer("caller"), Play("play-1", "caller", "prompt"))
        await caller.answered()
        assert (
            await scene.hearing.event(PlaybackEnded, playback="play-1") == scene.hearing.of(PlaybackEnded)[0]
        )
        assert scene.hearing.of(PlaybackEnded)[0].ok
        assert seconds_of_tone(caller.heard, 600) > 0.8
        await caller.press("5")
        assert (await scene.hearing.event(DigitPressed)).digit == "5"
        assert scene.hearing.of(LegAnswered) == scene.hearing.of(LegAnswered)[:1]
        await caller.hang_up()
        assert (await scene.hearing.event(LegHungUp)).cause == causes.NORMAL


async def test_a_sound_is_cut_short(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Play("play-1", "caller", "prompt"))
        await caller.hears(600, seconds=0.2)
        scene.do(StopPlay("play-1"), StopPlay("play-1"))
        await scene.hearing.event(PlaybackEnded, playback="play-1")
        await asyncio.sleep(1.0)
        assert seconds_of_tone(caller.heard, 600) < 0.8


async def test_answering_into_a_sound_holds_up_nobody(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.adopt()
        scene.do(Play("play-1", "caller", "prompt"), Answer("caller"))
        await asyncio.sleep(0.2)
        await scene.switch.client.request("GET", "channels", timeout_s=0.5)
        assert scene.hearing.of(PlaybackEnded) == []
        await caller.answered()
        await scene.hearing.event(LegAnswered, leg="caller")


async def test_a_repeated_play_is_heard_once(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Play("play-1", "caller", "prompt"), Play("play-1", "caller", "prompt"))
        await scene.hearing.event(PlaybackEnded, playback="play-1")
        await asyncio.sleep(1.2)
        assert seconds_of_tone(caller.heard, 600) < 1.2
        assert len(scene.hearing.of(PlaybackEnded)) == 1


@pytest.mark.parametrize("sound", ["lost", "unknown"])
async def test_a_sound_that_is_not_there_ends_at_once(scene: Scene, sound: str) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Play("play-1", "caller", sound))
        assert not (await scene.hearing.event(PlaybackEnded, within=1)).ok


async def test_an_answered_caller_hears_ringing_tone(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Ring("caller"))
        await asyncio.sleep(1.0)
        assert dominant_hz(caller.heard) in {440.0, 480.0}
        scene.do(StopRing("caller"))
        await asyncio.sleep(0.3)
        stopped_at = caller.now
        await asyncio.sleep(6.0)  # the tone's own pause is four seconds
        assert is_silent(caller.heard.part(stopped_at))


@pytest.mark.parametrize(
    ("cause", "status"),
    [(1, 404), (17, 486), (19, 480), (20, 480), (21, 403), (41, 603), (42, 503)],
)
async def test_a_rejected_caller_is_told_why(scene: Scene, cause: int, status: int) -> None:
    async with scene.caller() as caller:
        scene.switch.reject(await scene.hearing.arrival(), cause)
        assert (await caller.ended()).status == status


async def test_the_cause_of_our_hang_up_reaches_the_caller(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(HangUp("caller", causes.USER_BUSY))
        assert (await caller.ended()).cause == causes.USER_BUSY
        assert (await scene.hearing.event(LegHungUp)).cause == causes.USER_BUSY
        scene.do(HangUp("caller", causes.NORMAL))
        await asyncio.sleep(0.2)
        assert len(scene.hearing.of(LegHungUp)) == 1


async def test_a_caller_who_gives_up_before_the_answer_is_told_once(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.adopt()
        scene.do(Ring("caller"))
        await caller.ringing()
        await caller.cancel()
        await caller.ended()
        assert (await scene.hearing.event(LegHungUp)).leg == "caller"
        scene.do(Answer("caller"), Play("play-1", "caller", "prompt"), Record("rec-1", "caller"))
        assert not (await scene.hearing.event(PlaybackEnded)).ok
        assert not (await scene.hearing.event(RecordingEnded)).ok
        assert len(scene.hearing.of(LegHungUp)) == 1


async def test_a_message_is_recorded_until_the_key_fetched_and_discarded(
    scene: Scene, tmp_path: Path
) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Record("rec-1", "caller", 30.0, 0.0, "#"))
        await caller.speak(700, 2.5)
        await caller.press("#")
        ended = await scene.hearing.event(RecordingEnded)
        assert ended.ok
        assert 2_000 <= ended.duration_ms <= 3_000
        (tmp_path / "got.wav").write_bytes(
            b"".join([p async for p in scene.switch.fetch(scene.call, "rec-1")])
        )
        assert seconds_of_tone(read_wav(tmp_path / "got.wav"), 700) > 1.5
        await scene.switch.discard(scene.call, "rec-1")
        await scene.switch.discard(scene.call, "rec-1")
        with pytest.raises(RecordingMissing):
            _ = [piece async for piece in scene.switch.fetch(scene.call, "rec-1")]


async def test_a_recording_ends_by_silence_by_command_and_by_the_hang_up(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Record("rec-1", "caller", 30.0, 1.0))
        await caller.speak(700, 1.5)
        by_silence = await scene.hearing.event(RecordingEnded, recording="rec-1")
        assert by_silence.talking_ms is not None
        scene.do(Record("rec-2", "caller"))
        await caller.speak(700, 1.2)
        scene.do(StopRecord("rec-2"), StopRecord("rec-2"))
        assert (await scene.hearing.event(RecordingEnded, recording="rec-2")).duration_ms >= 1_000
        scene.do(Record("rec-3", "caller"))
        await caller.speak(700, 1.2)
        await caller.hang_up()
        by_hang_up = await scene.hearing.event(RecordingEnded, recording="rec-3")
        assert by_hang_up.ok
        assert by_hang_up.duration_ms >= 1_000
        await scene.hearing.event(LegHungUp)


async def test_a_recording_ends_at_its_limit(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(Record("rec-1", "caller", 1.2))
        await caller.speak(700, 3.0)
        ended = await scene.hearing.event(RecordingEnded, within=4)
        assert 1_000 <= ended.duration_ms <= 3_000


async def test_caller_and_agent_talk_and_are_recorded(scene: Scene) -> None:
    async with dialled(scene, Answers(speaks_hz=900)) as phone:
        await scene.hearing.event(LegRinging, leg="leg-1")
        await scene.hearing.event(LegAnswered, leg="leg-1")
        scene.do(
            Answer("caller"), OpenBridge("bridge-1"), Join("bridge-1", "caller"), Join("bridge-1", "leg-1")
        )
        scene.do(Record("rec-1", "bridge-1"))
        await asyncio.sleep(3.0)
        phone.hang_up()
        assert (await scene.hearing.event(LegHungUp, leg="leg-1")).cause == causes.NORMAL
        assert not scene.hearing.of(LegHungUp, leg="caller")
        scene.do(CloseBridge("bridge-1"), CloseBridge("bridge-1"), StopRecord("rec-1"))
        recorded = await scene.hearing.event(RecordingEnded)
        assert recorded.ok
        assert recorded.duration_ms >= 1_000
        scene.do(HangUp("caller", causes.NORMAL))
        await scene.hearing.event(LegHungUp, leg="caller")
        assert scene.hearing.of(CommandFailed) == []
        assert len(scene.hearing.of(LegRinging)) == 1
        assert "+15550100" in phone.calls[0].caller
        assert '"Bob x"' in phone.calls[0].caller


async def test_both_sides_hear_each_other_and_a_leaving_caller_leaves_the_agent(scene: Scene) -> None:
    async with scene.phone(Answers(speaks_hz=900)) as phone, scene.caller() as caller:
        await scene.adopt()
        scene.do(Dial("leg-1", HANAKO, "+15550100", 20.0))
        await scene.hearing.event(LegAnswered, leg="leg-1")
        scene.do(
            Answer("caller"), OpenBridge("bridge-1"), Join("bridge-1", "caller"), Join("bridge-1", "leg-1")
        )
        await caller.hears(900)
        await caller.speak(700, 1.0)
        assert seconds_of_tone(phone.heard, 700) > 0.5
        await caller.hang_up()
        await scene.hearing.event(LegHungUp, leg="caller")
        await asyncio.sleep(0.3)
        assert not scene.hearing.of(LegHungUp, leg="leg-1")
        scene.do(HangUp("leg-1", causes.NORMAL))
        await scene.hearing.event(LegHungUp, leg="leg-1")
        await phone.until(lambda: phone.calls[0].ended_at is not None)


@pytest.mark.parametrize(
    ("status", "cause"), [(486, causes.USER_BUSY), (603, causes.CALL_REJECTED), (480, 19)]
)
async def test_an_agent_who_declines_is_told_by_the_cause(scene: Scene, status: int, cause: int) -> None:
    async with dialled(scene, Rejects(status)):
        assert (await scene.hearing.event(LegHungUp, leg="leg-1")).cause == cause
        assert len(scene.hearing.of(LegRinging)) == 1


async def test_a_phone_nobody_picks_up_ends_by_the_switchs_own_limit(scene: Scene) -> None:
    async with scene.phone(Rings()) as phone, scene.caller():
        await scene.adopt()
        scene.do(Dial("leg-1", HANAKO, "+15550100", 1.2))
        await scene.hearing.event(LegRinging)
        assert (await scene.hearing.event(LegHungUp)).cause == causes.NO_ANSWER
        await phone.until(lambda: phone.calls[0].cancelled_at is not None)


async def test_a_phone_that_lost_the_race_shows_no_missed_call(scene: Scene) -> None:
    async with dialled(scene, Rings()) as phone:
        await scene.hearing.event(LegRinging)
        scene.do(HangUp("leg-1", causes.ANSWERED_ELSEWHERE))
        assert (await scene.hearing.event(LegHungUp)).cause == causes.ANSWERED_ELSEWHERE
        await phone.until(lambda: phone.calls[0].cancelled_at is not None)
        assert "elsewhere" in phone.calls[0].cancel_reason


async def test_a_phone_rings_on_after_the_caller_left_until_we_end_it(scene: Scene) -> None:
    async with scene.phone(Rings()) as phone, scene.caller() as caller:
        await scene.adopt()
        scene.do(Ring("caller"), Dial("leg-1", HANAKO, "+15550100", 20.0))
        await phone.rings()
        await caller.cancel()
        await caller.ended()
        await scene.hearing.event(LegHungUp, leg="caller")
        assert phone.calls[0].cancelled_at is None
        scene.do(HangUp("leg-1", causes.NORMAL))
        await scene.hearing.event(LegHungUp, leg="leg-1")


@pytest.mark.parametrize("endpoint", ["PJSIP/taro", "PJSIP/nobody", "BOGUS/x", "PJSIP/a&PJSIP/b", "no slash"])
async def test_what_cannot_be_rung_is_out_of_reach(scene: Scene, endpoint: str) -> None:
    async with scene.caller():
        await scene.adopt()
        scene.do(Dial("leg-1", endpoint, "+15550100", 5.0))
        assert (await scene.hearing.event(LegHungUp)).cause == causes.SUBSCRIBER_ABSENT


async def test_dialling_for_a_caller_who_left_ends_at_once(scene: Scene) -> None:
    async with scene.phone(Rings()), scene.caller() as caller:
        await scene.answer(caller)
        await caller.hang_up()
        await scene.hearing.event(LegHungUp, leg="caller")
        # The end is told when it is asked for, a moment before the channel is gone.
        await scene.nothing_left()
        scene.do(Dial("leg-1", HANAKO, "+15550100", 5.0))
        await scene.hearing.event(LegHungUp, leg="leg-1")


async def test_joining_a_leg_that_is_gone_is_its_end_and_a_bridge_that_is_gone_fails(scene: Scene) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(OpenBridge("bridge-1"), OpenBridge("bridge-1"), Join("bridge-2", "caller"))
        assert (await scene.hearing.event(CommandFailed)).id == "bridge-2"
        scene.do(Join("bridge-1", "leg-9"))
        scene.do(Play("play-1", "caller", "prompt"))
        await scene.hearing.event(PlaybackEnded)
        assert len(scene.hearing.of(CommandFailed)) == 1


async def test_devices_come_and_go(scene: Scene) -> None:
    hearing = scene.hearing
    assert hearing.devices[HANAKO] is False
    async with scene.phone(Rings()):
        await hearing.until(lambda: hearing.devices[HANAKO], 5, "hanako in reach")
    await hearing.until(lambda: not hearing.devices[HANAKO], 5, "hanako out of reach")


async def test_release_ends_what_a_call_left_open(scene: Scene) -> None:
    async with dialled(scene, Rings()) as phone:
        await phone.rings()
        scene.do(OpenBridge("bridge-1"))
        scene.switch.release(scene.call)
        await scene.nothing_left()


async def test_a_gap_is_caught_up(scene: Scene) -> None:
    """The connection breaks in mid-call: what ended meanwhile is told, what was asked meanwhile is done."""
    async with dialled(scene, Answers()) as phone:
        await scene.hearing.event(LegAnswered, leg="leg-1")
        scene.do(
            Answer("caller"), OpenBridge("bridge-1"), Join("bridge-1", "caller"), Join("bridge-1", "leg-1")
        )
        scene.do(Record("rec-1", "bridge-1"), Record("rec-2", "bridge-1"))
        await scene.hearing.event(LegAnswered, leg="caller")
        await asyncio.sleep(1.2)
        async with gap(scene):
            phone.hang_up()
            await phone.until(lambda: phone.calls[0].ended_at is not None)
            scene.do(Play("play-1", "caller", "prompt"), StopRecord("rec-2"))
        await scene.hearing.event(LegHungUp, leg="leg-1")
        assert (await scene.hearing.event(RecordingEnded, recording="rec-2")).duration_ms >= 1_000
        assert (await scene.hearing.event(PlaybackEnded, playback="play-1")).ok
        assert not scene.hearing.of(LegHungUp, leg="caller")


async def test_a_caller_who_left_in_a_gap_is_noticed(scene: Scene) -> None:
    async with scene.caller() as first:
        await scene.answer(first)
        async with gap(scene):
            await first.hang_up()
            scene.do(HangUp("caller", causes.NORMAL))
        await scene.hearing.event(LegHungUp, leg="caller")


async def test_legs_and_bridges_of_unknown_calls_are_ended(scene: Scene) -> None:
    async with dialled(scene, Rings()):
        await scene.hearing.event(LegRinging)
        scene.do(OpenBridge("bridge-1"), Answer("caller"))
        await scene.hearing.event(LegAnswered, leg="caller")
        successor = Scene(scene.node, Path("/nowhere"))
        async with successor.switch:
            await successor.switch.client.wait_ready(5)
            await successor.nothing_left()
        assert successor.hearing.arrivals == []


async def test_another_engine_takes_a_call_over(scene: Scene, tmp_path: Path) -> None:
    async with scene.caller() as caller:
        await scene.answer(caller)
        scene.do(OpenBridge("bridge-1"), Play("play-1", "caller", "prompt"))
        await scene.hearing.event(PlaybackEnded)
        await scene.switch.client.close()
        successor = Scene(scene.node, tmp_path)
        history: list[SwitchCommand | Event] = [
            Answer("caller"),
            LegAnswered(1, "caller"),
            OpenBridge("bridge-1"),
            Play("play-1", "caller", "prompt"),
        ]
        successor.switch.resume(scene.hearing.arrivals[0], scene.call, history)
        async with successor.switch:
            await successor.switch.client.wait_ready(5)
            assert [call for call, _ in successor.hearing.events] == [scene.call]
            assert successor.hearing.of(PlaybackEnded)[0].playback == "play-1"
            await caller.press("4")
            assert (await successor.hearing.event(DigitPressed)).digit == "4"
            successor.switch.release(scene.call)
            await caller.ended()
            await scene.nothing_left()
        assert successor.hearing.arrivals == []


@asynccontextmanager
async def gap(scene: Scene) -> AsyncIterator[None]:
    """No connection while inside."""
    client = scene.switch.client
    await client.close()
    yield
    await client.__aenter__()
    await client.wait_ready(5)
