"""What queueing theory says about a contact centre: Erlang B, C and A, in pure and numerically stable Python.

All three assume calls that arrive independently at a constant rate (Poisson), talk times that are exponentially
distributed, agents who are all alike, and a waiting line in order of arrival. They differ in what becomes of a caller
who finds all agents busy: turned away (B), waits for ever (C), waits as long as an exponentially distributed patience
lasts (A, also written M/M/n+M).

Sources: A. K. Erlang (1917) for B and C; C. Palm (1957) for A, in the form of Mandelbaum and Zeltyn, "Service
engineering in action: the Palm/Erlang-A queue" (2007).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, repeat
from math import exp, floor, fsum, inf, lgamma, log, log1p

_NEGLIGIBLE = 1e-18
"""Probabilities below this share of the largest change no sum."""


def erlang_b(agents: int, load: float) -> float:
    """Probability that a caller finds all agents busy, when nobody can wait.

    Args:
        agents: at least 0.
        load: offered traffic in erlang: calls in a mean talk time.
    """
    if load == 0:
        return 0.0 if agents else 1.0
    blocked = 1.0
    for agent in range(1, agents + 1):
        blocked = load * blocked / (agent + load * blocked)
    return blocked


def erlang_c(agents: int, load: float) -> float:
    """Probability that a caller has to wait, when everybody waits; 1 when the load is more than they can take."""
    if load >= agents:
        return 1.0
    blocked = erlang_b(agents, load)
    return agents * blocked / (agents - load * (1 - blocked))


@dataclass(frozen=True)
class ErlangC:
    """A centre whose callers wait for ever (M/M/n). Times are in seconds.

    Attributes:
        agents: at least 1.
        per_hour: calls an hour, more than 0.
        talk_s: mean talk time, more than 0.
    """

    agents: int
    per_hour: float
    talk_s: float

    @property
    def load(self) -> float:
        """Offered traffic in erlang."""
        return self.per_hour / 3_600 * self.talk_s

    @property
    def occupancy(self) -> float:
        """Share of time in which an agent talks; 1 when they cannot keep up."""
        return min(1.0, self.load / self.agents)

    @property
    def waits(self) -> float:
        """Share of calls that have to wait."""
        return erlang_c(self.agents, self.load)

    @property
    def mean_wait_s(self) -> float:
        """Mean wait of all callers; infinite when the agents cannot keep up."""
        spare = self.agents - self.load
        return self.waits * self.talk_s / spare if spare > 0 else inf

    def waits_longer(self, than_s: float) -> float:
        """Share of calls that wait longer than so many seconds."""
        spare = self.agents - self.load
        return self.waits * exp(-spare * than_s / self.talk_s) if spare > 0 else 1.0

    def answered_within(self, within_s: float) -> float:
        """Service level: share of calls answered within so many seconds."""
        return 1.0 - self.waits_longer(within_s)

    def in_centre(self) -> list[tuple[int, float]]:
        """How probable it is that so many calls talk or wait, by rising number; the negligible ones are left out.

        Raises:
            ValueError: the agents cannot keep up, and the line grows without end.
        """
        if self.load >= self.agents:
            raise ValueError(f"{self.agents} agents never keep up with {self.load:g} erlang: add agents")
        return _in_centre(self.load, self.agents, 0.0)

    def wait_not_exceeded(self, by_share: float) -> float:
        """The wait in seconds that this share of callers does not exceed: 0.9 for the ninetieth percentile."""
        longer = 1.0 - by_share
        if longer >= self.waits:
            return 0.0
        spare = self.agents - self.load
        return log(self.waits / longer) * self.talk_s / spare if spare > 0 and longer > 0 else inf


@dataclass(frozen=True)
class ErlangA:
    """A centre whose callers hang up when their patience ends (M/M/n+M). Times are in seconds.

    Attributes:
        agents: at least 1.
        per_hour: calls an hour, more than 0.
        talk_s: mean talk time, more than 0.
        patience_s: mean patience, more than 0. For infinite patience use `ErlangC`.
    """

    agents: int
    per_hour: float
    talk_s: float
    patience_s: float

    @property
    def load(self) -> float:
        """Offered traffic in erlang."""
        return self.per_hour / 3_600 * self.talk_s

    @property
    def occupancy(self) -> float:
        """Share of time in which an agent talks."""
        busy = sum(share * min(calls, self.agents) for calls, share in self.in_centre())
        return busy / self.agents

    @property
    def waits(self) -> float:
        """Share of calls that have to wait, whether they are answered in the end or not."""
        return sum(share for calls, share in self.in_centre() if calls >= self.agents)

    @property
    def mean_line(self) -> float:
        """Mean number of waiting callers."""
        return sum(share * (calls - self.agents) for calls, share in self.in_centre() if calls > self.agents)

    @property
    def mean_wait_s(self) -> float:
        """Mean wait of all callers, those who hang up included (by Little's law)."""
        return self.mean_line / self.per_hour * 3_600

    @property
    def abandons(self) -> float:
        """Share of calls whose caller hangs up while waiting."""
        return self.mean_wait_s / self.patience_s

    def answered_within(self, within_s: float) -> float:
        """Service level: share of all calls answered within so many seconds.

        Who finds j callers ahead has a turn after j + 1 departures, with rates c, c + 1, ..., c + j in units of the
        patience (c: all agents' rate of finishing). With V that time and Y = exp(-V / patience), Y has the
        distribution Beta(c, j + 1), and answered within t means: patience beyond V, and Y at least exp(-t / patience).
        """
        c = self.agents * self.patience_s / self.talk_s
        shares = dict(self.in_centre())
        late = _beta_below(exp(-within_s / self.patience_s), c + 1)
        answered = sum(share for calls, share in shares.items() if calls < self.agents)
        for ahead in range(max(shares) - self.agents + 1):
            answered += shares.get(self.agents + ahead, 0.0) * c / (c + ahead + 1) * (1.0 - next(late))
        return answered

    def in_centre(self) -> list[tuple[int, float]]:
        """How probable it is that so many calls talk or wait, by rising number; the negligible ones are left out."""
        return _in_centre(self.load, self.agents, self.talk_s / self.patience_s)


def _in_centre(load: float, agents: int, per_waiting: float) -> list[tuple[int, float]]:
    """How probable it is that so many calls are in the centre: relative to the likeliest number, then scaled.

    Every weight is at most 1, so nothing overflows however large the centre is.

    Args:
        load: calls that come in a mean talk time.
        agents: each of them finishes one call in that time.
        per_waiting: how many times in that time a waiting caller would hang up; 0 needs `load` below `agents`.
    """

    def departures(calls: int) -> float:
        return min(calls, agents) + max(calls - agents, 0) * per_waiting

    top = floor(load) if load <= agents else agents + floor((load - agents) / per_waiting)
    above, below = [(top, 1.0)], [(top, 1.0)]
    while above[-1][1] > _NEGLIGIBLE:
        calls, weight = above[-1]
        above.append((calls + 1, weight * load / departures(calls + 1)))
    while below[-1][0] > 0 and below[-1][1] > _NEGLIGIBLE:
        calls, weight = below[-1]
        below.append((calls - 1, weight * departures(calls) / load))
    weights = [*reversed(below), *above[1:]]
    total = fsum(weight for _, weight in weights)
    return [(calls, weight / total) for calls, weight in weights]


def _beta_below(x: float, a: float) -> Iterator[float]:
    """Give the regularised incomplete beta function I_x(a, b) for b = 1, 2, 3, ...

    I_x(a, b + 1) - I_x(a, b) = x**a (1 - x)**b / (b B(a, b)): all positive, so that the sum is stable.
    """
    if not 0.0 < x < 1.0:
        yield from repeat(float(x >= 1.0))
    log_x, log_rest = log(x), log1p(-x)
    below = exp(a * log_x)
    for b in count(1):
        yield min(1.0, below)
        below += exp(a * log_x + b * log_rest + lgamma(a + b) - lgamma(a) - lgamma(b + 1))
