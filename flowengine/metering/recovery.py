"""What an engine that died has left: calls that are over, and that nobody has settled.

Their journals say what they owe. It is booked under the keys a running meter uses, so whatever was booked already
changes nothing, and what was promised to them is given back.
"""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.rates import NoRate
from flowengine.billing.reckoning import OwedLeg
from flowengine.call.events import Instant
from flowengine.metering.books import Asked, Ledger, Perform, carry_out
from flowengine.metering.leg import MeteredLeg
from flowengine.store.books import Release
from flowengine.store.charged import CALL, Account, CallId, Versions, accounts_of
from flowengine.store.database import Database
from flowengine.store.debits import CREDITS, BilledTo
from flowengine.store.tables import Call, Hold
from flowengine.store.tariffs import Tariffs

log = structlog.get_logger(__name__)

LAST: Final = 1_000
"""So many of the last calls are looked at, beside those for which something is held: the last moments of an engine."""
CHUNK: Final = 100


class Recovery:
    """Settles calls by their journals. `owner` is the name of this engine."""

    def __init__(self, database: Database, ledger: Ledger, owner: str) -> None:
        self._database = database
        self._ledger = ledger
        self._owner = owner

    async def at_start(self, tariffs: Tariffs, now: Instant) -> int:
        """Settle what the engine of this name has left; how many calls owed or held something.

        Call it when calls that the engine left open are closed, and before new ones come.
        """
        return await self._settle(Hold.owner == self._owner, tariffs, now, last=LAST)

    async def of_others(self, tariffs: Tariffs, over_before: Instant, now: Instant) -> int:
        """Settle calls that were over at an instant, and for which an engine that never came back holds something."""
        return await self._settle(Hold.at <= over_before, tariffs, now, over_before=over_before)

    async def settle(self, calls: Sequence[CallId], tariffs: Tariffs, now: Instant) -> int:
        """Book what is missing for these calls, which are over; for how many something was."""
        versions: Versions = {}
        mended = 0
        for start in range(0, len(calls), CHUNK):
            async with self._database.reading() as session:
                accounts = await accounts_of(session, calls[start : start + CHUNK], tariffs, versions)
            mended += await self._mend([each for each in accounts if _is_open(each)], now)
        return mended

    async def _settle(
        self,
        held: ColumnElement[bool],
        tariffs: Tariffs,
        now: Instant,
        *,
        last: int = 0,
        over_before: Instant | None = None,
    ) -> int:
        async with self._database.reading() as session:
            calls, strays = await _left(session, held, last, over_before)
        await self._release(strays)
        return await self.settle(calls, tariffs, now) + len(strays)

    async def _mend(self, accounts: Sequence[Account], now: Instant) -> int:
        if not accounts:
            return 0
        legs = [leg for account in accounts for leg in _legs(account)]
        asked = [Asked(leg, leg.wishes(now), None) for leg in legs]
        known = {(leg.of.account, leg.of.hold_key) for leg in legs}
        strays = [
            (each.call.account, key)
            for each in accounts
            for key in each.holds
            if (each.call.account, key) not in known
        ]

        async def work(perform: Perform) -> None:
            await carry_out(perform, asked, self._owner, now)
            await perform([Release(account, CREDITS, key) for account, key in strays])

        await self._ledger.transact(sorted({each.call.account for each in accounts}), work)
        for each in accounts:
            log.info("call settled by its journal", call=each.call.id, problem=each.problem or None)
        return len(accounts)

    async def _release(self, strays: Sequence[tuple[str, str]]) -> None:
        """Give back what is held for calls that were never journaled."""
        if strays:

            async def work(perform: Perform) -> None:
                await perform([Release(account, CREDITS, key) for account, key in strays])

            await self._ledger.transact(sorted({account for account, _ in strays}), work)


async def _left(
    session: AsyncSession, held: ColumnElement[bool], last: int, over_before: Instant | None
) -> tuple[list[CallId], list[tuple[str, str]]]:
    """Calls that are over and held for, with the last ones; and what is held for calls that are not known."""
    held_for = select(Hold.call_id).where(Hold.name == CREDITS, held)
    is_over: list[ColumnElement[bool]] = [Call.disposition.is_not(None)]
    if over_before is not None:
        is_over.append(Call.ended_at <= over_before)
    rows = await session.execute(select(*CALL).where(Call.id.in_(held_for), *is_over))
    calls = [CallId(*row) for row in rows]
    if last:
        newest = select(*CALL).where(Call.disposition.is_not(None)).order_by(Call.id.desc()).limit(last)
        known = {call.id for call in calls}
        calls += [CallId(*row) for row in await session.execute(newest) if row[0] not in known]
    strays = await session.execute(
        select(Hold.account_id, Hold.key)
        .outerjoin(Call, Call.id == Hold.call_id)
        .where(Hold.name == CREDITS, held, Call.id.is_(None))
    )
    return calls, [(account, key) for account, key in strays]


def _is_open(account: Account) -> bool:
    """Whether something of a call is missing, too much or still held. A replay that went astray proves nothing."""
    if account.problem:
        log.error("a call cannot be settled by its journal", call=account.call.id, problem=account.problem)
        return bool(account.holds)
    return bool(account.holds) or any(_differs(account, leg) for leg in account.owed)


def _differs(account: Account, leg: OwedLeg) -> bool:
    booked = account.booked.get(leg.leg.id, {})
    standing = {number for number, each in booked.items() if each.amount > each.given_back}
    return standing != {charge.number for charge in leg.charges if charge.amount}


def _legs(account: Account) -> list[MeteredLeg]:
    """The legs of a call as its meter would have them at the end, had it booked what is booked."""
    if account.problem:
        return []
    call = account.call
    return [
        _leg(BilledTo(call.account, call.id, each.leg.id, each.leg.number), each, account)
        for each in account.owed
        if not isinstance(each.rate, NoRate)
    ]


def _leg(of: BilledTo, owed: OwedLeg, account: Account) -> MeteredLeg:
    assert not isinstance(owed.rate, NoRate)
    booked = account.booked.get(of.leg, {})
    highest = max(booked, default=-1) + 1
    return MeteredLeg(
        of,
        owed.rate,
        owed.leg.answered_at,
        owed.leg.ended_at,
        charged=highest if highest > len(owed.charges) else 0,
        owing={number for number, each in booked.items() if each.is_unpaid},
    )
