"""Ringing one person: all devices at once, before the caller is answered, and how it ends."""

import pytest

from flowengine.call import causes, commands
from flowengine.call.causes import (
    ANSWERED_ELSEWHERE,
    CALL_REJECTED,
    NO_ANSWER,
    NORMAL,
    SUBSCRIBER_ABSENT,
    USER_BUSY,
)
from flowengine.call.events import LineFull
from flowengine.flow.document import Flow, Ivr, UserTransfer
from tests.call.driving import Driven, agent, announcement, drive, flow, say, spoken


def transfer(ring_s: float = 20.0, *, record: bool = False) -> Flow:
    """A transfer to hanako whose three exits lead to three announcements."""
    return flow(
        ring=UserTransfer(
            user="hanako",
            ring_timeout_s=ring_s,
            record=record,
            connections={"timeout": "timeout", "unavailable": "unavailable", "busy": "busy"},
        ),
        timeout=announcement("Nobody picked up"),
        unavailable=announcement("Nobody is there"),
        busy=announcement("On the telephone"),
    )


def ringing(of: Flow | None = None, devices: int = 1, *, responsive: bool = True) -> Driven:
    call = drive(of or transfer(), responsive=responsive).arrives().offered(agent("hanako", devices))
    return call.rings(*(f"hanako-{at}" if at > 1 else "hanako" for at in range(1, devices + 1)))


def test_asks_for_the_user_before_anything_else() -> None:
    call = drive(transfer()).arrives()
    assert call.said == [commands.OfferAgents("ask-1", "user", "hanako", "parallel", ())]


def test_rings_before_the_answer() -> None:
    call = drive(transfer(ring_s=20)).arrives().offered(agent("hanako"))
    assert call.just(commands.Ring) == [commands.Ring("caller")]
    [dial] = call.just(commands.Dial)
    assert (dial.endpoint, dial.caller, dial.caller_name) == ("PJSIP/hanako", "+819055550123", "Taro")
    assert dial.timeout_s > 20, "the switch's own limit stands behind our timer"
    assert not call.all_of(commands.Answer)


def test_the_caller_is_answered_when_the_agent_answers() -> None:
    call = ringing(responsive=False)
    assert call.machine.call.answered_at is None
    call.picks_up("hanako")
    assert call.just(commands.AgentTaken) == [commands.AgentTaken("hanako")]
    assert call.just(commands.Answer) == [commands.Answer("caller")]
    bridge = call.just(commands.OpenBridge)[0].bridge
    joined = [(each.bridge, each.leg) for each in call.just(commands.Join)]
    assert joined == [(bridge, "caller"), (bridge, call.leg("hanako"))]
    assert call.just(commands.CancelTimer), "the ring time is over"
    assert not call.just(commands.Record)
    call.answered()
    assert call.machine.call.answered_at == call.now


def test_a_recorded_talk_is_kept_with_the_agent() -> None:
    call = ringing(transfer(record=True)).picks_up("hanako")
    [record] = call.just(commands.Record)
    assert record.on == call.just(commands.OpenBridge)[0].bridge
    call.waits(65).ends("hanako", NORMAL)
    [kept] = call.all_of(commands.KeepRecording)
    assert (kept.purpose, kept.user, kept.state, kept.duration_ms) == ("talk", "hanako", "ring", 65_000)


def test_a_short_talk_is_kept_too() -> None:
    call = ringing(transfer(record=True)).picks_up("hanako").waits(0.3).ends("hanako", NORMAL)
    assert call.all_of(commands.KeepRecording)


def test_the_agents_hang_up_ends_the_call_politely() -> None:
    call = ringing().picks_up("hanako").waits(60).ends("hanako", NORMAL)
    assert call.just(commands.CloseBridge)
    assert call.just(commands.AgentReleased) == [commands.AgentReleased("hanako", "answered")]
    assert call.ended_with == NORMAL
    assert not call.all_of(commands.Play), "people have said goodbye themselves"
    assert call.path == [("ring", "answered")]
    assert call.machine.record().disposition == "answered"
    assert call.machine.record().agents == ("hanako",)
    assert call.machine.record().duration_s == 60


