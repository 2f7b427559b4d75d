"""One billable leg while it runs: which increments have started, which are promised, and what to do about it.

A leg is a function of when it was answered, when it ended and when it is now (`flowengine.billing.increments`); what it
remembers beside that is how far the ledger has got. It makes `Wishes`, somebody carries them out in the ledger, and
the leg takes the `Outcome` back. Wishes that were carried out without the leg hearing of it are made again and change
nothing, for every increment has a key of its own.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from flowengine.billing.increments import Charge, charge, price_of_charges, started
from flowengine.billing.money import MicroCredits
from flowengine.billing.rates import Rate
from flowengine.call.events import SECOND, Instant
from flowengine.store.debits import BilledTo

AHEAD: Final = 60 * SECOND
"""An increment is promised at the latest so long before it begins, so that who runs out of credit is warned a minute
before the cut, however short the increments (product rules, section 1)."""
RETRY: Final = SECOND
"""How often a leg that is about to be cut looks for new credit."""


class Wishes(NamedTuple):
    """What a leg wants of the ledger now."""

    back: tuple[Charge, ...]
    """Debited, and never started."""
    due: tuple[Charge, ...]
    """Started, and not charged."""
    promises: tuple[MicroCredits, ...]
    """What must be held for 1, 2, ... increments after those due. All of them are wanted; none: nothing is held on."""


class Outcome(NamedTuple):
    """What came of it."""

    stand: int
    """So many of the charges due are in the ledger, from the first one on."""
    unpaid: frozenset[int]
    """The numbers of those among them that are noted as debts."""
    promised: int
    """For so many increments after those due credit is held."""
    held: MicroCredits
    """How much that is."""


@dataclass(slots=True, eq=False)
class MeteredLeg:
    """A leg that rings, talks, or has ended and is not settled yet.

    Attributes:
        cut_at: the call is being cut, and nothing starts from here on.
        charged: increments 0 to this one, which is left out, stand in the ledger.
        promised: for so many further ones credit is held.
        held: how much that is, as far as known; None after a booking that nobody knows the end of.
        owing: the numbers of those charged that are debts.
        is_short: the ledger had not enough when it was last asked.
        due_at: when its wishes are to be asked for, if ever.
    """

    of: BilledTo
    rate: Rate
    answered_at: Instant | None = None
    ended_at: Instant | None = None
    cut_at: Instant | None = None
    charged: int = 0
    promised: int = 0
    held: MicroCredits | None = None
    owing: set[int] = field(default_factory=set)
    is_short: bool = False
    is_settled: bool = False
    due_at: Instant | None = None

    @property
    def covered_until(self) -> Instant:
        """How far what is charged and promised goes; of a leg that was answered."""
        assert self.answered_at is not None
        return self._begins(self.charged + self.promised)

    @property
    def is_talking(self) -> bool:
        """Whether it costs on."""
        return self.answered_at is not None and self.ended_at is None and self.cut_at is None

    def wishes(self, now: Instant) -> Wishes:
        """What should be in the ledger now and is not."""
        rate, answered_at, ended_at = self.rate, self.answered_at, self.ended_at
        if answered_at is None:
            rings = ended_at is None
            return Wishes((), (), (price_of_charges(1, rate),) if rings else ())
        until = now if self.cut_at is None else min(now, self.cut_at)
        begun = started(answered_at, until if ended_at is None else ended_at, rate)
        due = tuple([charge(number, answered_at, rate) for number in range(self.charged, begun)])
        if ended_at is not None:
            back = tuple(charge(number, answered_at, rate) for number in range(begun, self.charged))
            return Wishes(back, due, ())
        if self.cut_at is not None:
            return Wishes((), due, ())
        begun = max(begun, self.charged)
        soon = started(answered_at, now + AHEAD + 1, rate)
        return Wishes((), due, self._prices(begun, soon))

    def take(self, wishes: Wishes, outcome: Outcome) -> None:
        """Remember what the ledger did."""
        self.charged += outcome.stand - len(wishes.back)
        self.owing |= outcome.unpaid
        self.promised, self.held = outcome.promised, outcome.held
        missing = outcome.stand < len(wishes.due) or outcome.promised < len(wishes.promises)
        self.is_short = missing and self.ended_at is None
        if self.ended_at is not None:
            self.is_settled = self.wishes(self.ended_at)[:2] == ((), ()) and not self.promised

    def plan(self, now: Instant, *, waits_for_credit: bool) -> None:
        """Say when its wishes are to be asked for next, unless something happens to it before."""
        self.due_at = self._due(now, waits_for_credit)

    def _due(self, now: Instant, waits_for_credit: bool) -> Instant | None:
        if self.ended_at is not None:
            return None if self.is_settled else now
        if not self.is_talking:
            return None
        next_begins = self._begins(self.charged)
        if self.is_short:
            return (
                min(max(next_begins, now) + 1, now + RETRY) if waits_for_credit else max(next_begins, now) + 1
            )
        return max(min(next_begins, self.covered_until - AHEAD), now) + 1

    def _begins(self, number: int) -> Instant:
        """When an increment begins."""
        assert self.answered_at is not None
        if not number:
            return self.answered_at
        return self.answered_at + (self.rate.first_s + (number - 1) * self.rate.following_s) * SECOND

    def _prices(self, first: int, after: int) -> tuple[MicroCredits, ...]:
        """What the increments from `first` up to each one before `after` cost together."""
        if first >= after:
            return ()
        rate = self.rate
        total = price_of_charges(1, rate) if not first else rate.price_of(rate.following_s)
        prices = [total]
        if after - first > 1:
            following = rate.price_of(rate.following_s)
            prices += [total + n * following for n in range(1, after - first)]
        return tuple(prices)
