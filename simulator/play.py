"""Play a scenario: build its world, let everybody call, and look whether it went as expected."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from flowengine.call.trace import Trace
from flowengine.flow.document import Flow, load
from flowengine.flow.graph import problems
from flowengine.flow.problems import Problem
from flowengine.routing.directory import Catalog, PublishedFlow, User
from simulator.expect import CallOutcome, Failure, failures
from simulator.phones import BUSY, DEAD, SILENT, AgentPhone, Behaviour, Caller, seconds
from simulator.run import Simulation
from simulator.scenario import CallSpec, Ringing, Scenario, UserSpec
from simulator.scenario_file import BadScenario, ScenarioProblem, load_scenario
from simulator.sounds import Sounds, spoken_text
from simulator.timeline import Line, narrate
from simulator.world import World

ACCOUNT: Final = "simulated"
LONGEST_RUN_US: Final = seconds(7 * 86_400)
"""After a simulated week whatever still runs is running for ever."""


class BadFlow(Exception):
    """A flow that could not be published, and so cannot be simulated; `problems` are its errors."""

    def __init__(self, name: str, found: list[Problem]) -> None:
        self.problems = found
        super().__init__(f"{name}: " + "; ".join(problem.message for problem in found))


@dataclass
class ScenarioResult:
    """What came of a scenario."""

    name: str
    file: str
    flow: Flow
    calls: list[CallOutcome]
    failures: list[Failure]
    leaks: tuple[str, ...] = ()
    took_s: float = field(default=0.0, compare=False)
    """Real time it took."""

    @property
    def ok(self) -> bool:
        """Everything was as expected."""
        return not self.failures

    def lines(self, call: CallOutcome) -> list[Line]:
        """One call, told line by line."""
        ran = call.ran
        return narrate(ran.machine.flow, [entry.event for entry in ran.journal]) if ran is not None else []

    def timeline(self) -> str:
        """Every call told line by line, with seconds since its arrival."""
        parts = []
        for call in self.calls:
            told = [f"{call.name} (at {call.spec.at_s:g} s)"]
            told += map(str, self.lines(call))
            if call.refusal is not None:
                rejection = call.refusal.rejection
                told.append(f"{0:9.3f}  refused: {rejection.reason} (cause {rejection.cause})")
            parts.append("\n".join(told))
        return "\n\n".join(parts) + "\n"

    def traces(self) -> list[Trace]:
        """The journals of the calls that ran, in the form `flowengine.call.trace.dump` writes."""
        return [call.ran.trace() for call in self.calls if call.ran is not None]

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values; the same for the same scenario and seed."""
        return {
            "scenario": self.name,
            "file": self.file,
            "ok": self.ok,
            "failures": [vars(failure) for failure in self.failures],
            "leaks": list(self.leaks),
            "calls": [
                {
                    "name": call.name,
                    "at_s": call.spec.at_s,
                    "refused": call.refusal.rejection.reason if call.refusal else None,
                    "path": call.path,
                    "rung": call.rung,
                    "heard": [spoken_text(sound) for sound in call.caller.sounds],
                    "hang_up_cause": call.caller.cause,
                    "record": msgspec.to_builtins(call.ran.record) if call.ran else None,
                    "timeline": [
                        {"at_s": line.at_us / 1_000_000, "kind": line.kind, "text": line.text}
                        for line in self.lines(call)
                    ],
                }
                for call in self.calls
            ],
        }


def run_files(flow_path: str | Path | None, scenario_paths: list[str | Path]) -> list[ScenarioResult]:
    """Play scenario files against a flow document.

    Args:
        flow_path: the flow; None takes the one each scenario names.
        scenario_paths: YAML files.

    Raises:
        BadScenario: with every problem of every scenario file.
        BadFlow: the flow has errors (see `flowengine check`).
        flowengine.flow.document.Unreadable, Invalid: the flow file is not a flow document.
        OSError: the flow file cannot be read.
    """
    scenarios: list[tuple[Scenario, Path, Path]] = []
    bad: list[ScenarioProblem] = []
    for path in map(Path, scenario_paths):
        try:
            scenario = load_scenario(path)
        except BadScenario as error:
            bad += error.problems
            continue
        if flow_path is None and scenario.flow is None:
            bad.append(ScenarioProblem(str(path), 1, "/flow", "names no flow: add one, or give it beside"))
            continue
        of = Path(flow_path) if flow_path is not None else path.parent / str(scenario.flow)
        scenarios.append((scenario, path, of))
    if bad:
        raise BadScenario(bad)
    flows = {of: read_flow(of) for _, _, of in scenarios}
    return [play(flows[of], scenario, file=str(path)) for scenario, path, of in scenarios]


