"""The announcement: heard to its end, then on."""

from flowengine.call import causes, commands, events
from flowengine.flow.document import Announcement, Audio, Url
from tests.call.driving import announcement, drive, flow, say, spoken


def test_answers_plays_to_the_end_and_goes_on() -> None:
    call = drive(flow(hello=announcement("Hello", "more"), more=announcement("More"))).arrives()
    assert call.all_of(commands.Answer) == [commands.Answer("caller")]
    assert call.playing == spoken("Hello")
    assert call.presses("1").playing == spoken("Hello"), "no barge-in"
    assert call.prompt_ends().path == [("hello", "next"), ("more", "")]
    assert call.playing == spoken("More")


def test_is_answered_once_in_a_call() -> None:
    call = drive(flow(hello=announcement("Hello", "more"), more=announcement("More"))).arrives().prompt_ends()
    assert len(call.all_of(commands.Answer)) == 1


def test_at_the_end_of_the_flow_it_has_said_it_all() -> None:
    call = drive(flow(hello=announcement("Hello"))).arrives().prompt_ends()
    assert call.is_over()
    assert call.ended_with == causes.NORMAL
    assert len(call.all_of(commands.Play)) == 1, "no goodbye after an announcement"


def test_a_sound_that_cannot_be_played_does_not_hold_the_call_up() -> None:
    call = drive(flow(hello=announcement("Hello", "more"), more=announcement("More"))).arrives()
    assert call.prompt_ends(ok=False).playing == spoken("More")
    assert call.machine.record().faults == ("hello: sound not played",)


def test_a_refused_sound_does_not_hold_the_call_up() -> None:
    call = drive(flow(hello=announcement("Hello", "more"), more=announcement("More"))).arrives()
    [play] = call.all_of(commands.Play)
    assert call.fails(play.playback).playing == spoken("More")
    assert call.machine.record().faults == (f"hello: {play.playback}: no such thing",)


def test_plays_speech_audio_and_addresses_in_their_language() -> None:
    sounds = []
    for prompt in (say("Hello"), Audio(audio="aud_1"), Url(url="https://example.com/a.wav")):
        sounds.append(drive(flow(hello=Announcement(prompt=prompt))).arrives().playing)
    assert sounds == ["say:en-US::Hello", "audio:aud_1", "url:https://example.com/a.wav"]


def test_a_hang_up_stops_the_sound() -> None:
    call = drive(flow(hello=announcement("Hello", "more"), more=announcement("More")), responsive=False)
    call.arrives().answered().hangs_up()
    assert [type(each) for each in call.said] == [commands.StopPlay]
    assert call.is_over()
    assert call.machine.record().end_reason == "caller_hung_up"


def test_the_end_of_another_sound_is_not_the_end_of_this_one() -> None:
    call = drive(flow(hello=announcement("Hello", "more"), more=announcement("More"))).arrives()
    call.happens(events.PlaybackEnded(call.now, "play-9"))
    assert call.path == [("hello", "")]
