"""Erlang's formulas against exact sums, against each other, and where they are asked for the extreme."""

from fractions import Fraction
from math import exp, factorial, inf, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.erlang import ErlangA, ErlangC, erlang_b, erlang_c

AGENTS = st.integers(1, 60)
SHARE = st.floats(0.01, 0.99)


def exact_b(agents: int, load: Fraction) -> Fraction:
    terms = [load**k / factorial(k) for k in range(agents + 1)]
    return terms[-1] / sum(terms)


def exact_c(agents: int, load: Fraction) -> Fraction:
    last = load**agents / factorial(agents) * agents / (agents - load)
    return last / (sum(load**k / factorial(k) for k in range(agents)) + last)


@given(AGENTS, st.fractions(Fraction(1, 100), 60, max_denominator=100))
def test_b_is_the_sum_it_stands_for(agents: int, load: Fraction) -> None:
    assert isclose(erlang_b(agents, float(load)), exact_b(agents, load), rel_tol=1e-12)


@given(AGENTS, st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100))
def test_c_is_the_sum_it_stands_for(agents: int, occupancy: Fraction) -> None:
    load = agents * occupancy
    assert isclose(erlang_c(agents, float(load)), exact_c(agents, load), rel_tol=1e-9)


def test_published_values() -> None:
    """Rows of the tables in every textbook."""
    assert erlang_b(10, 4.461) == pytest.approx(0.01, abs=1e-5)
    assert erlang_b(20, 12.031) == pytest.approx(0.01, abs=1e-5)
    assert erlang_b(100, 84.064) == pytest.approx(0.01, abs=1e-5)
    assert erlang_c(10, 8) == pytest.approx(0.4092, abs=1e-4)


def test_nobody_calls_and_nobody_answers() -> None:
    assert erlang_b(3, 0) == 0
    assert erlang_b(0, 0) == erlang_b(0, 2) == 1


def test_one_agent_is_the_simplest_queue() -> None:
    """M/M/1: the chance to wait is the occupancy, the mean wait occupancy / (1 - occupancy) talks."""
    queue = ErlangC(1, per_hour=16, talk_s=180)
    assert queue.occupancy == pytest.approx(0.8)
    assert queue.waits == pytest.approx(0.8)
    assert queue.mean_wait_s == pytest.approx(720)
    assert queue.answered_within(0) == pytest.approx(0.2)
    assert queue.answered_within(900) == pytest.approx(1 - 0.8 * exp(-1))


def test_agents_who_cannot_keep_up() -> None:
    queue = ErlangC(4, per_hour=80, talk_s=180)
    assert queue.load == 4
    assert queue.waits == queue.waits_longer(1e9) == queue.occupancy == 1
    assert queue.mean_wait_s == queue.wait_not_exceeded(0.9) == inf
    with pytest.raises(ValueError, match="4 agents never keep up with 4 erlang: add agents"):
        queue.in_centre()


@given(AGENTS, SHARE, SHARE)
def test_percentiles_undo_the_distribution(agents: int, occupancy: float, share: float) -> None:
    queue = ErlangC(agents, per_hour=20 * agents * occupancy, talk_s=180)
    wait_s = queue.wait_not_exceeded(share)
    assert queue.answered_within(wait_s) >= share - 1e-9
    if wait_s:
        assert queue.answered_within(wait_s) == pytest.approx(share)


@given(AGENTS, st.floats(0.05, 0.95))
def test_what_is_in_the_centre_agrees_with_the_formula(agents: int, occupancy: float) -> None:
    queue = ErlangC(agents, per_hour=20 * agents * occupancy, talk_s=180)
    shares = queue.in_centre()
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert sum(share for calls, share in shares if calls >= agents) == pytest.approx(queue.waits, rel=1e-6)
    line = sum(share * max(0, calls - agents) for calls, share in shares)
    assert line * 3_600 / queue.per_hour == pytest.approx(queue.mean_wait_s, rel=1e-6)


IMPATIENT = st.builds(
    ErlangA,
    agents=st.integers(1, 40),
    per_hour=st.floats(1, 1_500),
    talk_s=st.floats(30, 600),
    patience_s=st.floats(5, 3_000),
)


@given(IMPATIENT)
def test_who_does_not_hang_up_is_talked_to(centre: ErlangA) -> None:
    """Calls that are not abandoned keep the agents exactly as busy as they are."""
    served = centre.load * (1 - centre.abandons)
    assert served == pytest.approx(centre.agents * centre.occupancy, rel=1e-9)
    assert 0 <= centre.abandons <= centre.waits <= 1 + 1e-12


@settings(max_examples=40)
@given(IMPATIENT)
def test_service_level_goes_from_at_once_to_not_at_all(centre: ErlangA) -> None:
    levels = [centre.answered_within(within_s) for within_s in (0, 1, 20, 200, 5_000, inf)]
    assert levels == pytest.approx(sorted(levels), abs=1e-12)
    assert levels[0] == pytest.approx(1 - centre.waits, abs=1e-9)
    assert levels[-1] == pytest.approx(1 - centre.abandons, rel=1e-6)


@pytest.mark.parametrize("agents", [1, 5, 30])
def test_patience_like_a_talk_makes_a_poisson_number_of_calls(agents: int) -> None:
    """With both means alike every call leaves at one rate, waiting or talking: the number present is Poisson's."""
    centre = ErlangA(agents, per_hour=100, talk_s=180, patience_s=180)
    load = 5.0
    for calls, share in centre.in_centre():
        assert isclose(share, exp(-load) * load**calls / factorial(calls), rel_tol=1e-9)


@given(st.integers(1, 40), st.floats(0.05, 0.9), st.floats(0, 600))
def test_endless_patience_is_erlang_c(agents: int, occupancy: float, within_s: float) -> None:
    per_hour = 20 * agents * occupancy
    patient, impatient = ErlangC(agents, per_hour, 180), ErlangA(agents, per_hour, 180, 1e10)
    assert impatient.waits == pytest.approx(patient.waits, rel=1e-4)
    assert impatient.mean_wait_s == pytest.approx(patient.mean_wait_s, rel=1e-4)
    assert impatient.answered_within(within_s) == pytest.approx(patient.answered_within(within_s), abs=1e-5)


def test_no_patience_at_all_is_erlang_b() -> None:
    centre = ErlangA(5, per_hour=100, talk_s=180, patience_s=1e-6)
    assert centre.abandons == pytest.approx(erlang_b(5, 5), rel=1e-5)


def test_huge_centres_stay_finite() -> None:
    assert erlang_b(100_000, 99_000) == pytest.approx(8.2e-6, rel=0.01)
    assert erlang_c(100_000, 99_999) == pytest.approx(0.996, abs=0.001)
    twice_too_many = ErlangA(20_000, per_hour=800_000, talk_s=180, patience_s=3_600)
    assert twice_too_many.abandons == pytest.approx(0.5, abs=1e-4)
    assert twice_too_many.occupancy == pytest.approx(1, abs=1e-9)
