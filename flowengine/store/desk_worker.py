"""Does what is asked of the desk in the database: transactions, news of other engines, and failures.

One task does it all, so nothing here is done at the same time as anything else here: first what is queued, then, twice
a second, a look around. See `flowengine.store.desk` for what it is about.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import structlog
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.call.events import AgentsOffered, Instant
from flowengine.clock import SystemClock
from flowengine.routing.desk import Outlets
from flowengine.store import desk_outbox, desk_rows
from flowengine.store.database import Database
from flowengine.store.desk_account import AccountDesk
from flowengine.store.desk_hints import Hints
from flowengine.store.desk_rows import Changes

POLL_S: Final = 0.5
"""How often an engine looks for turns of its calls and for changes of other engines, in seconds."""
BATCH: Final = 64
"""The most commands of one transaction: they are decided in one go, and nothing else runs meanwhile."""
COMMIT_S: Final = 4.0
"""The longest a transaction may take, in seconds, before the database counts as failed."""
ANSWER_S: Final = 5.0
"""How long a call's question may stay unanswered for want of a database, in seconds."""
RETRY_S: Final = (0.05, 1.0)
"""The first and the longest pause before the database is tried again, in seconds."""
SWEEP_S: Final = 60.0
"""How often to look for calls that are over and still hold somebody, in seconds."""
CLOSE_S: Final = 5.0
"""How long closing waits for what is queued, in seconds."""


_log = structlog.get_logger(__name__)


class _Queued(NamedTuple):
    """Something to do at the desk of an account. A question also says whose it is, and when to give up on it."""

    account: str
    at: Instant
    act: Callable[[AccountDesk], object]
    question: tuple[str, str] | None = None
    give_up: float = 0


