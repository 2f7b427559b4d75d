"""Recordings on their way home: room asked for, what fails tried again, and an engine that dies in between."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from flowengine.alarms import Alarms
from flowengine.call.commands import KeepRecording, ReleaseRoom, ReserveRoom
from flowengine.call.events import RoomReserved
from flowengine.flow.document import Flow, UserTransfer, Voicemail
from flowengine.intake import ALARM, FIRST_PAUSE_S, UNUSABLE_TRIES, Expected, Intake, Lost, Unusable
from flowengine.ports import RecordingMissing
from simulator.phones import Answered, Behaviour, HangUp, Hear, Speak, Wait
from tests.call.driving import flow, say
from tests.live_world import ACCOUNT, LiveWorld, in_virtual_time, settle, until

MAILBOX = flow(message=Voicemail(prompt=say("Leave a message"), silence_s=5))
RECORDED = flow(ring=UserTransfer(user="hanako", record=True))
MESSAGE = (Answered(), Hear("tone:beep", to_end=True), Speak(4_000_000), HangUp())
KEEP = KeepRecording("rec-1", "voicemail", "message", 3_000, limit_s=120.0)


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def office(of: Flow = MAILBOX) -> LiveWorld:
    return LiveWorld(of, {"hanako": Behaviour(answers_after_us=1_000_000)})


def test_room_is_asked_before_the_prompt_and_given_back_with_the_recording() -> None:
    async def main() -> None:
        live = office()
        live.call(*MESSAGE)
        await until(lambda: live.world.recordings)
        assert live.rooms.taken == {("cal_1", "rec-1"): 120.0}
        await live.over()
        await settle()
        assert list(live.keeper.kept) == [("cal_1", "rec-1")]
        assert live.leaks() == []

    in_virtual_time(main())


def test_without_room_the_caller_is_told_and_nothing_is_recorded() -> None:
    async def main() -> None:
        live = office()
        live.rooms.full = True
        caller = live.call(*MESSAGE)
        await live.over()
        assert "builtin:mailbox-full:en-US" in caller.sounds
        assert "tone:beep" not in caller.sounds
        assert live.keeper.kept == {}
        assert live.leaks() == []

    in_virtual_time(main())


def test_a_talk_without_room_goes_on_unrecorded() -> None:
    async def main() -> None:
        live = office(RECORDED)
        live.rooms.full = True
        live.call(Answered(), Wait(20_000_000), HangUp())
        await until(lambda: live.world.bridges)
        await asyncio.sleep(10)
        assert live.world.bridges
        assert not live.world.recordings
        await live.over()
        assert live.journal.records["cal_1"].disposition == "answered"

    in_virtual_time(main())


def test_a_plan_that_cannot_be_asked_costs_nobody_a_message(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = office()

        async def fails(*_: object) -> bool:
            raise OSError("the database is away")

        live.rooms.reserve = fails  # type: ignore[method-assign,assignment]
        live.call(*MESSAGE)
        await live.over()
        await settle()
        assert len(live.keeper.kept) == 1

    in_virtual_time(main())
    assert [entry["log_level"] for entry in logs if entry["event"].startswith("no room")] == ["error"]


def test_room_is_given_back_after_it_was_taken_however_slow_the_plan_is() -> None:
    async def main() -> None:
        live = office()
        reserve = live.rooms.reserve

        async def slowly(account: str, call: str, recording: str, limit_s: float) -> bool:
            await asyncio.sleep(3)
            return await reserve(account, call, recording, limit_s)

        live.rooms.reserve = slowly  # type: ignore[method-assign]
        live.intake.perform(ACCOUNT, "cal_9", ReserveRoom("rec-1", 120))
        live.intake.perform(ACCOUNT, "cal_9", ReleaseRoom("rec-1"))
        await asyncio.sleep(5)
        assert live.rooms.taken == {}

    in_virtual_time(main())


def test_a_pause_longer_each_time_and_an_alarm_at_once() -> None:
    async def main() -> None:
        live = office()
        tries: list[float] = []
        loop = asyncio.get_running_loop()

        async def fails(account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]) -> None:
            tries.append(loop.time())
            raise OSError("the volume is gone")

        live.keeper.keep = fails  # type: ignore[method-assign]
        live.intake.perform(ACCOUNT, "cal_9", KEEP)
        await settle()
        assert live.alarms.standing[ALARM].endswith("the volume is gone")
        await asyncio.sleep(120)
        pauses = [round(later - sooner, 3) for sooner, later in itertools.pairwise(tries)]
        assert pauses[:7] == [FIRST_PAUSE_S, 1, 2, 4, 8, 16, 30]

    in_virtual_time(main())


@pytest.mark.parametrize("gone", [RecordingMissing("no such recording"), Lost("not a sample in it")])
def test_what_can_never_be_kept_is_written_down_and_its_room_given_back(gone: Exception) -> None:
    async def main() -> None:
        live = office()

        async def fails(account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]) -> None:
            raise gone

        live.rooms.taken["cal_9", "rec-1"] = 120
        live.keeper.keep = fails  # type: ignore[method-assign]
        live.intake.perform(ACCOUNT, "cal_9", KEEP)
        await settle()
        assert live.keeper.lost == {("cal_9", "rec-1"): str(gone)}
        assert live.rooms.taken == {}
        assert live.alarms.standing == {}

    in_virtual_time(main())


def test_a_file_that_cannot_be_used_is_fetched_again_and_in_the_end_left_for_a_person() -> None:
    async def main() -> None:
        live = office()
        live.call(*MESSAGE)
        await until(lambda: live.world.recordings)
        tries: list[str] = []

        async def fails(account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]) -> None:
            tries.append(call)
            raise Unusable("it is empty (0 bytes)")

        live.keeper.keep = fails  # type: ignore[method-assign]
        await live.over()
        await asyncio.sleep(600)
        assert len(tries) == UNUSABLE_TRIES
        [problem] = live.keeper.lost.values()
        assert problem == "it is empty (0 bytes); its file stays on the switch"
        assert len(live.world.stored) == 1
        assert live.alarms.standing == {}
        assert live.rooms.taken == {}

    in_virtual_time(main())


def test_an_engine_that_starts_again_fetches_what_was_expected() -> None:
    async def main() -> None:
        live = office()

        async def never(account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]) -> None:
            await asyncio.Event().wait()

        works, live.keeper.keep = live.keeper.keep, never  # type: ignore[method-assign]
        live.call(*MESSAGE)
        await live.over()
        await live.engine.drain(1)
        assert len(live.world.stored) == 1
        live.keeper.keep = works  # type: ignore[method-assign]
        again = Intake(live.engine, live.rooms, live.keeper, Alarms())
        assert await again.resume() == 1
        await settle()
        assert live.keeper.waiting == {}
        assert len(live.keeper.kept) == 1
        assert live.leaks() == []

    in_virtual_time(main())


def test_a_recording_that_cannot_be_noted_is_noted_later() -> None:
    async def main() -> None:
        live = office()
        expect = live.keeper.expect
        failures = iter([OSError("the database is away")] * 3)

        async def fails(account: str, call: str, command: KeepRecording) -> None:
            if (failure := next(failures, None)) is not None:
                raise failure
            await expect(account, call, command)

        live.keeper.expect = fails  # type: ignore[method-assign]
        live.call(*MESSAGE)
        await live.over()
        await asyncio.sleep(10)
        assert len(live.keeper.kept) == 1
        assert live.leaks() == []

    in_virtual_time(main())


def test_answers_of_the_plan_are_events_of_their_call() -> None:
    async def main() -> None:
        live = office()
        live.call(*MESSAGE)
        await live.over()
        told = [event for event in live.journal.events("cal_1") if isinstance(event, RoomReserved)]
        assert [(event.recording, event.granted) for event in told] == [("rec-1", True)]
        assert Expected(ACCOUNT, "cal_1", KEEP).command.recording == "rec-1"

    in_virtual_time(main())


def test_pausing_leaves_a_part_out_of_the_recording() -> None:
    async def main() -> None:
        live = office(RECORDED)
        live.call(Answered(), Wait(30_000_000), HangUp())
        await until(lambda: live.world.recordings)
        assert live.engine.pause_recording("cal_1", paused=True)
        assert not live.engine.pause_recording("cal_2", paused=True)
        await asyncio.sleep(10)
        assert live.engine.pause_recording("cal_1", paused=False)
        await live.over()
        [kept] = live.journal.records["cal_1"].recordings
        assert 18_000 < kept.duration_ms < 21_000

    in_virtual_time(main())
