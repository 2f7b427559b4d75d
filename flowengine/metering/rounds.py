"""Rounds: whatever legs want by now is booked together, in one transaction, and then they say when they want more.

There is one round at a time. When it fails nobody knows what was booked, so its legs simply want it again.
"""

import asyncio
import heapq
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from flowengine.call.events import SECOND, Instant
from flowengine.metering.books import Asked, Ledger, carry_out
from flowengine.metering.leg import MeteredLeg

log = structlog.get_logger(__name__)

BOOK_S: Final = 15.0
"""The longest a transaction may take, in seconds, before the database counts as failed."""
GROUP: Final = 1_000
"""Legs in one transaction at most, so that none takes long."""
PAUSE: Final = SECOND
"""After a failure, until it is tried again."""
LONG_PAUSE: Final = 60 * SECOND
"""Until a leg is tried again that cannot be charged though the database works."""
AT_FAULT: Final = (IntegrityError, DataError, ProgrammingError)
"""What a database says of what it was given; any other of its errors says that it is away, too slow or full."""


class Rounds:
    """Legs by when they are due, and the booking of those that are.

    Args:
        ledger: where it is booked.
        owner: under whose name credit is held.
        cut_from: see `Asked.cut_from`, for a leg at an instant.
        booked: told of the legs of a round that is booked, before they say when they are due again.
        failed: told of the legs of a round that failed, and why.
    """

    def __init__(
        self,
        ledger: Ledger,
        owner: str,
        cut_from: Callable[[MeteredLeg, Instant], Instant | None],
        booked: Callable[[Sequence[Asked], Instant], None],
        failed: Callable[[Sequence[MeteredLeg], Exception], None],
    ) -> None:
        self._ledger = ledger
        self._owner = owner
        self._cut_from = cut_from
        self._booked = booked
        self._failed = failed
        self._due: list[tuple[Instant, int, MeteredLeg]] = []
        self._order = count()
        self.is_failing = False
        self.not_before: Instant = 0

    def ask(self, leg: MeteredLeg, at: Instant | None) -> None:
        """Let a leg be due at an instant, and at no other; None: not at all."""
        leg.due_at = at
        if at is not None:
            heapq.heappush(self._due, (at, next(self._order), leg))

    @property
    def next_due(self) -> Instant | None:
        """When the next leg is to be booked; after a failure, unless somebody waits, not before `not_before`."""
        while self._due and self._due[0][0] != self._due[0][2].due_at:
            heapq.heappop(self._due)
        if not self._due:
            return None
        return max(self._due[0][0], self.not_before) if self.is_failing else self._due[0][0]

    async def book(self, now: Instant) -> bool:
        """Book what is due, or the first `GROUP` legs of it; whether that was all there is, and succeeded."""
        legs = self._take(now)
        if not legs:
            return True
        await self._book(legs, now)
        return len(legs) < GROUP and not self.is_failing

    async def _book(self, legs: Sequence[MeteredLeg], now: Instant) -> None:
        asked = [Asked(leg, leg.wishes(now), self._cut_from(leg, now)) for leg in legs]
        work = partial(carry_out, asked=asked, owner=self._owner, now=now)
        try:
            async with asyncio.timeout(BOOK_S):
                outcomes = await self._ledger.transact(sorted({leg.of.account for leg in legs}), work)
        except BaseException as error:
            for leg in legs:
                leg.held = None  # nobody knows
            if not isinstance(error, Exception):
                self._again(legs, now)
                raise
            if _is_away(error):
                self.is_failing, self.not_before = True, now + PAUSE
                self._again(legs, now)
                self._failed(legs, error)
            elif len(legs) > 1:  # one of them is at fault, and no other shall suffer from it
                for leg in legs:
                    await self._book([leg], now)
            else:
                log.exception("a leg cannot be charged", call=legs[0].of.call, leg=legs[0].of.leg)
                self._again(legs, now + LONG_PAUSE)
                self._failed(legs, error)
        else:
            self.is_failing = False
            for each, outcome in zip(asked, outcomes, strict=True):
                each.leg.take(each.wishes, outcome)
            self._booked(asked, now)

    def _again(self, legs: Sequence[MeteredLeg], at: Instant) -> None:
        for leg in legs:
            self.ask(leg, at)

    def _take(self, now: Instant) -> list[MeteredLeg]:
        legs: dict[MeteredLeg, None] = {}
        while len(legs) < GROUP and self.next_due is not None and self._due[0][0] <= now:
            leg = heapq.heappop(self._due)[2]
            leg.due_at = None
            legs[leg] = None
        return list(legs)


def _is_away(error: Exception) -> bool:
    if isinstance(error, OSError | TimeoutError):
        return True
    return isinstance(error, DBAPIError) and not isinstance(error, AT_FAULT)
