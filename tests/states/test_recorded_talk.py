"""A recorded talk: told of beforehand, with room, paused, cut, its sides apart, and never in the way of the talk."""

from typing import Any

import pytest

from flowengine.call import commands, events
from flowengine.call.causes import NORMAL
from flowengine.flow.document import Announcement, Flow, GroupTransfer, Ivr, UserTransfer, WaitingLine
from tests.call.driving import Driven, agent, drive, flow, say, spoken


def transfer(**settings: Any) -> UserTransfer:
    return UserTransfer(user="hanako", **{"record": True, **settings})


def talking(
    of: Flow | None = None, *, room: bool | None = True, responsive: bool = True, talk_s: float = 0
) -> Driven:
    """A call in which the caller talks to hanako."""
    call = drive(of or flow(ring=transfer()), room=room, responsive=responsive).arrives()
    return call.offered(agent("hanako")).rings("hanako").picks_up("hanako").waits(talk_s)


# Room


def test_room_is_asked_for_when_the_talk_begins() -> None:
    call = talking(room=None)
    [asked] = call.all_of(commands.ReserveRoom)
    assert asked.limit_s == 0, "nobody knows how long it becomes"
    assert not call.all_of(commands.Record)
    call.waits(0.05).room_is(True)
    [record] = call.just(commands.Record)
    assert (record.recording, record.on) == (asked.recording, call.all_of(commands.OpenBridge)[0].bridge)
    assert (record.limit_s, record.silence_s, record.end_on, record.sides) == (0, 0, "", ())


def test_nobody_rung_in_vain_takes_room() -> None:
    call = drive(flow(ring=transfer(ring_timeout_s=10.0))).arrives().offered(agent("hanako")).rings("hanako")
    assert not call.waits(10).all_of(commands.ReserveRoom)


def test_a_talk_that_is_not_recorded_takes_no_room() -> None:
    assert not talking(flow(ring=transfer(record=False))).all_of(commands.ReserveRoom)


def test_without_room_the_talk_goes_on_unrecorded() -> None:
    call = talking(room=False, talk_s=30).ends("hanako", NORMAL)
    assert not call.all_of(commands.Record)
    assert not call.all_of(commands.ReleaseRoom)
    assert call.path == [("ring", "answered")]
    assert call.is_over()
    assert call.machine.record().faults == ("ring: not recorded, the storage plan is used up",)
    assert call.machine.record().disposition == "answered"


@pytest.mark.parametrize("granted", [True, False])
def test_room_granted_after_the_talk_is_given_back(granted: bool) -> None:
    call = talking(room=None, responsive=False).answered().waits(3).ends("hanako", NORMAL)
    [asked] = call.all_of(commands.ReserveRoom)
    assert call.just(commands.ReleaseRoom) == [commands.ReleaseRoom(asked.recording)]
    call.happens(events.RoomReserved(call.now, asked.recording, granted))
    assert call.said == []
    assert call.hangs_up().is_over()
    assert not call.machine.record().faults


def test_room_that_runs_out_cuts_the_recording_and_not_the_talk() -> None:
    call = talking(talk_s=90).room_runs_out()
    [kept] = call.just(commands.KeepRecording)
    assert (kept.duration_ms, kept.ran_out, kept.user) == (90_000, True, "hanako")
    assert call.path == [("ring", "")]
    assert not call.just(commands.CloseBridge)
    call.waits(60).ends("hanako", NORMAL)
    assert call.path == [("ring", "answered")]
    assert len(call.all_of(commands.KeepRecording)) == len(call.all_of(commands.Record)) == 1


def test_room_that_runs_out_as_the_talk_ends_changes_nothing() -> None:
    call = talking(responsive=False).answered().waits(5).ends("hanako", NORMAL)
    assert len(call.just(commands.StopRecord)) == 1
    call.room_runs_out()
    assert call.said == []
    assert call.recorded(5_000).all_of(commands.KeepRecording)[0].ran_out is False


def test_a_recording_the_switch_refused_does_not_end_the_talk() -> None:
    call = talking()
    [record] = call.all_of(commands.Record)
    assert call.fails(record.recording).said == [commands.DiscardRecording(record.recording)]
    call.waits(5).ends("hanako", NORMAL)
    assert call.path == [("ring", "answered")]


def test_a_lost_switch_keeps_the_talk_and_does_not_wait_for_it() -> None:
    call = talking(talk_s=12)
    call.happens(events.CallKilled(call.now, "switch_lost"))
    [kept] = call.just(commands.KeepRecording)
    assert (kept.purpose, kept.duration_ms, kept.user) == ("talk", 0, "hanako")
    assert call.is_over()
    assert [each.duration_ms for each in call.machine.record().recordings] == [0]


