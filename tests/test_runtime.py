"""The shell on the simulated world: order, refusals, failures behind us, draining, and a thousand calls at once."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from flowengine.call import causes, commands, events
from flowengine.call.commands import DeskCommand, KeepRecording, SwitchCommand
from flowengine.call.events import SECOND, Event, Instant
from flowengine.call.machine import digest
from flowengine.call.record import CallRecord
from flowengine.clock import SystemClock
from flowengine.flow.document import GroupTransfer, Ivr, UserTransfer, Voicemail
from flowengine.intake import LONGEST_PAUSE_S
from flowengine.ports import Arrival
from flowengine.runtime import LAST_S
from flowengine.states import STATES
from simulator.phones import Answered, Behaviour, HangUp, Hear, Press, Speak, Step, Wait, seconds
from tests.call.driving import announcement, flow, say
from tests.live_world import CALLER, NUMBER, LiveWorld, in_virtual_time, settle, until

MENU = flow(
    menu=Ivr(prompt=say("Sales one"), connections={"1": "ring", "2": "box", "timeout": "bye"}),
    ring=GroupTransfer(group="team", record=True, ring_timeout_s=10.0, connections={"timeout": "box"}),
    box=Voicemail(prompt=say("Speak"), max_duration_s=20.0),
    bye=announcement("Bye"),
)
HELLO = flow(hello=announcement("Hello"))
ANSWERS = Behaviour(answers_after_us=seconds(2), talks_us=seconds(5))
TO_SALES: tuple[Step, ...] = (Answered(), Wait(seconds(1)), Press("1"))
MESSAGE: tuple[Step, ...] = (
    Answered(),
    Press("2"),
    Hear("tone:beep", to_end=True),
    Speak(seconds(4)),
    HangUp(),
)


def office(**users: Behaviour) -> LiveWorld:
    """MENU, with a team of these telephones."""
    return LiveWorld(MENU, users, {"team": tuple(users)})


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def said(logs: list[EventDict], event: str) -> list[EventDict]:
    return [entry for entry in logs if entry["event"].startswith(event)]


# Order


def test_a_whole_call_is_journaled_performed_recorded_and_forgotten() -> None:
    async def main() -> None:
        live = office(hanako=ANSWERS)
        caller = live.call(*TO_SALES)
        await until(lambda: live.engine.calls)
        assert list(live.engine.calls) == ["cal_1"]
        await live.over()
        await until(lambda: live.keeper.kept)
        assert live.journal.opened == {"cal_1": ("acc_test", "flw_test", MENU.sha256())}
        record = live.journal.records["cal_1"]
        assert [f"{visit.state}:{visit.outcome}" for visit in record.path] == ["menu:1", "ring:answered"]
        assert record.disposition == "answered"
        assert (record.number, record.caller, record.version) == (NUMBER, CALLER, MENU.sha256())
        assert [seq for seq, _, _ in live.journal.rows["cal_1"]] == list(
            range(len(live.journal.rows["cal_1"]))
        )
        assert [account for account, size in live.keeper.kept.values() if size > 44] == ["acc_test"]
        assert caller.cause == causes.NORMAL
        assert live.switch.released == ["cal_1"]
        assert live.leaks() == []

    in_virtual_time(main())


def test_nothing_is_performed_before_its_event_is_in_the_journal() -> None:
    """In a busy hour, for every call: journal row, then exactly what that row's digest stands for."""

    async def main() -> None:
        live = office(a=ANSWERS, b=Behaviour(), c=Behaviour(answers_after_us=seconds(4), talks_us=seconds(9)))
        live.journal.slow_s = 0.003
        for at in range(12):
            live.call(*(TO_SALES if at % 3 else MESSAGE))
            await asyncio.sleep(at % 4)
        await live.over()
        for call in live.journal.records:
            log = [(kind, what) for kind, of, what in live.log if of == call]
            assert log[0][0] == "journaled"
            steps = [list(several) for _, several in groupby(log, key=_Steps())]
            assert len(steps) == len(live.journal.rows[call])
            for (kind, row), (also, told), *performed in steps:
                assert (kind, also) == ("journaled", "watched")
                assert row == digest(list(told))
                outside = [each for each in told if isinstance(each, SwitchCommand | DeskCommand)]
                done = [each for _, several in performed for each in several]
                assert sorted(map(repr, done)) == sorted(map(repr, outside))
                assert [each for each in done if isinstance(each, SwitchCommand)] == [
                    each for each in outside if isinstance(each, SwitchCommand)
                ]
        assert live.leaks() == []

    in_virtual_time(main())