def read_flow(path: Path) -> Flow:
    """Read a flow document and refuse one that could not be published. Raises as `run_files` does."""
    flow = load(path.read_bytes())
    errors = [problem for problem in problems(flow) if problem.severity == "error"]
    if errors:
        raise BadFlow(str(path), errors)
    return flow


def play(flow: Flow, scenario: Scenario, *, file: str = "") -> ScenarioResult:
    """Play one scenario against a publishable flow."""
    began = time.perf_counter()
    world = World(
        Sounds(scenario.sounds.lengths_s, scenario.sounds.missing),
        latency_us=seconds(scenario.switch_delay_s),
        seed=scenario.seed,
    )
    _equip(world, scenario)
    simulation = Simulation(_catalog(flow, scenario), world)
    _vanish(world, scenario)
    calls = [
        CallOutcome(spec.name or f"call {place}", spec, Caller(world, spec.script))
        for place, spec in enumerate(scenario.calls, start=1)
    ]
    for call in calls:
        world.after(seconds(call.spec.at_s), _dial, call)
    world.run(until=world.now + LONGEST_RUN_US)
    _match(calls, simulation)
    found = [failure for call in calls for failure in failures(call)]
    leaks = simulation.leaks()
    if leaks:
        found.append(Failure("", "what is left at the end", "nothing", ", ".join(leaks)))
    name = scenario.name or Path(file).stem
    return ScenarioResult(name, file, flow, calls, found, leaks, time.perf_counter() - began)


def _dial(call: CallOutcome) -> None:
    spec: CallSpec = call.spec
    call.caller.call(spec.to, spec.from_, spec.caller_name)


def _match(calls: list[CallOutcome], simulation: Simulation) -> None:
    """Find for each caller what the engine made of their leg."""
    ran = {each.caller: each for each in [*simulation.done, *simulation.running.values()]}
    refused = {each.channel: each for each in simulation.refused}
    for call in calls:
        call.ran = ran.get(call.caller.leg.id)
        call.refusal = refused.get(call.caller.leg.id)


def _catalog(flow: Flow, scenario: Scenario) -> Catalog:
    published = PublishedFlow("simulated", ACCOUNT, flow.sha256(), flow)
    unattached = scenario.unattached_numbers
    ours = scenario.numbers
    if ours is None:
        ours = [call.to for call in scenario.calls if call.to not in unattached]
    numbers: dict[str, PublishedFlow | None] = dict.fromkeys(ours, published)
    numbers.update(dict.fromkeys(unattached))
    return Catalog(
        numbers=numbers,
        users={
            ACCOUNT: {name: User(name, tuple(_phones(name, user))) for name, user in scenario.users.items()}
        },
        groups={ACCOUNT: {name: tuple(members) for name, members in scenario.groups.items()}},
    )


def _phones(name: str, user: UserSpec) -> dict[str, list[Ringing]]:
    return {f"PJSIP/{name}": user.phone} if user.phone is not None else dict(user.phones)


def _equip(world: World, scenario: Scenario) -> None:
    """Put up the telephones, and plan when they come online and go."""
    for name, user in scenario.users.items():
        for endpoint, ringings in _phones(name, user).items():
            comes = not any(ringing.is_ == "offline" for ringing in ringings)
            behaviours = [_behaviour(ringing) for ringing in ringings]
            AgentPhone(world, endpoint, behaviours, registered=comes and user.online_at_s == 0)
            if comes and user.online_at_s:
                world.after(seconds(user.online_at_s), _register, (world, endpoint, True))
            if comes and user.offline_at_s is not None:
                world.after(seconds(user.offline_at_s), _register, (world, endpoint, False))


def _register(of: tuple[World, str, bool]) -> None:
    world, endpoint, registered = of
    world.register(endpoint, registered)


def _vanish(world: World, scenario: Scenario) -> None:
    """Take telephones away behind the desk's back, after it has seen them."""
    for name, user in scenario.users.items():
        for endpoint, ringings in _phones(name, user).items():
            if any(ringing.is_ == "vanished" for ringing in ringings):
                world.phones[endpoint].registered = False


def _behaviour(ringing: Ringing) -> Behaviour:
    match ringing.is_:
        case "busy":
            return BUSY
        case "dead":
            return DEAD
        case None:
            pass
        case _:
            return SILENT
    if ringing.rejects_after_s is not None:
        return Behaviour(declines_after_us=seconds(ringing.rejects_after_s))
    return Behaviour(
        answers_after_us=seconds(ringing.answers_after_s or 0),
        talks_us=None if ringing.talks_s is None else seconds(ringing.talks_s),
    )
