"""Waiting for a busy user: notice once, music so many times, and every way out of the line."""

import pytest

from flowengine.call import commands, events
from flowengine.call.causes import NORMAL
from flowengine.flow.document import Audio, Flow, UserTransfer, WaitingLine
from tests.call.driving import Driven, agent, announcement, drive, flow, say, spoken

MUSIC = "audio:aud_music"


def busy_line(cycles: int = 2, *, notice: bool = True, music: bool = True) -> Flow:
    line = WaitingLine(
        max_waiting=5,
        notice=say("Please wait") if notice else None,
        music=Audio(audio="aud_music") if music else None,
        music_cycles=cycles,
    )
    return flow(
        ring=UserTransfer(
            user="hanako",
            queue=line,
            connections={"timeout": "timeout", "unavailable": "unavailable", "busy": "busy"},
        ),
        timeout=announcement("Too long"),
        unavailable=announcement("Gone"),
        busy=announcement("Full"),
    )


def waiting(of: Flow | None = None, *, responsive: bool = True) -> Driven:
    call = drive(of or busy_line(), responsive=responsive).arrives().offered(busy=1).has_place(2)
    return call if responsive else call.answered()


def test_a_busy_user_makes_the_caller_join_the_line_unanswered() -> None:
    call = drive(busy_line()).arrives().offered(busy=1)
    [join] = call.said
    assert join == commands.JoinLine("line-2", "user", "hanako", 5)


def test_a_free_user_is_rung_without_a_line() -> None:
    call = drive(busy_line()).arrives().offered(agent("hanako"))
    assert call.phones == ["PJSIP/hanako"]
    assert not call.all_of(commands.JoinLine)


def test_a_user_out_of_reach_is_not_waited_for() -> None:
    call = drive(busy_line()).arrives().offered(unreachable=1)
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]


def test_a_full_line_is_busy_and_is_not_answered() -> None:
    call = drive(busy_line()).arrives().offered(busy=1).line_is_full()
    assert call.path == [("ring", "busy"), ("busy", "")]
    assert not call.all_of(commands.LeaveLine)
    bare = drive(flow(ring=UserTransfer(user="hanako", queue=WaitingLine(max_waiting=1))))
    bare.arrives().offered(busy=1).line_is_full()
    assert bare.ended_with == 17
    assert not bare.all_of(commands.Answer)


def test_with_a_place_the_caller_is_answered_and_hears_the_notice_once_then_the_music() -> None:
    call = waiting(busy_line(cycles=3))
    assert len(call.all_of(commands.Answer)) == 1
    heard = []
    while (sound := call.playing) is not None and sound != spoken("Too long"):
        heard.append(sound)
        call.prompt_ends()
    assert heard == [spoken("Please wait"), MUSIC, MUSIC, MUSIC]
    assert call.all_of(commands.LeaveLine) == [commands.LeaveLine("line-2", "timeout")]
    assert call.path == [("ring", "timeout"), ("timeout", "")]


def test_without_a_notice_the_music_begins_at_once() -> None:
    assert waiting(busy_line(notice=False)).playing == MUSIC


def test_without_music_of_its_own_the_line_has_the_house_music() -> None:
    assert waiting(busy_line(notice=False, music=False)).playing == "builtin:hold-music"


def test_the_turn_cuts_the_music_and_rings_the_user() -> None:
    call = waiting().prompt_ends().offered(agent("hanako"))
    assert call.just(commands.StopPlay)
    assert call.phones == ["PJSIP/hanako"]
    assert call.just(commands.Ring), "a ringing tone, for the caller has been answered"
    assert not call.all_of(commands.LeaveLine), "the desk took us out of the line"
    call.rings("hanako").picks_up("hanako").waits(5).ends("hanako", NORMAL)
    assert call.path == [("ring", "answered")]


def test_a_turn_nobody_picks_up_is_a_timeout() -> None:
    call = waiting().offered(agent("hanako")).rings("hanako").waits(30)
    assert call.path == [("ring", "timeout"), ("timeout", "")]


def test_a_user_who_went_out_of_reach_meanwhile_is_unavailable() -> None:
    call = waiting().offered(unreachable=1)
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]


def test_a_turn_before_the_place_was_told() -> None:
    call = drive(busy_line()).arrives().offered(busy=1).offered(agent("hanako"))
    assert call.phones == ["PJSIP/hanako"]
    assert not call.all_of(commands.Answer)


def test_a_waiting_caller_who_hangs_up_leaves_the_line() -> None:
    call = waiting(responsive=False).hangs_up()
    assert call.just(commands.LeaveLine) == [commands.LeaveLine("line-2", "abandoned")]
    assert call.just(commands.StopPlay)
    assert call.is_over()
    assert call.machine.record().disposition == "abandoned"


def test_a_caller_who_hangs_up_before_the_place_was_told_leaves_it_too() -> None:
    call = drive(busy_line(), responsive=False).arrives().offered(busy=1).hangs_up()
    assert call.just(commands.LeaveLine) == [commands.LeaveLine("line-2", "abandoned")]


@pytest.mark.parametrize("gives_up", ["timeout", "operator"])
def test_a_turn_that_crosses_our_leaving_is_given_back(gives_up: str) -> None:
    call = waiting(busy_line(cycles=1, notice=False), responsive=False)
    if gives_up == "timeout":
        call.prompt_ends()
    else:
        call.happens(events.CallKilled(call.now, "operator"))
    call.happens(events.AgentsOffered(call.now, "line-2", (agent("hanako"),)))
    assert call.just(commands.AgentReleased) == [commands.AgentReleased("hanako", "cancelled")]
    assert call.phones == []


def test_music_that_cannot_be_played_uses_its_cycles_up() -> None:
    call = waiting(busy_line(cycles=2, notice=False)).prompt_ends(ok=False).prompt_ends(ok=False)
    assert call.path == [("ring", "timeout"), ("timeout", "")]


def test_a_line_is_not_full_for_who_has_a_place_in_it() -> None:
    call = waiting()
    call.happens(events.LineFull(call.now, "line-2"))
    assert call.said == []
    assert call.offered(agent("hanako")).phones == ["PJSIP/hanako"]


def test_a_line_the_desk_cannot_keep_counts_as_nobody_in_reach() -> None:
    call = drive(busy_line()).arrives().offered(busy=1).fails("line-2")
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]


def test_a_user_who_is_busy_again_when_the_turn_comes_is_busy() -> None:
    call = waiting().offered(busy=1)
    assert call.path == [("ring", "busy"), ("busy", "")]
