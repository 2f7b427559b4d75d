"""When calls come, and what kind they are.

Arrival processes give instants in microseconds since the beginning of a run, in order and without end (a recorded
one ends with its record). Kinds of calls are drawn independently of the instants, so a mix of kinds in a Poisson
stream is a Poisson stream of each kind.
"""

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from random import Random
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

from flowengine.call.events import SECOND

DAY_S: Final = 86_400

T = TypeVar("T")


@runtime_checkable
class Arrivals(Protocol):
    """A process of arrivals."""

    def instants(self, random: Random) -> Iterator[int]:
        """Microseconds since the beginning, never falling."""


@dataclass(frozen=True)
class Poisson:
    """Independent calls at a constant rate, in calls an hour (more than 0)."""

    per_hour: float

    def instants(self, random: Random) -> Iterator[int]:
        """Draw the gaps, exponentially distributed."""
        return Profile(((0, self.per_hour),)).instants(random)


@dataclass(frozen=True)
class Profile:
    """Independent calls at a rate that changes over the day, the same every day.

    Args:
        pieces: (second of the day, calls an hour from then on), rising, the first at 0; some rate is more than 0.
    """

    pieces: Sequence[tuple[float, float]]

    def instants(self, random: Random) -> Iterator[int]:
        """Draw the gaps in expected calls, in which every Poisson process is alike, and turn them into time."""
        starts = [start for start, _ in self.pieces]
        ends = [*starts[1:], DAY_S]
        rates = [per_hour / 3_600 for _, per_hour in self.pieces]
        midnight, piece, at = 0, 0, 0.0
        while True:
            calls = random.expovariate(1.0)
            while (left := rates[piece] * (ends[piece] - at)) < calls:
                calls -= left
                piece += 1
                if piece == len(rates):
                    midnight, piece = midnight + DAY_S, 0
                at = starts[piece]
            at += calls / rates[piece]
            yield midnight * SECOND + round(at * SECOND)


@dataclass(frozen=True)
class Trace:
    """Calls at recorded instants, in seconds since the beginning."""

    at_s: Sequence[float]

    def instants(self, random: Random) -> Iterator[int]:  # noqa: ARG002 - all processes share one signature
        """Give them in order of time."""
        return iter(sorted(round(at * SECOND) for at in self.at_s))


@dataclass(frozen=True)
class StandingStart:
    """Some calls at the first instant, then those of another process.

    Where nothing has a memory (exponential talks and patience), a number of calls drawn from the long run's own
    distribution puts a centre into its long run at once, and no warm-up is needed.

    Args:
        already: numbers of calls and how probable they are.
        then: what follows.
    """

    already: Sequence[tuple[int, float]]
    then: Arrivals

    def instants(self, random: Random) -> Iterator[int]:
        """Draw the number, give so many zeros, then the others."""
        number = Mix(self.already).source(random)()
        yield from repeat(0, number)
        yield from self.then.instants(random)


@dataclass(frozen=True)
class Mix(Generic[T]):
    """Kinds of calls and how large their shares are, in any unit."""

    kinds: Sequence[tuple[T, float]]

    def source(self, random: Random) -> Callable[[], T]:
        """Draw independent kinds."""
        kinds = [kind for kind, _ in self.kinds]
        if len(kinds) == 1:
            return lambda: kinds[0]
        bounds = list(accumulate(share for _, share in self.kinds))
        return lambda: kinds[bisect(bounds, random.random() * bounds[-1], hi=len(kinds) - 1)]
