"""The rows of journals: what is written, in which statements, and how it is read back."""

from collections.abc import Sequence
from typing import Any, assert_never

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from flowengine.call.events import CallArrived, Event, Instant
from flowengine.call.record import CallRecord
from flowengine.store.errors import JournalConflict, JournalUnreadable
from flowengine.store.tables import Call, JournalRow

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class Entry(msgspec.Struct, frozen=True):
    """One row of a call's journal, as it was fed to its machine."""

    seq: int
    event: Event
    digest: str


class RunningCall(msgspec.Struct, frozen=True):
    """A call whose journal is open: it runs, or ran when the engine died."""

    id: str
    account: str
    flow: str
    version: str
    opened_at: Instant
    channel: str
    """What the switch calls the caller's leg."""


class Open(msgspec.Struct, frozen=True):
    """Begin the journal of a call."""

    call: str
    row: dict[str, Any]


class Append(msgspec.Struct, frozen=True):
    """Add an event to the journal of a call; an arrival also tells the numbers of the call."""

    call: str
    row: dict[str, Any]
    arrived: dict[str, Any] | None


class Close(msgspec.Struct, frozen=True):
    """Store the record of a call that is done."""

    call: str
    row: dict[str, Any]


Write = Open | Append | Close

_THE_CALL = (Call.account_id == bindparam("of_account"), Call.id == bindparam("of_call"))
_OPEN = insert(Call)
_APPEND = insert(JournalRow)
_ARRIVED = update(Call).where(*_THE_CALL).values(number=bindparam("number"), caller=bindparam("caller"))
_CLOSE = (
    update(Call)
    .where(*_THE_CALL)
    .values(
        {
            name: bindparam(name)
            for name in ("number", "caller", "answered_at", "ended_at", "disposition", "end_reason", "record")
        }
    )
)


def opening(account: str, call: str, flow: str, version: str, at: Instant, channel: str, owner: str) -> Open:
    """Prepare the row of a call that begins."""
    row = {
        "id": call,
        "account_id": account,
        "flow_id": flow,
        "version": version,
        "number": "",
        "caller": "",
        "arrived_at": at,
        "channel": channel,
        "owner": owner,
    }
    return Open(call, row)


def appending(account: str, call: str, seq: int, event: Event, digest: str) -> Append:
    """Prepare the row of an event; raises `JournalConflict` for text that is no Unicode."""
    try:
        encoded = _encode(event)
    except UnicodeEncodeError:
        raise JournalConflict(f"event {seq} of call {call} holds text that is no Unicode") from None
    row = {
        "call_id": call,
        "seq": seq,
        "account_id": account,
        "at": event.at,
        "event": encoded,
        "digest": digest,
    }
    arrived = None
    if isinstance(event, CallArrived):
        arrived = {"of_account": account, "of_call": call, **_numbers(event.number, event.caller)}
    return Append(call, row, arrived)


def closing(account: str, call: str, record: CallRecord) -> Close:
    """Prepare what a call is in the history."""
    row = {
        "of_account": account,
        "of_call": call,
        **_numbers(record.number, record.caller),
        "answered_at": record.answered_at,
        "ended_at": record.ended_at,
        "disposition": record.disposition,
        "end_reason": record.end_reason,
        "record": msgspec.to_builtins(record),
    }
    return Close(call, row)


def _numbers(number: str, caller: str) -> dict[str, str]:
    """Make what strangers sent as numbers fit their columns; the journal has it as it came."""
    return {"number": _column(number), "caller": _column(caller)}


def _column(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:100]


async def write(connection: AsyncConnection, writes: Sequence[Write]) -> None:
    """Write all of these, calls before their events, in the connection's transaction."""
    for statement, rows in (
        (_OPEN, [each.row for each in writes if isinstance(each, Open)]),
        (_APPEND, [each.row for each in writes if isinstance(each, Append)]),
        (_ARRIVED, [each.arrived for each in writes if isinstance(each, Append) and each.arrived]),
        (_CLOSE, [each.row for each in writes if isinstance(each, Close)]),
    ):
        if rows:
            await connection.execute(statement, rows)


