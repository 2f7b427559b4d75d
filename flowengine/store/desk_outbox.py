"""Turns on their way: an offer to a call of another engine waits here until that engine takes it.

A turn is written in the transaction that reserves the agent, and deleted in the one that delivers it. It may be
delivered twice when that commit fails, which is harmless: a request is answered once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import structlog
from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.call.events import Event
from flowengine.store.tables import DeskOutbox
from flowengine.store.upsert import upsert

CHANNEL: Final = "flowengine_desk"
"""Where PostgreSQL tells engines that a turn waits for them; the payload is the engine's name."""

_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode
_TAKE = (
    delete(DeskOutbox)
    .where(DeskOutbox.owner == bindparam("owner"))
    .returning(DeskOutbox.call_id, DeskOutbox.event)
)
_TELL = text("SELECT pg_notify(:channel, :owner)")


class Turn(NamedTuple):
    """An offer to a call of another engine."""

    owner: str
    call: str
    request: str
    event: Event


async def leave_turns(connection: AsyncConnection, account: str, turns: Sequence[Turn]) -> None:
    """Write turns for other engines, and tell them where the database can."""
    rows = [
        {
            "owner": turn.owner,
            "call_id": turn.call,
            "request": turn.request,
            "account_id": account,
            "event": _encode(turn.event),
        }
        for turn in turns
    ]
    await upsert(connection, DeskOutbox, rows)
    if connection.dialect.name == "postgresql":
        for owner in sorted({turn.owner for turn in turns}):
            await connection.execute(_TELL, {"channel": CHANNEL, "owner": owner})


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