class _Steps:
    """Numbers the steps of a log: each begins with its journal row."""

    def __init__(self) -> None:
        self.step = 0

    def __call__(self, line: tuple[str, Any]) -> int:
        self.step += line[0] == "journaled"
        return self.step


def test_while_the_journal_writes_nothing_is_done_and_nothing_is_lost() -> None:
    async def main() -> None:
        live = office()
        gate = asyncio.Event()
        write = live.journal.append

        async def gated(call: str, seq: int, event: Event, digest: str) -> None:
            await gate.wait()
            await write(call, seq, event, digest)

        live.journal.append = gated  # type: ignore[method-assign]
        caller = live.call(HangUp())
        await asyncio.sleep(30)
        assert live.log == []
        assert caller.sounds == []
        gate.set()
        await live.over()
        assert [type(event).__name__ for event in live.journal.events("cal_1")][:2] == [
            "CallArrived",
            "LegHungUp",
        ]
        assert live.journal.records["cal_1"].end_reason == "caller_hung_up"
        assert live.leaks() == []

    in_virtual_time(main())


def test_events_keep_their_order_from_before_the_journal_was_open() -> None:
    async def main() -> None:
        live = LiveWorld(MENU)
        live.journal.slow_s = 5.0
        live.call()
        await settle()
        for key in "9987":
            live.engine.happened("cal_1", events.DigitPressed(live.clock.now(), "caller", key))
        live.journal.slow_s = 0.0
        await until(lambda: len(live.journal.rows.get("cal_1", ())) >= 5)
        found = live.journal.events("cal_1")
        assert isinstance(found[0], events.CallArrived)
        assert [event.digit for event in found if isinstance(event, events.DigitPressed)] == list("9987")
        live.engine.kill("cal_1")
        await live.over()

    in_virtual_time(main())


def test_a_switch_may_tell_the_end_of_a_leg_while_it_is_adopted() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)

        def adopt(arrival: Arrival, call: str) -> None:
            live.engine.happened(call, events.LegHungUp(live.clock.now(), "caller", 16))

        live.switch.adopt = adopt  # type: ignore[method-assign]
        live.engine.arrived(Arrival("in-1", NUMBER, CALLER))
        await live.over()
        assert live.journal.records["cal_1"].end_reason == "caller_hung_up"

    in_virtual_time(main())


def test_an_arrival_whose_leg_is_gone_already_is_a_short_call() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        caller = live.call(HangUp())
        await live.over()
        assert caller.sounds == []
        record = live.journal.records["cal_1"]
        assert (record.end_reason, record.answered_at) == ("caller_hung_up", None)
        assert live.leaks() == []

    in_virtual_time(main())


def test_timers_keep_their_deadline_however_slow_the_journal_is() -> None:
    async def main() -> None:
        live = LiveWorld(flow(menu=Ivr(prompt=say("One"), timeout_s=5.0)))
        live.call()
        await until(lambda: live.world.playbacks)
        live.journal.slow_s = 2.0
        await until(
            lambda: any(isinstance(event, events.TimerFired) for event in live.journal.events("cal_1"))
        )
        found = live.journal.events("cal_1")
        [ended] = [event.at for event in found if isinstance(event, events.PlaybackEnded)]
        [fired] = [event.at for event in found if isinstance(event, events.TimerFired)]
        assert 0 <= fired - ended - 5 * SECOND < SECOND // 100
        live.journal.slow_s = 0
        await live.over()

    in_virtual_time(main())


