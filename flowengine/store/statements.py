"""The statement of a month, summed from the ledger (`flowengine.billing.statements` has its shape).

A month is one of the calendar, as clocks in the account's time zone show it. Fees and payments are dated when they are
made; an increment of a call when it began, and it may be written a little later: a statement is final a day after its
month, when nothing can be added any more but by an engine that was away for longer.
"""

from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.periods import local_time, time_zone
from flowengine.billing.spans import BadSpan, Span, days_span
from flowengine.billing.statements import CallLine, FeeLine, Line, Statement
from flowengine.call.events import SECOND, Instant
from flowengine.store.credit_reports import CALLS, FEES
from flowengine.store.debits import CREDITS, UNPAID
from flowengine.store.errors import NotStored
from flowengine.store.tables import Account, Transfer

FINAL_AFTER: Final = 86_400 * SECOND
_YEARS: Final = range(1970, 2200)


async def statement(session: AsyncSession, account: str, year: int, month: int, now: Instant) -> Statement:
    """The statement of a month that has begun.

    Args:
        session: of `Database.reading`, so that all of it is of one moment.
        account: its id.
        year: such as 2027.
        month: 1 to 12.
        now: decides whether it is final.

    Raises:
        NotStored: there is no such account.
        BadSpan: there is no such month, or it has not begun.
    """
    of = await session.get(Account, account)
    if of is None:
        raise NotStored(f"there is no account {account}")
    if year not in _YEARS or month not in range(1, 13):
        raise BadSpan(f"{year}-{month:02} is no month: write it like 2027-03")
    zone = time_zone(of.time_zone)
    first = date(year, month, 1)
    last = date.fromordinal(date(year + month // 12, month % 12 + 1, 1).toordinal() - 1)
    span = days_span(first, last, zone)
    if now < span.begins_at:
        raise BadSpan(f"{year}-{month:02} has not begun: it is {local_time(now, zone).date()} there")
    return Statement(
        account=of.key,
        name=of.name,
        language=of.language,
        zone=of.time_zone,
        first=first,
        last=last,
        opening=await _sum(session, account, CREDITS, span.begins_at),
        lines=await _lines(session, account, span),
        calls=await _calls(session, account, span),
        fees=await _fees(session, account, span),
        owed=-await _sum(session, account, UNPAID, span.ends_at),
        is_final=now >= span.ends_at + FINAL_AFTER,
    )


async def _lines(session: AsyncSession, account: str, span: Span) -> tuple[Line, ...]:
    rows = await session.execute(
        select(Transfer.kind, func.count(), func.sum(_effect(CREDITS)))
        .where(*_in(account, span), _touches(CREDITS))
        .group_by(Transfer.kind)
        .order_by(Transfer.kind)
    )
    return tuple(Line(kind, many, int(amount)) for kind, many, amount in rows)


async def _calls(session: AsyncSession, account: str, span: Span) -> tuple[CallLine, ...]:
    sign = case(dict(CALLS), value=Transfer.kind, else_=0)
    direction, key = (Transfer.details[name].as_string().label(f"of_{name}") for name in ("direction", "key"))
    rows = await session.execute(
        select(direction, key, func.sum(sign), func.sum(sign * Transfer.amount))
        .where(*_in(account, span), Transfer.kind.in_(tuple(CALLS)))
        .group_by("of_direction", "of_key")
        .order_by("of_direction", "of_key")
    )
    return tuple(CallLine(direction, key, int(many), -int(amount)) for direction, key, many, amount in rows)


async def _fees(session: AsyncSession, account: str, span: Span) -> tuple[FeeLine, ...]:
    subject = func.coalesce(Transfer.details["number"].as_string(), Transfer.details["plan"].as_string(), "")
    rows = await session.execute(
        select(Transfer.kind, subject.label("subject"), func.count(), func.sum(_effect(CREDITS)))
        .where(*_in(account, span), Transfer.kind.in_(tuple(FEES)))
        .group_by(Transfer.kind, "subject")
        .order_by(Transfer.kind, "subject")
    )
    return tuple(FeeLine(kind, subject, many, int(amount)) for kind, subject, many, amount in rows)


async def _sum(session: AsyncSession, account: str, name: str, before: Instant) -> int:
    where = (Transfer.account_id == account, Transfer.at < before, _touches(name))
    return int(await session.scalar(select(func.coalesce(func.sum(_effect(name)), 0)).where(*where)) or 0)


def _effect(name: str) -> ColumnElement[Any]:
    """What a transfer did to a balance."""
    return case((Transfer.to_name == name, Transfer.amount), else_=-Transfer.amount)


def _touches(name: str) -> ColumnElement[bool]:
    return or_(Transfer.from_name == name, Transfer.to_name == name)


def _in(account: str, span: Span) -> tuple[ColumnElement[bool], ...]:
    return (Transfer.account_id == account, Transfer.at >= span.begins_at, Transfer.at < span.ends_at)
