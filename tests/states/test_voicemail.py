"""The message: prompt, tone, recording; ended by `#`, silence, hang-up or the limit; short ones thrown away."""

import pytest

from flowengine.call import commands, events
from flowengine.call.events import SECOND
from flowengine.flow.document import Flow, Ivr, Voicemail
from tests.call.driving import Driven, announcement, drive, flow, say, spoken


def mailbox(max_duration_s: float = 30.0, silence_s: float = 5.0, *, beep: bool = True) -> Flow:
    node = Voicemail(
        prompt=say("Speak"),
        max_duration_s=max_duration_s,
        silence_s=silence_s,
        beep=beep,
        connections={"timeout": "late"},
    )
    return flow(box=node, late=announcement("Too long"))


def recording(of: Flow | None = None, *, responsive: bool = True) -> Driven:
    """A call whose message is being recorded."""
    call = drive(of or mailbox(), responsive=responsive).arrives()
    if not responsive:
        call.answered()
    return call.prompt_ends().prompt_ends()


def test_asks_beeps_and_records() -> None:
    call = drive(mailbox(max_duration_s=30.0, silence_s=4.0)).arrives()
    assert call.all_of(commands.Answer)
    assert call.playing == spoken("Speak")
    assert call.prompt_ends().playing == "tone:beep"
    call.prompt_ends()
    [record] = call.just(commands.Record)
    assert (record.on, record.limit_s, record.silence_s, record.end_on) == ("caller", 30.0, 4.0, "#")
    [timer] = call.just(commands.SetTimer)
    assert timer.due == call.now + 30 * SECOND


def test_the_tone_can_be_left_out() -> None:
    call = drive(mailbox(beep=False)).arrives().prompt_ends()
    assert call.just(commands.Record)


@pytest.mark.parametrize(("asked_s", "given_s"), [(1.0, 1.0), (119.5, 119.5), (120.0, 120.0), (600.0, 120.0)])
def test_no_message_is_longer_than_two_minutes(asked_s: float, given_s: float) -> None:
    call = recording(mailbox(max_duration_s=asked_s))
    assert call.all_of(commands.Record)[0].limit_s == given_s
    assert call.all_of(commands.SetTimer)[0].due == call.now + given_s * SECOND


def test_a_message_ended_by_the_caller_is_kept() -> None:
    """`#` and silence are heard by the switch; it reports the end of the recording."""
    call = recording().waits(7).recorded(7_000)
    assert call.path == [("box", "recorded")]
    [kept] = call.all_of(commands.KeepRecording)
    assert (kept.purpose, kept.state, kept.duration_ms, kept.limit_s) == ("voicemail", "box", 7_000, 30.0)
    assert call.playing == "builtin:goodbye:en-US"


def test_our_own_timer_ends_a_message_of_a_caller_who_sends_no_sound() -> None:
    """The switch's limit runs on received audio and never comes."""
    call = recording(responsive=False).waits(30)
    [record] = call.all_of(commands.Record)
    assert call.just(commands.StopRecord) == [commands.StopRecord(record.recording)]
    assert call.path == [("box", "")], "the recording is complete only when the switch says so"
    call.recorded(30_000)
    assert call.path == [("box", "timeout"), ("late", "")]
    assert call.all_of(commands.KeepRecording)


def test_a_limit_reached_on_the_switch_is_a_timeout_too() -> None:
    call = recording().waits(29.9).recorded(30_040)
    assert call.path == [("box", "timeout"), ("late", "")]
    assert call.all_of(commands.KeepRecording)[0].limit_s == 30.0, "the library cuts what the switch overran"
    assert call.all_of(commands.CancelTimer)


def test_a_hang_up_keeps_the_message() -> None:
    call = recording(responsive=False).waits(12).hangs_up()
    assert call.just(commands.StopRecord)
    assert not call.is_over()
    call.recorded(12_000)
    assert call.all_of(commands.KeepRecording)[0].duration_ms == 12_000
    assert call.is_over()
    assert call.machine.record().disposition == "message"


def test_a_hang_up_the_switch_tells_after_the_recording_ended() -> None:
    call = recording(responsive=False).waits(12).recorded(12_000).hangs_up()
    assert len(call.all_of(commands.KeepRecording)) == 1
    assert call.is_over()
    assert call.machine.record().disposition == "message"


