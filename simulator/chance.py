"""Distributions of durations: how long people talk, how soon they pick up, how long they are willing to wait.

A distribution is a plain value; `source(random)` makes of it a function that draws whole microseconds. Everybody who
draws gets a source with a `Random` of their own, so that a change in one place does not stir the luck of others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import log, log1p, sqrt
from random import Random
from typing import Final

from flowengine.call.events import SECOND

FOREVER: Final = 1 << 62
"""Drawn where a duration has no end, in microseconds."""

Source = Callable[[], int]
"""Draws a duration in whole microseconds."""


@dataclass(frozen=True)
class Constant:
    """Always the same duration."""

    s: float

    @property
    def mean_s(self) -> float:
        """The duration."""
        return self.s

    def source(self, random: Random) -> Source:  # noqa: ARG002 - all distributions share one signature
        """Draw it."""
        us = round(self.s * SECOND)
        return lambda: us


@dataclass(frozen=True)
class Exponential:
    """Without memory: what is still to come does not depend on what has passed. The mean is more than 0."""

    mean_s: float

    def source(self, random: Random) -> Source:
        """Draw independent durations."""
        rate = 1.0 / (self.mean_s * SECOND)
        draw = random.expovariate
        return lambda: round(draw(rate))


@dataclass(frozen=True)
class Lognormal:
    """Many short and a few long ones, the usual shape of talk times, by mean and standard deviation."""

    mean_s: float
    sd_s: float

    def source(self, random: Random) -> Source:
        """Draw independent durations."""
        sigma_squared = log1p((self.sd_s / self.mean_s) ** 2)
        mu = log(self.mean_s * SECOND) - sigma_squared / 2
        sigma = sqrt(sigma_squared)
        draw = random.lognormvariate
        return lambda: round(draw(mu, sigma))


@dataclass(frozen=True)
class Recorded:
    """Durations that were measured, in their order; after the last comes the first again."""

    values_s: Sequence[float]

    @property
    def mean_s(self) -> float:
        """Mean of the recorded values."""
        return sum(self.values_s) / len(self.values_s)

    def source(self, random: Random) -> Source:  # noqa: ARG002 - all distributions share one signature
        """Draw them in order."""
        values = cycle([round(value * SECOND) for value in self.values_s])
        return lambda: next(values)


@dataclass(frozen=True)
class Infinite:
    """No end: the patience of a caller who never hangs up while waiting."""

    @property
    def mean_s(self) -> float:
        """Infinite."""
        return float("inf")

    def source(self, random: Random) -> Source:  # noqa: ARG002 - all distributions share one signature
        """Draw `FOREVER`."""
        return lambda: FOREVER


Duration = Constant | Exponential | Lognormal | Recorded
Patience = Duration | Infinite


def stream(seed: int, replication: int, what: str) -> Random:
    """Chance for one purpose in one replication: independent of every other, and the same in every run."""
    return Random(f"{seed}/{replication}/{what}")  # noqa: S311 - chance in a play, not a secret