def test_the_callers_hang_up_in_a_talk_ends_it() -> None:
    call = ringing(responsive=False).picks_up("hanako").answered().waits(5).hangs_up()
    assert call.just(commands.HangUp) == [commands.HangUp(call.leg("hanako"), NORMAL)]
    assert call.just(commands.CloseBridge)
    assert call.just(commands.AgentReleased) == [commands.AgentReleased("hanako", "answered")]
    assert not call.is_over()
    assert call.ends("hanako", NORMAL).is_over()


def test_the_callers_hang_up_while_it_rings_stops_the_telephones_in_the_same_step() -> None:
    call = ringing(devices=2, responsive=False).hangs_up()
    assert [each.leg for each in call.just(commands.HangUp)] == [call.leg("hanako-2"), call.leg("hanako")]
    assert call.just(commands.AgentReleased) == [commands.AgentReleased("hanako", "cancelled")]
    assert not call.all_of(commands.Answer)
    assert call.machine.record().disposition == "abandoned"


def test_all_devices_ring_and_the_first_to_answer_wins() -> None:
    call = drive(transfer()).arrives().offered(agent("hanako", 3))
    assert call.phones == ["PJSIP/hanako", "PJSIP/hanako-2", "PJSIP/hanako-3"]
    call.rings("hanako", "hanako-2", "hanako-3").picks_up("hanako-2")
    assert call.just(commands.HangUp) == [
        commands.HangUp(call.leg("hanako"), ANSWERED_ELSEWHERE),
        commands.HangUp(call.leg("hanako-3"), ANSWERED_ELSEWHERE),
    ]
    assert call.just(commands.AgentTaken) == [commands.AgentTaken("hanako")]
    assert not call.all_of(commands.AgentReleased)


def test_a_second_device_answering_a_moment_later_stays_out() -> None:
    call = ringing(devices=2, responsive=False).picks_up("hanako").picks_up("hanako-2")
    assert call.said == [], "its hang-up was said already"
    assert [each.leg for each in call.all_of(commands.Join)] == ["caller", call.leg("hanako")]
    assert len(call.all_of(commands.AgentTaken)) == 1


@pytest.mark.parametrize(
    ("cause", "exit", "outcome"),
    [
        (USER_BUSY, "busy", "busy"),
        (CALL_REJECTED, "unavailable", "rejected"),
        (SUBSCRIBER_ABSENT, "unavailable", "unreachable"),
        (NO_ANSWER, "timeout", "no_answer"),
        (causes.NO_USER_RESPONSE, "timeout", "no_answer"),
        (causes.DESTINATION_OUT_OF_ORDER, "unavailable", "unreachable"),
        (causes.UNALLOCATED, "unavailable", "unreachable"),
    ],
)
def test_the_cause_of_the_only_device_decides(cause: int, exit: str, outcome: str) -> None:
    call = ringing().ends("hanako", cause)
    assert call.path == [("ring", exit), (exit, "")]
    [released] = call.all_of(commands.AgentReleased)
    assert (released.user, released.outcome) == ("hanako", outcome)


def test_nobody_picks_up_in_the_ring_time() -> None:
    call = ringing(transfer(ring_s=20)).waits(19.9)
    assert call.path == [("ring", "")]
    call.waits(0.1)
    assert call.just(commands.HangUp) == [commands.HangUp(call.leg("hanako"), NO_ANSWER)]
    assert call.just(commands.AgentReleased) == [commands.AgentReleased("hanako", "no_answer")]
    assert call.path == [("ring", "timeout"), ("timeout", "")]


def test_a_device_that_never_rang_was_not_in_reach() -> None:
    call = drive(transfer()).arrives().offered(agent("hanako")).waits(20)
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]


def test_one_device_left_ringing_keeps_the_transfer_going() -> None:
    call = ringing(devices=2).ends("hanako", SUBSCRIBER_ABSENT)
    assert call.path == [("ring", "")]
    assert call.picks_up("hanako-2").just(commands.AgentTaken)