@pytest.mark.parametrize(
    ("duration_ms", "talking_ms", "kept"),
    [(999, None, False), (1_000, None, True), (9_000, 999, False), (9_000, 1_000, True), (0, None, False)],
)
def test_under_a_second_of_sound_is_thrown_away(duration_ms: int, talking_ms: int | None, kept: bool) -> None:
    call = recording().waits(9).recorded(duration_ms, talking_ms=talking_ms)
    assert bool(call.all_of(commands.KeepRecording)) is kept
    assert bool(call.all_of(commands.DiscardRecording)) is not kept
    assert call.path[0] == ("box", "recorded")
    assert bool(call.machine.record().recordings) is kept


def test_a_recording_that_failed_is_thrown_away_with_its_room() -> None:
    call = recording().recorded(5_000, ok=False)
    assert not call.all_of(commands.KeepRecording)
    assert len(call.all_of(commands.DiscardRecording)) == 1
    assert call.machine.record().faults == ("box: recording failed",)


def test_a_recording_the_switch_refused_ends_the_state() -> None:
    call = recording()
    [record] = call.all_of(commands.Record)
    call.fails(record.recording)
    assert call.just(commands.DiscardRecording) == [commands.DiscardRecording(record.recording)]
    assert call.path == [("box", "recorded")]
    assert call.all_of(commands.CancelTimer)


def test_keys_of_the_message_are_not_for_a_later_menu() -> None:
    menu = Ivr(prompt=say("Menu"), connections={"1": "late"})
    of = mailbox()
    call = recording(of.model_copy(update={"states": {"box": of.states["box"], "late": menu}}))
    call.presses("1").waits(30)
    assert call.path == [("box", "timeout"), ("late", "")]
    assert call.playing == spoken("Menu")


def test_a_message_whose_end_is_never_told_is_kept_after_the_settle_time() -> None:
    call = recording(responsive=False).waits(5).hangs_up()
    call.waits(10)
    assert call.is_over()
    [record] = call.all_of(commands.Record)
    [kept] = call.all_of(commands.KeepRecording)
    assert (kept.recording, kept.duration_ms, kept.limit_s) == (record.recording, 0, record.limit_s)
    assert call.all_of(commands.DiscardRecording) == []
    assert call.machine.record().faults == (f"{record.recording}: end not confirmed",)


def test_the_end_told_twice_keeps_once() -> None:
    call = recording().waits(5).recorded(5_000)
    [record] = call.all_of(commands.Record)
    call.happens(events.RecordingEnded(call.now, record.recording, 5_000))
    assert len(call.all_of(commands.KeepRecording)) == 1


# Room in the storage plan


def test_room_is_asked_for_before_the_caller_is_asked_to_speak() -> None:
    call = drive(mailbox(max_duration_s=30.0), room=None).arrives()
    [asked] = call.all_of(commands.ReserveRoom)
    assert asked.limit_s == 30.0
    assert call.all_of(commands.Answer)
    assert call.playing is None
    call.waits(2)
    assert call.said == []
    assert call.room_is(True).playing == spoken("Speak"), "an answer may be late"
    call.prompt_ends().prompt_ends().waits(3).recorded(3_000)
    assert [each.recording for each in call.all_of(commands.KeepRecording)] == [asked.recording]


@pytest.mark.parametrize(("asked_s", "room_s"), [(60.0, 60.0), (600.0, 120.0)])
def test_no_more_room_is_asked_for_than_a_message_can_need(asked_s: float, room_s: float) -> None:
    assert drive(mailbox(asked_s)).arrives().all_of(commands.ReserveRoom)[0].limit_s == room_s


def test_without_room_the_caller_is_told_so_and_not_asked_to_speak() -> None:
    call = drive(mailbox(), room=False).arrives()
    assert call.playing == "builtin:mailbox-full:en-US"
    assert call.prompt_ends().path == [("box", "timeout"), ("late", "")]
    assert [each.sound for each in call.all_of(commands.Play)][:1] == ["builtin:mailbox-full:en-US"]
    assert not call.all_of(commands.Record)
    assert not call.all_of(commands.ReleaseRoom), "there was none"
    assert call.machine.record().faults == ("box: not recorded, the storage plan is used up",)


def test_keys_pressed_into_the_words_of_a_full_mailbox_are_not_for_a_later_menu() -> None:
    menu = Ivr(prompt=say("Menu"), connections={"1": "box"})
    of = mailbox().model_copy(update={"states": {"box": mailbox().states["box"], "late": menu}})
    call = drive(of, room=False).arrives().presses("1").prompt_ends()
    assert (call.path, call.playing) == ([("box", "timeout"), ("late", "")], spoken("Menu"))


