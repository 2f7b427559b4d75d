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
from typing import Final, NamedTuple, Self

import structlog
from sqlalchemy.exc import IntegrityError, OperationalError

from flowengine.call.events import Event, Instant
from flowengine.call.record import CallRecord
from flowengine.store.database import Database
from flowengine.store.errors import JournalConflict, JournalUnavailable, JournalUnreadable
from flowengine.store.journal_rows import (
    Entry,
    RunningCall,
    Write,
    appending,
    closing,
    conflict,
    is_stored,
    opening,
    read_entries,
    read_many,
    running_calls,
    withdraw,
    write,
)

LINGER_S: Final = 0.002
GROUP: Final = 64
MAX_WAITING: Final = 4_096
PROMPT_S: Final = 0.5
COMMIT_S: Final = 15.0
"""The longest a commit may take, in seconds, before the database counts as failed."""

_log = structlog.get_logger(__name__)


class _Waiting(NamedTuple):
    """What is to be written, and whom to tell."""

    what: Write
    safe: asyncio.Future[None]


class DatabaseJournal:
    """The Journal port over the database. Use it as `async with DatabaseJournal(database, owner) as journal`.

    `owner` is the name of this engine: the same after a restart, and no other running engine's.
    """

    def __init__(
        self,
        database: Database,
        owner: str = "",
        *,
        linger_s: float = LINGER_S,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._database = database
        self._owner = owner
        self._linger_s = linger_s
        self._room = asyncio.Semaphore(max_waiting)
        self._waiting: deque[_Waiting] = deque()
        self._some = asyncio.Event()
        self._group = asyncio.Event()
        self._accounts: dict[str, str] = {}
        """The account of each open call."""
        self._closing = False
        self._committing_since: float | None = None
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write_groups(), name="journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    async def open(
        self, call: str, account: str, flow: str, version: str, at: Instant, channel: str = ""
    ) -> None:
        """Begin the journal of a call, pinned to a version (sha256) of a flow; `channel` is the caller's leg.

        Opening again in the same words is harmless, as is appending again.

        Raises:
            JournalUnavailable: the database failed; the row may or may not be there, and trying again is safe.
            JournalConflict: the flow or the version is not stored, or the call is open with another one.
        """
        self._accounts[call] = account  # at once, so that the first event may share a commit with the opening
        try:
            await self._put(opening(account, call, flow, version, at, channel, self._owner))
        except (JournalUnavailable, JournalConflict):
            self._accounts.pop(call, None)
            raise

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:
        """Add one event and the digest of the commands it led to. Raises as `open` does."""
        await self._put(appending(self._account_of(call), call, seq, event, digest))

    async def close(self, call: str, record: CallRecord) -> None:
        """Store the record of a call that is done. Raises as `open` does."""
        await self._put(closing(self._account_of(call), call, record))
        self._accounts.pop(call, None)

    async def open_calls(self, owner: str | None = None) -> list[RunningCall]:
        """Give the calls which are not closed, oldest first, and open them here, for an engine that resumes.

        All of them, or those of the engine `owner`.
        """
        async with self._database.reading() as session:
            calls = await running_calls(session, owner)
        self._accounts.update((call.id, call.account) for call in calls)
        return calls

    async def read(self, call: str) -> list[Entry]:
        """Give the whole journal of a call that is open here, in order.

        Raises:
            JournalUnreadable: an event was written by a version of the code that knew more, or knew it otherwise.
        """
        account = self._account_of(call)
        async with self._database.reading() as session:
            return await read_entries(session, account, call)

    async def read_many(self, calls: Sequence[str]) -> dict[str, list[Entry] | JournalUnreadable]:
        """Give the journals of these calls, which are open here; those that cannot be read as the error of `read`."""
        async with self._database.reading() as session:
            return await read_many(session, calls)

    async def withdraw(self, call: str) -> None:
        """Forget a call that was opened and of which nothing was ever told; one that has events stays as it is."""
        account = self._account_of(call)
        async with self._database.writing() as session:
            await withdraw(session, account, call)
        self._accounts.pop(call, None)

    @property
    def is_prompt(self) -> bool:
        """Whether rows are written as fast as they come, and nobody waits for a slow database."""
        since = self._committing_since
        return since is None or asyncio.get_running_loop().time() - since < PROMPT_S

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

    async def _put(self, what: Write) -> None:
        """Wait for room, hand over, and wait until it is safe."""
        async with self._room:
            if self._closing or self._writer is None or self._writer.done():
                raise JournalUnavailable("the journal is closed: nothing more can be written in this process")
            safe = asyncio.get_running_loop().create_future()
            self._waiting.append(_Waiting(what, safe))
            self._some.set()
            if len(self._waiting) >= GROUP:
                self._group.set()
            await safe

    async def _write_groups(self) -> None:
        while True:
            await self._some.wait()
            if not self._waiting:  # nothing wakes the writer for nothing but `drain`
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

    async def _commit(self, group: list[_Waiting]) -> None:
        """Commit a group and tell everybody in it; never raises for a failing database."""
        self._committing_since = asyncio.get_running_loop().time()
        try:
            await self._store([each.what for each in group])
        except IntegrityError:
            for each in group:  # one of them is at fault, and only that one shall hear of it
                _tell(each.safe, await self._commit_alone(each.what))
        except asyncio.CancelledError:
            for each in group:
                _tell(each.safe, JournalUnavailable("the engine is being stopped: the row may not be safe"))
            raise
        except Exception as error:
            _log.error("journal_unavailable", rows=len(group), error=_reason(error))
            for each in group:
                _tell(each.safe, _unavailable(error))
        else:
            for each in group:
                _tell(each.safe, None)
        finally:
            self._committing_since = None

    async def _commit_alone(self, what: Write) -> Exception | None:
        """Commit one write; gives what is wrong with it. One that is stored already is as good as written."""
        try:
            try:
                await self._store([what])
            except IntegrityError:
                async with asyncio.timeout(COMMIT_S), self._database.reading() as session:
                    return None if await is_stored(session, what) else conflict(what)
        except Exception as error:
            return _unavailable(error)
        return None

    async def _store(self, writes: list[Write]) -> None:
        async with asyncio.timeout(COMMIT_S), self._database.writer.begin() as connection:
            await write(connection, writes)


async def read_journal(database: Database, account: str, call: str) -> list[Entry]:
    """Give the journal of any call of an account, in order; raises `JournalUnreadable`."""
    async with database.reading() as session:
        return await read_entries(session, account, call)


def _tell(safe: asyncio.Future[None], error: Exception | None) -> None:
    """Tell whoever waits, unless nobody does any more."""
    if safe.done():
        return
    if error is None:
        safe.set_result(None)
    else:
        safe.set_exception(error)


def _unavailable(error: Exception) -> JournalUnavailable:
    return JournalUnavailable(
        f"the journal could not be written ({_reason(error)}): see to the database; a later event is tried again"
    )


def _reason(error: Exception) -> str:
    """Say what failed; the text only where it cannot hold the numbers of people."""
    cause = getattr(error, "orig", None) or error
    speaks = isinstance(error, OperationalError | OSError) and str(cause)
    return f"{type(cause).__name__}: {cause}" if speaks else type(cause).__name__
