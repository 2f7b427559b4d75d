"""What a call believes to have on Asterisk: whatever is said and heard, an end is told once."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from flowengine.ari.picture import CallPicture
from flowengine.call import commands, events
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import Event

LEGS = st.sampled_from(["caller", "leg-1", "leg-2"])
PLAYS = st.sampled_from(["play-1", "play-2"])
RECORDINGS = st.sampled_from(["rec-1", "rec-2"])
BRIDGES = st.sampled_from(["bridge-1", "bridge-2"])

said = st.one_of(
    st.builds(commands.Answer, LEGS),
    st.builds(commands.HangUp, LEGS, st.just(16)),
    st.builds(
        commands.Dial, st.sampled_from(["leg-1", "leg-2"]), st.just("PJSIP/x"), st.just(""), st.just(5.0)
    ),
    st.builds(commands.Play, PLAYS, LEGS, st.just("tone:beep")),
    st.builds(commands.StopPlay, PLAYS),
    st.builds(commands.Record, RECORDINGS, st.one_of(LEGS, BRIDGES)),
    st.builds(commands.StopRecord, RECORDINGS),
    st.builds(commands.OpenBridge, BRIDGES),
    st.builds(commands.Join, BRIDGES, LEGS),
    st.builds(commands.CloseBridge, BRIDGES),
    st.builds(commands.Ring, LEGS),
)
at = st.just(0)
heard = st.one_of(
    st.builds(events.LegRinging, at, LEGS),
    st.builds(events.LegAnswered, at, LEGS),
    st.builds(events.LegHungUp, at, LEGS, st.just(16)),
    st.builds(events.PlaybackEnded, at, PLAYS),
    st.builds(events.RecordingEnded, at, RECORDINGS, st.just(0)),
    st.builds(events.CommandFailed, at, BRIDGES, st.just("gone")),
)


@given(st.lists(st.one_of(said, heard), max_size=40))
def test_every_end_is_told_once_and_every_thing_is_made_once(life: list[SwitchCommand | Event]) -> None:
    picture = CallPicture("cal_x", "fe-1")
    told: Counter[Event] = Counter()
    sent: Counter[SwitchCommand] = Counter()
    for item in life:
        if isinstance(item, SwitchCommand):
            sent[item] += picture.commanded(item)
        else:
            told[item] += picture.is_news(item)
    once = (
        events.LegHungUp,
        events.LegAnswered,
        events.LegRinging,
        events.PlaybackEnded,
        events.RecordingEnded,
    )
    assert all(count <= 1 for event, count in told.items() if isinstance(event, once))
    making = (commands.Dial, commands.Play, commands.OpenBridge)
    assert all(count <= 1 for command, count in sent.items() if isinstance(command, making))


@given(st.lists(st.one_of(said, heard), max_size=40))
def test_a_recalled_picture_is_the_same(life: list[SwitchCommand | Event]) -> None:
    lived, recalled = CallPicture("cal_x", "fe-1"), CallPicture("cal_x", "fe-1")
    for item in life:
        if isinstance(item, SwitchCommand):
            lived.commanded(item)
        else:
            lived.is_news(item)
    recalled.recall(life)
    assert recalled.things == lived.things


def test_nothing_rings_after_it_was_answered() -> None:
    picture = CallPicture("cal_x", "fe-1")
    picture.commanded(commands.Dial("leg-1", "PJSIP/x", "", 5))
    assert picture.is_news(events.LegAnswered(0, "leg-1"))
    assert not picture.is_news(events.LegRinging(0, "leg-1"))
    assert picture.channel_of("leg-1") == "cal_x-leg-1"
    assert picture.channel_of("caller") == "fe-1"
