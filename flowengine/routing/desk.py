"""The desk in memory: presence, reservations and waiting lines of one engine process, and of the simulator.

It is synchronous and deterministic. What it has to say goes into its outlets, which must not call back. An agent is
on at most one call: between the offer and the release nobody else is offered them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from flowengine.call import commands, events
from flowengine.call.causes import Outcome
from flowengine.call.commands import DeskCommand
from flowengine.call.events import SECOND, AgentsOffered, Event, Instant
from flowengine.routing import agents
from flowengine.routing.agents import Agent, Policy, Wish
from flowengine.routing.directory import Catalog, is_outside
from flowengine.routing.lines import HandlingTime, Left, LineVisit, Target, Waiting
from flowengine.routing.strategies import Member, Wave, next_wave

RESERVED_S: Final = 15.0
"""How long an offered agent stays reserved before the call rings them."""
RING_GRACE_S: Final = 15.0
"""How much longer than its ring time a ringing may last before the desk takes the agent back."""

Key = tuple[str, str]
"""An account and a user's name in it."""
Place = tuple[Target, str, str]
"""What names a place in a line: the line, the call and its request."""


@dataclass
class Outlets:
    """Where a desk says what it has to say."""

    deliver: Callable[[str, Event], None]
    """An event for a call."""
    wake_at: Callable[[Instant], None] = lambda _at: None
    """Asks for `tick` at an instant."""
    agent_changed: Callable[[str, str, Agent], None] = lambda _account, _user, _agent: None
    """The live picture: an agent of an account is another now."""
    line_changed: Callable[[Target, int], None] = lambda _target, _waiting: None
    """The live picture: so many wait in this line now."""
    line_left: Callable[[LineVisit], None] = lambda _visit: None
    """For reports."""


