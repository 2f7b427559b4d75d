"""The live picture of one engine: its calls, agents and waiting lines now, and every change as it happens.

The picture is told by the engine (every step of every call) and by the desk (its outlets). It asks nobody back, waits
for nothing and raises nothing into them: a fault in here is logged, and calls go on.
"""

import functools
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec

import structlog

from flowengine.call.commands import Command, JoinLine
from flowengine.call.events import Event, Instant, LineJoined, LineMoved, PauseAsked
from flowengine.call.machine import CallMachine
from flowengine.call.record import Disposition
from flowengine.live.changes import HELD, Bus, Subscription
from flowengine.live.views import (
    About,
    AgentGone,
    AgentView,
    CallOver,
    CallView,
    LineView,
    Place,
    Reason,
    Snapshot,
    Totals,
)
from flowengine.routing.agents import Agent
from flowengine.routing.directory import Catalog, PublishedFlow
from flowengine.routing.lines import Left, LineVisit, Target

log = structlog.get_logger(__name__)

P = ParamSpec("P")


def _harmless(method: Callable[P, None]) -> Callable[P, None]:
    """A picture that fails must not touch a call."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            log.exception("the live picture failed")

    return guarded


class _Line:
    """A waiting line while the engine runs."""

    def __init__(self) -> None:
        self.waiting = 0
        """How many wait, as the desk says; there may be calls of other engines among them."""
        self.joined: dict[str, Instant] = {}
        """Our calls in it, first come first, and when they joined."""
        self.left: Counter[Left] = Counter()


class LivePicture:
    """What goes on now. Every method returns at once.

    Args:
        now: the clock of the engine.
        published: the flow a running call runs, by call id.
    """

    def __init__(self, now: Callable[[], Instant], published: Callable[[str], PublishedFlow | None]) -> None:
        self._now = now
        self._published = published
        self._bus = Bus()
        self._started_at = now()
        self._calls: dict[str, CallView] = {}
        self._agents: dict[tuple[str, str], AgentView] = {}
        self._known: set[tuple[str, str]] = set()
        """Users of the catalogue."""
        self._missed: set[tuple[str, str]] = set()
        """Users paused for not answering, until they wish for something else."""
        self._lines: dict[Target, _Line] = {}
        self._asked: dict[str, JoinLine] = {}
        """What calls have asked a place in a line for, or have it."""
        self._taken = 0
        self._over: Counter[Disposition] = Counter()
        self._refused: Counter[str] = Counter()

    # Whoever looks

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        return Snapshot(
            at=self._now(),
            seq=self._bus.seq,
            started_at=self._started_at,
            calls=tuple(self._calls.values()),
            agents=tuple(self._agents[key] for key in sorted(self._agents)),
            lines=tuple(self._line(target) for target in sorted(self._lines)),
            totals=self._totals(),
        )

    def subscribe(self, held: int = HELD) -> Subscription:
        """Every change from now on; a snapshot taken before the next `await` is what they start from."""
        return self._bus.subscribe(held)

    @property
    def subscribers(self) -> int:
        """How many take part."""
        return len(self._bus)

    def agent(self, account: str, user: str) -> AgentView | None:
        """A user of the catalogue, or one who still works."""
        return self._agents.get((account, user))

    # What the engine tells

    @_harmless
    def watch(self, call: str, machine: CallMachine, event: Event, said: list[Command]) -> None:
        """A step of a call."""
        known = self._calls.get(call)
        if machine.done:
            if known is not None:
                self._gone(call, machine.record().disposition)
            return
        view = known or self._began(call, machine)
        if view is None:
            return
        it, visit = machine.call, machine.visits[-1] if machine.visits else None
        talks = bool(it.talked_to) and any(thing.startswith("bridge-") for thing in it.open_things)
        since = visit.entered_at if visit else view.began_at
        paused = view.paused and view.since == since  # a pause ends with the state
        shown = CallView(
            call=view.call,
            account=view.account,
            flow=view.flow,
            flow_name=view.flow_name,
            number=view.number,
            caller=view.caller,
            began_at=view.began_at,
            answered_at=it.answered_at,
            state=visit.state if visit else "",
            kind=visit.kind if visit else "",
            since=since,
            talking_to=it.talked_to[-1] if talks else "",
            place=self._place(view, event, said, it.open_things),
            paused=event.paused if isinstance(event, PauseAsked) else paused,
        )
        if shown != known:
            self._calls[call] = shown
            self._tell(shown)

    @_harmless
    def call_over(self, call: str) -> None:
        """Nothing of this call is left. One that was not seen to end has failed."""
        if call in self._calls:
            self._gone(call, "failed")

    @_harmless
    def refused(self, reason: str) -> None:
        """A call was not taken."""
        self._refused[reason] += 1
        self._tell(self._totals())

    @_harmless
    def renewed(self, catalog: Catalog) -> None:
        """These are the users from now on; tell it before the desk is told."""
        self._known = {(account, user) for account, users in catalog.users.items() for user in users}
        for key in sorted(self._known - self._agents.keys()):
            self._show(AgentView(*key, since=self._now()))
        for key in [key for key, view in self._agents.items() if view.state == "offline"]:
            self._forget_stranger(key)

    # What the desk tells

    @_harmless
    def agent_changed(self, account: str, user: str, agent: Agent) -> None:
        """An agent is another now. Told twice, nothing happens the second time."""
        key = (account, user)
        before = self._agents.get(key)
        self._note_misses(key, before, agent)
        reason = self._reason(key, agent)
        view = AgentView(
            *key, agent.state, agent.since, agent.wish, reason, agent.call, agent.place, agent.misses
        )
        if view != before:
            self._show(view)
        if view.state == "offline":
            self._forget_stranger(key)

    @_harmless
    def line_changed(self, target: Target, waiting: int) -> None:
        """So many wait in this line now."""
        line = self._lines.setdefault(target, _Line())
        line.waiting = waiting
        self._tell(self._line(target))

    @_harmless
    def line_left(self, visit: LineVisit) -> None:
        """A caller is not in this line any more, or found it full."""
        line = self._lines.setdefault(visit.target, _Line())
        line.left[visit.left] += 1
        self._tell(self._line(visit.target))

    # Within

    def _tell(self, about: About) -> None:
        self._bus.tell(self._now(), about)

    def _began(self, call: str, machine: CallMachine) -> CallView | None:
        arrived, published = machine.arrived, self._published(call)
        if arrived is None or published is None:
            return None
        self._taken += 1
        self._tell(self._totals())
        return CallView(
            call=call,
            account=published.account,
            flow=published.id,
            flow_name=machine.flow.name,
            number=arrived.number,
            caller=arrived.caller,
            began_at=arrived.at,
        )

    def _gone(self, call: str, disposition: Disposition) -> None:
        view = self._calls.pop(call)
        self._asked.pop(call, None)
        self._note_joined(view, None)
        self._over[disposition] += 1
        self._tell(CallOver(call, disposition))
        self._tell(self._totals())

    def _place(
        self, view: CallView, event: Event, said: list[Command], open_things: tuple[str, ...]
    ) -> Place | None:
        """The place in line after a step: from the desk's answer on, for as long as the call holds its request."""
        place = view.place
        for command in said:
            if type(command) is JoinLine:
                self._asked[view.call], place = command, None
        asked = self._asked.get(view.call)
        if asked is None:
            return None
        if asked.request not in open_things:
            del self._asked[view.call]
            place = None
        elif isinstance(event, LineJoined | LineMoved) and event.request == asked.request:
            since = place.since if place else event.at
            place = Place(asked.kind, asked.target, since, event.position, event.wait_s)
        if (place is None) != (view.place is None):
            self._note_joined(view, place)
        return place

    def _note_joined(self, view: CallView, place: Place | None) -> None:
        """A call of ours has come into a line, or is not in its line any more."""
        if (where := place or view.place) is not None:
            target = Target(view.account, where.kind, where.name)
            line = self._lines.setdefault(target, _Line())
            if place is None:
                line.joined.pop(view.call, None)
            else:
                line.joined[view.call] = place.since
            self._tell(self._line(target))

    def _note_misses(self, key: tuple[str, str], before: AgentView | None, agent: Agent) -> None:
        """A pause that comes with a miss, and that nobody wished for, is the account's rule."""
        if agent.wish != "pause":
            self._missed.discard(key)
            return
        if before is not None and before.wish == "work" and agent.misses > before.misses:
            self._missed.add(key)
            log.info("agent paused for not answering", account=key[0], user=key[1], misses=agent.misses)

    def _reason(self, key: tuple[str, str], agent: Agent) -> Reason:
        match agent.state:
            case "offline":
                return "signed_out" if agent.wish == "leave" else "out_of_reach"
            case "paused":
                return "missed" if key in self._missed else "by_hand"
            case _:
                return ""

    def _show(self, view: AgentView) -> None:
        self._agents[view.account, view.user] = view
        self._tell(view)

    def _forget_stranger(self, key: tuple[str, str]) -> None:
        """Who is not in the catalogue is shown as long as they work, and not longer."""
        if key not in self._known:
            del self._agents[key]
            self._missed.discard(key)
            self._tell(AgentGone(*key))

    def _line(self, target: Target) -> LineView:
        line = self._lines[target]
        first = next(iter(line.joined.values()), None) if line.waiting else None
        return LineView(*target, line.waiting, first, dict(line.left))

    def _totals(self) -> Totals:
        return Totals(self._taken, dict(self._over), dict(self._refused))
