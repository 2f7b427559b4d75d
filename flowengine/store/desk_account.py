"""The desk of one account as one process knows it: the desk in memory, and what of it is not stored yet.

All rules are those of `MemoryDesk`. This adds the other engines: their changes come in (`catch_up`), ours go out
(`changes`), and what is to be said is kept (`said`) until it is committed. A call is told things by its own engine:
positions by each engine for itself, when it catches up; a turn through the outbox.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import takewhile

from flowengine.call.commands import DeskCommand
from flowengine.call.events import AgentsOffered, Event, Instant
from flowengine.routing import agents
from flowengine.routing.agents import Agent
from flowengine.routing.desk import Key, MemoryDesk, Outlets, Place
from flowengine.routing.directory import Catalog
from flowengine.routing.lines import Left, LineVisit, Target, Waiting
from flowengine.store.desk_outbox import Turn
from flowengine.store.desk_rows import Changes, DeviceNews, Head, News, Visit


class AccountDesk(MemoryDesk):
    """The desk of `account` in the engine `owner`, which speaks to `outlets` once its changes are stored.

    Attributes:
        version: the version of the stored desk that this one is; -1 while it has never been read.
        said: what to tell the outlets after the commit, in order.
    """

    def __init__(self, account: str, owner: str, outlets: Outlets) -> None:
        self.account = account
        self.owner = owner
        self.version = -1
        self.said: list[Callable[[], None]] = []
        self._speaks_to = outlets
        self._visits = 0
        self._stored: dict[Place, Visit] = {}
        """Those who wait, as they are stored."""
        self._elsewhere: dict[str, str] = {}
        """The engines of waiting calls that are not ours."""
        self._heard: dict[str, set[str]] = {}
        """By endpoint, the engines whose switches have it in reach."""
        self._new_agents: set[str] = set()
        self._new_devices: dict[str, tuple[bool, Instant]] = {}
        self._new_visits: list[LineVisit] = []
        self._gone: list[tuple[Waiting, Visit | None, Left, Instant]] = []
        """Who left, and how they were stored, if they were."""
        self._turns: list[Turn] = []
        super().__init__(
            Outlets(
                self._hold,
                lambda at: self._later(partial(outlets.wake_at, at)),
                lambda account, user, agent: self._later(
                    partial(outlets.agent_changed, account, user, agent)
                ),
                lambda target, waiting: self._later(partial(outlets.line_changed, target, waiting)),
                self._visited,
            ),
            Catalog(),
        )

    @property
    def is_stored(self) -> bool:
        """Whether this desk was read from the database, and its changes belong there."""
        return self.version >= 0

    def has_overdue(self, at: Instant) -> bool:
        """Whether a lease has run out."""
        return any(agents.overdue(agent, at) for agent in self._agents.values())

    def heard(self, endpoint: str, in_reach: bool, at: Instant) -> None:
        """Our own switch has this device in reach, or not any more; other engines may still have it."""
        if (self.owner in self._heard.get(endpoint, ())) != in_reach:
            self._hear(DeviceNews(endpoint, self.owner, in_reach))
            self._new_devices[endpoint] = (in_reach, at)
        self.reachable(endpoint, bool(self._heard.get(endpoint)), at)

    def catch_up(self, news: News, at: Instant) -> None:
        """Take over what is stored and newer; our callers hear of their new positions."""
        for user, agent in news.agents:
            before = self._agents.get((self.account, user))
            self._agents[self.account, user] = agent
            if agent.lease and (before is None or agent.lease != before.lease):
                self.outlets.wake_at(agent.lease)
            if before is None or (agent.state, agent.wish) != (before.state, before.wish):
                self.outlets.agent_changed(self.account, user, agent)
        for each in news.devices:
            self._hear(each)
            (self._devices.add if self._heard[each.endpoint] else self._devices.discard)(each.endpoint)
        self._catch_up_with_lines(news.visits, at)
        self.version, self._end_of_line, self._visits = news.head

    def changes(self) -> Changes | None:
        """Give what is to be stored with the next version; None when nothing changed."""
        joined = [self._numbered(waiting) for waiting in self._joined()]
        left: list[Visit] = []
        for waiting, stored, by, at in self._gone:
            over = (stored or self._numbered(waiting))._replace(left_at=at, left_by=by)
            (left if stored else joined).append(over)
        for full in self._new_visits:
            waiting = Waiting(full.target, full.call, "", full.joined_at)
            joined.append(self._numbered(waiting)._replace(left_at=full.left_at, left_by=full.left))
        if not (self._new_agents or self._new_devices or joined or left):
            return None
        return Changes(
            Head(self.version + 1, self._end_of_line, self._visits),
            {user: self._agents[self.account, user] for user in self._new_agents},
            dict(self._new_devices),
            joined,
            left,
            list(self._turns),
        )

    def stored(self, changes: Changes) -> None:
        """These changes are committed."""
        self.version = changes.head.version
        self._stored.update((_place(visit), visit) for visit in changes.joined if visit.left_by is None)
        for visit in changes.left:
            self._elsewhere.pop(visit.call, None)
        self._new_agents.clear()
        self._new_devices.clear()
        self._new_visits.clear()
        self._gone.clear()
        self._turns.clear()

    def speak(self) -> list[Callable[[], None]]:
        """Take what is to be said."""
        said, self.said = self.said, []
        return said

    # What the desk in memory does, and we take note of

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        """As any desk does; and a call that speaks here is a call of this engine."""
        self._elsewhere.pop(call, None)
        super().perform(account, call, command, at)

    def _put(self, key: Key, agent: Agent) -> None:
        if self._agents.get(key) != agent:
            self._new_agents.add(key[1])
        super()._put(key, agent)

    def _leave(self, waiting: Waiting, left: Left, at: Instant) -> None:
        self._gone.append((waiting, self._stored.pop(_place(waiting), None), left, at))
        super()._leave(waiting, left, at)

    def _visited(self, visit: LineVisit) -> None:
        if visit.left == "full":
            self._new_visits.append(visit)
        self._later(partial(self._speaks_to.line_left, visit))

    def _hold(self, call: str, event: Event) -> None:
        """Keep an event until it is committed; one for a call of another engine goes there."""
        owner = self._elsewhere.get(call, self.owner)
        if owner == self.owner:
            self._later(partial(self._speaks_to.deliver, call, event))
        elif isinstance(event, AgentsOffered):
            self._turns.append(Turn(owner, call, event.request, event))

    def _later(self, speak: Callable[[], None]) -> None:
        self.said.append(speak)

    # Between memory and rows

    def _hear(self, news: DeviceNews) -> None:
        engines = self._heard.setdefault(news.endpoint, set())
        (engines.add if news.in_reach else engines.discard)(news.owner)

    def _catch_up_with_lines(self, visits: Iterable[Visit], at: Instant) -> None:
        lines: dict[Target, None] = {}
        for visit in visits:
            place = _place(visit)
            if visit.left_by is None:
                self._stored[place] = visit
                self._line_up(Waiting(visit.target, visit.call, visit.request, visit.joined_at))
                if visit.owner != self.owner:
                    self._elsewhere[visit.call] = visit.owner
            elif place in self._stored and self._stored[place].seq == visit.seq:
                del self._stored[place]
                self._step_out(self._waiting[place])
                self._elsewhere.pop(visit.call, None)
            lines[visit.target] = None
        for target in lines:
            self.outlets.line_changed(target, self._lengths.get(target, 0))
        if lines:
            self._tell_positions(at)

    def _joined(self) -> list[Waiting]:
        """Who waits and is not stored: the last of all, for everybody joins at the end."""
        new = list(
            takewhile(lambda waiting: _place(waiting) not in self._stored, reversed(self._waiting.values()))
        )
        return new[::-1]

    def _numbered(self, waiting: Waiting) -> Visit:
        self._visits += 1
        return Visit(self._visits, waiting.target, waiting.call, waiting.request, self.owner, waiting.since)


def _place(of: Waiting | Visit) -> Place:
    return of.target, of.call, of.request
