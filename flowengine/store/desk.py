"""The desk in the database: the same from every engine process, and there again after a restart.

**Who decides.** Each engine knows the desks of its accounts in memory (`AccountDesk`, with the rules of
`MemoryDesk`) and the version each of them has. To change one it locks the account's row of `desks`, reads what other
engines changed since the version it knows (mostly nothing), decides in memory, and writes what changed with the next
version, in the same transaction. So the changes of an account have one order: nobody is reserved twice, the line
order is exact, and between "nobody is free" and "nobody waits" there is no gap for a wake-up to be lost in. Accounts
do not wait for each other's locks longer than a transaction lasts.

**When it speaks.** Methods return at once. Commands queue, and what queues while a transaction runs goes into the
next together. Outlets speak on the event loop after the commit.

**Calls of other engines.** A turn for one goes into `desk_outbox`; its engine is woken by a notification where the
database has them, and looks twice a second anyway. Positions each engine tells its own calls when it looks.

**When the database fails.** Commands stay queued in their order and are tried again; a question is answered with an
offer of nobody after `ANSWER_S`, and asked no more.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

import structlog
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.call import commands
from flowengine.call.commands import DeskCommand
from flowengine.call.events import AgentsOffered, Instant
from flowengine.clock import SystemClock
from flowengine.routing import agents
from flowengine.routing.agents import Agent, Policy, Wish
from flowengine.routing.desk import Outlets
from flowengine.routing.directory import Catalog
from flowengine.store import desk_rows
from flowengine.store.database import Database
from flowengine.store.desk_account import AccountDesk
from flowengine.store.desk_hints import Hints
from flowengine.store.desk_rows import Changes

POLL_S: Final = 0.5
"""How often an engine looks for turns of its calls and for changes of other engines, in seconds."""
BATCH: Final = 512
"""The most commands of one transaction."""
COMMIT_S: Final = 4.0
"""The longest a transaction may take, in seconds, before the database counts as failed."""
ANSWER_S: Final = 5.0
"""How long a call's question may stay unanswered for want of a database, in seconds."""
RETRY_S: Final = (0.05, 1.0)
"""The first and the longest pause before the database is tried again, in seconds."""
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