def test_a_full_mailbox_speaks_as_the_flow_does() -> None:
    of = mailbox().model_copy(update={"language": "ja-JP", "voice": "f3"})
    assert drive(of, room=False).arrives().playing == "builtin:mailbox-full:ja-JP@f3"


def test_a_full_mailbox_at_the_end_of_a_flow_says_goodbye() -> None:
    call = drive(flow(box=Voicemail(prompt=say("Speak"))), room=False).arrives().prompt_ends()
    assert call.playing == "builtin:goodbye:en-US"
    assert call.prompt_ends().is_over()
    assert call.machine.record().disposition == "self_served"


@pytest.mark.parametrize("granted", [True, False])
def test_a_hang_up_while_room_is_asked_for_gives_it_back(granted: bool) -> None:
    call = drive(mailbox(), room=None).arrives().hangs_up()
    [asked] = call.all_of(commands.ReserveRoom)
    assert call.just(commands.ReleaseRoom) == [commands.ReleaseRoom(asked.recording)]
    call.happens(events.RoomReserved(call.now, asked.recording, granted))
    assert call.said == []
    assert call.is_over()
    assert not call.all_of(commands.Record)


def test_a_hang_up_into_the_prompt_gives_the_room_back() -> None:
    call = drive(mailbox()).arrives().hangs_up()
    [asked] = call.all_of(commands.ReserveRoom)
    assert call.just(commands.ReleaseRoom) == [commands.ReleaseRoom(asked.recording)]
    assert call.is_over()


def test_a_switch_lost_in_the_prompt_gives_the_room_back() -> None:
    call = drive(mailbox()).arrives()
    call.happens(events.CallKilled(call.now, "switch_lost"))
    assert call.just(commands.ReleaseRoom)
    assert not call.all_of(commands.KeepRecording)
    assert call.is_over()


def test_the_plan_answers_once() -> None:
    """A second, other answer would leave a recording running which nobody owns."""
    call = drive(mailbox(beep=False)).arrives()
    [asked] = call.all_of(commands.ReserveRoom)
    call.happens(events.RoomReserved(call.now, asked.recording, granted=False))
    assert call.said == []
    call.prompt_ends().waits(4).recorded(4_000)
    assert call.all_of(commands.KeepRecording)
    refused = drive(mailbox(), room=False).arrives()
    [asked] = refused.all_of(commands.ReserveRoom)
    refused.happens(events.RoomReserved(refused.now, asked.recording, granted=True)).prompt_ends()
    assert not refused.all_of(commands.Record)


def test_a_plan_that_cannot_say_counts_as_no_room() -> None:
    call = drive(mailbox(), room=None).arrives()
    [asked] = call.all_of(commands.ReserveRoom)
    assert call.fails(asked.recording).playing == "builtin:mailbox-full:en-US"


def test_an_end_of_a_recording_that_never_began_is_none() -> None:
    call = drive(mailbox(beep=False)).arrives()
    [asked] = call.all_of(commands.ReserveRoom)
    call.happens(events.RecordingEnded(call.now, asked.recording, 5_000))
    assert call.said == []
    assert call.prompt_ends().just(commands.Record)


def test_room_that_runs_out_ends_the_message_and_keeps_it() -> None:
    call = recording(responsive=False).waits(12).room_runs_out()
    assert len(call.just(commands.StopRecord)) == 1
    assert call.path == [("box", "")], "the recording is complete only when the switch says so"
    call.room_runs_out()
    assert call.said == [], "once is enough"
    call.recorded(12_000)
    [kept] = call.all_of(commands.KeepRecording)
    assert (kept.duration_ms, kept.ran_out) == (12_000, True)
    assert call.path[0] == ("box", "recorded")
    assert call.machine.record().faults == ("box: recording cut, the storage plan is used up",)


def test_a_message_that_ended_by_itself_did_not_run_out() -> None:
    assert recording().waits(7).recorded(7_000).all_of(commands.KeepRecording)[0].ran_out is False


def test_a_switch_lost_in_the_message_keeps_what_may_be_there() -> None:
    call = recording().waits(5)
    call.happens(events.CallKilled(call.now, "switch_lost"))
    [kept] = call.just(commands.KeepRecording)
    assert (kept.purpose, kept.duration_ms, kept.limit_s) == ("voicemail", 0, 30.0)
    assert not call.just(commands.StopRecord)
    assert call.is_over()
    assert call.machine.record().disposition == "failed"


def test_a_message_is_the_callers_own_and_is_not_paused() -> None:
    call = recording().waits(2).pause()
    assert call.said == []