async def is_stored(session: AsyncSession, write: Write) -> bool:
    """Tell whether exactly this was written before: then writing it again is done."""
    match write:
        case Open(row=row):
            call = await session.get(Call, row["id"])
            return call is not None and (call.account_id, call.flow_id, call.version) == (
                row["account_id"],
                row["flow_id"],
                row["version"],
            )
        case Append(row=row):
            stored = await session.get(JournalRow, (row["call_id"], row["seq"]))
            return stored is not None and all(getattr(stored, name) == value for name, value in row.items())
        case Close():
            return False
        case _:
            assert_never(write)


def conflict(write: Write) -> JournalConflict:
    """Say why a write can never be stored."""
    match write:
        case Open(call=call):
            return JournalConflict(
                f"call {call} cannot be opened: its flow and version are not stored in this account, or it is open"
                " with another one"
            )
        case Append(call=call, row=row):
            return JournalConflict(
                f"event {row['seq']} of call {call} cannot be stored: another event has that place"
            )
        case Close(call=call):
            return JournalConflict(f"call {call} cannot be closed: its record does not fit the table")
        case _:
            assert_never(write)


async def read_entries(session: AsyncSession, account: str, call: str) -> list[Entry]:
    """Give the journal of a call in order; raises `JournalUnreadable` naming the event this code does not know."""
    rows = await session.execute(
        select(JournalRow.seq, JournalRow.event, JournalRow.digest)
        .where(JournalRow.account_id == account, JournalRow.call_id == call)
        .order_by(JournalRow.seq)
    )
    return [_entry(call, *row) for row in rows]


async def read_many(
    session: AsyncSession, calls: Sequence[str]
) -> dict[str, list[Entry] | JournalUnreadable]:
    """Give the journals of these calls of any accounts, in one statement; what cannot be read is its error."""
    rows = await session.execute(
        select(JournalRow.call_id, JournalRow.seq, JournalRow.event, JournalRow.digest)
        .where(JournalRow.call_id.in_(calls))
        .order_by(JournalRow.call_id, JournalRow.seq)
    )
    found: dict[str, list[Entry] | JournalUnreadable] = {call: [] for call in calls}
    for call, seq, event, digest in rows:
        entries = found[call]
        if isinstance(entries, list):
            try:
                entries.append(_entry(call, seq, event, digest))
            except JournalUnreadable as error:
                found[call] = error
    return found


async def running_calls(session: AsyncSession, owner: str | None = None) -> list[RunningCall]:
    """Give the calls of all accounts which are not closed, oldest first: all of them, or those of an engine."""
    of_owner = [] if owner is None else [Call.owner == owner]
    rows = await session.execute(
        select(Call.id, Call.account_id, Call.flow_id, Call.version, Call.arrived_at, Call.channel)
        .where(Call.disposition.is_(None), *of_owner)
        .order_by(Call.id)
    )
    return [RunningCall(*row[:-1], row[-1] or "") for row in rows]


async def withdraw(session: AsyncSession, account: str, call: str) -> None:
    """Forget a call that was opened and never had an event; one that had is left as it is."""
    events = select(JournalRow.call_id).where(JournalRow.account_id == account, JournalRow.call_id == call)
    await session.execute(
        delete(Call).where(
            Call.account_id == account, Call.id == call, Call.disposition.is_(None), ~events.exists()
        )
    )


def _entry(call: str, seq: int, event: bytes, digest: str) -> Entry:
    try:
        return Entry(seq, _decode(event), digest)
    except msgspec.MsgspecError as error:
        raise JournalUnreadable(
            f"event {seq} of call {call} cannot be read: {error}: replay it with the version that wrote it"
        ) from None
