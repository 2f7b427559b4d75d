"""A run of a whole centre: many callers, many agents, the real machine, desk and states, in virtual time.

Nothing of the engine is imitated here. Callers and agents are telephones that follow distributions; each replication
of a plan is a world of its own with its own luck, and the same seed gives the same result, to the byte.
"""

from collections.abc import Iterator
from typing import Final

from flowengine.call.events import SECOND
from flowengine.flow.document import Flow, GroupTransfer, WaitingLine
from flowengine.routing import agents
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.routing.lines import Target
from simulator.centre_plan import CentrePlan
from simulator.centre_result import CallSeen, CentreResult, End, Run, TimeByState
from simulator.chance import Source, stream
from simulator.people import Agent, Customer, Shift
from simulator.phones import Answered, Press, Step, seconds
from simulator.run import Simulation
from simulator.sounds import Sounds
from simulator.traffic import DAY_S, Mix
from simulator.world import MONDAY_MORNING, World

ACCOUNT: Final = "simulated"
MIDNIGHT: Final = MONDAY_MORNING - 9 * 3_600 * SECOND
LONGEST_DRAIN_US: Final = 30 * DAY_S * SECOND
"""How long calls may go on after the last has come; whatever still runs then is left over."""
SETTLE_US: Final = 60 * SECOND
"""The engine's time to tidy up after the last call."""
LINE_MUSIC_S: Final = 10 * 366.0 * DAY_S


def straight_to(group: str) -> Flow:
    """A flow that puts callers into the line of a group and keeps them there: longer than any run."""
    line = WaitingLine(max_waiting=1_000)
    return Flow(
        format="flowengine/1",
        name=f"Straight to {group}",
        start="line",
        states={"line": GroupTransfer(group=group, ringing="sequential", ring_timeout_s=300, queue=line)},
    )


def run_centre(plan: CentrePlan, flow: Flow | None = None) -> CentreResult:
    """Run every replication of a plan.

    Args:
        plan: one without contradictions (see `simulator.centre_file`).
        flow: a publishable flow; None puts callers straight into the line of the plan's first group.
    """
    return CentreResult(plan, tuple(run_once(plan, flow, number) for number in range(plan.replications)))


def run_once(plan: CentrePlan, flow: Flow | None = None, replication: int = 0) -> Run:
    """Run one replication. It depends on the plan, its seed and this number, and on nothing else."""
    return _Centre(plan, flow, replication).run()


class _Kind:
    """A kind of call, ready to be made."""

    def __init__(self, plan: CentrePlan, name: str, replication: int) -> None:
        kind = plan.calls[name]
        self.name = name
        self.number = kind.number
        self.script: tuple[Step, ...] = (Answered(), Press(kind.keys)) if kind.keys else ()
        self.patience = kind.patience.source(stream(plan.seed, replication, f"patience of {name}"))
        self.talk: Source | None = None
        if kind.talk is not None:
            self.talk = kind.talk.source(stream(plan.seed, replication, f"talk of {name}"))


