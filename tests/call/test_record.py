"""The call record: how a call shows in the history."""

import pytest

from flowengine.call import events
from flowengine.call.record import CallRecord, KeptRecording
from flowengine.flow.document import Flow, GroupTransfer, Ivr, UserTransfer, Voicemail
from tests.call.driving import T0, Driven, agent, announcement, drive, flow, say

RING_THEN_BOX = flow(
    ring=UserTransfer(user="hanako", record=True, connections={"timeout": "box", "unavailable": "box"}),
    box=Voicemail(prompt=say("Speak"), beep=False),
)


def record(call: Driven) -> CallRecord:
    return call.machine.record()


def ringing(of: Flow = RING_THEN_BOX) -> Driven:
    return drive(of).arrives().offered(agent("hanako")).rings("hanako")


def test_a_running_call_has_a_record_without_an_end() -> None:
    running = record(ringing())
    assert (running.arrived_at, running.answered_at, running.ended_at) == (T0, None, None)
    assert (running.number, running.caller, running.version) == ("+815055550100", "+819055550123", "v1")
    assert running.end_reason == ""
    assert running.duration_s == 0


def test_an_answered_call() -> None:
    answered = record(ringing().waits(4).picks_up("hanako").waits(60.5).ends("hanako", 16))
    assert answered.disposition == "answered"
    assert answered.agents == ("hanako",)
    assert answered.duration_s == 60.5
    assert answered.recordings == (KeptRecording("rec-5", "talk", "ring", "hanako", 60_500),)
    [visit] = answered.path
    assert (visit.state, visit.kind, visit.outcome) == ("ring", "user_transfer", "answered")
    assert (visit.entered_at, visit.left_at) == (T0, T0 + 64_500_000)


def test_the_minutes_begin_with_the_answer_and_end_with_the_caller() -> None:
    call = drive(flow(a=announcement("A")), responsive=False).arrives().waits(2).answered().waits(10)
    call.prompt_ends().waits(1.5).hangs_up()
    assert record(call).answered_at == T0 + 2_000_000
    assert record(call).ended_at == T0 + 13_500_000
    assert record(call).duration_s == 11.5


def test_a_second_answer_does_not_move_the_first() -> None:
    call = drive(flow(a=announcement("A")), responsive=False).arrives().answered().waits(3).answered()
    assert record(call).answered_at == T0


def test_a_message() -> None:
    call = ringing().waits(30).prompt_ends().waits(5).recorded(5_000).prompt_ends()
    assert record(call).disposition == "message"
    assert record(call).agents == ()


def test_a_talk_counts_more_than_a_message() -> None:
    of = flow(
        box=Voicemail(prompt=say("Speak"), beep=False, connections={"timeout": "ring"}),
        ring=GroupTransfer(group="g"),
    )
    call = drive(of).arrives().prompt_ends().waits(120).offered(agent("aki")).rings("aki").picks_up("aki")
    assert record(call.hangs_up()).disposition == "answered"


def test_menus_and_announcements_alone_are_self_service() -> None:
    of = flow(menu=Ivr(prompt=say("Menu"), connections={"1": "a"}), a=announcement("A"))
    assert record(drive(of).arrives().presses("1").prompt_ends()).disposition == "self_served"
    assert record(drive(of).arrives().hangs_up()).disposition == "self_served"


def test_missed_when_nobody_answered_and_the_flow_ended() -> None:
    assert record(drive(RING_THEN_BOX).arrives().offered(busy=1)).disposition == "missed"


def test_missed_when_the_caller_left_no_message_after_nobody_answered() -> None:
    call = ringing().waits(30).prompt_ends().waits(0.5).hangs_up()
    assert record(call).disposition == "missed"
    assert record(call).recordings == ()


def test_abandoned_when_the_caller_gave_up_waiting_for_an_agent() -> None:
    assert record(ringing().hangs_up()).disposition == "abandoned"


@pytest.mark.parametrize(("reason", "disposition"), [("operator", "missed"), ("switch_lost", "failed")])
def test_an_end_from_outside_while_it_rings_is_not_the_callers_doing(reason: str, disposition: str) -> None:
    call = ringing()
    call.happens(events.CallKilled(call.now, reason))  # type: ignore[arg-type]
    assert record(call).disposition == disposition


def test_faults_are_named_with_their_state() -> None:
    call = drive(RING_THEN_BOX).arrives().offered(unreachable=1).prompt_ends(ok=False)
    assert record(call).faults == ("box: sound not played",)
