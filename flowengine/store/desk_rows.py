"""The rows of the desk: what changed since a version, how changes are written, and turns on their way to an engine.

All take a connection within the caller's transaction. Whoever writes has locked the desk of the account first
(`lock`), so the changes of an account have one order and one version each, whichever process makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from sqlalchemy import Table, bindparam, delete, insert, select, text, union, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.call.events import Event, Instant
from flowengine.routing.agents import Agent
from flowengine.routing.lines import Left, Target
from flowengine.store.tables import Account, Call, Desk, DeskAgent, DeskOutbox, DeviceInReach, LineVisit

CHANNEL: Final = "flowengine_desk"
"""Where PostgreSQL tells engines that a turn waits for them; the payload is the engine's name."""

_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


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
_TAKE = (
    delete(DeskOutbox)
    .where(DeskOutbox.owner == bindparam("owner"))
    .returning(DeskOutbox.call_id, DeskOutbox.event)
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


class Turn(NamedTuple):
    """An offer to a call of another engine."""

    owner: str
    call: str
    request: str
    event: Event


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
        await connection.execute(_insert(connection.dialect.name, Desk).on_conflict_do_nothing(), first)
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
    await _upsert(
        connection,
        DeskAgent,
        [_agent_row(account, user, agent, head.version) for user, agent in changes.agents.items()],
    )
    await _upsert(
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
    await _upsert(connection, LineVisit, [_visit_row(account, visit, head.version) for visit in changes.left])
    await _upsert(
        connection,
        DeskOutbox,
        [
            {
                "owner": turn.owner,
                "call_id": turn.call,
                "request": turn.request,
                "account_id": account,
                "event": _encode(turn.event),
            }
            for turn in changes.turns
        ],
    )
    if connection.dialect.name == "postgresql":
        for each in sorted({turn.owner for turn in changes.turns}):
            await connection.execute(
                text("SELECT pg_notify(:channel, :owner)"), {"channel": CHANNEL, "owner": each}
            )


async def has_turns(connection: AsyncConnection, owner: str) -> bool:
    """Tell whether a turn waits for a call of this engine."""
    found = await connection.execute(select(DeskOutbox.owner).where(DeskOutbox.owner == owner).limit(1))
    return found.first() is not None


async def take_turns(connection: AsyncConnection, owner: str) -> list[tuple[str, Event]]:
    """Take out all turns for calls of this engine, with the calls they are for."""
    rows = await connection.execute(_TAKE, {"owner": owner})
    turns: list[tuple[str, Event]] = []
    for call, event in rows:
        try:
            turns.append((call, _decode(event)))
        except msgspec.MsgspecError:
            _log.error("turn_unreadable", call=call)  # of a newer version; the lease will free the agent
    return turns


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


_Row = type[Desk] | type[DeskAgent] | type[DeviceInReach] | type[LineVisit] | type[DeskOutbox]


def _insert(dialect: str, table: _Row) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _upserting(dialect: str, table: _Row) -> sqlite.Insert | postgresql.Insert:
    """Insert rows, or bring those that are there up to date. Kept, for it takes longer to make than to run."""
    columns = table.__table__
    assert isinstance(columns, Table)
    statement = _insert(dialect, table)
    keys = [column.name for column in columns.primary_key]
    others = {
        column.name: statement.excluded[column.name] for column in columns.columns if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


async def _upsert(connection: AsyncConnection, table: _Row, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(
            _upserting(connection.dialect.name, table), rows if len(rows) > 1 else rows[0]
        )