class DeskWorker:
    """The desks of all accounts as this engine knows them, and the task that changes them.

    Args:
        prepare: given a desk that was just read, makes it know our people and devices.
    """

    def __init__(
        self,
        database: Database,
        outlets: Outlets,
        owner: str,
        prepare: Callable[[AccountDesk, Instant], None],
    ) -> None:
        self.desks: dict[str, AccountDesk] = {}
        self._database = database
        self._outlets = outlets
        self._owner = owner
        self._prepare = prepare
        self._clock = SystemClock()
        self._doubtful: set[str] = set()
        """Accounts whose desk in memory may not be what is stored, and is read anew before it is used."""
        self._queue: deque[_Queued] = deque()
        self._some = asyncio.Event()
        self._quiet = asyncio.Event()
        self._look = False
        self._told_of_turns = False
        self._next_sweep = 0.0
        self._failing = False
        self._hints = Hints(database, owner, self._hinted)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; what was put before is done first."""
        self._task = asyncio.create_task(self._work(), name="desk")

    async def close(self) -> None:
        """Do what is queued, for `CLOSE_S` at most, and stop."""
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._quiet.wait()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._hints.stop()

    async def settled(self) -> None:
        """Wait until everything that was put is done, and said."""
        await self._quiet.wait()

    def look(self) -> None:
        """Look for news of other engines soon, and not only when the time for it has come."""
        self._look = True
        self._quiet.clear()
        self._some.set()

    def has_overdue(self, account: str, at: Instant) -> bool:
        """Whether a lease at this desk has run out, or may have."""
        return account in self._doubtful or self.desks[account].has_overdue(at)

    def put(
        self,
        account: str,
        at: Instant,
        act: Callable[[AccountDesk], object],
        question: tuple[str, str] | None = None,
    ) -> None:
        give_up = asyncio.get_running_loop().time() + ANSWER_S
        self._queue.append(_Queued(account, at, act, question, give_up))
        self._quiet.clear()
        self._some.set()

    def _hinted(self) -> None:
        self._told_of_turns = True
        self._some.set()

    async def _work(self) -> None:
        """Take what is queued, and look around twice a second, until cancelled."""
        loop = asyncio.get_running_loop()
        next_look, pause_s = 0.0, RETRY_S[0]
        while True:
            self._some.clear()
            try:
                if self._queue:
                    await self._take_batch()
                if self._told_of_turns:
                    self._told_of_turns = False
                    await self._take_turns()
                if self._look or loop.time() >= next_look:
                    self._look = False
                    await self._look_around()
                    next_look = loop.time() + POLL_S
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_S[1])
                continue
            if self._failing:
                _log.info("desk_available")
            self._failing, pause_s = False, RETRY_S[0]
            if self._queue:
                continue
            self._quiet.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0, next_look - loop.time())):
                    await self._some.wait()

    async def _take_batch(self) -> None:
        """Do what is queued in one transaction. What cannot be done for its own fault is left out and told."""
        batch = [self._queue[index] for index in range(min(len(self._queue), BATCH))]
        try:
            await self._transact(batch)
        except Exception as error:
            if not _at_fault(error):
                raise
            for _ in batch:
                await self._take_alone()
        else:
            for _ in batch:
                self._queue.popleft()

    async def _take_alone(self) -> None:
        each = self._queue[0]
        try:
            await self._transact([each])
        except Exception as error:
            if not _at_fault(error):
                raise
            _log.error("desk_command_failed", account=each.account, error=type(error).__name__)
            self._answer_nobody(each)
        self._queue.popleft()

    async def _transact(self, batch: list[_Queued]) -> None:
        """Lock the desks concerned, catch up with them, act, store, commit; then speak."""
        accounts = sorted(
            {each.account for each in batch}
        )  # one order for everybody, so that none wait in a ring
        known = {name: self.desks[name] for name in accounts if name in self.desks.keys() - self._doubtful}
        self._doubtful.update(accounts)
        at = max(each.at for each in batch)
        desks: dict[str, AccountDesk] = {}
        changed: dict[str, Changes] = {}
        async with asyncio.timeout(COMMIT_S), self._database.writer.begin() as connection:
            for account in accounts:
                desks[account] = await self._locked(connection, account, known.get(account), at)
            for each in batch:
                each.act(desks[each.account])
            for account, desk in desks.items():
                changes = desk.changes()
                if changes is not None and desk.is_stored:
                    await desk_rows.write(connection, account, self._owner, changes)
                    changed[account] = changes
        self._doubtful.difference_update(accounts)
        for account, desk in desks.items():
            if account in changed:
                desk.stored(changed[account])
            if desk.is_stored:
                self.desks[account] = desk
            self._speak(desk)

    async def _locked(
        self, connection: AsyncConnection, account: str, known: AccountDesk | None, at: Instant
    ) -> AccountDesk:
        """Give the desk of an account as it is stored, its lock held. An account not stored has an empty desk."""
        head = await desk_rows.lock(connection, account)
        desk = known or AccountDesk(account, self._owner, self._outlets)
        if head is not None and head.version != desk.version:
            desk.catch_up(await desk_rows.read_news(connection, account, head, desk.version), at)
        if known is None:
            self._prepare(desk, at)
        return desk

    async def _look_around(self) -> None:
        """Catch up with other engines, and take the turns they have for our calls."""
        await self._hints.listen()
        async with asyncio.timeout(COMMIT_S), self._database.reading() as session:
            connection = await session.connection()
            heads = await desk_rows.versions(connection)
            for account, desk in self.desks.items():
                head = heads.get(account)
                if head is not None and head.version != desk.version and account not in self._doubtful:
                    news = await desk_rows.read_news(connection, account, head, desk.version)
                    desk.catch_up(news, self._clock.now())
            some = await desk_outbox.has_turns(connection, self._owner)
            if (now := asyncio.get_running_loop().time()) >= self._next_sweep:
                for account, call in await desk_rows.left_behind(connection):
                    self._end(account, call)
                self._next_sweep = now + SWEEP_S
        for desk in self.desks.values():
            self._speak(desk)
        if some:
            await self._take_turns()

    async def _take_turns(self) -> None:
        async with asyncio.timeout(COMMIT_S), self._database.writer.begin() as connection:
            for call, event in await desk_outbox.take_turns(connection, self._owner):
                self._outlets.deliver(call, event)  # before the commit: rather twice than never

    def _speak(self, desk: AccountDesk) -> None:
        for speak in desk.speak():
            self._say(speak)

    def _say(self, speak: Callable[[], None]) -> None:
        try:
            speak()
        except Exception:
            _log.exception("desk_outlet_failed")

    def _end(self, account: str, call: str) -> None:
        at = self._clock.now()
        self.put(account, at, lambda desk: desk.call_ended(account, call, at))

    # When the database fails

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            _log.error("desk_unavailable", error=type(error).__name__, queued=len(self._queue))
        self._failing = True
        now = asyncio.get_running_loop().time()
        hopeless = [each for each in self._queue if each.question and now >= each.give_up]
        if hopeless:
            self._queue = deque(each for each in self._queue if not (each.question and now >= each.give_up))
        for each in hopeless:
            self._answer_nobody(each)

    def _answer_nobody(self, each: _Queued) -> None:
        if each.question is not None:
            call, request = each.question
            self._say(partial(self._outlets.deliver, call, AgentsOffered(each.at, request)))


def _at_fault(error: Exception) -> bool:
    """Whether the command is at fault (a name too long for its column, a bug) and not the database."""
    if not isinstance(error, SQLAlchemyError | OSError):
        return True
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DataError | IntegrityError) or state[:2] in ("22", "23")
