"""How sure a simulated mean is: Student's confidence interval over values that are independent of each other.

Waits of successive callers are not independent: who waits long is followed by others who wait long. So the values
here are the means of whole replications, or of long batches of one run.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import atan, cos, inf, pi, sin, sqrt
from statistics import fmean, stdev
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Interval(NamedTuple):
    """A mean, and how far from it the true one may be at the confidence asked for (infinite: nothing is known)."""

    mean: float
    half_width: float

    def contains(self, value: float) -> bool:
        """Whether a value is one the true mean may have."""
        return abs(value - self.mean) <= self.half_width


def interval(values: Sequence[float], confidence: float) -> Interval:
    """Give the interval of the mean of independent values (at least one)."""
    if len(values) < 2:
        return Interval(fmean(values), inf)
    half_width = student_t(len(values) - 1, confidence) * stdev(values) / sqrt(len(values))
    return Interval(fmean(values), half_width)


def batches(of: Sequence[T], number: int) -> list[Sequence[T]]:
    """Cut a run into so many batches of successive calls, all but equally long."""
    bounds = [len(of) * place // number for place in range(number + 1)]
    return [of[start:end] for start, end in pairwise(bounds)]


@cache
def student_t(freedom: int, confidence: float) -> float:
    """The value a t-distributed quantity stays within, on both sides, with probability `confidence` (below 1)."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Probability that |T| <= t: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = 0.0
    for step in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (step - 1) / step * cos(angle) ** 2
    return (2 / pi) * (angle + sin(angle) * total) if odd else sin(angle) * total
