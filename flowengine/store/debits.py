"""What calls do to the credits of an account: the chart of accounts, and the ledger operations of an increment.

| balance | what | floor |
| --- | --- | --- |
| `credits` | what the account can spend | 0 |
| `credits.purchases` | where bought credits come from | none |
| `credits.calls` | where started increments of calls go | none |
| `credits.fees` | where monthly fees go | none |
| `credits.unpaid` | increments that started and could not be paid: below 0 by as much as is owed | none |

Every started increment is exactly one transfer to `credits.calls` under the key `minute:<call>:<leg>:<number>`: of kind
`minute` from `credits`, or of kind `unpaid` from `credits.unpaid`. One key for both: whatever is tried again, an
increment is charged once.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from flowengine.billing.increments import Charge
from flowengine.billing.rates import Rate
from flowengine.call.events import Instant
from flowengine.store import ledger
from flowengine.store.books import Entry, Hold, Posted
from flowengine.store.tables import LedgerAccount

CREDITS: Final = "credits"
PURCHASES: Final = "credits.purchases"
CALLS: Final = "credits.calls"
FEES: Final = "credits.fees"
UNPAID: Final = "credits.unpaid"
CHART: Final[Mapping[str, int | None]] = {CREDITS: 0, PURCHASES: None, CALLS: None, FEES: None, UNPAID: None}
"""The balances of an account in credits, with their floors."""

MINUTE: Final = "minute"
"""A started increment, paid."""
OWED: Final = "unpaid"
"""A started increment that the balance could not pay."""
BACK: Final = "minute_back"
"""An increment that turned out never to have started, given back."""
ARREARS: Final = "arrears"
"""What was unpaid, paid from credits that came later."""


class BilledTo(NamedTuple):
    """A leg of a call, and what its debits say of it beside the rate."""

    account: str
    call: str
    leg: str
    number: str
    """E.164: the company's own number for the caller's leg, else the one that was called."""
    user: str = ""
    """Whose outside telephone it is; "" for the caller's leg."""

    @property
    def hold_key(self) -> str:
        """Under which the next increments are held."""
        return f"minute:{self.call}:{self.leg}"

    def key(self, number: int) -> str:
        """Under which an increment is charged, once."""
        return f"{self.hold_key}:{number}"


async def open_credits(session: AsyncSession, account: str) -> None:
    """Open the balances of an account in credits; harmless when they are open."""
    for name, floor in CHART.items():
        await ledger.open_account(session, account, name, "credit", floor)


def minute(of: BilledTo, rate: Rate, charge: Charge) -> Entry:
    """The debit of an increment, from the balance. It counts from when the increment began."""
    return _entry(of, charge, of.key(charge.number), MINUTE, CREDITS, CALLS, charge.begins_at, rate)


def unpaid(of: BilledTo, rate: Rate, charge: Charge) -> Entry:
    """The note of an increment that started and cannot be paid."""
    return _entry(of, charge, of.key(charge.number), OWED, UNPAID, CALLS, charge.begins_at, rate)


def given_back(of: BilledTo, rate: Rate, charge: Charge, ended_at: Instant, *, was_unpaid: bool) -> Entry:
    """The return of an increment that was debited before anybody knew that the leg had ended."""
    key = f"back:{of.call}:{of.leg}:{charge.number}"
    return _entry(of, charge, key, BACK, CALLS, UNPAID if was_unpaid else CREDITS, ended_at, rate)


def promise(of: BilledTo, amount: int, owner: str, at: Instant) -> Hold:
    """The hold of a leg's next increments."""
    return Hold(of.account, CREDITS, of.hold_key, amount, owner, at, of.call)


async def indebted(session: AsyncSession) -> list[str]:
    """Accounts that owe for calls and have free credits."""
    owed, has = aliased(LedgerAccount), aliased(LedgerAccount)
    return list(
        await session.scalars(
            select(owed.account_id)
            .join(has, and_(has.account_id == owed.account_id, has.name == CREDITS))
            .where(owed.name == UNPAID, owed.balance < 0, has.balance > has.held)
            .order_by(owed.account_id)
        )
    )


async def pay_arrears(session: AsyncSession, account: str, at: Instant) -> int:
    """Pay what calls are owed from free credits, as far as they go; how much that was, in micro-credits."""
    locked = await ledger.lock(session, [(account, CREDITS), (account, UNPAID)])
    if len(locked) < 2:
        return 0
    debt = -locked[account, UNPAID].balance
    amount = min(debt, locked[account, CREDITS].free)
    if amount <= 0:
        return 0
    # What is owed only ever changes under this lock, so the debt with the instant names this payment.
    entry = Entry(account, f"arrears:{at}:{debt}", ARREARS, CREDITS, UNPAID, amount, at)
    (done,) = await ledger.perform(session, [entry])
    return amount if isinstance(done, Posted) and done.new else 0


def _entry(
    of: BilledTo, charge: Charge, key: str, kind: str, source: str, target: str, at: Instant, rate: Rate
) -> Entry:
    return Entry(
        of.account, key, kind, source, target, charge.amount, at, of.call, _details(of, rate, charge)
    )


def _details(of: BilledTo, rate: Rate, charge: Charge) -> dict[str, Any]:
    """All that an increment was reckoned from, so that it can be proved when the rate is long gone."""
    number, begins_at, ends_at, _ = charge
    details = {
        "leg": of.leg,
        "n": number,
        "number": of.number,
        **_figures(rate),
        "begins_at": begins_at,
        "ends_at": ends_at,
    }
    if of.user:
        details["user"] = of.user
    return details


@lru_cache(maxsize=4_096)
def _figures(rate: Rate) -> Mapping[str, Any]:
    return {
        "direction": rate.direction,
        "rate": rate.id,
        "key": rate.key,
        "per_minute": rate.per_minute,
        "connect_fee": rate.connect_fee,
        "first_s": rate.first_s,
        "following_s": rate.following_s,
    }
