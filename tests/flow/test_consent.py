"""The warning `recording_without_notice`: every way to a recorded talk must tell the caller of it."""

from itertools import pairwise

import pytest
from hypothesis import event, given

from flowengine.flow.consent import HEAD, TAIL, tells, untold
from flowengine.flow.document import Announcement, Flow, GroupTransfer, Ivr, State, UserTransfer
from flowengine.flow.graph import connected, problems
from flowengine.flow.paths import walk
from tests.flow.drawing import HELLO, flow, menu, message, of, say
from tests.flow.strategies import any_flows, valid_flows


def telling(next_: str | None = None) -> Announcement:
    return Announcement(prompt=HELLO, tells_of_recording=True, connections={"next": next_})


def recorded(notice: bool = False, **exits: str | None) -> UserTransfer:
    return UserTransfer(
        user="u1", record=True, recording_notice=HELLO if notice else None, connections=dict(exits)
    )


def found(states: dict[str, State], **settings: str | None) -> dict[str, str]:
    drawn = flow(states, **settings)
    return {name: " ".join(way) for name, way in untold(drawn, connected(drawn)).items()}


def test_a_recorded_talk_out_of_the_blue_is_named_with_the_way_to_it() -> None:
    drawn = flow({"menu": menu(k1="hello", k2="boss"), "hello": say("boss"), "boss": recorded()})
    (problem,) = problems(drawn)
    assert (problem.code, problem.severity, problem.state, problem.pointer) == (
        "recording_without_notice",
        "warning",
        "boss",
        "/states/boss/record",
    )
    assert '"boss"' in problem.message
    assert "(menu -> boss)" in problem.message, "the shortest way"


def test_of_several_ways_the_shortest_is_named() -> None:
    states: dict[str, State] = {
        "menu": menu(k1="a", k2="b"),
        "a": say("boss"),
        "b": say("c"),
        "c": say("boss"),
    }
    assert found({**states, "boss": recorded()}) == {"boss": "menu a boss"}


def test_its_own_notice_is_enough() -> None:
    assert found({"boss": recorded(notice=True)}) == {}


def test_a_talk_that_is_not_recorded_needs_no_notice_and_gives_none() -> None:
    silent = UserTransfer(user="u1", recording_notice=HELLO, connections={"busy": "boss"})
    assert found({"desk": UserTransfer(user="u1")}) == {}
    assert found({"desk": silent, "boss": recorded()}) == {"boss": "desk boss"}, "it is not played there"


def test_an_announcement_on_the_only_way_is_enough() -> None:
    assert found({"hello": telling("menu"), "menu": menu(k1="boss"), "boss": recorded()}) == {}
    assert found({"hello": say("menu"), "menu": menu(k1="boss"), "boss": recorded()}) == {
        "boss": "hello menu boss"
    }


def test_a_notice_on_each_branch_is_enough_where_no_state_is_on_all_ways() -> None:
    states: dict[str, State] = {"menu": menu(k1="a", k2="b"), "a": telling("boss"), "b": telling("boss")}
    assert found({**states, "boss": recorded()}) == {}
    assert found({**states, "b": say("boss"), "boss": recorded()}) == {"boss": "menu b boss"}


def test_a_notice_after_the_talk_or_beside_it_tells_nobody() -> None:
    assert found({"boss": recorded(busy="sorry"), "sorry": telling()}) == {"boss": "boss"}
    states: dict[str, State] = {"menu": menu(k1="boss", k2="news"), "news": telling(), "boss": recorded()}
    assert found(states) == {"boss": "menu boss"}


def test_who_was_told_at_one_transfer_knows_it_at_the_next() -> None:
    assert (
        found({"boss": recorded(notice=True, busy="vice"), "vice": recorded(busy="box"), "box": message()})
        == {}
    )
    untold_twice: dict[str, State] = {
        "boss": recorded(busy="vice"),
        "vice": GroupTransfer(group="g", record=True),
    }
    assert found(untold_twice) == {"boss": "boss", "vice": "boss vice"}


def test_exits_a_state_does_not_have_lead_nowhere() -> None:
    hello = Announcement(prompt=HELLO, connections={"1": "boss"})
    assert found({"hello": hello, "boss": recorded()}) == {}


@pytest.mark.parametrize("start", [None, "gone"])
def test_without_a_start_nobody_is_recorded(start: str | None) -> None:
    assert found({"boss": recorded()}, start=start) == {}


def test_loops_are_walked_once() -> None:
    states: dict[str, State] = {"a": menu(k1="b"), "b": menu(k1="a", k2="boss"), "boss": recorded(busy="a")}
    assert found(states) == {"boss": "a b boss"}


@pytest.mark.parametrize("length", range(HEAD - 1, HEAD + TAIL + 3))
def test_a_long_way_is_named_in_short(length: int) -> None:
    states: dict[str, State] = {f"s{at}": say(f"s{at + 1}") for at in range(length - 1)}
    way = found({**states, f"s{length - 1}": recorded()})[f"s{length - 1}"].split()
    names = [*states, f"s{length - 1}"]
    skipped = length - HEAD - TAIL
    if skipped > 0:
        names[HEAD:-TAIL] = [f"({skipped}", "more)"]
    assert way == names


@pytest.mark.timeout(5)
def test_twenty_thousand_recorded_talks_in_a_row_are_told_quickly() -> None:
    states = {f"s{at}": recorded(busy=f"s{at + 1}") for at in range(20_000)}
    assert len(found(dict(states))) == 20_000


def test_a_menu_of_many_keys_is_one_step() -> None:
    keys: dict[str, str | None] = dict.fromkeys("0123456789", "boss")
    assert found({"menu": Ivr(prompt=HELLO, connections=keys), "boss": recorded()}) == {"boss": "menu boss"}


@given(any_flows(max_states=5) | valid_flows(max_states=6))
def test_agrees_with_walking_every_path(drawn: Flow) -> None:
    """Take every path a call can go, and look whether something told before the talk."""
    shortest: dict[str, int] = {}
    for path in walk(drawn):
        told = False
        for at, (name, _) in enumerate(path):
            state = drawn.states[name]
            told = told or tells(state)
            if isinstance(state, UserTransfer | GroupTransfer) and state.record and not told:
                shortest[name] = min(shortest.get(name, at), at)
    ways = untold(drawn, connected(drawn))
    event(f"{len(shortest)} untold")
    assert {name: len(way) - 1 for name, way in ways.items()} == shortest
    for name, way in ways.items():
        assert (way[0], way[-1]) == (drawn.start, name)
        for here, following in pairwise(way):
            assert following in drawn.states[here].connections.values()
    told_of = {problem.state for problem in of(problems(drawn), "recording_without_notice")}
    assert told_of == set(shortest)
