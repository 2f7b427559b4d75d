"""The journal of calls, written in groups: many calls share one commit, and each waits until its row is safe.

One writer takes what has come in, at the latest two milliseconds after the first row or when 64 rows wait, and
commits it in one transaction. While it commits, the next group gathers, so under load groups grow by themselves
up to the bound of what may wait; whoever comes then waits for room. A failure of the database is told to
everybody in the group, and the next group tries again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self, assert_never

import msgspec
import structlog
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.call.events import CallArrived, Event, Instant
from flowengine.call.record import CallRecord
from flowengine.store.database import Database
from flowengine.store.errors import JournalConflict, JournalUnavailable, JournalUnreadable
from flowengine.store.tables import Call, JournalRow

LINGER_S: Final = 0.002
GROUP: Final = 64
MAX_WAITING: Final = 4_096
COMMIT_S: Final = 15.0
"""The longest a commit may take, in seconds, before the database counts as failed."""

_log = structlog.get_logger(__name__)
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


class _Open(msgspec.Struct, frozen=True):
    row: dict[str, Any]


class _Append(msgspec.Struct, frozen=True):
    row: dict[str, Any]
    arrived: dict[str, Any] | None


class _Close(msgspec.Struct, frozen=True):
    row: dict[str, Any]


_Write = _Open | _Append | _Close

_OPEN = insert(Call)
_APPEND = insert(JournalRow)
_ARRIVED = (
    update(Call)
    .where(Call.account_id == bindparam("of_account"), Call.id == bindparam("of_call"))
    .values(number=bindparam("number"), caller=bindparam("caller"))
)
_CLOSE = (
    update(Call)
    .where(Call.account_id == bindparam("of_account"), Call.id == bindparam("of_call"))
    .values(
        {
            name: bindparam(name)
            for name in ("number", "caller", "answered_at", "ended_at", "disposition", "end_reason", "record")
        }
    )
)


class DatabaseJournal:
    """The Journal port over the database. Use it as `async with DatabaseJournal(database) as journal`."""

    def __init__(
        self, database: Database, *, linger_s: float = LINGER_S, max_waiting: int = MAX_WAITING
    ) -> None:
        self._database = database
        self._linger_s = linger_s
        self._room = asyncio.Semaphore(max_waiting)
        self._waiting: deque[tuple[_Write, asyncio.Future[None]]] = deque()
        self._some = asyncio.Event()
        self._group = asyncio.Event()
        self._accounts: dict[str, str] = {}
        """The account of each open call."""
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write_groups(), name="journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    async def open(self, call: str, account: str, flow: str, version: str, at: Instant) -> None:
        """Begin the journal of a call, pinned to a version (sha256) of a flow.

        Opening again in the same words is harmless, as is appending again.

        Raises:
            JournalUnavailable: the database failed; the row may or may not be there, and trying again is safe.
            JournalConflict: the flow or the version is not stored, or the call is open with another one.
        """
        row = {
            "id": call,
            "account_id": account,
            "flow_id": flow,
            "version": version,
            "number": "",
            "caller": "",
            "arrived_at": at,
        }
        self._accounts[call] = account  # at once, so that the first event may share a commit with the opening
        try:
            await self._put(_Open(row))
        except (JournalUnavailable, JournalConflict):
            self._accounts.pop(call, None)
            raise

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:
        """Add one event and the digest of the commands it led to. Raises as `open` does."""
        account = self._account_of(call)
        row = {
            "call_id": call,
            "seq": seq,
            "account_id": account,
            "at": event.at,
            "event": _encode(event),
            "digest": digest,
        }
        arrived = None
        if isinstance(event, CallArrived):
            numbers = {"number": _column(event.number), "caller": _column(event.caller)}
            arrived = {"of_account": account, "of_call": call, **numbers}
        await self._put(_Append(row, arrived))

    async def close(self, call: str, record: CallRecord) -> None:
        """Store the record of a call that is done. Raises as `open` does."""
        account = self._account_of(call)
        row = {
            "of_account": account,
            "of_call": call,
            "number": _column(record.number),
            "caller": _column(record.caller),
            "answered_at": record.answered_at,
            "ended_at": record.ended_at,
            "disposition": record.disposition,
            "end_reason": record.end_reason,
            "record": msgspec.to_builtins(record),
        }
        await self._put(_Close(row))
        self._accounts.pop(call, None)

    async def open_calls(self) -> list[RunningCall]:
        """Give the calls which are not closed, oldest first, and make them open here, for an engine that resumes."""
        columns = select(Call.id, Call.account_id, Call.flow_id, Call.version, Call.arrived_at)
        async with self._database.reading() as session:
            rows = await session.execute(columns.where(Call.disposition.is_(None)).order_by(Call.id))
            calls = [RunningCall(*row) for row in rows]
        self._accounts.update((call.id, call.account) for call in calls)
        return calls

    async def read(self, call: str) -> list[Entry]:
        """Give the whole journal of a call that is open here, in order.

        Raises:
            JournalUnreadable: an event was written by a version of the code that knew more, or knew it otherwise.
        """
        return await read_journal(self._database, self._account_of(call), call)

    async def drain(self) -> None:
        """Write what waits, take nothing more, and stop. Twice is once."""
        self._closing = True
        self._some.set()
        self._group.set()
        if self._writer is not None:
            await self._writer

    def _account_of(self, call: str) -> str:
        if call not in self._accounts:
            raise JournalConflict(f"the journal of call {call} is not open: open it first")
        return self._accounts[call]

    async def _put(self, write: _Write) -> None:
        """Wait for room, hand over, and wait until it is safe."""
        await self._room.acquire()
        try:
            if self._closing or self._writer is None or self._writer.done():
                raise JournalUnavailable("the journal is closed: nothing more can be written in this process")
            safe = asyncio.get_running_loop().create_future()
            self._waiting.append((write, safe))
            self._some.set()
            if len(self._waiting) >= GROUP:
                self._group.set()
            await safe
        finally:
            self._room.release()

    async def _write_groups(self) -> None:
        while True:
            await self._some.wait()
            if not self._waiting and self._closing:
                return
            if len(self._waiting) < GROUP and not self._closing:
                await self._linger()
            group = list(self._waiting)
            self._waiting.clear()
            self._group.clear()
            if not self._closing:
                self._some.clear()
            await self._commit(group)

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(self._linger_s):
                await self._group.wait()
        except TimeoutError:
            pass

    async def _commit(self, group: list[tuple[_Write, asyncio.Future[None]]]) -> None:
        try:
            await self._store([write for write, _ in group])
        except IntegrityError:
            for write, safe in group:  # one of them is at fault, and only that one shall hear of it
                _tell(safe, await self._commit_alone(write))
        except asyncio.CancelledError:
            for _, safe in group:
                _tell(
                    safe,
                    JournalUnavailable("the engine is being stopped, and the row is not known to be safe"),
                )
            raise
        except Exception as error:
            _log.error("journal_unavailable", rows=len(group), error=_reason(error))
            for _, safe in group:
                _tell(safe, _unavailable(error))
        else:
            for _, safe in group:
                _tell(safe, None)

    async def _commit_alone(self, write: _Write) -> Exception | None:
        """Commit one write; gives what is wrong with it. One that is stored already is as good as written."""
        try:
            try:
                await self._store([write])
            except IntegrityError:
                if not await self._is_stored(write):
                    return _conflict(write)
        except Exception as error:
            return _unavailable(error)
        return None

    async def _store(self, writes: Sequence[_Write]) -> None:
        async with asyncio.timeout(COMMIT_S), self._database.writer.begin() as connection:
            await _run(connection, _OPEN, [w.row for w in writes if isinstance(w, _Open)])
            await _run(connection, _APPEND, [w.row for w in writes if isinstance(w, _Append)])
            arrivals = [w.arrived for w in writes if isinstance(w, _Append) and w.arrived is not None]
            await _run(connection, _ARRIVED, arrivals)
            await _run(connection, _CLOSE, [w.row for w in writes if isinstance(w, _Close)])

    async def _is_stored(self, write: _Write) -> bool:
        match write:
            case _Open(row=row):
                query = select(Call.id).where(
                    Call.id == row["id"],
                    Call.account_id == row["account_id"],
                    Call.flow_id == row["flow_id"],
                    Call.version == row["version"],
                )
            case _Append(row=row):
                query = select(JournalRow.call_id).where(
                    JournalRow.call_id == row["call_id"],
                    JournalRow.seq == row["seq"],
                    JournalRow.account_id == row["account_id"],
                    JournalRow.event == row["event"],
                    JournalRow.digest == row["digest"],
                )
            case _Close():
                return False
            case _:
                assert_never(write)
        async with asyncio.timeout(COMMIT_S), self._database.reading() as session:
            return (await session.execute(query)).first() is not None


async def read_journal(database: Database, account: str, call: str) -> list[Entry]:
    """Give the journal of any call of an account, in order; raises `JournalUnreadable`."""
    columns = select(JournalRow.seq, JournalRow.event, JournalRow.digest)
    async with database.reading() as session:
        rows = await session.execute(
            columns.where(JournalRow.account_id == account, JournalRow.call_id == call).order_by(
                JournalRow.seq
            )
        )
        return [_entry(call, *row) for row in rows]


def _entry(call: str, seq: int, event: bytes, digest: str) -> Entry:
    try:
        return Entry(seq, _decode(event), digest)
    except msgspec.MsgspecError as error:
        raise JournalUnreadable(
            f"event {seq} of call {call} cannot be read: {error}: replay it with the version that wrote it"
        ) from None


async def _run(connection: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(statement, rows)


def _tell(safe: asyncio.Future[None], error: Exception | None) -> None:
    """Tell whoever waits, unless nobody does any more."""
    if safe.done():
        return
    if error is None:
        safe.set_result(None)
    else:
        safe.set_exception(error)


def _column(text: str) -> str:
    """Make what a stranger sent as their number fit a column; the journal has it as it came."""
    return text.replace("\x00", "")[:100]


def _unavailable(error: Exception) -> JournalUnavailable:
    return JournalUnavailable(
        f"the journal could not be written ({_reason(error)}): the database needs a look"
    )


def _reason(error: Exception) -> str:
    """Say what failed; the text only where it cannot hold the numbers of people."""
    cause = getattr(error, "orig", None) or error
    speaks = isinstance(error, OperationalError | OSError) and str(cause)
    return f"{type(cause).__name__}: {cause}" if speaks else type(cause).__name__


def _conflict(write: _Write) -> JournalConflict:
    match write:
        case _Open(row=row):
            what = f"call {row['id']} cannot be opened: its flow and version are not stored in this account, or it is"
            return JournalConflict(f"{what} open with another one")
        case _Append(row=row):
            what = f"event {row['seq']} of call {row['call_id']} cannot be stored"
            return JournalConflict(f"{what}: another event has that place")
        case _Close(row=row):
            return JournalConflict(
                f"call {row['of_call']} cannot be closed: its record does not fit the table"
            )
        case _:
            assert_never(write)
