"""Ringing a group: all at once, or one after another in line order."""

import pytest

from flowengine.call import commands
from flowengine.call.causes import ANSWERED_ELSEWHERE, CALL_REJECTED, NO_ANSWER, NORMAL, USER_BUSY
from flowengine.call.events import Agent
from flowengine.flow.document import Flow, GroupTransfer
from tests.call.driving import Driven, agent, announcement, drive, flow

A, B, C = agent("aki"), agent("ben"), agent("chie")


def group(ringing: str, ring_s: float = 20.0, *, record: bool = False) -> Flow:
    node = GroupTransfer.model_validate(
        {
            "group": "sales",
            "ringing": ringing,
            "ring_timeout_s": ring_s,
            "record": record,
            "exits": {"timeout": "timeout", "unavailable": "unavailable", "busy": "busy"},
        }
    )
    return flow(
        ring=node,
        timeout=announcement("Nobody picked up"),
        unavailable=announcement("Nobody is there"),
        busy=announcement("All on the telephone"),
    )


def parallel(*, responsive: bool = True) -> Driven:
    """Three members of a group ring at once."""
    call = drive(group("parallel"), responsive=responsive).arrives().offered(A, B, C)
    return call.rings("aki", "ben", "chie")


def test_parallel_asks_once_and_rings_everybody_free() -> None:
    call = drive(group("parallel")).arrives()
    assert call.said == [commands.OfferAgents("ask-1", "group", "sales", "parallel", ())]
    call.offered(A, B, C, busy=1)
    assert call.phones == ["PJSIP/aki", "PJSIP/ben", "PJSIP/chie"]
    assert not call.all_of(commands.Answer)


def test_parallel_the_first_answer_wins() -> None:
    call = parallel().picks_up("ben")
    assert call.just(commands.HangUp) == [
        commands.HangUp(call.leg("aki"), ANSWERED_ELSEWHERE),
        commands.HangUp(call.leg("chie"), ANSWERED_ELSEWHERE),
    ]
    assert call.just(commands.AgentTaken) == [commands.AgentTaken("ben")]
    assert call.just(commands.AgentReleased) == [
        commands.AgentReleased("aki", "cancelled"),
        commands.AgentReleased("chie", "cancelled"),
    ]
    call.waits(5).ends("ben", NORMAL)
    assert call.path == [("ring", "answered")]
    assert call.machine.record().agents == ("ben",)


def test_parallel_a_second_answer_a_moment_later_stays_out() -> None:
    call = parallel(responsive=False).picks_up("ben").picks_up("aki")
    assert call.said == []
    assert commands.HangUp(call.leg("aki"), ANSWERED_ELSEWHERE) in call.all_of(commands.HangUp)
    assert [each.leg for each in call.all_of(commands.Join)] == ["caller", call.leg("ben")]
    assert [each.user for each in call.all_of(commands.AgentTaken)] == ["ben"]


def test_parallel_one_wave_only() -> None:
    call = parallel().waits(20)
    assert call.path == [("ring", "timeout"), ("timeout", "")]
    assert len(call.all_of(commands.OfferAgents)) == 1
    assert {each.cause for each in call.just(commands.HangUp)} == {NO_ANSWER}


def test_parallel_ends_early_when_every_telephone_has() -> None:
    call = parallel().ends("aki", CALL_REJECTED).ends("ben", CALL_REJECTED)
    assert call.path == [("ring", "")]
    assert call.ends("chie", CALL_REJECTED).path == [("ring", "unavailable"), ("unavailable", "")]


def test_parallel_one_member_declining_leaves_the_others_ringing() -> None:
    call = parallel().ends("aki", CALL_REJECTED)
    assert call.phones == ["PJSIP/ben", "PJSIP/chie"]


def test_the_callers_hang_up_stops_every_telephone_in_the_same_step() -> None:
    call = parallel(responsive=False).hangs_up()
    assert {each.leg for each in call.just(commands.HangUp)} == {
        call.leg(name) for name in ("aki", "ben", "chie")
    }
    assert {each.user for each in call.just(commands.AgentReleased)} == {"aki", "ben", "chie"}


