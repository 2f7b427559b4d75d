"""The walk, the farewell, the hang-up, the kill, the crash and the clean-up: what belongs to no single state."""

from typing import Literal

import pytest

from flowengine.call import commands, events
from flowengine.call.causes import NORMAL
from flowengine.call.events import CALLER, SECOND
from flowengine.call.machine import CallMachine, standard_sounds
from flowengine.flow.document import Flow, GroupTransfer, Ivr, UserTransfer, Voicemail, WaitingLine
from tests.call.driving import Driven, agent, announcement, drive, flow, say, spoken, with_goodbye

Reason = Literal["operator", "no_credit", "shutdown", "switch_lost"]
REASONS: tuple[Reason, ...] = ("operator", "no_credit", "shutdown", "switch_lost")


# The walk


def test_follows_connections_to_the_end() -> None:
    call = drive(flow(a=announcement("A", "b"), b=announcement("B", "c"), c=announcement("C"))).arrives()
    call.prompt_ends().prompt_ends().prompt_ends()
    assert call.path == [("a", "next"), ("b", "next"), ("c", "next")]
    assert call.is_over()
    assert call.machine.record().end_reason == "completed"


@pytest.mark.parametrize("start", [None, "nowhere"])
def test_a_flow_without_a_start_is_not_available(start: str | None) -> None:
    of = flow(a=announcement("A")).model_copy(update={"start": start})
    call = drive(of).arrives()
    assert call.said[:1] == [commands.HangUp(CALLER, 20)]
    assert call.is_over()


def test_an_exit_to_a_state_that_is_not_there_ends_the_call_like_an_open_one() -> None:
    call = drive(flow(a=announcement("A", "nowhere"))).arrives().prompt_ends()
    assert call.path == [("a", "next")]
    assert call.is_over()


# The farewell


def test_an_answered_caller_hears_goodbye_at_an_open_exit() -> None:
    call = drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends().waits(5)
    assert call.playing == "builtin:goodbye:en-US"
    assert not call.all_of(commands.HangUp)
    assert call.prompt_ends().ended_with == NORMAL
    assert call.is_over()


def test_a_flow_has_a_goodbye_of_its_own() -> None:
    of = with_goodbye(flow(menu=Ivr(prompt=say("Menu"))), "Bye")
    assert drive(of).arrives().prompt_ends().waits(5).playing == spoken("Bye")
    assert standard_sounds(of) == (
        "tone:beep",
        "builtin:hold-music",
        spoken("Bye"),
        "builtin:apology:en-US",
        "builtin:mailbox-full:en-US",
        "builtin:minute-left:en-US",
    )


def test_goodbye_speaks_the_language_of_the_flow() -> None:
    of = flow(menu=Ivr(prompt=say("Menu"))).model_copy(update={"language": "ja-JP"})
    assert drive(of).arrives().prompt_ends().waits(5).playing == "builtin:goodbye:ja-JP"


@pytest.mark.parametrize(("exit", "cause"), [("timeout", 19), ("busy", 17), ("unavailable", 20)])
def test_a_caller_never_answered_hears_the_cause_from_the_network(exit: str, cause: int) -> None:
    call = drive(flow(ring=UserTransfer(user="hanako"))).arrives()
    match exit:
        case "timeout":
            call.offered(agent("hanako")).rings("hanako").waits(30)
        case "busy":
            call.offered(busy=1)
        case _:
            call.offered(unreachable=1)
    assert call.path == [("ring", exit)]
    assert call.ended_with == cause
    assert not call.all_of(commands.Play)
    assert not call.all_of(commands.Answer)
    assert call.machine.record().duration_s == 0


def test_a_caller_answered_earlier_hears_goodbye_after_a_transfer() -> None:
    call = drive(flow(a=announcement("A", "ring"), ring=UserTransfer(user="hanako"))).arrives()
    call.prompt_ends().offered(unreachable=1)
    assert call.playing == "builtin:goodbye:en-US"
    assert call.prompt_ends().ended_with == NORMAL


def test_a_goodbye_that_cannot_be_played_does_not_keep_the_caller() -> None:
    call = drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends().waits(5).prompt_ends(ok=False)
    assert call.ended_with == NORMAL
    assert call.is_over()


def test_a_caller_may_hang_up_into_the_goodbye() -> None:
    call = drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends().waits(5).hangs_up()
    assert call.is_over()
    assert not call.all_of(commands.HangUp)
    assert call.path == [("menu", "timeout")]


# The end from outside

LINE = WaitingLine(max_waiting=3)


