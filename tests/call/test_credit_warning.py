"""The credit runs out: the caller is told at once, whatever goes on, and nothing of the call is changed by it."""

import pytest

from flowengine.call import commands, events
from flowengine.call.causes import NORMAL
from flowengine.flow.document import Flow, GroupTransfer, Ivr, UserTransfer, Voicemail, WaitingLine
from tests.call.driving import Driven, agent, announcement, drive, flow, say, spoken

MENU = flow(
    menu=Ivr(prompt=say("Menu"), connections={"1": "hello", "timeout": "hello"}), hello=announcement("Hello")
)
TALK = flow(ring=GroupTransfer(group="sales", record=True))
LINE = flow(ring=UserTransfer(user="hanako", queue=WaitingLine(max_waiting=3, music_cycles=2)))
BOX = flow(box=Voicemail(prompt=say("Speak"), beep=False))
WARNING = "builtin:minute-left:en-US"


def talking() -> Driven:
    return drive(TALK).arrives().offered(agent("aki")).rings("aki").picks_up("aki").waits(20)


def moments() -> dict[str, Driven]:
    """An answered call in each situation."""
    return {
        "menu": drive(MENU).arrives(),
        "silence": drive(MENU).arrives().prompt_ends(),
        "announcement": drive(flow(hello=announcement("Hello", "x"), x=announcement("X"))).arrives(),
        "talk": talking(),
        "line": drive(LINE).arrives().offered(busy=1).has_place(1),
        "prompt of a message": drive(BOX).arrives(),
        "goodbye": drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends().waits(5),
    }


@pytest.mark.parametrize("moment", list(moments()))
def test_the_caller_is_told_at_once_and_then_hears_again_what_was_cut(moment: str) -> None:
    call = moments()[moment]
    heard, path, playing = call.playing, call.path, call.audit.of_kind("play")
    warning, *again = call.credit_runs_out().just(commands.Play)
    assert call.just(commands.StopPlay) == [commands.StopPlay(cut) for cut in playing]
    assert (warning.leg, warning.sound) == ("caller", WARNING)
    assert [each.sound for each in again] == [heard for _ in playing]
    assert len(call.said) == 1 + 2 * len(playing), "and that is all"
    assert (call.playing, call.path) == (heard, path)
    assert call.warned
    for cut in playing:
        call.happens(events.PlaybackEnded(call.now, cut))
        assert call.said == [], "the end of the cut sound is not the end of the prompt"
    call.happens(events.PlaybackEnded(call.now, warning.playback))
    assert call.said == []
    assert (call.playing, call.path) == (heard, path)


@pytest.mark.parametrize("moment", list(moments()))
@pytest.mark.parametrize("reason", ["no_credit", "hang-up"])
def test_the_end_of_the_call_ends_the_warning(moment: str, reason: str) -> None:
    """That nothing is left open is checked by the auditor."""
    call = moments()[moment].credit_runs_out().waits(1)
    if reason == "hang-up":
        call.hangs_up()
    else:
        call.happens(events.CallKilled(call.now, "no_credit"))
    assert not call.warned
    assert call.is_over()


def test_a_key_pressed_into_the_warning_is_for_the_menu_and_does_not_cut_it() -> None:
    call = drive(MENU).arrives().credit_runs_out().presses("1")
    assert call.playing == spoken("Hello")
    assert call.warned, "a warning outlives the state it came in"
    again = [each.playback for each in call.all_of(commands.Play) if each.sound == spoken("Menu")][1]
    assert [each.playback for each in call.just(commands.StopPlay)] == [again]


def test_a_prompt_heard_again_ends_as_it_would_have() -> None:
    call = drive(MENU).arrives().credit_runs_out().prompt_ends().waits(4.9)
    assert call.path == [("menu", "")]
    assert call.waits(0.1).path == [("menu", "timeout"), ("hello", "")]


def test_music_cut_by_a_warning_uses_up_no_cycle() -> None:
    call = moments()["line"].credit_runs_out().prompt_ends()
    assert call.playing == "builtin:hold-music"
    assert call.prompt_ends().path == [("ring", "timeout")]


def test_who_speaks_a_message_is_not_interrupted() -> None:
    call = drive(BOX).arrives().prompt_ends().waits(5).credit_runs_out()
    assert call.said == []
    assert call.recorded(9_000).playing == "builtin:goodbye:en-US"
    assert call.credit_runs_out().warned


def test_the_turn_of_a_waiting_caller_does_not_cut_the_warning() -> None:
    call = moments()["line"].credit_runs_out().offered(agent("hanako"))
    assert call.phones == ["PJSIP/hanako"]
    assert call.warned


def test_a_talk_goes_on_and_is_recorded_on() -> None:
    call = talking().credit_runs_out().waits(60).ends("aki", NORMAL)
    assert call.all_of(commands.KeepRecording)[0].duration_ms == 80_000
    assert call.is_over()


def test_who_was_not_answered_pays_nothing_and_hears_nothing() -> None:
    call = drive(TALK, responsive=False).arrives().offered(agent("aki")).rings("aki").credit_runs_out()
    assert call.said == []
    call.picks_up("aki").credit_runs_out()
    assert call.said == [], "the answer has not taken effect"
    assert call.answered().credit_runs_out().warned


def test_two_warnings_at_once_are_one() -> None:
    call = talking().credit_runs_out()
    assert call.waits(1).credit_runs_out().said == []
    call.happens(events.PlaybackEnded(call.now, call.audit.warning)).waits(90)
    assert call.credit_runs_out().warned, "more was bought meanwhile, and runs out, too"


def test_a_warning_that_cannot_be_played_is_a_fault_and_no_more() -> None:
    call = talking().credit_runs_out()
    call.happens(events.PlaybackEnded(call.now, call.audit.warning, ok=False))
    assert call.said == []
    assert call.machine.record().faults == ("ring: sound not played",)


def test_nobody_is_warned_who_was_told_to_go() -> None:
    call = drive(flow(hello=announcement("Hello")), responsive=False).arrives().answered().prompt_ends()
    assert call.all_of(commands.HangUp)
    assert call.credit_runs_out().said == []
    assert call.hangs_up().is_over()


def test_nobody_is_warned_who_is_gone() -> None:
    call = talking()
    call.responsive = False
    assert call.hangs_up().credit_runs_out().said == []


def warned_in(of: Flow) -> str:
    call = drive(of).arrives().credit_runs_out()
    return call.just(commands.Play)[0].sound


def test_the_warning_speaks_as_the_flow_does() -> None:
    assert (
        warned_in(MENU.model_copy(update={"language": "ja-JP", "voice": "f3"}))
        == "builtin:minute-left:ja-JP@f3"
    )
