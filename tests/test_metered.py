"""The engine and its meter: who may call, what a step tells it, and that its failures harm nobody."""

from collections.abc import Iterator, Sequence

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from flowengine.call import causes
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, CallKilled, CreditRunsOut, Event, Instant, LegAnswered
from flowengine.flow.document import UserTransfer
from simulator.phones import Answered, Behaviour, HangUp, Wait, seconds
from tests.call.driving import announcement, flow
from tests.live_world import ACCOUNT, NUMBER, LiveWorld, in_virtual_time, until

HELLO = flow(hello=announcement("Hello"))
TALK = flow(ring=UserTransfer(user="hanako"))


class Books:
    """A meter that writes down what it is told."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.asked: list[tuple[str, str, str]] = []
        self.steps: list[tuple[str, Event]] = []
        self.ended: list[str] = []

    async def admit(self, account: str, call: str, number: str, at: Instant) -> str | None:
        self.asked.append((account, call, number))
        return self.reason

    def step(self, account: str, call: str, event: Event, said: Sequence[Command]) -> None:
        self.steps.append((call, event))

    def over(self, account: str, call: str, at: Instant) -> None:
        self.ended.append(call)


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def test_a_call_is_asked_for_told_step_by_step_and_closed() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.engine.meter = meter = Books()
        live.call()
        await live.over()
        assert meter.asked == [(ACCOUNT, "cal_1", NUMBER)]
        assert [event for _, event in meter.steps] == live.journal.events("cal_1")
        assert meter.ended == ["cal_1"]

    in_virtual_time(main())


def test_a_call_that_cannot_be_paid_for_is_refused_before_anything_is_journaled(
    logs: list[EventDict],
) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.engine.meter = meter = Books("no_credit")
        refused: list[str] = []
        live.engine.on_refused = refused.append
        caller = live.call()
        await until(lambda: caller.cause)
        await live.over()
        assert caller.cause == causes.CALL_REJECTED
        assert refused == ["no_credit"]
        assert live.journal.rows == {}
        assert meter.steps == []
        assert meter.ended == ["cal_1"]
        assert live.leaks() == []

    in_virtual_time(main())
    assert [entry["reason"] for entry in logs if entry["event"] == "call refused"] == ["no_credit"]


def test_without_an_answer_of_the_meter_no_call_is_taken() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.engine.meter = meter = Books()

        async def fails(*_: object) -> str | None:
            raise OSError("the database is away")

        meter.admit = fails  # type: ignore[method-assign,assignment]
        caller = live.call()
        await until(lambda: caller.cause)
        await live.over()
        assert caller.cause == causes.CONGESTION
        assert live.leaks() == []

    in_virtual_time(main())


def test_a_meter_that_fails_at_a_step_harms_no_call(logs: list[EventDict]) -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        live.engine.meter = meter = Books()

        def fails(*_: object) -> None:
            raise ZeroDivisionError

        meter.step = fails  # type: ignore[method-assign,assignment]
        caller = live.call()
        await live.over()
        assert "say:en-US::Hello" in caller.sounds
        assert live.journal.records["cal_1"].disposition == "self_served"

    in_virtual_time(main())
    assert any(entry["event"] == "the meter failed at a step" for entry in logs)


def test_a_caller_whose_credit_runs_out_is_warned_and_cut() -> None:
    async def main() -> None:
        live = LiveWorld(TALK, {"hanako": Behaviour(answers_after_us=seconds(1))})
        live.engine.meter = Books()
        caller = live.call(Answered(), Wait(seconds(600)), HangUp())
        await until(lambda: live.world.bridges)
        now = live.clock.now
        live.engine.happened("cal_1", CreditRunsOut(now(), 60))
        await until(lambda: "builtin:minute-left:en-US" in caller.sounds)
        assert live.world.bridges, "the talk goes on"
        live.engine.happened("cal_1", CallKilled(now(), "no_credit"))
        await live.over()
        record = live.journal.records["cal_1"]
        assert (record.end_reason, record.disposition) == ("no_credit", "answered")
        assert any(
            isinstance(event, LegAnswered) and event.leg == CALLER for event in live.journal.events("cal_1")
        )
        assert live.leaks() == []

    in_virtual_time(main())
