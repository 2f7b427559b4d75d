"""The desk in memory: who is reachable, free, reserved or talking, in which order they stand, and who waits.

One engine process and the simulator use this one. It is synchronous and deterministic; answers go into the sink
it was made with. An agent is on at most one call: between the offer and the release nobody else is offered it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, assert_never

from flowengine.call import commands
from flowengine.call.commands import DeskCommand
from flowengine.call.events import Agent, AgentsOffered, Event, Instant, LineFull, LineJoined
from flowengine.routing.directory import Catalog
from flowengine.routing.strategies import Member, next_wave

Deliver = Callable[[str, Event], None]


@dataclass
class _Person:
    """One user of one account, as the desk knows them."""

    place: int = 0
    holder: str | None = None
    """The call this user is reserved for or talking in."""


@dataclass
class _Place:
    """A caller waiting in a line."""

    account: str
    call: str
    request: str
    kind: Literal["user", "group"]
    target: str


@dataclass
class MemoryDesk:
    """The Desk port over plain dictionaries.

    Args:
        deliver: takes the answers, as (call, event).
        catalog: who the users and groups are; replace it by `renew`.
        everyone_reachable: treat every endpoint as registered, for switches that do not tell.
    """

    deliver: Deliver
    catalog: Catalog
    everyone_reachable: bool = False
    _reachable: set[str] = field(default_factory=set)
    _people: dict[tuple[str, str], _Person] = field(default_factory=dict)
    _places: int = 0
    _waiting: list[_Place] = field(default_factory=list)

    def renew(self, catalog: Catalog) -> None:
        """Use a new catalogue from now on. Reservations and lines stay."""
        self.catalog = catalog

    def reachable(self, endpoint: str, is_reachable: bool, at: Instant) -> None:
        """A device registered or went out of reach. Coming online gives a user the last place in the line."""
        owners = [
            (account, user)
            for account, users in self.catalog.users.items()
            for user, entry in users.items()
            if endpoint in entry.endpoints
        ]
        were_online = {owner for owner in owners if self._online(*owner)}
        if is_reachable:
            self._reachable.add(endpoint)
        else:
            self._reachable.discard(endpoint)
        for owner in owners:
            if is_reachable and owner not in were_online:
                self._to_the_end(self._person(*owner))
        if owners:
            self._serve_lines(at)

    def is_reachable(self, endpoint: str) -> bool:
        """Whether this device can be rung now."""
        return self.everyone_reachable or endpoint in self._reachable

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        """Answer a question of a call, or take note of what it reports."""
        match command:
            case commands.OfferAgents():
                members = self._members(account, command.kind, command.target, call)
                wave = next_wave(members, command.ringing, command.tried)
                agents = tuple(self._reserve(account, user, call) for user in wave.users)
                self.deliver(call, AgentsOffered(at, command.request, agents, wave.busy, wave.unreachable))
            case commands.JoinLine():
                self._join(account, call, command, at)
            case commands.LeaveLine(request=request):
                self._waiting = [p for p in self._waiting if (p.call, p.request) != (call, request)]
            case commands.AgentTaken(user=user):
                self._to_the_end(self._person(account, user))
            case commands.AgentReleased(user=user):
                person = self._person(account, user)
                if person.holder == call:
                    person.holder = None
                    self._serve_lines(at)
            case _:
                assert_never(command)

    def call_ended(self, account: str, call: str, at: Instant) -> None:
        """Free everybody this call still holds, and its places in lines."""
        self._waiting = [place for place in self._waiting if place.call != call]
        for (of, _), person in self._people.items():
            if of == account and person.holder == call:
                person.holder = None
        self._serve_lines(at)

    @property
    def held(self) -> tuple[str, ...]:
        """Users reserved or talking, for tests and the live picture."""
        return tuple(user for (_, user), person in self._people.items() if person.holder)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Calls waiting in any line, first come first."""
        return tuple(place.call for place in self._waiting)

    def _person(self, account: str, user: str) -> _Person:
        person = self._people.get((account, user))
        if person is None:
            person = self._people[account, user] = _Person()
            self._to_the_end(person)
        return person

    def _to_the_end(self, person: _Person) -> None:
        self._places += 1
        person.place = self._places

    def _endpoints(self, account: str, user: str) -> tuple[str, ...]:
        entry = self.catalog.users.get(account, {}).get(user)
        if entry is None:
            return ()
        return tuple(endpoint for endpoint in entry.endpoints if self.is_reachable(endpoint))

    def _online(self, account: str, user: str) -> bool:
        return bool(self._endpoints(account, user))

    def _members(self, account: str, kind: Literal["user", "group"], target: str, call: str) -> list[Member]:
        """Whom `call` may be offered. Those it holds already count as free: a repeated question has one answer."""
        users = (target,) if kind == "user" else self.catalog.groups.get(account, {}).get(target, ())
        people = [(user, self._person(account, user)) for user in dict.fromkeys(users)]
        return [
            Member(user, person.place, person.holder in (None, call), self._online(account, user))
            for user, person in people
        ]

    def _reserve(self, account: str, user: str, call: str) -> Agent:
        self._person(account, user).holder = call
        return Agent(user, self._endpoints(account, user))

    def _join(self, account: str, call: str, command: commands.JoinLine, at: Instant) -> None:
        place = _Place(account, call, command.request, command.kind, command.target)
        line = [
            p for p in self._waiting if (p.account, p.kind, p.target) == (account, place.kind, place.target)
        ]
        if place not in line:
            if len(line) >= command.max_waiting:
                self.deliver(call, LineFull(at, command.request))
                return
            self._waiting.append(place)
            line.append(place)
        self.deliver(call, LineJoined(at, command.request, line.index(place) + 1))
        self._serve_lines(at)

    def _serve_lines(self, at: Instant) -> None:
        """Give the head of each line its turn, if somebody is free; tell it when nobody is in reach any more."""
        for place in list(self._waiting):
            members = self._members(place.account, place.kind, place.target, place.call)
            wave = next_wave(members, "sequential")
            if wave.users or not wave.busy:
                self._waiting.remove(place)
                agents = tuple(self._reserve(place.account, user, place.call) for user in wave.users)
                self.deliver(
                    place.call, AgentsOffered(at, place.request, agents, wave.busy, wave.unreachable)
                )
