"""Reconciliation: every debit of calls reckoned anew from the journals, and compared with the ledger.

The ledger is right when nothing is reported. Calls are read page by page, so a year takes no more memory than a day.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import MicroCredits
from flowengine.billing.rates import NoRate
from flowengine.call.events import SECOND, Instant
from flowengine.store.charged import CALL, Account, Booked, CallId, Versions, accounts_of
from flowengine.store.database import Database
from flowengine.store.debits import BACK, MINUTE, OWED
from flowengine.store.tables import Call, Transfer
from flowengine.store.tariffs import Tariffs, load_tariffs

PAGE: Final = 200
SETTLING: Final = 60 * SECOND
"""A call that ended so recently may still be settled; it is left to the next time."""

Kind = Literal["missing", "too_many", "wrong_amount", "still_held", "no_rate", "not_reckoned", "no_call"]
"""What is wrong:

missing: an increment has started and is not in the ledger. too_many: it is there and has not started.
wrong_amount: it is there with another amount. still_held: the call is over, and credit is promised to it.
no_rate: a leg was carried that has no price. not_reckoned: the journal cannot be replayed to the word.
no_call: a debit of a call that is not stored.
"""


class Difference(NamedTuple):
    """Something that is not as it must be. Amounts are micro-credits."""

    kind: Kind
    account: str
    call: str
    leg: str = ""
    number: int = -1
    """Of the increment, from 0 on; -1: of none."""
    owed: MicroCredits = 0
    booked: MicroCredits = 0
    detail: str = ""

    def __str__(self) -> str:
        where = f"call {self.call}" + (f" leg {self.leg}" if self.leg else "")
        which = f" increment {self.number}" if self.number >= 0 else ""
        sums = f": owed {self.owed}, booked {self.booked} micro-credits" if self.owed != self.booked else ""
        return f"{self.kind}: {where}{which}{sums}" + (f": {self.detail}" if self.detail else "")


@dataclass
class Reconciliation:
    """One run over the calls that arrived from `first` on and before `after`, of all accounts or of one.

    Attributes:
        calls, charges: how many were reckoned; `owed` and `booked` are the sums of their amounts.
        differences: how many were found. `unsettled`: calls that ended just now, left to the next time.
    """

    database: Database
    first: Instant
    after: Instant
    now: Instant
    account: str | None = None
    calls: int = 0
    charges: int = 0
    owed: MicroCredits = 0
    booked: MicroCredits = 0
    differences: int = 0
    unsettled: int = 0

    async def run(self) -> AsyncIterator[Difference]:
        """Give the differences as they are found; the counts grow meanwhile and are whole at the end.

        Raises:
            NotStored: there is no such account.
        """
        async with self.database.reading() as session:
            tariffs = await load_tariffs(session, former=True)
            accounts = sorted(tariffs.terms) if self.account is None else [self.account]
        for account in accounts:
            async for found in self._of_account(account, tariffs):
                self.differences += 1
                yield found
        async for found in self._without_calls():
            self.differences += 1
            yield found

    async def _of_account(self, account: str, tariffs: Tariffs) -> AsyncIterator[Difference]:
        versions: Versions = {}
        last = (self.first, "")
        while True:
            async with self.database.reading() as session:
                calls = await self._page(session, account, last)
                settled = [call for call in calls if (call.ended_at or 0) <= self.now - SETTLING]
                reckoned = await accounts_of(session, settled, tariffs, versions)
            self.unsettled += len(calls) - len(settled)
            for each in reckoned:
                for found in self._compare(each):
                    yield found
            if len(calls) < PAGE:
                return
            last = calls[-1].arrived_at, calls[-1].id

    async def _page(self, session: AsyncSession, account: str, last: tuple[Instant, str]) -> list[CallId]:
        rows = await session.execute(
            select(*CALL)
            .where(
                Call.account_id == account,
                tuple_(Call.arrived_at, Call.id) > last,
                Call.arrived_at < self.after,
                Call.disposition.is_not(None),
            )
            .order_by(Call.arrived_at, Call.id)
            .limit(PAGE)
        )
        return [CallId(*row) for row in rows]

    def _compare(self, account: Account) -> Iterator[Difference]:
        self.calls += 1
        of, call = account.call.account, account.call.id
        if account.problem:
            yield Difference("not_reckoned", of, call, detail=account.problem)
        for key in account.holds:
            yield Difference("still_held", of, call, detail=f"the hold {key}")
        booked = {(leg, n): each for leg, of_leg in account.booked.items() for n, each in of_leg.items()}
        for each in account.owed:
            if isinstance(each.rate, NoRate):
                yield Difference("no_rate", of, call, each.leg.id, detail=str(each.rate))
            for charge in each.charges:
                found = _net(booked.pop((each.leg.id, charge.number), None))
                self.charges += 1
                self.owed += charge.amount
                self.booked += found
                if found != charge.amount:
                    kind: Kind = "wrong_amount" if found else "missing"
                    yield Difference(kind, of, call, each.leg.id, charge.number, charge.amount, found)
        for (leg, number), more in booked.items():
            if found := _net(more):
                self.booked += found
                yield Difference("too_many", of, call, leg, number, 0, found)

    async def _without_calls(self) -> AsyncIterator[Difference]:
        where = [
            Transfer.kind.in_((MINUTE, OWED, BACK)),
            Transfer.at >= self.first,
            Transfer.at < self.after,
            Call.id.is_(None),
        ]
        if self.account is not None:
            where.append(Transfer.account_id == self.account)
        async with self.database.reading() as session:
            rows = await session.stream(
                select(Transfer.account_id, Transfer.call_id, Transfer.key, Transfer.amount)
                .outerjoin(Call, Call.id == Transfer.call_id)
                .where(*where)
                .execution_options(yield_per=PAGE)
            )
            async for account, call, key, amount in rows:
                yield Difference("no_call", account, call or "", booked=amount, detail=f"the debit {key}")


def _net(booked: Booked | None) -> MicroCredits:
    return 0 if booked is None else booked.amount - booked.given_back
