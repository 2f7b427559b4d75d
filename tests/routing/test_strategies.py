"""Ring waves: who is rung now, and why the others are not. Pure, so the rules can be checked against all cases."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.routing.strategies import Member, Wave, next_wave

FREE, TALKING, AWAY = (True, True), (False, True), (True, False)


def members(*conditions: tuple[bool, bool]) -> list[Member]:
    """u0, u1, ... in line order, each (free, reachable)."""
    return [Member(f"u{at}", at, free, reachable) for at, (free, reachable) in enumerate(conditions)]


def test_parallel_rings_everybody_free_in_line_order() -> None:
    assert next_wave(members(FREE, TALKING, AWAY, FREE), "parallel") == Wave(("u0", "u3"), 1, 1)


def test_sequential_rings_the_first_in_line_only() -> None:
    assert next_wave(members(FREE, TALKING, AWAY, FREE), "sequential") == Wave(("u0",), 1, 1)


def test_the_line_is_the_order_of_places_whatever_the_order_of_members() -> None:
    for several in permutations(members(FREE, FREE, FREE)):
        assert next_wave(several, "parallel").users == ("u0", "u1", "u2")
        assert next_wave(several, "sequential").users == ("u0",)


def test_who_is_out_of_reach_or_on_a_call_is_skipped() -> None:
    assert next_wave(members(AWAY, TALKING, FREE), "sequential").users == ("u2",)


def test_on_a_call_with_no_device_in_reach_is_out_of_reach() -> None:
    assert next_wave(members((False, False)), "parallel") == Wave((), busy=0, unreachable=1)


def test_who_was_tried_is_not_there_at_all() -> None:
    assert next_wave(members(FREE, TALKING, AWAY, FREE), "sequential", ("u0", "u1", "u2")) == Wave(
        ("u3",), 0, 0
    )
    assert next_wave(members(FREE), "parallel", ("u0",)) == Wave((), 0, 0)


def test_nobody_gives_an_empty_wave() -> None:
    assert next_wave([], "parallel") == next_wave([], "sequential") == Wave((), 0, 0)


@pytest.mark.parametrize("conditions", list(product([FREE, TALKING, AWAY], repeat=3)))
def test_every_mix_of_three(conditions: tuple[tuple[bool, bool], ...]) -> None:
    wave = next_wave(members(*conditions), "parallel")
    assert wave.users == tuple(f"u{at}" for at, each in enumerate(conditions) if each is FREE)
    assert wave.busy == conditions.count(TALKING)
    assert wave.unreachable == conditions.count(AWAY)
    assert next_wave(members(*conditions), "sequential") == Wave(wave.users[:1], wave.busy, wave.unreachable)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8), st.data())
def test_asking_again_and_again_reaches_everybody_free_once_in_order(
    conditions: list[tuple[bool, bool]], data: st.DataObject
) -> None:
    several = data.draw(st.permutations(members(*conditions)))
    tried: tuple[str, ...] = ()
    while users := next_wave(several, "sequential", tried).users:
        tried += users
    assert tried == next_wave(several, "parallel").users
