"""From trials to figures: medians, how far the runs of one lie apart, and the search for the highest clean rate."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

APART: Final = 0.10
"""Runs of one that differ by more than this make a figure that is not to be compared."""
RUNG: Final = 1.05
"""The step between two rates that are tried."""
LOWEST: Final = 5.0
"""Calls a second at the foot of the ladder."""
HIGHEST: Final = 110
"""The last rung: about a thousand calls a second."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over the rounds."""

    runs: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return median(self.runs)

    @property
    def apart(self) -> float:
        """How much the two runs that differ most differ, by the median."""
        return (max(self.runs) - min(self.runs)) / self.value if self.value else 0.0

    @property
    def steady(self) -> bool:
        """No two runs differ by more than `APART`."""
        return self.apart <= APART


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 do not exceed; 0 of nothing."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def rate_of(rung: int) -> float:
    """Calls a second on a rung of the ladder."""
    return LOWEST * RUNG**rung


async def highest_clean(is_clean: Callable[[float], Awaitable[bool]], start: int, stride: int) -> int:
    """The highest rung on which a trial is clean; -1 when none is.

    A trial that is not clean is made once more before it counts, for one hiccup of a shared machine is not a limit.

    Args:
        is_clean: makes a trial at a rate.
        start: the rung to begin with.
        stride: how many rungs to go at a time until one clean and one unclean rung are known.
    """

    async def clean(rung: int) -> bool:
        return await is_clean(rate_of(rung)) or await is_clean(rate_of(rung))

    rung = start
    if await clean(rung):
        low = rung
        while low < HIGHEST and await clean(min(HIGHEST, low + stride)):
            low = min(HIGHEST, low + stride)
        high = min(HIGHEST + 1, low + stride)
    else:
        high = rung
        while high > 0 and not await clean(max(0, high - stride)):
            high = max(0, high - stride)
        if high == 0:
            return -1
        low = max(0, high - stride)
    while high - low > 1:
        middle = (low + high) // 2
        if await clean(middle):
            low = middle
        else:
            high = middle
    return low