class DatabaseDesk:
    """The Desk port over the database. Use it as `async with DatabaseDesk(...) as desk`.

    What is asked of it before is done when it is entered.

    Args:
        database: open, with its tables.
        outlets: where it speaks, on the event loop.
        catalog: who the users and groups are; replace it by `renew`.
        owner: the name of this engine. It must be the same after a restart and no other running engine's.
    """

    def __init__(self, database: Database, outlets: Outlets, catalog: Catalog, owner: str) -> None:
        self.outlets = outlets
        self.catalog = Catalog()
        self.owner = owner
        self._database = database
        self._clock = SystemClock()
        self._desks: dict[str, AccountDesk] = {}
        self._doubtful: set[str] = set()
        """Accounts whose desk in memory may not be what is stored, and is read anew before it is used."""
        self._devices: dict[str, None] = {}
        """Endpoints our own switch has in reach, in the order in which they came."""
        self._owners: dict[str, list[str]] = {}
        """The accounts of an endpoint."""
        self._queue: deque[_Queued] = deque()
        self._some = asyncio.Event()
        self._quiet = asyncio.Event()
        self._look = False
        self._told_of_turns = False
        self._failing = False
        self._closing = False
        self._hints = Hints(database, owner, self._hinted)
        self._worker: asyncio.Task[None] | None = None
        self.renew(catalog, self._clock.now())

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work(), name="desk")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._some.set()
        if self._worker is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._quiet.wait()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._hints.stop()

    def look(self) -> None:
        """Look for news of other engines soon, and not only when the time for it has come."""
        self._look = True
        self._quiet.clear()
        self._some.set()

    async def settled(self) -> None:
        """Wait until everything asked for so far is done, and said."""
        await self._quiet.wait()

    # What people and devices do

    def renew(self, catalog: Catalog, at: Instant) -> None:
        """Use a new catalogue from now on. Reservations and lines stay; callers waiting for nobody are told."""
        before, self.catalog = self.catalog, catalog
        self._owners = {}
        for account, users in catalog.users.items():
            for entry in users.values():
                for endpoint in entry.endpoints:
                    self._owners.setdefault(endpoint, []).append(account)
        for account in dict.fromkeys([*catalog.users, *catalog.groups, *before.users, *before.groups]):
            if _of(catalog, account) != _of(before, account):
                self._put(account, at, lambda desk: self._renew(desk, catalog, at))

    def reachable(self, endpoint: str, is_reachable: bool, at: Instant) -> None:
        """A device registered at this engine's switch, or went out of its reach."""
        if is_reachable:
            self._devices[endpoint] = None
        else:
            self._devices.pop(endpoint, None)
        for account in dict.fromkeys(self._owners.get(endpoint, ())):
            self._put(account, at, lambda desk: desk.heard(endpoint, is_reachable, at))

    def wish(self, account: str, user: str, wish: Wish, at: Instant) -> Agent:
        """A user signs in or resumes ("work"), pauses ("pause") or signs out ("leave").

        Returns:
            The agent as this will leave them, as far as this process knows them now.

        Raises:
            KeyError: the account has no such user.
        """
        if user not in self.catalog.users.get(account, {}):
            raise KeyError(user)

        def act(desk: AccountDesk) -> None:
            with suppress(KeyError):  # deleted meanwhile
                desk.wish(account, user, wish, at)

        self._put(account, at, act)
        known = self.agent(account, user)
        return agents.presence(known, at, known.place, wish=wish)

    def tick(self, at: Instant) -> None:
        """Take back whoever's lease has run out: reservations that came to nothing, wrap-ups that are over."""
        for account, desk in self._desks.items():
            if account in self._doubtful or desk.has_overdue(at):
                self._put(account, at, lambda desk: desk.tick(at))

    # What calls do

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        """Take a question or a report of a call. The answer comes after the commit."""
        question = None
        if isinstance(command, commands.OfferAgents | commands.JoinLine):
            question = (call, command.request)
        self._put(account, at, lambda desk: desk.perform(account, call, command, at), question)

    def call_ended(self, account: str, call: str, at: Instant) -> None:
        """Free everybody this call still holds, and its places in lines."""
        self._put(account, at, lambda desk: desk.call_ended(account, call, at))

    # For tests and the live picture: what this process knows, at most half a second old

    def is_reachable(self, endpoint: str) -> bool:
        """Whether this device can be rung now, from any engine."""
        return any(desk.is_reachable(endpoint) for desk in self._desks.values())

    def agent(self, account: str, user: str) -> Agent:
        """A user as the desk sees them."""
        desk = self._desks.get(account)
        return Agent() if desk is None else desk.agent(account, user)

    @property
    def held(self) -> tuple[str, ...]:
        """Users reserved, ringing or talking."""
        return tuple(user for desk in self._desks.values() for user in desk.held)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Calls waiting in any line, first come first in each account."""
        return tuple(call for desk in self._desks.values() for call in desk.waiting)

    # The queue

    def _put(
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
        known = {name: self._desks[name] for name in accounts if name in self._desks.keys() - self._doubtful}
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
                    await desk_rows.write(connection, account, self.owner, changes)
                    changed[account] = changes
        self._doubtful.difference_update(accounts)
        for account, desk in desks.items():
            if account in changed:
                desk.stored(changed[account])
            if desk.is_stored:
                self._desks[account] = desk
            self._speak(desk)

    async def _locked(
        self, connection: AsyncConnection, account: str, known: AccountDesk | None, at: Instant
    ) -> AccountDesk:
        """Give the desk of an account as it is stored, its lock held. An account not stored has an empty desk."""
        head = await desk_rows.lock(connection, account)
        desk = known or AccountDesk(account, self.owner, self.outlets)
        if head is not None and head.version != desk.version:
            desk.catch_up(await desk_rows.read_news(connection, account, head, desk.version), at)
        if known is None:
            self._renew(desk, self.catalog, at)
        return desk

    def _renew(self, desk: AccountDesk, catalog: Catalog, at: Instant) -> None:
        part = _of(catalog, desk.account)
        desk.renew(part, at)
        wanted = {each for user in part.users[desk.account].values() for each in user.endpoints}
        if not wanted.isdisjoint(self._devices):
            for endpoint in [each for each in self._devices if each in wanted]:
                desk.heard(endpoint, True, at)

    async def _look_around(self) -> None:
        """Catch up with other engines, and take the turns they have for our calls."""
        await self._hints.listen()
        async with asyncio.timeout(COMMIT_S), self._database.reading() as session:
            connection = await session.connection()
            heads = await desk_rows.versions(connection)
            for account, desk in self._desks.items():
                head = heads.get(account)
                if head is not None and head.version != desk.version and account not in self._doubtful:
                    news = await desk_rows.read_news(connection, account, head, desk.version)
                    desk.catch_up(news, self._clock.now())
            some = await desk_rows.has_turns(connection, self.owner)
        for desk in self._desks.values():
            self._speak(desk)
        if some:
            await self._take_turns()

    async def _take_turns(self) -> None:
        async with asyncio.timeout(COMMIT_S), self._database.writer.begin() as connection:
            for call, event in await desk_rows.take_turns(connection, self.owner):
                self.outlets.deliver(call, event)  # before the commit: rather twice than never

    def _speak(self, desk: AccountDesk) -> None:
        for say in desk.speak():
            try:
                say()
            except Exception:
                _log.exception("desk_outlet_failed", account=desk.account)

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
            self.outlets.deliver(call, AgentsOffered(each.at, request))


def _of(catalog: Catalog, account: str) -> Catalog:
    """The part of a catalogue that the desk of an account needs."""
    return Catalog(
        users={account: catalog.users.get(account, {})},
        groups={account: catalog.groups.get(account, {})},
        policies={account: catalog.policies.get(account, Policy())},
    )


def _at_fault(error: Exception) -> bool:
    """Whether the command is at fault (a name too long for its column, a bug) and not the database."""
    if not isinstance(error, SQLAlchemyError | OSError):
        return True
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DataError | IntegrityError) or state[:2] in ("22", "23")
