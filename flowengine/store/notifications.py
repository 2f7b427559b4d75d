"""What the admins of an account are told: written once, in the transaction of what happened, and delivered later.

A notification is found by its key, so that the same thing is told once. Delivery (`flowengine.storage.notices`) takes
what is due for a while (`take_due`); an engine that dies over it lets the next one try, so a notification may arrive
twice, and carries its id for that.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.events import SECOND, Instant
from flowengine.store.ids import new_id
from flowengine.store.tables import Account, Notification
from flowengine.store.upsert import inserting

LEASE: Final = 120 * SECOND
"""How long one who delivers is left alone with what it took: longer than all of it may take."""
MOST_TRIES: Final = 16


class Notice(NamedTuple):
    """A notification as it is stored. `delivered_at` is None while it waits, or when `tries` are used up."""

    id: str
    account: str
    account_key: str
    kind: str
    at: Instant
    data: Mapping[str, Any]
    tries: int = 0
    delivered_at: Instant | None = None
    problem: str = ""


async def notify(
    session: AsyncSession, account: str, key: str, kind: str, at: Instant, data: Mapping[str, Any]
) -> bool:
    """Tell the admins of an account something; False when this key was told before. `data` is JSON."""
    values = {
        "id": new_id("ntf"),
        "account_id": account,
        "key": key,
        "kind": kind,
        "at": at,
        "data": dict(data),
        "next_try_at": at,
        "tries": 0,
        "problem": "",
    }
    statement = inserting(session.get_bind().dialect.name, Notification).values(values)
    told = statement.on_conflict_do_nothing(index_elements=["account_id", "key"]).returning(Notification.id)
    return await session.scalar(told) is not None


async def is_due(session: AsyncSession, now: Instant) -> bool:
    """Whether a notification waits to be delivered, without taking it."""
    return await session.scalar(select(Notification.id).where(*_due(now)).limit(1)) is not None


async def take_due(session: AsyncSession, now: Instant, many: int = 5) -> list[Notice]:
    """Take notifications that wait, the oldest first; nobody else takes them for `LEASE` or until they are settled."""
    rows = (
        await session.execute(
            select(*_COLUMNS)
            .join(Account, Account.id == Notification.account_id)
            .where(*_due(now))
            .order_by(Notification.next_try_at, Notification.id)
            .limit(many)
            .with_for_update(of=Notification, skip_locked=True)
        )
    ).all()
    taken = [Notice(*row) for row in rows]
    if taken:
        ids = [notice.id for notice in taken]
        lease = update(Notification).where(Notification.id.in_(ids)).values(next_try_at=now + LEASE)
        await session.execute(lease)
    return sorted(taken, key=lambda notice: (notice.at, notice.id))


async def delivered(session: AsyncSession, notice: str, at: Instant) -> None:
    """Note that a notification has arrived."""
    row = update(Notification).where(Notification.id == notice)
    await session.execute(row.values(delivered_at=at, problem="", tries=Notification.tries + 1))


async def not_delivered(session: AsyncSession, notice: str, next_try_at: Instant, problem: str) -> None:
    """Note that a try failed, why, and when the next one is."""
    row = update(Notification).where(Notification.id == notice)
    await session.execute(
        row.values(next_try_at=next_try_at, problem=problem[:500], tries=Notification.tries + 1)
    )


async def notices(session: AsyncSession, account: str, many: int = 100) -> list[Notice]:
    """The last notifications of an account, the newest first."""
    found = await session.execute(
        select(*_COLUMNS)
        .join(Account, Account.id == Notification.account_id)
        .where(Notification.account_id == account)
        .order_by(Notification.at.desc(), Notification.id.desc())
        .limit(many)
    )
    return [Notice(*row) for row in found]


_COLUMNS = (
    Notification.id,
    Notification.account_id,
    Account.key,
    Notification.kind,
    Notification.at,
    Notification.data,
    Notification.tries,
    Notification.delivered_at,
    Notification.problem,
)


def _due(now: Instant) -> tuple[ColumnElement[bool], ...]:
    return (
        Notification.delivered_at.is_(None),
        Notification.next_try_at <= now,
        Notification.tries < MOST_TRIES,
    )
