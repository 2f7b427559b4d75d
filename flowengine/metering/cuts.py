"""Calls whose credit runs out, of accounts that let them be cut: warned a minute before, cut where they are paid to.

Credit that comes in between calls the cut off (product rules, section 1).
"""

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from flowengine.call.events import SECOND, CallKilled, CreditRunsOut, Event, Instant
from flowengine.metering.leg import MeteredLeg

log = structlog.get_logger(__name__)

WARN: Final = 60 * SECOND
"""So long before the cut the caller is warned."""
GRACE: Final = SECOND
"""A cut that comes late by no more than this counts from the instant to which the call is paid; the rest is on us."""


class Cuts:
    """The calls that are short of credit. `happened` puts an event into the inbox of a call."""

    def __init__(self, happened: Callable[[str, Event], None]) -> None:
        self._happened = happened
        self._short: dict[str, list[MeteredLeg]] = {}
        self._warned: set[str] = set()

    def look_at(self, call: str, legs: Iterable[MeteredLeg], *, may_cut: bool) -> None:
        """Take note of how the legs of a call stand after they were booked."""
        short = [leg for leg in legs if leg.is_short and leg.is_talking] if may_cut else None
        if short:
            self._short[call] = short
        elif self._short.pop(call, None) is not None:
            self._warned.discard(call)

    def forget(self, call: str) -> None:
        """A call is over."""
        self._short.pop(call, None)
        self._warned.discard(call)

    @property
    def next_due(self) -> Instant | None:
        """When somebody must be warned or cut next."""
        ends = ((call, self._ends_at(call)) for call in self._short)
        return min((end if call in self._warned else end - WARN for call, end in ends), default=None)

    def carry_out(self, now: Instant, legs_of: Callable[[str], Iterable[MeteredLeg]]) -> None:
        """Warn and cut whoever is due; `legs_of` gives all legs of a call, for the other ones end with it."""
        for call in list(self._short):
            ends_at = self._ends_at(call)
            if ends_at <= now:
                self._cut(call, ends_at if now - ends_at <= GRACE else now, legs_of(call))
            elif ends_at - WARN <= now and call not in self._warned:
                self._warned.add(call)
                self._happened(call, CreditRunsOut(now, round((ends_at - now) / SECOND)))

    def _ends_at(self, call: str) -> Instant:
        return min(leg.covered_until for leg in self._short[call])

    def _cut(self, call: str, at: Instant, legs: Iterable[MeteredLeg]) -> None:
        log.warning("call cut, the credit is used up", call=call)
        for leg in legs:
            leg.cut_at = at
        self.forget(call)
        self._happened(call, CallKilled(at, "no_credit"))
