"""The tab of a call: its billable legs and how long each was up, from the call's own events and commands.

Two kinds of legs cost: the caller's, from our answer on, and a leg to a number out in the world, from its answer on
(product rules, section 1). Legs to the company's own telephones are free. A tab is told every step of a call, live or
in a replay of its journal, and comes to the same.

A call that is cut for want of credit ends, for its tab, at the instant the cut names, which is how far it is paid:
what it takes to end its legs costs nobody anything.
"""

from collections.abc import Iterable

import msgspec

from flowengine.billing.rates import Direction
from flowengine.call.commands import Command, Dial
from flowengine.call.events import (
    CALLER,
    CallArrived,
    CallKilled,
    Event,
    Instant,
    LegAnswered,
    LegHungUp,
)
from flowengine.routing.directory import is_outside


class BilledLeg(msgspec.Struct, kw_only=True):
    """A leg that costs. `number` is E.164: the company's own for the caller's leg, else the one that was called."""

    id: str
    direction: Direction
    number: str
    answered_at: Instant
    ended_at: Instant | None = None
    """None while it is up."""


class Tab:
    """The billable legs of one call, in the order of their answers."""

    def __init__(self) -> None:
        self.number = ""
        """The number that was called."""
        self.legs: dict[str, BilledLeg] = {}
        self._called: dict[str, str] = {}
        """Numbers out in the world by the leg that was dialled."""
        self._now: Instant = 0
        self._is_cut = False

    def step(self, event: Event, said: Iterable[Command]) -> list[BilledLeg]:
        """Take one step of the call; gives the legs that were answered or ended in it.

        Time never runs backwards in a call, so it does not here: an event older than the last counts as now.
        """
        self._now = max(self._now, event.at)
        for command in said:
            if isinstance(command, Dial) and (number := outside_number(command.endpoint)):
                self._called[command.leg] = number
        match event:
            case CallArrived() if not self.number:
                self.number = event.number
                return []
            case LegAnswered(leg=id):
                return self._answered(id)
            case LegHungUp(leg=id):
                return self._end([id])
            case CallKilled(reason="switch_lost"):
                return self._end(list(self.legs))
            case CallKilled(reason="no_credit", at=paid_until):
                self._is_cut = True
                return self._end(list(self.legs), paid_until)
            case _:
                return []

    def close(self) -> list[BilledLeg]:
        """The call is over: end what was never told to end, at the last event. Gives those legs."""
        return self._end(list(self.legs))

    def _answered(self, id: str) -> list[BilledLeg]:
        if id in self.legs or self._is_cut:
            return []
        if id == CALLER:
            leg = BilledLeg(id=id, direction="inbound", number=self.number, answered_at=self._now)
        elif id in self._called:
            leg = BilledLeg(id=id, direction="outbound", number=self._called[id], answered_at=self._now)
        else:
            return []
        self.legs[id] = leg
        return [leg]

    def _end(self, ids: list[str], at: Instant | None = None) -> list[BilledLeg]:
        ended = [leg for id in ids if (leg := self.legs.get(id)) is not None and leg.ended_at is None]
        for leg in ended:
            leg.ended_at = max(leg.answered_at, self._now if at is None else at)
        return ended


def outside_number(endpoint: str) -> str:
    """The number behind an endpoint such as "PJSIP/+819011112222@carrier"; "" for a telephone of the company."""
    if not is_outside(endpoint):
        return ""
    return endpoint.partition("/")[2].partition("@")[0]