class _Centre:
    """One replication."""

    def __init__(self, plan: CentrePlan, flow: Flow | None, replication: int) -> None:
        lengths_s = dict(plan.sounds.lengths_s)
        if flow is None:
            flow = straight_to(next(iter(plan.groups)))
            lengths_s["builtin:hold-music"] = LINE_MUSIC_S
        self.end = MIDNIGHT + seconds(plan.days * DAY_S)
        self.world = World(
            Sounds(lengths_s, plan.sounds.missing),
            latency_us=seconds(plan.switch_delay_s),
            key_us=0,
            start=MIDNIGHT,
            seed=plan.seed,
        )
        self.customers: dict[str, Customer] = {}
        self.seen: list[CallSeen] = []
        self._arrivals = plan.arrivals.instants(stream(plan.seed, replication, "arrivals"))
        kinds = [(_Kind(plan, name, replication), kind.share) for name, kind in plan.calls.items()]
        self._kinds = Mix(kinds).source(stream(plan.seed, replication, "kinds"))
        self._kind_of: dict[Customer, _Kind] = {}
        self._calls = 0
        self._staff(plan, replication)
        self.simulation = Simulation(_catalog(plan, flow), self.world, journaling=False, on_done=_forget)
        self._watch = _Watch(self.simulation, list(plan.users), MIDNIGHT + seconds(plan.warm_up_s), self.end)

    def run(self) -> Run:
        """Let the days pass, then wait until everybody has hung up."""
        world = self.world
        self._plan_next()
        world.run(until=self.end)
        busy = self._watch.result()
        while self.customers and (due := world.next_due) is not None and due < self.end + LONGEST_DRAIN_US:
            world.run(until=due)
        world.run(until=world.now + SETTLE_US)
        return Run(tuple(sorted(self.seen)), busy, self._watch.longest_line, self.simulation.leaks())

    # Callers

    def _plan_next(self) -> None:
        at = next(self._arrivals, None)
        if at is not None and MIDNIGHT + at < self.end:
            self.world.at(MIDNIGHT + at, self._arrive, None)

    def _arrive(self, _: object) -> None:
        self._calls += 1
        kind = self._kinds()
        number = f"+999{self._calls:011d}"
        customer = Customer(self.world, kind.script, kind.patience(), kind.talk, self._over)
        self.customers[number] = customer
        self._kind_of[customer] = kind
        customer.call(kind.number, number)
        self._plan_next()

    def _over(self, customer: Customer) -> None:
        del self.customers[customer.leg.caller]
        kind = self._kind_of.pop(customer)
        end: End
        if customer.reached_at is not None:
            end, until = "answered", customer.reached_at
        else:
            end, until = "abandoned" if customer.gave_up else "turned_away", self.world.now
        dialled = customer.dialled_at
        self.seen.append(
            CallSeen(
                dialled - MIDNIGHT, until - dialled, end, customer.talked_us, kind.name, customer.patience_us
            )
        )

    # Agents

    def _staff(self, plan: CentrePlan, replication: int) -> None:
        for name, team in plan.agents.items():
            delay = team.answer_delay.source(stream(plan.seed, replication, f"answer delay of team {name}"))
            talk = team.talk.source(stream(plan.seed, replication, f"talk of team {name}"))
            there = not team.shifts or any(_is_on(shift, 0) for shift in team.shifts)
            changes = list(_changes(team.shifts, plan.days))
            for user in team.users(name):
                endpoint = f"PJSIP/{user}"
                Agent(self.world, endpoint, self.customers, delay, talk, registered=there)
                for at, comes in changes:
                    self.world.at(MIDNIGHT + at, self._register, (endpoint, comes))

    def _register(self, of: tuple[str, bool]) -> None:
        self.world.register(*of)


class _Watch:
    """Follows what the desk tells of agents and lines, between two instants."""

    def __init__(self, simulation: Simulation, users: list[str], since: int, until: int) -> None:
        self.longest_line = 0
        self._world = simulation.world
        self._since, self._until = since, until
        desk = simulation.desk
        self._states = {user: (desk.agent(ACCOUNT, user).state, self._world.now) for user in users}
        self._times = {user: TimeByState() for user in users}
        desk.outlets.agent_changed = self._agent_changed
        desk.outlets.line_changed = self._line_changed

    def result(self) -> dict[str, TimeByState]:
        """Time of every agent by state, up to now."""
        for user, (state, since) in self._states.items():
            self._count(user, state, since)
        return self._times

    def _agent_changed(self, _account: str, user: str, agent: agents.Agent) -> None:
        self._count(user, *self._states[user])
        self._states[user] = (agent.state, self._world.now)

    def _count(self, user: str, state: agents.State, since: int) -> None:
        passed = min(self._world.now, self._until) - max(since, self._since)
        if passed > 0:
            self._times[user][state] += passed

    def _line_changed(self, _target: Target, waiting: int) -> None:
        if self._since <= self._world.now < self._until:
            self.longest_line = max(self.longest_line, waiting)


def _forget(_: object) -> None:
    """What there is to know of a call was seen at its telephones."""


def _catalog(plan: CentrePlan, flow: Flow) -> Catalog:
    published = PublishedFlow("simulated", ACCOUNT, flow.sha256(), flow)
    return Catalog(
        numbers=dict.fromkeys((kind.number for kind in plan.calls.values()), published),
        users={ACCOUNT: {user: User(user, (f"PJSIP/{user}",)) for user in plan.users}},
        groups={ACCOUNT: plan.groups},
        policies={ACCOUNT: agents.Policy(wrap_up_s=plan.wrap_up_s)},
    )


def _is_on(shift: Shift, second: float) -> bool:
    if shift.from_s < shift.to_s:
        return shift.from_s <= second < shift.to_s
    return second >= shift.from_s or second < shift.to_s


def _changes(shifts: list[Shift], days: float) -> Iterator[tuple[int, bool]]:
    """Every coming and going after the first instant, in order; who goes and comes at once goes first."""
    changes = []
    for day in range(int(days) + 1):
        for shift in shifts:
            changes.append((seconds(day * DAY_S + shift.from_s), True))
            changes.append((seconds(day * DAY_S + shift.to_s), False))
    return (change for change in sorted(changes) if 0 < change[0] < seconds(days * DAY_S))