def test_a_switch_lost_before_the_plan_answered_gives_the_room_back() -> None:
    call = talking(room=None)
    call.happens(events.CallKilled(call.now, "switch_lost"))
    assert call.just(commands.ReleaseRoom)
    assert not call.all_of(commands.KeepRecording)
    assert call.is_over()


# Sides


@pytest.mark.parametrize(("sides", "named"), [("mixed", False), ("apart", True)])
def test_sides_apart_are_the_callers_and_then_the_agents(sides: str, named: bool) -> None:
    call = talking(flow(ring=transfer(recording_sides=sides)))
    [record] = call.all_of(commands.Record)
    assert record.sides == (("caller", call.leg("hanako")) if named else ())


def test_sides_apart_name_who_answered_first_of_a_group() -> None:
    node = GroupTransfer(group="sales", record=True, recording_sides="apart")
    call = drive(flow(ring=node)).arrives().offered(agent("aki"), agent("ben")).rings("aki", "ben")
    call.picks_up("ben")
    assert call.all_of(commands.Record)[0].sides == ("caller", call.leg("ben"))


# Pauses


def test_a_pause_leaves_out_what_is_said_in_it() -> None:
    call = talking(talk_s=10)
    [record] = call.all_of(commands.Record)
    assert call.pause().said == [commands.PauseRecord(record.recording)]
    assert call.pause().said == [], "it is paused"
    assert call.waits(20).pause(False).said == [commands.ResumeRecord(record.recording)]
    assert call.pause(False).said == [], "it is not paused"
    assert call.waits(5).ends("hanako", NORMAL).all_of(commands.KeepRecording)


@pytest.mark.parametrize("room", [True, None])
def test_a_recording_paused_before_it_began_begins_when_it_is_resumed(room: bool | None) -> None:
    """A switch cannot pause what does not run yet, and no word of the pause may be kept."""
    call = drive(flow(ring=transfer()), room=room).arrives().offered(agent("hanako")).rings("hanako")
    call.pause().picks_up("hanako")
    if room is None:
        call.room_is(True)
    assert not call.all_of(commands.Record)
    [record] = call.waits(10).pause(False).said
    assert isinstance(record, commands.Record)
    assert not call.all_of(commands.ResumeRecord)


def test_a_talk_paused_from_its_beginning_to_its_end_leaves_nothing() -> None:
    call = drive(flow(ring=transfer())).arrives().offered(agent("hanako")).rings("hanako").pause()
    call.picks_up("hanako").waits(30).ends("hanako", NORMAL)
    assert not call.all_of(commands.Record)
    assert call.all_of(commands.ReleaseRoom)
    assert call.machine.record().recordings == ()


def test_a_recording_that_stops_is_not_paused() -> None:
    call = talking(responsive=False).answered().waits(5).room_runs_out().pause()
    assert call.said == []
    assert call.recorded(5_000).pause(False).said == []


def two_talks() -> Flow:
    """No validator lets this flow pass; a machine must not mind."""
    first = UserTransfer(user="hanako", record=True, connections={"answered": "second"})
    return flow(first=first, second=GroupTransfer(group="sales", record=True))


def second_talk() -> Driven:
    call = talking(two_talks(), talk_s=10).pause().waits(5).ends("hanako", NORMAL)
    return call.offered(agent("aki")).rings("aki").picks_up("aki").waits(20)


def test_a_pause_forgotten_at_the_end_of_a_talk_is_over_with_it() -> None:
    call = second_talk()
    assert call.path == [("first", "answered"), ("second", "")]
    assert len(call.all_of(commands.Record)) == 2, "the second began at once"
    assert len(call.all_of(commands.PauseRecord)) == 1


def test_two_talks_are_two_recordings() -> None:
    call = second_talk()
    first, second = (each.recording for each in call.all_of(commands.Record))
    assert first != second
    assert call.pause().said == [commands.PauseRecord(second)]
    call.ends("aki", NORMAL)
    kept = [(each.recording, each.state, each.user) for each in call.all_of(commands.KeepRecording)]
    assert kept == [(first, "first", "hanako"), (second, "second", "aki")]


def test_a_first_recording_may_end_after_the_second_began() -> None:
    call = talking(two_talks(), responsive=False).answered().waits(10).ends("hanako", NORMAL)
    call.offered(agent("aki")).rings("aki").picks_up("aki").waits(5)
    first, second = (each.recording for each in call.all_of(commands.Record))
    assert call.pause().said == [commands.PauseRecord(second)], "the first is stopping"
    call.happens(events.RecordingEnded(call.now, first, 10_000))
    assert [(each.state, each.user) for each in call.just(commands.KeepRecording)] == [("first", "hanako")]


