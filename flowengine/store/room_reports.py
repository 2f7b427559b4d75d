"""Room for recordings, looked at: how much was stored at the end of each day, and whether the books agree."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.periods import start_of_day
from flowengine.billing.plans import storage_plan
from flowengine.call.events import SECOND, Instant
from flowengine.store import ledger, rooms
from flowengine.store.ledger import Difference
from flowengine.store.tables import Account, Recording, Transfer

QUARTER: Final = 15 * 60 * SECOND
"""Days begin on a quarter of an hour UTC in every zone of today, so transfers can be added up by quarters."""
MOST_DAYS: Final = 3_700


class Day(NamedTuple):
    """A local day: what was stored at its end, and what was kept and deleted in it, in milliseconds."""

    day: date
    stored_ms: int
    kept_ms: int
    deleted_ms: int


async def usage_by_day(
    session: AsyncSession, account: str, first: date, last: date, zone: ZoneInfo
) -> list[Day]:
    """Each day from `first` to `last`, both included, in a time zone; days on which nothing happened are there, too.

    Raises:
        ValueError: `last` is before `first`, or there are more than ten years between them.
    """
    if not 0 <= (last - first).days < MOST_DAYS:
        raise ValueError(f"{first} to {last} is no period of up to ten years: give the first day first")
    days = list(_days(first, last, zone))
    stored, changes = await _changes(session, account, days[0][1], days[-1][2])
    found, at = [], 0
    for day, _, ends_at in days:
        kept = deleted = 0
        while at < len(changes) and changes[at][0] < ends_at:
            kept, deleted, at = kept + changes[at][1], deleted + changes[at][2], at + 1
        stored += kept - deleted
        found.append(Day(day, stored, kept, deleted))
    return found


def _days(first: date, last: date, zone: ZoneInfo) -> Iterator[tuple[date, Instant, Instant]]:
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        yield day, start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone)


async def _changes(
    session: AsyncSession, account: str, since: Instant, until: Instant
) -> tuple[int, list[tuple[Instant, int, int]]]:
    """What was stored at `since`, and what was kept and deleted in each quarter of an hour from then on."""
    kept = func.coalesce(func.sum(case((Transfer.to_name == rooms.STORED, Transfer.amount), else_=0)), 0)
    deleted = func.coalesce(func.sum(case((Transfer.from_name == rooms.STORED, Transfer.amount), else_=0)), 0)
    of_account = (
        Transfer.account_id == account,
        or_(Transfer.to_name == rooms.STORED, Transfer.from_name == rooms.STORED),
    )
    before = (await session.execute(select(kept, deleted).where(*of_account, Transfer.at < since))).one()
    quarter = (Transfer.at // QUARTER).label("quarter")
    rows = await session.execute(
        select(quarter, kept, deleted)
        .where(*of_account, Transfer.at >= since, Transfer.at < until)
        .group_by(quarter)
        .order_by(quarter)
    )
    return int(before[0]) - int(before[1]), [(int(q) * QUARTER, int(k), int(d)) for q, k, d in rows]


class Audit(NamedTuple):
    """The books of a storage plan, held against what they are about. All differences are 0, or something is wrong."""

    recordings: int
    """Recordings that are kept."""
    recorded_ms: int
    """Their lengths together."""
    stored_ms: int
    """What the ledger says is stored."""
    plan_ms: int
    """The plan that the account is on."""
    given_ms: int
    """The room that the ledger says it was given."""
    differences: list[Difference]
    """Balances that are not what their transfers and holds say."""

    @property
    def agrees(self) -> bool:
        """Nothing is wrong."""
        return self.recorded_ms == self.stored_ms and self.plan_ms == self.given_ms and not self.differences


async def audit(session: AsyncSession, account: str) -> Audit:
    """Hold the ledger against the recordings that are kept and the plan that is paid. Raises `NotStored`."""
    found = await rooms.usage(session, account)
    code = await session.scalar(select(Account.storage_plan).where(Account.id == account))
    where = (Recording.account_id == account, Recording.status == "kept")
    many, total = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(Recording.duration_ms), 0)).where(*where)
        )
    ).one()
    return Audit(
        many,
        int(total),
        found.stored_ms,
        storage_plan(code or "").room_ms,
        found.plan_ms,
        await ledger.derive(session, account),
    )
