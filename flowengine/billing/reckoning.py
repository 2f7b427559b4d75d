"""What a call owes, reckoned from its journal and the prices alone: the proof of every debit.

The journal is fed to the machine again, which says what was dialled; the tab finds the billable legs; each leg is
priced at the instant of its answer. What ran live does the same, so the two must agree to the micro-credit.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from flowengine.billing.increments import Charge, charges_due
from flowengine.billing.rates import NoRate, Rate
from flowengine.billing.tab import BilledLeg, Tab
from flowengine.call.events import Event, Instant
from flowengine.call.machine import CallMachine, digest
from flowengine.flow.document import Flow


class Prices(Protocol):
    """Finds the rate of a leg."""

    def inbound(self, number: str, at: Instant) -> Rate | NoRate:
        """Of calls on a number of the company."""
        ...

    def outbound(self, number: str, at: Instant) -> Rate | NoRate:
        """Of calls to a number out in the world."""
        ...


class Replayed(NamedTuple):
    """The billable legs of a call, every one ended."""

    legs: Sequence[BilledLeg]
    diverged_at: int | None
    """The first event after which the machine said something else than it did live; what follows may be wrong."""


class OwedLeg(NamedTuple):
    """A leg and what it owes: nothing when there is no rate, which is worth a look."""

    leg: BilledLeg
    rate: Rate | NoRate
    charges: Sequence[Charge]


def replay(flow: Flow, journal: Iterable[tuple[Event, str]]) -> Replayed:
    """Find the legs of a call in its journal of events and digests ("": not known).

    Raises:
        ValueError: it does not begin with the arrival of a call.
    """
    machine, tab = CallMachine(flow), Tab()
    diverged_at = None
    for seq, (event, told) in enumerate(journal):
        said = machine.step(event)
        if diverged_at is None and told and digest(said) != told:
            diverged_at = seq
        tab.step(event, said)
    tab.close()
    return Replayed(list(tab.legs.values()), diverged_at)


def owed(legs: Iterable[BilledLeg], prices: Prices) -> list[OwedLeg]:
    """Price legs that have ended."""
    return [_owed(leg, prices) for leg in legs]


def _owed(leg: BilledLeg, prices: Prices) -> OwedLeg:
    find = prices.inbound if leg.direction == "inbound" else prices.outbound
    rate = find(leg.number, leg.answered_at)
    if isinstance(rate, NoRate) or leg.ended_at is None:
        return OwedLeg(leg, rate, ())
    return OwedLeg(leg, rate, charges_due(leg.answered_at, leg.ended_at, rate))