# The notice

NOTICE = say("This call is recorded.")
HEARD = spoken("This call is recorded.")


@pytest.mark.parametrize(
    "node",
    [
        transfer(recording_notice=NOTICE),
        GroupTransfer(group="sales", record=True, recording_notice=NOTICE),
        GroupTransfer(group="sales", ringing="sequential", record=True, recording_notice=NOTICE),
    ],
)
def test_the_caller_is_told_before_anybody_is_asked_for_or_rung(node: UserTransfer | GroupTransfer) -> None:
    call = drive(flow(ring=node)).arrives()
    assert call.all_of(commands.Answer)
    assert call.playing == HEARD
    assert not call.all_of(commands.OfferAgents), "nobody is reserved while the caller listens"
    assert call.presses("1").playing == HEARD
    call.prompt_ends().offered(agent("hanako")).rings("hanako")
    assert call.all_of(commands.Ring), "a ringing tone, for the caller has been answered"
    call.picks_up("hanako")
    assert call.all_of(commands.Record)
    assert len(call.all_of(commands.Answer)) == 1


def test_no_notice_where_nothing_is_recorded() -> None:
    call = drive(flow(ring=transfer(record=False, recording_notice=NOTICE))).arrives()
    assert [type(each) for each in call.said] == [commands.OfferAgents]
    assert not call.offered(agent("hanako")).rings("hanako").picks_up("hanako").all_of(commands.Play)


def test_no_notice_no_answer() -> None:
    assert not drive(flow(ring=transfer())).arrives().all_of(commands.Answer)


def test_the_notice_comes_once_and_before_the_waiting_line() -> None:
    node = transfer(recording_notice=NOTICE, queue=WaitingLine(max_waiting=3, notice=say("Please wait")))
    call = drive(flow(ring=node)).arrives().prompt_ends().offered(busy=1).has_place(1)
    assert call.playing == spoken("Please wait")
    call.prompt_ends().offered(agent("hanako")).rings("hanako").picks_up("hanako")
    assert [each.sound for each in call.all_of(commands.Play)].count(HEARD) == 1


def test_a_hang_up_into_the_notice_rings_nobody() -> None:
    call = drive(flow(ring=transfer(recording_notice=NOTICE))).arrives().hangs_up()
    assert not call.all_of(commands.OfferAgents)
    assert call.is_over()
    assert call.machine.record().disposition == "abandoned"


def test_nobody_there_after_the_notice_is_told_with_a_goodbye() -> None:
    """The caller has been answered, so no network can say why."""
    call = drive(flow(ring=transfer(recording_notice=NOTICE))).arrives().prompt_ends().offered(unreachable=1)
    assert call.playing == "builtin:goodbye:en-US"


@pytest.mark.parametrize("refused", [True, False])
def test_a_notice_that_cannot_be_played_means_no_recording(refused: bool) -> None:
    call = drive(flow(ring=transfer(recording_notice=NOTICE))).arrives()
    if refused:
        call.fails(call.all_of(commands.Play)[0].playback)
    else:
        call.prompt_ends(ok=False)
    call.offered(agent("hanako")).rings("hanako").picks_up("hanako").waits(30).ends("hanako", NORMAL)
    assert call.path == [("ring", "answered")], "the talk is what the caller came for"
    assert not call.all_of(commands.ReserveRoom)
    assert call.machine.record().faults[-1] == "ring: not recorded, the caller could not be told of it"


def told_before(*, tells: bool) -> Driven:
    hello = Announcement(prompt=NOTICE, tells_of_recording=tells, connections={"next": "menu"})
    menu = Ivr(prompt=say("Menu"), connections={"1": "ring"})
    return drive(flow(hello=hello, menu=menu, ring=transfer())).arrives()


@pytest.mark.parametrize(("tells", "ok", "recorded"), [(True, True, 1), (True, False, 0), (False, False, 1)])
def test_an_announcement_that_tells_must_have_been_heard(tells: bool, ok: bool, recorded: int) -> None:
    call = told_before(tells=tells).prompt_ends(ok=ok).prompt_ends(ok=False).presses("1")
    call.offered(agent("hanako")).rings("hanako").picks_up("hanako")
    assert len(call.all_of(commands.Record)) == recorded


def test_told_in_another_place_the_caller_knows() -> None:
    hello = Announcement(prompt=say("Hello"), tells_of_recording=True, connections={"next": "ring"})
    call = drive(flow(hello=hello, ring=transfer(recording_notice=NOTICE))).arrives().prompt_ends(ok=False)
    call.prompt_ends().offered(agent("hanako")).rings("hanako").picks_up("hanako")
    assert call.all_of(commands.Record)