class MemoryDesk:
    """The Desk port over plain dictionaries.

    Args:
        outlets: where it speaks; a plain function serves as `deliver`.
        catalog: who the users and groups are; replace it by `renew`.
    """

    def __init__(self, outlets: Outlets | Callable[[str, Event], None], catalog: Catalog) -> None:
        self.outlets = outlets if isinstance(outlets, Outlets) else Outlets(outlets)
        self._devices: set[str] = set()
        """Endpoints in reach."""
        self._owners: dict[str, list[Key]] = {}
        self._agents: dict[Key, Agent] = {}
        self._waiting: dict[Place, Waiting] = {}
        """In the order of joining."""
        self._lengths: dict[Target, int] = {}
        """How many wait in each line where somebody does."""
        self._handling = HandlingTime()
        self._end_of_line = 0
        self.renew(catalog, 0)

    # What people and devices do

    def renew(self, catalog: Catalog, at: Instant) -> None:
        """Use a new catalogue from now on. Reservations and lines stay; callers waiting for nobody are told."""
        self.catalog = catalog
        self._owners = {}
        for account, users in catalog.users.items():
            for user, entry in users.items():
                for endpoint in entry.endpoints:
                    self._owners.setdefault(endpoint, []).append((account, user))
        gone = [key for key in self._agents if not self._endpoints(key)]
        self._look_at(dict.fromkeys([*(key for keys in self._owners.values() for key in keys), *gone]), at)

    def reachable(self, endpoint: str, is_reachable: bool, at: Instant) -> None:
        """A device registered or went out of reach."""
        if is_reachable:
            self._devices.add(endpoint)
        else:
            self._devices.discard(endpoint)
        self._look_at(self._owners.get(endpoint, ()), at)

    def wish(self, account: str, user: str, wish: Wish, at: Instant) -> Agent:
        """A user signs in or resumes ("work"), pauses ("pause") or signs out ("leave").

        Raises:
            KeyError: the account has no such user.
        """
        if user not in self.catalog.users.get(account, {}):
            raise KeyError(user)
        key = (account, user)
        self._put(key, agents.presence(self._agent(key), at, self._next_place(), wish=wish))
        if wish == "work" and self._agents[key].state == "wrap_up":
            self._move(key, "wrapped_up", at)
        self._serve_lines(at)
        return self._agents[key]

    def tick(self, at: Instant) -> None:
        """Take back whoever's lease has run out: reservations that came to nothing, wrap-ups that are over."""
        overdue = [key for key, agent in self._agents.items() if agents.overdue(agent, at)]
        for key in overdue:
            self._move(key, "lease_ran_out", at)
        if overdue:
            self._serve_lines(at)

    # What calls do

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        """Answer a question of a call, or take note of what it reports."""
        _PERFORM[type(command)](self, account, call, command, at)

    def call_ended(self, account: str, call: str, at: Instant) -> None:
        """Free everybody this call still holds, and its places in lines."""
        for waiting in [w for w in self._waiting.values() if w.call == call]:
            self._leave(waiting, "abandoned", at)
        for key in [key for key, agent in self._agents.items() if key[0] == account and agent.call == call]:
            self._let_go(call, key, "cancelled", at)
        self._serve_lines(at)

    @property
    def next_due(self) -> Instant | None:
        """When `tick` will next have something to do, as things are."""
        return min((agent.lease for agent in self._agents.values() if agent.lease), default=None)

    # For tests and the live picture

    def is_reachable(self, endpoint: str) -> bool:
        """Whether this device can be rung now. An outside number always can: signing out is what stops it."""
        return endpoint in self._devices or is_outside(endpoint)

    def agent(self, account: str, user: str) -> Agent:
        """A user as the desk sees them."""
        return self._agent((account, user))

    @property
    def held(self) -> tuple[str, ...]:
        """Users reserved, ringing or talking."""
        return tuple(user for (_, user), agent in self._agents.items() if agent.call)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Calls waiting in any line, first come first."""
        return tuple(waiting.call for waiting in self._waiting.values())

    # What a call says, by kind

    def _asked(self, account: str, call: str, command: commands.OfferAgents, at: Instant) -> None:
        target = Target(account, command.kind, command.target)
        wave = next_wave(self._members(target, call), command.ringing, command.tried)
        self._offer(call, command.request, target, wave, at)

    def _left(self, account: str, call: str, command: commands.LeaveLine, at: Instant) -> None:
        del account
        for waiting in [w for w in self._waiting.values() if (w.call, w.request) == (call, command.request)]:
            self._leave(waiting, command.reason, at)
        self._tell_positions(at)

    def _rung(self, account: str, call: str, command: commands.AgentRings, at: Instant) -> None:
        lease = at + int((command.within_s + RING_GRACE_S) * SECOND)
        self._move_of(call, (account, command.user), "ring", at, lease=lease)

    def _taken(self, account: str, call: str, command: commands.AgentTaken, at: Instant) -> None:
        self._move_of(call, (account, command.user), "answer", at, lease=0)

    def _released(self, account: str, call: str, command: commands.AgentReleased, at: Instant) -> None:
        if self._let_go(call, (account, command.user), command.outcome, at):
            self._serve_lines(at)

    # Agents

    def _agent(self, key: Key) -> Agent:
        return self._agents.get(key) or Agent()

    def _put(self, key: Key, agent: Agent) -> None:
        before = self._agents.get(key)
        self._agents[key] = agent
        if agent.lease and (before is None or agent.lease != before.lease):
            self.outlets.wake_at(agent.lease)
        if before is None or (agent.state, agent.wish) != (before.state, before.wish):
            self.outlets.agent_changed(*key, agent)

    def _next_place(self) -> int:
        self._end_of_line += 1
        return self._end_of_line

    def _endpoints(self, key: Key) -> tuple[str, ...]:
        entry = self.catalog.users.get(key[0], {}).get(key[1])
        return () if entry is None else tuple(filter(self.is_reachable, entry.endpoints))

    def _look_at(self, keys: Iterable[Key], at: Instant) -> None:
        """Take note of devices in reach, and serve whoever waited for them."""
        changed = False
        for key in keys:
            agent, in_reach = self._agent(key), bool(self._endpoints(key))
            if agent.in_reach != in_reach or key not in self._agents:
                self._put(key, agents.presence(agent, at, self._next_place(), in_reach=in_reach))
                changed = True
        if changed or self._waiting:
            self._serve_lines(at)

    def _move(self, key: Key, move: agents.Move, at: Instant, **facts: object) -> None:
        """Make a move that may have become impossible meanwhile; then nothing happens."""
        try:
            self._put(key, agents.moved(self._agent(key), move, at, end_of_line=self._next_place(), **facts))
        except agents.Illegal:
            return

    def _move_of(self, call: str, key: Key, move: agents.Move, at: Instant, *, lease: Instant) -> None:
        if self._agent(key).call == call:
            self._move(key, move, at, lease=lease)

    def _let_go(self, call: str, key: Key, outcome: Outcome, at: Instant) -> bool:
        """The call is done with this agent; False when it did not have them any more."""
        agent = self._agent(key)
        if agent.call != call:
            return False
        policy = self.catalog.policies.get(key[0], Policy())
        self._put(key, agents.released(agent, at, outcome, policy, end_of_line=self._next_place()))
        if agent.state == "talking" and agent.working_for is not None:
            self._handling.learn(agent.working_for, (at - agent.since) / SECOND + policy.wrap_up_s)
        return True

    def _members(self, target: Target, call: str) -> list[Member]:
        """Whom `call` may be offered. Those it holds already count as free: a repeated question has one answer."""
        if target.kind == "user":
            users: tuple[str, ...] = (target.name,)
        else:
            users = self.catalog.groups.get(target.account, {}).get(target.name, ())
        return [self._member(target.account, user, call) for user in dict.fromkeys(users)]

    def _member(self, account: str, user: str, call: str) -> Member:
        agent = self._agent((account, user))
        mine = bool(agent.call) and agent.call == call
        return Member(user, agent.place, free=mine or agent.state == "available", reachable=agent.online)

    def _offer(self, call: str, request: str, target: Target, wave: Wave, at: Instant) -> None:
        offered = []
        for user in wave.users:
            key = (target.account, user)
            if self._agent(key).call != call:
                lease = at + int(RESERVED_S * SECOND)
                self._move(key, "reserve", at, call=call, lease=lease, working_for=target)
            offered.append(events.Agent(user, self._endpoints(key)))
        self.outlets.deliver(call, AgentsOffered(at, request, tuple(offered), wave.busy, wave.unreachable))

    # Lines

    def _join(self, account: str, call: str, command: commands.JoinLine, at: Instant) -> None:
        target = Target(account, command.kind, command.target)
        known = self._waiting.get((target, call, command.request))
        if known is None:
            length = self._lengths.get(target, 0)
            if length >= command.max_waiting:
                self.outlets.deliver(call, events.LineFull(at, command.request))
                self.outlets.line_left(LineVisit(target, call, at, at, "full"))
                return
            known = Waiting(target, call, command.request, at, length + 1)
            self._line_up(known)
            self.outlets.line_changed(target, length + 1)
        position = known.told
        joined = events.LineJoined(at, command.request, position, self._wait_s(target, position))
        self.outlets.deliver(call, joined)
        if self._serve(known, at):  # for all the others nothing has changed
            self._tell_positions(at)

    def _line_up(self, waiting: Waiting) -> None:
        self._waiting[waiting.target, waiting.call, waiting.request] = waiting
        self._lengths[waiting.target] = self._lengths.get(waiting.target, 0) + 1

    def _step_out(self, waiting: Waiting) -> None:
        del self._waiting[waiting.target, waiting.call, waiting.request]
        self._lengths[waiting.target] -= 1
        if not self._lengths[waiting.target]:
            del self._lengths[waiting.target]

    def _leave(self, waiting: Waiting, left: Left, at: Instant) -> None:
        self._step_out(waiting)
        self.outlets.line_left(LineVisit(waiting.target, waiting.call, waiting.since, at, left))
        self.outlets.line_changed(waiting.target, self._lengths.get(waiting.target, 0))

    def _serve_lines(self, at: Instant) -> None:
        """Give each who waits their turn, if somebody is free; tell them when nobody is in reach any more.

        Where one finds nobody free, those behind need not look, unless they hold somebody themselves.
        """
        if not self._waiting:
            return
        holding = {agent.call for agent in self._agents.values() if agent.call}
        in_vain: set[Target] = set()
        for waiting in list(self._waiting.values()):
            if waiting.target in in_vain and waiting.call not in holding:
                continue
            if self._serve(waiting, at):
                holding.add(waiting.call)
            elif waiting.call not in holding:
                in_vain.add(waiting.target)
        self._tell_positions(at)

    def _serve(self, waiting: Waiting, at: Instant) -> bool:
        """Offer whoever is free, or nobody when nobody is in reach; False when they have to wait on."""
        wave = next_wave(self._members(waiting.target, waiting.call), "sequential")
        if wave.busy and not wave.users:
            return False
        self._leave(waiting, "answered" if wave.users else "no_agents", at)
        self._offer(waiting.call, waiting.request, waiting.target, wave, at)
        return True

    def _tell_positions(self, at: Instant) -> None:
        """Tell everybody whose place in their line is another one now."""
        ahead: dict[Target, int] = {}
        there: dict[Target, int] = {}
        for place, waiting in self._waiting.items():
            target = waiting.target
            position = ahead[target] = ahead.get(target, 0) + 1
            if position != waiting.told:
                self._waiting[place] = waiting._replace(told=position)
                if target not in there:
                    there[target] = self._there(target)
                wait_s = self._handling.wait_s(target, position, there[target])
                self.outlets.deliver(waiting.call, events.LineMoved(at, waiting.request, position, wait_s))

    def _wait_s(self, target: Target, position: int) -> float | None:
        return self._handling.wait_s(target, position, self._there(target))

    def _there(self, target: Target) -> int:
        return sum(member.reachable for member in self._members(target, ""))


_PERFORM: Final[dict[type, Callable[[MemoryDesk, str, str, Any, Instant], None]]] = {
    commands.OfferAgents: MemoryDesk._asked,
    commands.JoinLine: MemoryDesk._join,
    commands.LeaveLine: MemoryDesk._left,
    commands.AgentRings: MemoryDesk._rung,
    commands.AgentTaken: MemoryDesk._taken,
    commands.AgentReleased: MemoryDesk._released,
}
"""By type, which is faster than a `match`."""
assert set(_PERFORM) == set(DeskCommand.__args__)