def test_sequential_rings_one_after_another_each_with_a_full_ring_time() -> None:
    call = drive(group("sequential", ring_s=10)).arrives()
    tried: tuple[str, ...] = ()
    for member in (A, B, C):
        assert call.said[-1] == commands.OfferAgents(
            call.audit.of_kind("ask")[0], "group", "sales", "sequential", tried
        )
        call.offered(member)
        assert call.phones == [member.endpoints[0]]
        call.rings(member.user).waits(9.9)
        assert call.phones == [member.endpoints[0]]
        call.waits(0.1)
        tried += (member.user,)
    call.offered()
    assert call.path == [("ring", "timeout"), ("timeout", "")]
    released = [(each.user, each.outcome) for each in call.all_of(commands.AgentReleased)]
    assert released == [("aki", "no_answer"), ("ben", "no_answer"), ("chie", "no_answer")]


def test_sequential_declining_brings_the_next_at_once() -> None:
    call = drive(group("sequential")).arrives().offered(A).rings("aki").ends("aki", CALL_REJECTED)
    assert call.just(commands.OfferAgents)[0].tried == ("aki",)


def test_sequential_a_member_who_became_free_meanwhile_has_a_turn() -> None:
    call = drive(group("sequential", ring_s=10)).arrives().offered(A, busy=1).rings("aki").waits(10)
    call.offered(B).rings("ben").picks_up("ben")
    assert call.just(commands.AgentTaken) == [commands.AgentTaken("ben")]


def test_sequential_a_telephone_that_answers_after_its_turn_is_hung_up() -> None:
    call = drive(group("sequential", ring_s=10), responsive=False).arrives().offered(A).rings("aki").waits(10)
    assert commands.HangUp(call.leg("aki"), NO_ANSWER) in call.said
    call.picks_up("aki")
    assert call.said == []
    call.offered(B).rings("ben").picks_up("ben")
    assert [each.user for each in call.all_of(commands.AgentTaken)] == ["ben"]


def test_sequential_the_ringing_tone_before_the_answer_is_one_tone() -> None:
    call = drive(group("sequential", ring_s=10)).arrives().offered(A).rings("aki").waits(10).offered(B)
    assert len(call.all_of(commands.Ring)) == 1


@pytest.mark.parametrize("ringing", ["parallel", "sequential"])
@pytest.mark.parametrize(
    ("busy", "unreachable", "exit"),
    [(1, 0, "busy"), (1, 2, "busy"), (0, 3, "unavailable"), (0, 0, "unavailable")],
)
def test_nobody_to_ring(ringing: str, busy: int, unreachable: int, exit: str) -> None:
    call = drive(group(ringing)).arrives().offered(busy=busy, unreachable=unreachable)
    assert call.path == [("ring", exit), (exit, "")]
    assert not call.all_of(commands.Ring)


def test_a_member_without_a_telephone_is_not_in_reach() -> None:
    call = drive(group("parallel")).arrives().offered(Agent("aki", ()))
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]
    assert call.all_of(commands.AgentReleased) == [commands.AgentReleased("aki", "unreachable")]


def test_a_recorded_talk_names_who_answered() -> None:
    call = drive(group("parallel", record=True)).arrives().offered(A, B).rings("aki", "ben").picks_up("ben")
    call.waits(30).ends("ben", USER_BUSY)
    assert call.all_of(commands.KeepRecording)[0].user == "ben"


def test_a_telephone_told_to_stop_stays_out_even_if_it_is_picked_up_while_others_ring() -> None:
    call = drive(group("parallel"), responsive=False).arrives().offered(agent("aki", 2), B)
    call.rings("aki", "aki-2", "ben").ends("aki", CALL_REJECTED).picks_up("aki-2")
    assert call.said == []
    call.picks_up("ben")
    assert [each.user for each in call.all_of(commands.AgentTaken)] == ["ben"]


def test_the_cause_of_a_telephone_we_ended_is_our_own() -> None:
    """The second telephone of a person who declined is no telephone that rang out, whatever the switch reports."""
    call = drive(group("parallel"), responsive=False).arrives().offered(agent("aki", 2), B)
    call.rings("aki", "aki-2", "ben").ends("aki", CALL_REJECTED).ends("aki-2", NORMAL)
    call.ends("ben", CALL_REJECTED)
    assert call.path == [("ring", "unavailable"), ("unavailable", "")]
