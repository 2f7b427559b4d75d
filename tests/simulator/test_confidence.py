"""Confidence intervals: the t-distribution's table, batches, and how often the true mean lies inside."""

from math import inf
from random import Random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.confidence import Interval, batches, interval, student_t


@pytest.mark.parametrize(
    ("freedom", "at_95", "at_99"),
    [
        (1, 12.706, 63.657),
        (2, 4.303, 9.925),
        (3, 3.182, 5.841),
        (4, 2.776, 4.604),
        (9, 2.262, 3.250),
        (19, 2.093, 2.861),
        (30, 2.042, 2.750),
        (120, 1.980, 2.617),
    ],
)
def test_the_table_of_every_textbook(freedom: int, at_95: float, at_99: float) -> None:
    assert student_t(freedom, 0.95) == pytest.approx(at_95, abs=5e-4)
    assert student_t(freedom, 0.99) == pytest.approx(at_99, abs=5e-4)


def test_with_many_values_it_is_the_normal_distribution() -> None:
    assert student_t(10_000, 0.99) == pytest.approx(NormalDist().inv_cdf(0.995), abs=1e-3)


def test_one_value_says_nothing_of_the_others() -> None:
    assert interval([3.0], 0.95) == Interval(3.0, inf)
    assert interval([3.0, 3.0], 0.95) == Interval(3.0, 0.0)


def test_by_hand() -> None:
    found = interval([1.0, 2.0, 3.0], 0.95)
    assert found.mean == 2
    assert found.half_width == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert found.contains(4.4)
    assert not found.contains(4.6)


def test_the_true_mean_lies_inside_as_often_as_promised() -> None:
    random = Random(5)
    inside = sum(interval([random.gauss(7, 2) for _ in range(6)], 0.9).contains(7) for _ in range(4_000))
    assert inside / 4_000 == pytest.approx(0.9, abs=0.02)


@given(st.lists(st.integers()), st.integers(1, 30))
def test_batches_are_the_run_in_order(values: list[int], number: int) -> None:
    parts = batches(values, number)
    assert [value for part in parts for value in part] == values
    assert len(parts) == number
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
