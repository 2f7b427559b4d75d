"""The menu: one key, barge-in, type-ahead, silence counted from the end of the prompt, and attempts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.call import commands
from flowengine.call.events import SECOND, DigitPressed
from flowengine.flow.document import KEYS, Flow, Ivr
from tests.call.driving import announcement, drive, flow, say, spoken
from tests.call.weather import befall, weather


def menu(attempts: int = 3, timeout_s: float = 5.0, **exits: str) -> Flow:
    """A menu where `k1="one"` connects key 1; every target is an announcement of its own name."""
    connections: dict[str, str | None] = {
        (name[1:].replace("star", "*") if name.startswith("k") else name): to for name, to in exits.items()
    }
    node = Ivr(prompt=say("Menu"), attempts=attempts, timeout_s=timeout_s, connections=connections)
    return flow(menu=node, **{to: announcement(to) for to in exits.values()})


def test_answers_and_plays_its_prompt() -> None:
    call = drive(menu(k1="one"), responsive=False).arrives()
    assert call.just(commands.Answer) == [commands.Answer("caller")]
    assert call.playing == spoken("Menu")


@pytest.mark.parametrize("key", KEYS)
def test_every_key_leads_to_its_exit(key: str) -> None:
    keys: dict[str, str | None] = {each: f"to-{KEYS.index(each)}" for each in KEYS}
    states = {f"to-{KEYS.index(each)}": announcement(each) for each in KEYS}
    call = drive(flow(menu=Ivr(prompt=say("Menu"), connections=keys), **states)).arrives().presses(key)
    assert call.path == [("menu", key), (f"to-{KEYS.index(key)}", "")]
    assert call.playing == spoken(key)


def test_a_key_cuts_the_prompt() -> None:
    call = drive(menu(k1="one")).arrives().waits(1).presses("1")
    [played] = [each for each in call.all_of(commands.Play) if each.sound == spoken("Menu")]
    assert call.just(commands.StopPlay) == [commands.StopPlay(played.playback)]
    assert call.playing == spoken("one")


def test_a_key_after_the_prompt_counts_until_the_last_moment() -> None:
    call = drive(menu(timeout_s=5.0, k1="one", timeout="silence")).arrives().prompt_ends().waits(4.999_999)
    assert call.path == [("menu", "")]
    assert call.presses("1").path[0] == ("menu", "1")
    assert call.all_of(commands.CancelTimer)


def test_silence_is_counted_from_the_end_of_the_prompt() -> None:
    call = drive(menu(timeout_s=5.0, timeout="silence")).arrives().waits(60)
    assert call.path == [("menu", "")], "no silence while the prompt is still playing"
    assert call.all_of(commands.SetTimer) == []
    call.prompt_ends()
    [timer] = call.just(commands.SetTimer)
    assert timer.due == call.now + 5 * SECOND
    assert call.waits(5).path == [("menu", "timeout"), ("silence", "")]


def test_the_built_in_timeout_is_five_seconds() -> None:
    call = drive(flow(menu=Ivr(prompt=say("Menu")))).arrives().prompt_ends()
    [timer] = call.just(commands.SetTimer)
    assert timer.due - call.now == 5 * SECOND


def test_a_prompt_that_cannot_be_played_still_takes_a_key() -> None:
    call = drive(menu(k1="one")).arrives().prompt_ends(ok=False)
    assert call.machine.record().faults == ("menu: sound not played",)
    assert call.presses("1").path[0] == ("menu", "1")


def test_silence_is_not_asked_again() -> None:
    call = drive(menu(attempts=3)).arrives().prompt_ends().waits(5)
    assert call.path == [("menu", "timeout")]
    assert call.playing == "builtin:goodbye:en-US"
    assert len([each for each in call.all_of(commands.Play) if each.sound == spoken("Menu")]) == 1


@pytest.mark.parametrize("wrong", ["9", "#", "*"])
def test_a_key_the_menu_does_not_have_plays_it_again(wrong: str) -> None:
    call = drive(menu(k1="one")).arrives().presses(wrong)
    assert call.path == [("menu", "")]
    assert call.playing == spoken("Menu")
    assert call.presses("1").path[0] == ("menu", "1")


@pytest.mark.parametrize("attempts", [1, 2, 3, 10])
def test_wrong_keys_use_the_attempts_up_and_leave_by_invalid(attempts: int) -> None:
    call = drive(menu(attempts=attempts, k1="one", invalid="wrong", timeout="silence")).arrives()
    for _ in range(attempts - 1):
        assert call.presses("9").path == [("menu", "")]
    assert call.presses("9").path == [("menu", "invalid"), ("wrong", "")]
    assert len([each for each in call.all_of(commands.Play) if each.sound == spoken("Menu")]) == attempts


def test_without_a_connected_invalid_wrong_keys_end_as_timeout() -> None:
    call = drive(menu(attempts=1, timeout="silence")).arrives().presses("9")
    assert call.path == [("menu", "timeout"), ("silence", "")]


def test_a_key_whose_connection_is_open_is_not_in_the_menu() -> None:
    node = Ivr(prompt=say("Menu"), attempts=1, connections={"1": None, "invalid": "wrong"})
    call = drive(flow(menu=node, wrong=announcement("wrong"))).arrives().presses("1")
    assert call.path == [("menu", "invalid"), ("wrong", "")]


def two_menus() -> Flow:
    return flow(
        first=Ivr(prompt=say("First"), connections={"1": "between"}),
        between=announcement("Between", "second"),
        second=Ivr(prompt=say("Second"), connections={"2": "last"}),
        last=announcement("Last"),
    )


def test_keys_in_one_breath_pass_two_menus() -> None:
    call = drive(
        flow(
            first=Ivr(prompt=say("First"), connections={"1": "second"}),
            second=Ivr(prompt=say("Second"), connections={"2": "last"}),
            last=announcement("Last"),
        )
    ).arrives()
    call.presses("12")
    assert call.path == [("first", "1"), ("second", "2"), ("last", "")]
    assert call.playing == spoken("Last")


def test_a_key_pressed_into_an_announcement_waits_for_the_menu_behind_it() -> None:
    call = drive(two_menus()).arrives().presses("12")
    assert call.playing == spoken("Between"), "an announcement is heard to its end"
    call.prompt_ends()
    assert call.path == [("first", "1"), ("between", "next"), ("second", "2"), ("last", "")]
    assert spoken("Second") not in [each.sound for each in call.all_of(commands.Play)]


def test_keys_of_an_agent_are_not_keys_of_the_caller() -> None:
    call = drive(menu(k1="one")).arrives()
    call.happens(DigitPressed(call.now, "leg-1", "1"))
    assert call.path == [("menu", "")]


@given(
    digits=st.text("12", max_size=8),
    pauses=st.lists(st.sampled_from(["none", "a while", "prompt ends"]), min_size=8, max_size=8),
)
def test_early_keys_are_never_lost(digits: str, pauses: list[str]) -> None:
    """However keys and prompts interleave, each menu of a chain takes the next key, in order."""
    names = [f"menu-{at}" for at in range(9)]
    nodes = {
        name: Ivr(prompt=say(name), connections=dict.fromkeys("12", after))
        for name, after in zip(names, [*names[1:], "last"], strict=True)
    }
    call = drive(flow(**nodes, last=announcement("Last"))).arrives()
    for digit, pause in zip(digits, pauses, strict=False):
        match pause:
            case "a while":
                call.waits(0.5)
            case "prompt ends" if call.playing:
                call.prompt_ends()
            case _:
                pass
        call.presses(digit)
    assert [outcome for _, outcome in call.path] == [*digits, ""]


@given(attempts=st.integers(1, 4), happenings=weather())
def test_a_menu_is_never_played_more_often_than_its_attempts(attempts: int, happenings: bytes) -> None:
    call = befall(drive(menu(attempts=attempts, k1="one", k2="two", timeout="silence")).arrives(), happenings)
    sounds = [each.sound for each in call.all_of(commands.Play)]
    again = list(pairwise(sounds)).count(("builtin:minute-left:en-US", spoken("Menu")))
    assert 1 <= sounds.count(spoken("Menu")) - again <= attempts, "what a warning cut does not count"
