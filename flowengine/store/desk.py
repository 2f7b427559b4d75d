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

**What a crash leaves.** A reservation has a lease, and every engine watches all leases. A talk has none: its call is
resumed by its engine, or its record is closed, and then any engine lets go of whom it held.

**When the database fails.** Commands stay queued in their order and are tried again; a question is answered with an
offer of nobody after `ANSWER_S`, and asked no more.
"""

from contextlib import suppress
from types import TracebackType
from typing import Self

from flowengine.call import commands
from flowengine.call.commands import DeskCommand
from flowengine.call.events import Instant
from flowengine.clock import SystemClock
from flowengine.routing import agents
from flowengine.routing.agents import Agent, Policy, Wish
from flowengine.routing.desk import Outlets
from flowengine.routing.directory import Catalog
from flowengine.store.database import Database
from flowengine.store.desk_account import AccountDesk
from flowengine.store.desk_worker import DeskWorker


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
        self._devices: dict[str, None] = {}
        """Endpoints our own switch has in reach, in the order in which they came."""
        self._owners: dict[str, list[str]] = {}
        """The accounts of an endpoint."""
        self._worker = DeskWorker(database, outlets, owner, self._prepare)
        self.renew(catalog, SystemClock().now())

    async def __aenter__(self) -> Self:
        self._worker.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._worker.close()

    def look(self) -> None:
        """Look for news of other engines soon, and not only when the time for it has come."""
        self._worker.look()

    async def settled(self) -> None:
        """Wait until everything asked for so far is done, and said."""
        await self._worker.settled()

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
                self._worker.put(account, at, lambda desk: self._renew(desk, catalog, at))

    def reachable(self, endpoint: str, is_reachable: bool, at: Instant) -> None:
        """A device registered at this engine's switch, or went out of its reach."""
        if is_reachable:
            self._devices[endpoint] = None
        else:
            self._devices.pop(endpoint, None)
        for account in dict.fromkeys(self._owners.get(endpoint, ())):
            self._worker.put(account, at, lambda desk: desk.heard(endpoint, is_reachable, at))

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

        self._worker.put(account, at, act)
        known = self.agent(account, user)
        return agents.presence(known, at, known.place, wish=wish)

    def tick(self, at: Instant) -> None:
        """Take back whoever's lease has run out: reservations that came to nothing, wrap-ups that are over."""
        for account in self._worker.desks:
            if self._worker.has_overdue(account, at):
                self._worker.put(account, at, lambda desk: desk.tick(at))

    # What calls do

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        """Take a question or a report of a call. The answer comes after the commit."""
        question = None
        if isinstance(command, commands.OfferAgents | commands.JoinLine):
            question = (call, command.request)
        self._worker.put(account, at, lambda desk: desk.perform(account, call, command, at), question)

    def call_ended(self, account: str, call: str, at: Instant) -> None:
        """Free everybody this call still holds, and its places in lines."""
        self._worker.put(account, at, lambda desk: desk.call_ended(account, call, at))

    # For tests and the live picture: what this process knows, at most half a second old

    def is_reachable(self, endpoint: str) -> bool:
        """Whether this device can be rung now, from any engine."""
        return any(desk.is_reachable(endpoint) for desk in self._worker.desks.values())

    def agent(self, account: str, user: str) -> Agent:
        """A user as the desk sees them."""
        desk = self._worker.desks.get(account)
        return Agent() if desk is None else desk.agent(account, user)

    @property
    def held(self) -> tuple[str, ...]:
        """Users reserved, ringing or talking."""
        return tuple(user for desk in self._worker.desks.values() for user in desk.held)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Calls waiting in any line, first come first in each account."""
        return tuple(call for desk in self._worker.desks.values() for call in desk.waiting)

    def _prepare(self, desk: AccountDesk, at: Instant) -> None:
        self._renew(desk, self.catalog, at)

    def _renew(self, desk: AccountDesk, catalog: Catalog, at: Instant) -> None:
        part = _of(catalog, desk.account)
        desk.renew(part, at)
        wanted = {each for user in part.users[desk.account].values() for each in user.endpoints}
        if not wanted.isdisjoint(self._devices):
            for endpoint in [each for each in self._devices if each in wanted]:
                desk.heard(endpoint, True, at)


def _of(catalog: Catalog, account: str) -> Catalog:
    """The part of a catalogue that the desk of an account needs."""
    return Catalog(
        users={account: catalog.users.get(account, {})},
        groups={account: catalog.groups.get(account, {})},
        policies={account: catalog.policies.get(account, Policy())},
    )
