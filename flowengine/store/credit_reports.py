"""What an account bought and used: by kind, by day, by number, user and flow, in any span of time (product rules, 1).

Everything is summed from the transfers, so it always agrees with the ledger. *Used* is what calls and fees cost, paid
or owed, less what was given back; what pays a debt later is not use again. Amounts are micro-credits; spans come from
`flowengine.billing.spans`.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import MicroCredits
from flowengine.billing.periods import local_time
from flowengine.billing.spans import Span, days_span
from flowengine.call.events import SECOND
from flowengine.store import ledger
from flowengine.store.corrections import ADJUSTMENT, REFUND
from flowengine.store.debits import BACK, CREDITS, MINUTE, OWED, UNPAID
from flowengine.store.tables import Call, Flow, Transfer

BOUGHT: Final[Mapping[str, int]] = {"purchase": 1, REFUND: -1}
CALLS: Final[Mapping[str, int]] = {MINUTE: 1, OWED: 1, BACK: -1}
FEES: Final[Mapping[str, int]] = {"number_fee": 1, "setup_fee": 1, "plan_fee": 1, "plan_credit": -1}
USED: Final[Mapping[str, int]] = {**CALLS, **FEES}
LONGEST_DAYS: Final = 1_100
"""Days of the longest series: three years."""
_QUARTER: Final = 900 * SECOND
"""Clocks of all zones differ from UTC by whole quarters of an hour, so a local day is made of such."""


class Standing(NamedTuple):
    """What an account has now."""

    balance: MicroCredits
    held: MicroCredits
    """Promised to running calls and orders."""
    owed: MicroCredits
    """Increments of calls that no credit could pay."""

    @property
    def available(self) -> MicroCredits:
        """What can be spent."""
        return self.balance - self.held


class Used(NamedTuple):
    """What was bought and used in a span."""

    bought: MicroCredits
    used: MicroCredits
    adjusted: MicroCredits
    """What operators corrected, up or down."""
    kinds: Mapping[str, MicroCredits]
    """The parts of it, by the kind of entry, unsigned."""

    @property
    def calls(self) -> MicroCredits:
        """The part of `used` that calls cost."""
        return sum(sign * self.kinds.get(kind, 0) for kind, sign in CALLS.items())

    @property
    def fees(self) -> MicroCredits:
        """The part of `used` that numbers and plans cost."""
        return self.used - self.calls


class Day(NamedTuple):
    """What was bought and used on a local day."""

    day: date
    bought: MicroCredits
    used: MicroCredits


class Share(NamedTuple):
    """What one number, user or flow used. `name` is for people; "" when nobody is behind it."""

    key: str
    name: str
    calls: int
    used: MicroCredits


By = Literal["number", "user", "flow"]


async def standing(session: AsyncSession, account: str) -> Standing:
    """What an account has; nothing, before its first sale or call."""
    found = await ledger.balances(session, account)
    if CREDITS not in found:
        return Standing(0, 0, 0)
    unpaid = found[UNPAID].balance if UNPAID in found else 0
    return Standing(found[CREDITS].balance, found[CREDITS].held, -unpaid)


async def used(session: AsyncSession, account: str, span: Span) -> Used:
    """What was bought and used in a span."""
    rows = (
        await session.execute(
            select(Transfer.kind, Transfer.to_name, func.sum(Transfer.amount))
            .where(*_in(account, span), Transfer.kind.in_((*BOUGHT, *USED, ADJUSTMENT)))
            .group_by(Transfer.kind, Transfer.to_name)
        )
    ).all()
    kinds: dict[str, int] = {}
    adjusted = 0
    for kind, target, amount in rows:
        kinds[kind] = kinds.get(kind, 0) + int(amount)
        if kind == ADJUSTMENT:
            adjusted += int(amount) if target == CREDITS else -int(amount)
    return Used(_signed(kinds, BOUGHT), _signed(kinds, USED), adjusted, kinds)


async def used_by_day(
    session: AsyncSession, account: str, first: date, last: date, zone: ZoneInfo
) -> list[Day]:
    """Each local day from the first to the last, also those on which nothing happened.

    Raises:
        BadSpan: the last day is before the first.
        ValueError: more than `LONGEST_DAYS`.
    """
    span = days_span(first, last, zone)
    many = (last - first).days + 1
    if many > LONGEST_DAYS:
        raise ValueError(f"{many} days are too many to draw: ask for at most {LONGEST_DAYS}")
    quarter = Transfer.at // literal_column(str(_QUARTER))
    rows = await session.execute(
        select(quarter, Transfer.kind, func.sum(Transfer.amount))
        .where(*_in(account, span), Transfer.kind.in_((*BOUGHT, *USED)))
        .group_by(quarter, Transfer.kind)
    )
    days: dict[date, dict[str, int]] = {first + timedelta(days=n): {} for n in range(many)}
    for at, kind, amount in rows:
        kinds = days[local_time(int(at) * _QUARTER, zone).date()]
        kinds[kind] = kinds.get(kind, 0) + int(amount)
    return [Day(day, _signed(kinds, BOUGHT), _signed(kinds, USED)) for day, kinds in days.items()]


async def used_by(session: AsyncSession, account: str, span: Span, by: By) -> list[Share]:
    """What each number, user or flow used in a span, the most first.

    A call counts for the number that was called, for the user who took it (an outside telephone counts for the user
    it belongs to), and for its flow. Fees of numbers count for the number; those of plans for nobody.
    """
    amount = func.sum(Transfer.amount * case(_SIGNS, value=Transfer.kind, else_=0))
    key, name = _KEYS[by]
    kinds = tuple(USED if by == "number" else CALLS)
    rows = (
        select(key.label("of"), name.label("named"), func.count(Transfer.call_id.distinct()), amount)
        .outerjoin(Call, Call.id == Transfer.call_id)
        .outerjoin(Flow, Flow.id == Call.flow_id)
        .where(*_in(account, span), Transfer.kind.in_(kinds))
        .group_by("of", "named")
    )
    shares = [
        Share(key, name, calls, int(amount)) for key, name, calls, amount in await session.execute(rows)
    ]
    return sorted(shares, key=lambda share: (-share.used, share.key))


_SIGNS: Final = dict(USED)
_NUMBER: Final = func.coalesce(Call.number, Transfer.details["number"].as_string(), "")
_USER: Final = func.coalesce(
    func.nullif(Transfer.details["user"].as_string(), ""), Call.record[("agents", 0)].as_string(), ""
)
_KEYS: Final[Mapping[By, tuple[ColumnElement[str], ColumnElement[str]]]] = {
    "number": (_NUMBER, _NUMBER),
    "user": (_USER, _USER),
    "flow": (func.coalesce(Call.flow_id, ""), func.coalesce(Flow.name, "")),
}


def _in(account: str, span: Span) -> tuple[ColumnElement[bool], ...]:
    return (Transfer.account_id == account, Transfer.at >= span.begins_at, Transfer.at < span.ends_at)


def _signed(kinds: Mapping[str, int], signs: Mapping[str, int]) -> int:
    return sum(sign * kinds.get(kind, 0) for kind, sign in signs.items())