def test_a_deadline_that_has_passed_fires_at_once_and_a_cancelled_one_never() -> None:
    async def main() -> None:
        live = LiveWorld(
            flow(
                menu=Ivr(prompt=say("One"), timeout_s=1.0, connections={"1": "bye"}), bye=announcement("Bye")
            )
        )
        live.call(Hear("One", to_end=True), Wait(100_000), Press("1"))
        await until(
            lambda: (
                "bye" in {visit.state for machine in live.engine.calls.values() for visit in machine.visits}
            )
        )
        await live.over()
        assert not [event for event in live.journal.events("cal_1") if isinstance(event, events.TimerFired)]

        live.call()
        await until(lambda: live.world.playbacks)
        live.journal.slow_s = 7.0
        await until(
            lambda: any(isinstance(event, events.TimerFired) for event in live.journal.events("cal_2"))
        )
        found = live.journal.events("cal_2")
        at = next(place for place, event in enumerate(found) if isinstance(event, events.TimerFired))
        assert found[at].at - found[at - 1].at <= 7.1 * SECOND
        live.journal.slow_s = 0
        await live.over()

    in_virtual_time(main())


def test_nobody_is_disturbed_by_events_of_calls_that_are_not_there() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.engine.happened("cal_9", events.LegHungUp(0, "caller", 16))
        assert not live.engine.kill("cal_9")
        live.engine.forget("cal_9")
        live.call()
        await live.over()
        rows = len(live.journal.rows["cal_1"])
        live.engine.happened("cal_1", events.DigitPressed(live.clock.now(), "caller", "1"))
        assert not live.engine.kill("cal_1")
        await settle()
        assert len(live.journal.rows["cal_1"]) == rows

    in_virtual_time(main())


def test_news_of_devices_go_to_whoever_wants_them() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.engine.reachable("PJSIP/a", True)
        heard: list[tuple[str, bool]] = []
        live.engine.on_reachable = lambda endpoint, there: heard.append((endpoint, there))
        live.engine.reachable("PJSIP/a", False)
        assert heard == [("PJSIP/a", False)]

    in_virtual_time(main())


# Refused calls


def test_a_number_nobody_has_and_one_without_a_flow_are_refused_with_their_causes(
    logs: list[EventDict],
) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO, others={"+815055550199": None})
        unknown = live.call(number="+815055550177")
        unpublished = live.call(number="+815055550199")
        await until(lambda: unknown.cause and unpublished.cause)
        assert (unknown.cause, unpublished.cause) == (causes.UNALLOCATED, causes.SUBSCRIBER_ABSENT)
        assert live.journal.opened == {}
        assert live.leaks() == []
        assert live.engine.calls == {}

    in_virtual_time(main())
    refused = said(logs, "call refused")
    assert [(entry["reason"], entry["cause"]) for entry in refused] == [
        ("unknown_number", 1),
        ("no_published_flow", 20),
    ]
    assert not re.search(r"\d{6}", repr(logs))


def test_national_spellings_of_a_number_find_its_flow() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO, country="JP")
        live.call(number="050-5555-0100", caller="090 5555 0123")
        live.call(number="815055550100", caller="anonymous")
        await live.over()
        assert [record.number for record in live.journal.records.values()] == [NUMBER, NUMBER]
        assert [record.caller for record in live.journal.records.values()] == [CALLER, "anonymous"]

    in_virtual_time(main())


