"""Whatever happens, a call never raises, ends when its caller is gone, and leaves nothing behind.

The auditor inside `drive` checks every step; these tests bring the weather and the endings.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.call import commands, events
from flowengine.call.events import CALLER, SECOND
from flowengine.call.machine import SETTLE_S, CallMachine, digest
from flowengine.flow.document import Flow, GroupTransfer, UserTransfer
from tests.call.driving import T0, Driven, drive
from tests.call.driving import flow as flow_of
from tests.call.weather import befall, flows, thorough, weather
from tests.flow.strategies import any_flows, valid_flows

ENDINGS = ("caller", "operator", "no_credit", "shutdown", "switch_lost")


ROOM = st.sampled_from([True, False, None])


def live(flow: Flow, happenings: bytes, *, responsive: bool, room: bool | None = True) -> Driven:
    """A call that has seen all this weather."""
    return befall(drive(flow, responsive=responsive, room=room).arrives(), happenings)


def end(call: Driven, ending: str) -> None:
    call.now = call.audit.now
    match ending:
        case "caller":
            call.hangs_up()
        case "operator" | "no_credit" | "shutdown" | "switch_lost" as reason:
            call.happens(events.CallKilled(call.now, reason))


def assert_told_to_end(call: Driven) -> None:
    """In the very step of the end everything is closed, or told to end; one timer waits for the confirmations."""
    audit = call.audit
    assert not audit.of_kind("play")
    assert not audit.of_kind("room")
    assert not audit.of_kind("bridge")
    assert set(audit.of_kind("leg")) | set(audit.of_kind("record")) <= audit.told
    assert set(audit.of_kind("line")) <= audit.left
    assert not audit.reserved
    assert len(audit.of_kind("timer")) == (not call.is_over())


def assert_over(call: Driven) -> None:
    """The call is done, every way out was a declared one, and it happens again from its journal alone."""
    machine = call.machine
    assert machine.done
    assert machine.crash == ""
    assert machine.call.open_things == ()
    assert machine.ended_at is not None
    for visit in machine.visits:
        assert visit.outcome in ("", *machine.flow.states[visit.state].outcomes())
    machine.record()
    again = CallMachine(machine.flow)
    assert [digest(again.step(event)) for event in call.journal] == call.digests
    assert again.done
    assert again.record() == machine.record()


@thorough
@given(flow=flows(), happenings=weather(), ending=st.sampled_from(ENDINGS), room=ROOM)
def test_ends_at_once_with_a_switch_that_does_as_it_is_told(
    flow: Flow, happenings: bytes, ending: str, room: bool | None
) -> None:
    call = live(flow, happenings, responsive=True, room=room)
    end(call, ending)
    for ask in call.audit.of_kind("ask"):
        call.feed(events.AgentsOffered(call.now, ask))
    assert_over(call)


@thorough
@given(flow=flows(), happenings=weather(), ending=st.sampled_from(ENDINGS), room=ROOM)
def test_ends_after_the_settle_time_with_a_switch_that_confirms_nothing(
    flow: Flow, happenings: bytes, ending: str, room: bool | None
) -> None:
    call = live(flow, happenings, responsive=False, room=room)
    end(call, ending)
    assert_told_to_end(call)
    ended = call.now
    if not call.machine.done:
        call.waits(SETTLE_S)
    assert_over(call)
    assert call.machine.call.now <= ended + SETTLE_S * SECOND


@thorough
@given(flow=flows(), happenings=weather(), responsive=st.booleans(), room=ROOM)
def test_an_event_that_comes_twice_says_nothing_the_second_time(
    flow: Flow, happenings: bytes, responsive: bool, room: bool | None
) -> None:
    call = drive(flow, responsive=responsive, room=room).arrives()

    def again() -> None:
        if not isinstance(call.journal[-1], events.DigitPressed):
            assert call.feed(call.journal[-1]) == [], call.journal[-1]

    befall(call, happenings, then=again)


NEVER_ANSWERS_FIRST = flow_of(
    ring=UserTransfer(user="u2", connections={"timeout": "all", "unavailable": "all", "busy": "all"}),
    all=GroupTransfer(group="g1", record=True, connections={"timeout": "one", "unavailable": "one"}),
    one=GroupTransfer(group="g1", ringing="sequential", ring_timeout_s=5.0),
)


@given(happenings=weather())
def test_nothing_is_answered_before_an_agent_is(happenings: bytes) -> None:
    """A caller whose flow begins with transfers pays nothing until somebody talks to them."""
    call = drive(NEVER_ANSWERS_FIRST).arrives()

    def check() -> None:
        taken = call.all_of(commands.AgentTaken)
        assert len(call.all_of(commands.Answer)) == len(taken) <= 1

    befall(call, happenings, then=check)


@given(flow=any_flows(max_states=3) | valid_flows(max_states=4), happenings=weather())
def test_a_flow_no_validator_has_seen_breaks_nothing_either(flow: Flow, happenings: bytes) -> None:
    call = live(flow, happenings, responsive=True)
    end(call, "caller")
    for ask in call.audit.of_kind("ask"):
        call.feed(events.AgentsOffered(call.now, ask))
    assert call.machine.done
    assert call.machine.crash == ""


@given(flow=flows(), happenings=weather())
def test_strangers_change_nothing(flow: Flow, happenings: bytes) -> None:
    """Events of things this call never had lead to no command."""
    call = live(flow, happenings, responsive=True)
    for event in (
        events.LegHungUp(T0, "leg-99", 16),
        events.LegAnswered(T0, "leg-99"),
        events.DigitPressed(T0, "leg-99", "1"),
        events.PlaybackEnded(T0, "play-99"),
        events.RecordingEnded(T0, "rec-99", 5_000),
        events.RoomReserved(T0, "rec-99", granted=True),
        events.RoomRanOut(T0, "rec-99"),
        events.TimerFired(T0, "timer-99"),
        events.LineFull(T0, "line-99"),
        events.LineJoined(T0, "line-99", 1),
        events.CommandFailed(T0, "bridge-99", "gone"),
        events.CallArrived(T0, "+1", "+2", "other"),
    ):
        assert call.feed(event) == [], event


def test_a_journal_begins_with_the_arrival() -> None:
    machine = CallMachine(Flow(format="flowengine/1", name="", states={}))
    with pytest.raises(ValueError, match="begins with call_arrived, not with LegHungUp"):
        machine.step(events.LegHungUp(T0, CALLER, 16))