def moments() -> dict[str, Driven]:
    """A call in each situation it can be killed in."""
    ring = flow(ring=GroupTransfer(group="sales", record=True))
    line = flow(ring=UserTransfer(user="hanako", queue=LINE))
    ringing = drive(ring).arrives().offered(agent("aki"), agent("ben", 2)).rings("aki", "ben", "ben-2")
    talking = drive(ring).arrives().offered(agent("aki"), agent("ben")).rings("aki", "ben").picks_up("ben")
    return {
        "asking": drive(ring).arrives(),
        "ringing": ringing,
        "talking": talking,
        "waiting": drive(line).arrives().offered(busy=1).has_place(1),
        "menu": drive(flow(menu=Ivr(prompt=say("Menu")))).arrives(),
        "silence": drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends(),
        "message": drive(flow(box=Voicemail(prompt=say("Speak"), beep=False))).arrives().prompt_ends(),
        "goodbye": drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends().waits(5),
    }


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("moment", list(moments()))
def test_a_killed_call_ends_now_whatever_it_is_doing(moment: str, reason: Reason) -> None:
    """What must be closed is checked by the auditor."""
    call = moments()[moment].waits(2)
    killed_at = call.now
    call.happens(events.CallKilled(call.now, reason))
    assert (call.ended_with == NORMAL) is (reason != "switch_lost")
    assert not call.just(commands.Play), "no farewell"
    if moment == "asking":
        call.offered(agent("aki"))
        assert call.just(commands.AgentReleased) == [commands.AgentReleased("aki", "cancelled")]
    assert call.is_over()
    record = call.machine.record()
    assert (record.end_reason, record.ended_at) == (reason, killed_at)


def test_a_lost_switch_is_asked_for_nothing_any_more() -> None:
    """Its recording is not: the file may be there when the switch is back."""
    call = moments()["talking"].happens(events.CallKilled(0, "switch_lost"))
    assert [type(each) for each in call.said] == [commands.KeepRecording, commands.AgentReleased]
    assert call.machine.record().disposition == "answered"


def test_a_switch_lost_after_the_hang_up_does_not_move_the_end() -> None:
    talking = moments()["talking"]
    talking.responsive = False
    hung_up_at = talking.hangs_up().now
    talking.waits(5).happens(events.CallKilled(talking.now, "switch_lost"))
    assert talking.is_over()
    assert talking.machine.record().ended_at == hung_up_at


def test_the_second_of_two_ends_changes_nothing() -> None:
    call = drive(flow(menu=Ivr(prompt=say("Menu"))), responsive=False).arrives().answered()
    call.happens(events.CallKilled(call.now, "operator")).happens(events.CallKilled(call.now, "no_credit"))
    assert call.said == []
    call.hangs_up()
    assert call.machine.record().end_reason == "operator"


# The clean-up


def test_the_switch_has_ten_seconds_to_confirm() -> None:
    call = moments()["talking"]
    call.responsive = False
    call.hangs_up()
    [timer] = call.just(commands.SetTimer)
    assert timer.due == call.now + 10 * SECOND
    assert not call.waits(9.9).is_over()
    call.waits(0.1)
    assert call.is_over()
    leg, recording = call.leg("ben"), call.all_of(commands.Record)[0].recording
    assert commands.HangUp(leg, NORMAL) in call.said, "asked once more"
    assert f"{leg}: end not confirmed" in call.machine.record().faults
    assert f"{recording}: end not confirmed" in call.machine.record().faults


def test_the_settle_timer_is_cancelled_when_everything_is_confirmed() -> None:
    call = moments()["ringing"]
    call.responsive = False
    call.hangs_up().ends("aki", NORMAL).ends("ben", NORMAL)
    assert not call.is_over()
    call.ends("ben-2", NORMAL)
    assert call.just(commands.CancelTimer)
    assert call.is_over()
    assert call.machine.record().faults == ()


def test_a_finished_call_says_nothing_whatever_comes() -> None:
    call = moments()["menu"].hangs_up()
    for event in [*call.journal, events.AgentsOffered(call.now, "ask-9", (agent("aki"),))]:
        assert call.feed(event) == []


# Time


def test_time_never_runs_backwards() -> None:
    call = drive(flow(menu=Ivr(prompt=say("Menu")))).arrives()
    [play] = call.all_of(commands.Play)
    call.happens(events.PlaybackEnded(call.now - 3600 * SECOND, play.playback))
    [timer] = call.just(commands.SetTimer)
    assert timer.due == call.now + 5 * SECOND


def test_a_machine_that_never_began_leaves_nothing_behind() -> None:
    """A coroutine nobody awaited would warn, and warnings are errors here."""
    machine = CallMachine(Flow(format="flowengine/1", name="", states={}))
    assert not machine.done
    del machine
