"""A call as its meter has it: its tab, and its billable legs from the moment they ring."""

import asyncio
from dataclasses import dataclass, field

from flowengine.billing.rates import Rate
from flowengine.billing.tab import Tab
from flowengine.call.events import Instant
from flowengine.metering.leg import MeteredLeg
from flowengine.store.debits import BilledTo


@dataclass(slots=True, eq=False)
class MeteredCall:
    """A call with its legs, by their short ids."""

    id: str
    account: str
    tab: Tab = field(default_factory=Tab)
    legs: dict[str, MeteredLeg] = field(default_factory=dict)
    admitted: asyncio.Future[str | None] | None = None
    """Who waits for the first increment to be held."""
    is_over: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be done about it."""
        return self.is_over and all(leg.is_settled for leg in self.legs.values())

    def ring(self, leg: str, rate: Rate, number: str, user: str = "") -> MeteredLeg:
        """A leg may be answered soon."""
        made = MeteredLeg(BilledTo(self.account, self.id, leg, number, user), rate)
        self.legs[leg] = made
        return made

    def end(self, leg: str, at: Instant) -> MeteredLeg | None:
        """A leg is gone; the leg, unless it costs nothing or was gone before."""
        ended = self.legs.get(leg)
        if ended is None or ended.ended_at is not None:
            return None
        ended.ended_at, ended.is_short = at, False
        return ended

    def admit(self, reason: str | None) -> None:
        """Answer who waits to be admitted, if somebody does."""
        if self.admitted is not None and not self.admitted.done():
            self.admitted.set_result(reason)

    def fail(self, error: Exception) -> None:
        """Tell who waits to be admitted that nobody can say."""
        if self.admitted is not None and not self.admitted.done():
            self.admitted.set_exception(error)
