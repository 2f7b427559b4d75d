"""Arrivals, mixes and durations: their means, their shapes, and the same luck for the same seed."""

from collections import Counter
from itertools import islice, pairwise, takewhile
from math import exp, log
from random import Random
from statistics import fmean, stdev, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.chance import (
    FOREVER,
    Constant,
    Duration,
    Exponential,
    Infinite,
    Lognormal,
    Recorded,
    stream,
)
from simulator.traffic import DAY_S, Arrivals, Mix, Poisson, Profile, StandingStart, Trace

HOUR = 3_600_000_000
DAY = 24 * HOUR
OFFICE = Profile(((0, 0), (9 * 3_600, 120), (12 * 3_600, 30.0), (17 * 3_600, 0)))


def during(arrivals: Arrivals, until: int, seed: int = 1) -> list[int]:
    return list(takewhile(lambda at: at < until, arrivals.instants(Random(seed))))


def test_poisson_calls_have_gaps_without_memory() -> None:
    calls = during(Poisson(60), 1_000 * HOUR)
    gaps = [(after - before) / 1e6 for before, after in pairwise(calls)]
    assert fmean(gaps) == pytest.approx(60, rel=0.02)
    assert stdev(gaps) == pytest.approx(60, rel=0.02)
    for longer_than_s in (30, 60, 180):
        share = sum(gap > longer_than_s for gap in gaps) / len(gaps)
        assert share == pytest.approx(exp(-longer_than_s / 60), abs=0.01)


def test_poisson_calls_in_an_hour_vary_as_much_as_they_are() -> None:
    by_hour = Counter(at // HOUR for at in during(Poisson(40), 2_000 * HOUR))
    numbers = [by_hour[hour] for hour in range(2_000)]
    assert fmean(numbers) == pytest.approx(40, rel=0.02)
    assert variance(numbers) == pytest.approx(40, rel=0.1)


def test_a_profile_has_its_rates_every_day() -> None:
    days = 100
    by_hour = Counter(at // HOUR % 24 for at in during(OFFICE, days * DAY))
    for hour in range(24):
        rate = 120 if 9 <= hour < 12 else 30 if 12 <= hour < 17 else 0
        assert by_hour[hour] / days == pytest.approx(rate, rel=0.1), hour
    by_day = Counter(at // DAY for at in during(OFFICE, days * DAY))
    assert min(by_day.values()) > 400


@given(
    st.lists(
        st.tuples(st.integers(1, DAY_S - 1), st.floats(0, 50)), max_size=6, unique_by=lambda each: each[0]
    ),
    st.floats(0, 50),
    st.integers(),
)
def test_arrivals_never_run_backwards(pieces: list[tuple[int, float]], first: float, seed: int) -> None:
    profile = Profile([(0, first + 0.5), *sorted(pieces)])
    calls = list(islice(profile.instants(Random(seed)), 200))
    assert calls == sorted(calls)
    assert calls[0] >= 0


def test_a_profile_of_one_rate_is_a_poisson_process() -> None:
    halves = Profile(((0, 60), (43_200, 60)))
    assert during(halves, 20 * HOUR) == pytest.approx(during(Poisson(60), 20 * HOUR), abs=2)


def test_a_trace_is_given_in_order_and_ends() -> None:
    assert list(Trace((3.5, 0, 1)).instants(Random(1))) == [0, 1_000_000, 3_500_000]


def test_a_standing_start_is_drawn_and_goes_on() -> None:
    start = StandingStart([(0, 0.5), (3, 0.5)], Trace((1, 2)))
    found = Counter(tuple(start.instants(Random(seed))) for seed in range(2_000))
    later = (1_000_000, 2_000_000)
    assert set(found) == {later, (0, 0, 0, *later)}
    assert found[later] / 2_000 == pytest.approx(0.5, abs=0.04)


def test_a_mix_keeps_its_shares() -> None:
    draw = Mix((("sales", 3), ("support", 1), ("never", 0))).source(Random(1))
    found = Counter(draw() for _ in range(20_000))
    assert found["sales"] / 20_000 == pytest.approx(0.75, abs=0.01)
    assert found["support"] / 20_000 == pytest.approx(0.25, abs=0.01)
    assert found["never"] == 0


def test_a_mix_of_one_needs_no_chance() -> None:
    random = Random(1)
    before = random.getstate()
    assert Mix((("all", 5),)).source(random)() == "all"
    assert random.getstate() == before


def drawn(duration: Duration, number: int = 20_000) -> list[float]:
    source = duration.source(Random(3))
    return [source() / 1e6 for _ in range(number)]


def test_exponential_durations() -> None:
    found = drawn(Exponential(180))
    assert fmean(found) == pytest.approx(180, rel=0.02)
    assert stdev(found) == pytest.approx(180, rel=0.03)


def test_lognormal_durations_by_mean_and_deviation() -> None:
    found = drawn(Lognormal(240, 120))
    assert fmean(found) == pytest.approx(240, rel=0.02)
    assert stdev(found) == pytest.approx(120, rel=0.05)
    logarithms = [log(each) for each in found]
    third = fmean([(each - fmean(logarithms)) ** 3 for each in logarithms[:2_000]])
    assert third == pytest.approx(0, abs=0.02)  # the logarithm leans to no side


def test_constant_recorded_and_infinite_durations() -> None:
    assert drawn(Constant(2.5), 3) == [2.5, 2.5, 2.5]
    assert drawn(Recorded((1, 2)), 5) == [1, 2, 1, 2, 1]
    assert Infinite().source(Random(1))() == FOREVER


@pytest.mark.parametrize(
    ("duration", "mean_s"),
    [
        (Constant(2), 2),
        (Exponential(3), 3),
        (Lognormal(4, 9), 4),
        (Recorded((1, 2)), 1.5),
        (Infinite(), float("inf")),
    ],
)
def test_every_duration_knows_its_mean(duration: Duration | Infinite, mean_s: float) -> None:
    assert duration.mean_s == mean_s


def test_luck_is_the_same_for_the_same_purpose_and_independent_of_others() -> None:
    assert during(OFFICE, 3 * DAY, seed=4) == during(OFFICE, 3 * DAY, seed=4)
    first = [stream(1, 0, "talk").random(), stream(1, 0, "talk").random()]
    assert first[0] == first[1]
    others = {stream(2, 0, "talk").random(), stream(1, 1, "talk").random(), stream(1, 0, "patience").random()}
    assert len(others | set(first)) == 4