def test_a_busy_device_leaves_the_others_ringing() -> None:
    call = ringing(devices=2).ends("hanako", USER_BUSY)
    assert call.phones == ["PJSIP/hanako-2"]
    assert call.ends("hanako-2", SUBSCRIBER_ABSENT).path[0] == ("ring", "busy")


def test_a_device_that_declines_speaks_for_its_person() -> None:
    call = ringing(devices=2).ends("hanako", CALL_REJECTED)
    assert call.just(commands.HangUp)[0] == commands.HangUp(call.leg("hanako-2"), CALL_REJECTED)
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]


def test_a_user_on_another_call_is_busy_at_once() -> None:
    call = drive(transfer()).arrives().offered(busy=1)
    assert call.path == [("ring", "busy"), ("busy", "")]
    assert not call.all_of(commands.Dial)
    assert not call.all_of(commands.Ring)


def test_a_user_out_of_reach_is_unavailable_at_once() -> None:
    call = drive(transfer()).arrives().offered(unreachable=1)
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]


def test_a_desk_that_cannot_say_counts_as_nobody() -> None:
    call = drive(transfer()).arrives().fails("ask-1")
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]
    assert call.machine.record().faults == ("ring: ask-1: no such thing",)


def test_a_line_cannot_be_full_where_nobody_asked_for_a_place() -> None:
    call = drive(transfer()).arrives()
    call.happens(LineFull(call.now, "ask-1")).offered(agent("hanako"))
    assert call.phones == ["PJSIP/hanako"]


def test_a_bridge_that_cannot_be_made_ends_the_call() -> None:
    call = ringing(responsive=False).picks_up("hanako").answered()
    bridge = call.all_of(commands.OpenBridge)[0].bridge
    call.fails(bridge)
    assert {each.leg for each in call.just(commands.HangUp)} == {"caller", call.leg("hanako")}
    assert call.machine.record().faults


def test_after_a_menu_the_caller_hears_a_ringing_tone_until_somebody_answers() -> None:
    of = transfer()
    menu = Ivr(prompt=say("Menu"), connections={"1": "ring"})
    of = of.model_copy(update={"start": "menu", "states": {"menu": menu, **of.states}})
    call = drive(of).arrives().presses("1").offered(agent("hanako"))
    assert call.just(commands.Ring)
    call.rings("hanako").picks_up("hanako")
    assert call.just(commands.StopRing)
    assert len(call.all_of(commands.Answer)) == 1


def test_after_a_menu_the_ringing_tone_ends_with_the_ringing() -> None:
    of = transfer()
    menu = Ivr(prompt=say("Menu"), connections={"1": "ring"})
    of = of.model_copy(update={"start": "menu", "states": {"menu": menu, **of.states}})
    call = drive(of).arrives().presses("1").offered(agent("hanako")).rings("hanako").waits(20)
    assert call.just(commands.StopRing)
    assert call.playing == spoken("Nobody picked up")


def test_two_transfers_ring_on_without_an_answer() -> None:
    of = flow(
        first=UserTransfer(user="hanako", ring_timeout_s=10, connections={"timeout": "second"}),
        second=UserTransfer(user="taro", ring_timeout_s=10),
    )
    call = drive(of).arrives().offered(agent("hanako")).rings("hanako").waits(10)
    assert call.just(commands.OfferAgents)[0].target == "taro"
    call.offered(agent("taro")).rings("taro").waits(10)
    assert len(call.all_of(commands.Ring)) == 1
    assert not call.all_of(commands.StopRing)
    assert not call.all_of(commands.Answer)
    assert call.ended_with == NO_ANSWER
    assert call.is_over()


def test_agents_offered_after_the_caller_left_are_given_back() -> None:
    call = drive(transfer(), responsive=False).arrives().hangs_up()
    assert not call.is_over(), "an agent may be on the way"
    call.offered(agent("hanako"))
    assert call.said[0] == commands.AgentReleased("hanako", "cancelled")
    assert call.is_over()


def test_an_answer_of_the_desk_that_comes_twice_gives_nobody_back() -> None:
    """Else the desk would offer the talking agent to a second call."""
    call = ringing().picks_up("hanako")
    call.happens(call.journal[1])
    assert not call.all_of(commands.AgentReleased)