def test_a_call_is_refused_when_its_journal_cannot_be_opened(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = office(hanako=ANSWERS)

        async def fails(*_: object) -> None:
            await asyncio.sleep(0.1)
            raise OSError("disk full")

        working = live.journal.open
        live.journal.open = fails  # type: ignore[method-assign,assignment]
        callers = [live.call(*TO_SALES) for _ in range(3)]
        await live.over()
        await until(lambda: all(caller.cause for caller in callers))
        assert [caller.cause for caller in callers] == [causes.CONGESTION] * 3
        assert live.leaks() == []
        assert live.journal.records == {}
        assert live.engine.journal_failed_at is not None
        assert live.switch.released == ["cal_1", "cal_2", "cal_3"]
        assert len(asyncio.all_tasks()) == 1
        live.journal.open = working  # type: ignore[method-assign]
        again = live.call()
        await live.over()
        assert again.sounds
        assert live.engine.journal_failed_at is None

    in_virtual_time(main())
    assert len(said(logs, "call refused: no journal")) == 3


# What fails behind a call


def test_a_call_goes_on_without_its_journal_and_with_it_again(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = office(hanako=ANSWERS)
        write = live.journal.append

        async def fails_at_times(call: str, seq: int, event: Event, digest: str) -> None:
            if 2 <= seq <= 5:
                raise OSError("database is locked")
            await write(call, seq, event, digest)

        live.journal.append = fails_at_times  # type: ignore[method-assign]
        live.call(*TO_SALES)
        await live.over()
        assert live.journal.records["cal_1"].disposition == "answered"
        assert [seq for seq, _, _ in live.journal.rows["cal_1"]][:4] == [0, 1, 6, 7]
        assert live.desk.held == ()

    in_virtual_time(main())
    assert [entry["seq"] for entry in said(logs, "event not journaled")] == [2, 3, 4, 5]


def test_a_record_that_cannot_be_written_is_told_and_the_call_is_over(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)

        async def fails(call: str, record: CallRecord) -> None:
            raise OSError("disk full")

        live.journal.close = fails  # type: ignore[method-assign]
        live.call()
        await live.over()
        assert live.leaks() == []

    in_virtual_time(main())
    assert len(said(logs, "call record not written")) == 1
    assert len(said(logs, "call ended")) == 1


def test_a_recording_that_cannot_be_kept_stays_on_the_switch(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = office()

        async def fails(account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]) -> None:
            async for _ in sound:
                raise OSError("no space left")

        works, live.keeper.keep = live.keeper.keep, fails  # type: ignore[method-assign]
        live.call(*MESSAGE)
        await live.over()
        await asyncio.sleep(3_600)
        [there] = live.world.stored
        assert there.startswith("cal_1.rec-")
        assert live.journal.records["cal_1"].disposition == "message"
        assert live.alarms.standing == {
            "recordings_not_kept": "1 recording waits on the switch and cannot be kept: no space left"
        }
        live.keeper.keep = works  # type: ignore[method-assign]
        await asyncio.sleep(LONGEST_PAUSE_S)
        assert not live.world.stored
        assert len(live.keeper.kept) == 1
        assert live.alarms.standing == {}
        assert live.leaks() == []
        assert len(asyncio.all_tasks()) == 1

    in_virtual_time(main())
    [told] = said(logs, "recording not kept yet, it stays on the switch")
    assert told["log_level"] == "warning"
    assert [entry["event"] for entry in said(logs, "alarm")] == ["alarm", "alarm over"]
    assert not said(logs, "recording not deleted on the switch")


def test_a_recording_that_is_home_but_not_deleted_is_told_as_that(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = office()

        async def fails(call: str, recording: str) -> None:
            raise OSError("Asterisk is away")

        live.switch.discard = fails  # type: ignore[method-assign]
        live.call(*MESSAGE)
        await live.over()
        await settle()
        assert len(live.keeper.kept) == 1

    in_virtual_time(main())
    assert len(said(logs, "recording not deleted on the switch")) == 1
    assert not said(logs, "recording not kept yet, it stays on the switch")


def test_a_message_too_short_to_keep_is_deleted_on_the_switch() -> None:
    async def main() -> None:
        live = office()
        live.call(Answered(), Press("2"), Hear("tone:beep", to_end=True), Wait(300_000), HangUp())
        await live.over()
        await settle()
        assert live.keeper.kept == {}
        assert live.leaks() == []

    in_virtual_time(main())


def test_a_watcher_that_fails_does_not_touch_the_call(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)

        def fails(*_: object) -> None:
            raise KeyError("watch")

        live.engine.watch = fails
        caller = live.call()
        await live.over()
        assert live.journal.records["cal_1"].end_reason == "completed"
        assert "say:en-US::Hello" in caller.sounds
        live.engine.watch = None
        live.call()
        await live.over()

    in_virtual_time(main())
    assert len(said(logs, "a watcher failed")) > 0


def test_a_bug_in_a_state_apologises_to_its_caller_and_to_no_other(
    logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def buggy(call: Any, node: Any) -> str:
        call.answer()
        await call.play(node.prompt.sound(call.manner))
        raise ValueError(f"cannot ring {call.caller}, who pressed 7")

    async def main() -> None:
        live = LiveWorld(HELLO)
        well = live.call()
        await until(lambda: well.sounds)
        monkeypatch.setitem(STATES, "announcement", buggy)
        poor = live.call()
        await live.over()
        assert poor.sounds == ["say:en-US::Hello", "builtin:apology:en-US"]
        assert poor.cause == causes.CONGESTION
        assert well.sounds == ["say:en-US::Hello"]
        assert live.journal.records["cal_2"].disposition == "failed"
        assert live.journal.records["cal_1"].disposition == "self_served"
        assert live.leaks() == []

    in_virtual_time(main())
    [told] = said(logs, "a state crashed")
    assert told["log_level"] == "error"
    assert told["call"] == "cal_2"
    assert told["crash"][-1] == "ValueError"
    assert "in buggy" in told["crash"][-2]
    assert CALLER not in repr(logs)
    assert "pressed 7" not in repr(logs)


@pytest.mark.parametrize("kind", [commands.OfferAgents, commands.AgentTaken])
def test_a_call_the_engine_itself_fails_is_ended_freed_and_recorded(
    logs: list[EventDict], kind: type[DeskCommand]
) -> None:
    async def main() -> None:
        live = office(hanako=ANSWERS, taro=Behaviour())
        ask = live.desk.perform

        def fails(account: str, call: str, command: DeskCommand, at: Instant) -> None:
            if isinstance(command, kind) and call == "cal_1":
                raise RuntimeError("a bug of ours")
            ask(account, call, command, at)

        live.desk.perform = fails  # type: ignore[method-assign]
        poor = live.call(*TO_SALES)
        await live.over()
        await settle()
        assert poor.cause == causes.TEMPORARY_FAILURE
        record = live.journal.records["cal_1"]
        assert (record.disposition, record.end_reason) == ("failed", "crashed")
        assert record.ended_at == live.journal.records["cal_1"].ended_at is not None
        assert live.leaks() == []
        well = live.call(*TO_SALES)
        await live.over()
        assert live.journal.records["cal_2"].disposition == "answered"
        assert well.cause == causes.NORMAL
        assert await live.engine.drain(5) == 0

    in_virtual_time(main())
    assert len(said(logs, "call given up")) == 1


# The end


def test_an_operator_can_end_a_call() -> None:
    async def main() -> None:
        live = office(hanako=Behaviour(answers_after_us=seconds(1)))
        caller = live.call(*TO_SALES)
        await until(lambda: live.world.bridges)
        assert live.engine.kill("cal_1")
        await live.over()
        assert caller.cause == causes.NORMAL
        assert live.journal.records["cal_1"].end_reason == "operator"
        await until(lambda: not live.leaks())

    in_virtual_time(main())


def test_draining_an_idle_engine_is_done_at_once_and_it_takes_no_more_calls(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        before = asyncio.get_running_loop().time()
        assert await live.engine.drain(30) == 0
        assert asyncio.get_running_loop().time() == before
        late = live.call()
        unknown = live.call(number="+815055550177")
        await until(lambda: late.cause and unknown.cause)
        assert (late.cause, unknown.cause) == (causes.CONGESTION, causes.CONGESTION)
        assert live.engine.calls == {}

    in_virtual_time(main())
    assert {entry["reason"] for entry in said(logs, "call refused")} == {"shutting_down"}


def test_draining_waits_for_calls_their_records_and_their_recordings() -> None:
    async def main() -> None:
        live = office()
        keep = live.keeper.keep

        async def slowly(
            account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
        ) -> None:
            await asyncio.sleep(5)
            await keep(account, call, command, sound)

        live.keeper.keep = slowly  # type: ignore[method-assign]
        live.call(*MESSAGE)
        await until(lambda: live.world.recordings)
        live.journal.slow_s = 0.5
        assert await live.engine.drain(60) == 0
        assert live.journal.records["cal_1"].disposition == "message"
        assert len(live.keeper.kept) == 1
        assert live.leaks() == []
        assert len(asyncio.all_tasks()) == 1

    in_virtual_time(main())


def test_draining_leaves_what_takes_too_long_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        live = office(hanako=Behaviour(answers_after_us=seconds(1)))
        live.call(*TO_SALES)
        live.call(Answered(), Wait(seconds(2)), HangUp())
        await until(lambda: live.world.bridges)
        before = asyncio.get_running_loop().time()
        assert await live.engine.drain(20) == 1
        assert 20 <= asyncio.get_running_loop().time() - before < 21
        assert list(live.journal.records) == ["cal_2"]
        assert set(live.engine.calls) == {"cal_1"}
        assert live.switch.released == ["cal_2"]
        assert len(live.world.bridges) == 1
        assert len([leg for leg in live.world.legs.values() if leg.up]) == 2
        assert live.desk.held == ("hanako",)
        rows = len(live.journal.rows["cal_1"])
        await asyncio.sleep(7_000)
        assert len(live.journal.rows["cal_1"]) == rows
        assert len(asyncio.all_tasks()) == 1

    with caplog.at_level(logging.DEBUG):
        in_virtual_time(main())
    assert "destroyed" not in caplog.text


def test_draining_does_not_wait_for_ever_for_a_recording() -> None:
    async def main() -> None:
        live = office()

        async def never(account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]) -> None:
            await asyncio.Event().wait()

        live.keeper.keep = never  # type: ignore[method-assign]
        live.call(*MESSAGE)
        await live.over()
        before = asyncio.get_running_loop().time()
        assert await live.engine.drain(60) == 0
        assert asyncio.get_running_loop().time() - before == pytest.approx(LAST_S)
        assert len(live.world.stored) == 1
        assert len(asyncio.all_tasks()) == 1

    in_virtual_time(main())


def test_a_call_that_cannot_begin_before_the_end_is_refused() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.journal.slow_s = 60.0
        caller = live.call()
        await settle()
        assert await live.engine.drain(1) == 0
        await until(lambda: caller.cause)
        assert caller.cause == causes.CONGESTION
        assert live.leaks() == []
        assert live.switch.released == ["cal_1"]

    in_virtual_time(main())


def test_draining_lets_the_record_of_a_finished_call_be_written() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        caller = live.call()
        await until(lambda: caller.sounds)
        live.journal.slow_s = 4.0
        await until(lambda: caller.cause)
        [machine] = live.engine.calls.values()
        await until(lambda: machine.done)
        assert await live.engine.drain(0.5) == 0
        assert list(live.journal.records) == ["cal_1"]

    in_virtual_time(main())


def test_draining_that_is_itself_cancelled_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.call()
        await settle()
        draining = asyncio.create_task(live.engine.drain(60))
        await settle()
        draining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draining

    with caplog.at_level(logging.DEBUG):
        in_virtual_time(main())
    assert "destroyed" not in caplog.text


# Many


def test_a_thousand_calls_at_once_leave_nothing_behind() -> None:
    async def main() -> None:
        live = LiveWorld(
            flow(
                menu=Ivr(prompt=say("Hi"), connections={"1": "box", "2": "her", "timeout": "bye"}),
                box=Voicemail(prompt=say("Speak"), silence_s=2.0),
                her=UserTransfer(user="hanako", ring_timeout_s=5.0, connections={"busy": "bye"}),
                bye=announcement("Bye"),
            ),
            {"hanako": ANSWERS},
        )
        before = len(asyncio.all_tasks())
        scripts: tuple[tuple[Step, ...], ...] = (
            (Answered(), Press("1"), Hear("tone:beep", to_end=True), Speak(seconds(2)), Wait(seconds(9))),
            (Answered(), Press("2")),
            (Answered(), Wait(seconds(1)), HangUp()),
            (),
        )
        callers = [live.call(*scripts[at % 4]) for at in range(1_000)]
        await until(lambda: len(live.engine.calls) == 1_000, within_s=2)
        assert len(asyncio.all_tasks()) == before + 1_000
        await live.over()
        await until(lambda: len(asyncio.all_tasks()) == before)
        assert len(live.journal.records) == 1_000
        assert all(caller.cause for caller in callers)
        assert live.leaks() == []
        found = [record.disposition for record in live.journal.records.values()]
        assert found.count("message") == 250
        assert found.count("answered") >= 1
        assert not live.engine._tasks
        assert await live.engine.drain(1) == 0

    in_virtual_time(main())


# What logs may say


def _told_of(keys: str, caller: str, logs: list[EventDict]) -> list[EventDict]:
    logs.clear()

    async def main() -> None:
        live = LiveWorld(
            flow(
                menu=Ivr(
                    prompt=say("Sales one"),
                    connections={"1": "ring", "2": "ring", "5": "ring", "timeout": "bye"},
                ),
                ring=GroupTransfer(group="team", record=True, connections={"timeout": "bye"}),
                bye=announcement("Bye"),
            ),
            {"hanako": ANSWERS},
            {"team": ("hanako",)},
        )

        async def fails(*_: object) -> None:
            raise OSError("gone")

        live.journal.append = fails  # type: ignore[method-assign,assignment]
        live.keeper.keep = fails  # type: ignore[method-assign,assignment]
        live.call(Answered(), Press(keys), caller=caller)
        await live.over()
        await settle()

    in_virtual_time(main())
    return [dict(entry) for entry in logs]


def test_logs_are_the_same_whoever_calls_and_whatever_they_press(logs: list[EventDict]) -> None:
    """Two calls that differ in the caller and the key alone are told in the same words."""
    first = _told_of("1", "+819055550123", logs)
    second = _told_of("5", "+818099990456", logs)
    third = _told_of("2", "anonymous", logs)
    assert first == second == third
    assert len(first) > 5


def test_no_whole_number_is_ever_logged(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = office(hanako=ANSWERS)
        live.call(*TO_SALES)
        live.call(*MESSAGE)
        live.call(number="+815055550177")
        await live.over()
        await live.engine.drain(1)
        live.call()
        await asyncio.sleep(1)

    in_virtual_time(main())
    text = repr(logs)
    assert "call began" in text
    assert "call refused" in text
    for number in (NUMBER, CALLER, "+815055550177"):
        assert number[1:] not in text
        assert number[-6:] not in text


# Time


def test_the_clock_of_live_calls_ignores_a_machine_whose_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    before = clock.now()
    assert abs(before - time.time_ns() // 1_000) < SECOND
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert 0 <= clock.now() - before < SECOND
