"""The rows of the desk: what changed since a version, and how changes are written.

All take a connection within the caller's transaction. Whoever writes has locked the desk of the account first
(`lock`), so the changes of an account have one order and one version each, whichever process makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.call.events import Instant
from flowengine.routing.agents import Agent
from flowengine.routing.lines import Left, Target
from flowengine.store.desk_outbox import Turn, leave_turns
from flowengine.store.tables import Account, Call, Desk, DeskAgent, DeviceInReach, LineVisit
from flowengine.store.upsert import inserting, upsert


class Head(NamedTuple):
    """The state of an account's counters."""

    version: int
    end_of_line: int
    visits: int


_LOCK = (
    select(Desk.version, Desk.end_of_line, Desk.visits)
    .where(Desk.account_id == bindparam("account"))
    .with_for_update()
)
_COUNT_UP = (
    update(Desk)
    .where(Desk.account_id == bindparam("account"))
    .values({name: bindparam(name) for name in Head._fields})
)


class Visit(NamedTuple):
    """A caller's stay in a line as it is stored; `left_by` is None while they wait."""

    seq: int
    target: Target
    call: str
    request: str
    owner: str
    joined_at: Instant
    left_at: Instant | None = None
    left_by: Left | None = None


class DeviceNews(NamedTuple):
    """What an engine said last about a device."""

    endpoint: str
    owner: str
    in_reach: bool


@dataclass
class News:
    """What is newer than a version, in the order of versions and of joining."""

    head: Head
    agents: list[tuple[str, Agent]] = field(default_factory=list)
    devices: list[DeviceNews] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)


@dataclass
class Changes:
    """What a transaction changes at the desk of an account. `head` holds the counters after it."""

    head: Head
    agents: Mapping[str, Agent]
    devices: Mapping[str, tuple[bool, Instant]]
    """By endpoint, for the engine that writes."""
    joined: Sequence[Visit]
    """Visits not stored yet, waiting or already over."""
    left: Sequence[Visit]
    """Stored visits that are over now."""
    turns: Sequence[Turn]


async def lock(connection: AsyncConnection, account: str) -> Head | None:
    """Lock the desk of an account until the transaction ends; None when there is no such account.

    On SQLite the transaction holds the whole file already.
    """
    row = (await connection.execute(_LOCK, {"account": account})).one_or_none()
    if row is None:
        known = (await connection.execute(select(Account.id).where(Account.id == account))).one_or_none()
        if known is None:
            return None
        first = {"account_id": account, "version": 0, "end_of_line": 0, "visits": 0}
        await connection.execute(inserting(connection.dialect.name, Desk).on_conflict_do_nothing(), first)
        row = (await connection.execute(_LOCK, {"account": account})).one()
    return Head(*row)


async def versions(connection: AsyncConnection) -> dict[str, Head]:
    """Give the counters of all desks."""
    rows = await connection.execute(select(Desk.account_id, Desk.version, Desk.end_of_line, Desk.visits))
    return {account: Head(*counters) for account, *counters in rows}


async def read_news(connection: AsyncConnection, account: str, head: Head, since: int) -> News:
    """Read what changed at a desk after the version `since`; -1 reads all of it, without visits that are over."""
    agent, device, visit = DeskAgent, DeviceInReach, LineVisit
    news = News(head)
    for row in await connection.execute(
        select(agent.__table__).where(agent.account_id == account, agent.version > since)
    ):
        target = None if row.for_kind is None else Target(account, row.for_kind, row.for_name)
        news.agents.append(
            (
                row.user_name,
                Agent(
                    row.state,
                    row.wish,
                    row.in_reach,
                    row.place,
                    row.call_id,
                    target,
                    row.lease,
                    row.misses,
                    row.since,
                ),
            )
        )
    for row in await connection.execute(
        select(device.endpoint, device.owner, device.in_reach).where(
            device.account_id == account, device.version > since
        )
    ):
        news.devices.append(DeviceNews(*row))
    of_interest = visit.left_by.is_(None) if since < 0 else visit.version > since
    for row in await connection.execute(
        select(visit.__table__).where(visit.account_id == account, of_interest).order_by(visit.seq)
    ):
        news.visits.append(
            Visit(
                row.seq,
                Target(account, row.kind, row.target),
                row.call_id,
                row.request,
                row.owner,
                row.joined_at,
                row.left_at,
                row.left_by,
            )
        )
    return news


async def write(connection: AsyncConnection, account: str, owner: str, changes: Changes) -> None:
    """Write the changes of a desk whose lock is held."""
    head = changes.head
    await connection.execute(_COUNT_UP, {"account": account, **head._asdict()})
    await upsert(
        connection,
        DeskAgent,
        [_agent_row(account, user, agent, head.version) for user, agent in changes.agents.items()],
    )
    await upsert(
        connection,
        DeviceInReach,
        [
            {
                "account_id": account,
                "endpoint": endpoint,
                "owner": owner,
                "in_reach": in_reach,
                "since": since,
                "version": head.version,
            }
            for endpoint, (in_reach, since) in changes.devices.items()
        ],
    )
    if changes.joined:
        rows = [_visit_row(account, visit, head.version) for visit in changes.joined]
        await connection.execute(insert(LineVisit), rows)
    await upsert(connection, LineVisit, [_visit_row(account, visit, head.version) for visit in changes.left])
    await leave_turns(connection, account, changes.turns)


async def left_behind(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Give the calls, by account, that are over and still hold an agent or a place: their engine died in between."""
    agent, visit = DeskAgent, LineVisit
    rows = await connection.execute(
        union(
            select(agent.account_id, agent.call_id)
            .join(Call, Call.id == agent.call_id)
            .where(agent.call_id != "", Call.disposition.is_not(None)),
            select(visit.account_id, visit.call_id)
            .join(Call, Call.id == visit.call_id)
            .where(visit.left_by.is_(None), Call.disposition.is_not(None)),
        )
    )
    return [(account, call) for account, call in rows]


def _agent_row(account: str, user: str, agent: Agent, version: int) -> dict[str, Any]:
    return {
        "account_id": account,
        "user_name": user,
        "state": agent.state,
        "wish": agent.wish,
        "in_reach": agent.in_reach,
        "place": agent.place,
        "call_id": agent.call,
        "for_kind": agent.working_for and agent.working_for.kind,
        "for_name": agent.working_for and agent.working_for.name,
        "lease": agent.lease,
        "misses": agent.misses,
        "since": agent.since,
        "version": version,
    }


def _visit_row(account: str, visit: Visit, version: int) -> dict[str, Any]:
    return {
        "account_id": account,
        "seq": visit.seq,
        "kind": visit.target.kind,
        "target": visit.target.name,
        "call_id": visit.call,
        "request": visit.request,
        "owner": visit.owner,
        "joined_at": visit.joined_at,
        "left_at": visit.left_at,
        "left_by": visit.left_by,
        "version": version,
    }
