"""From a YAML file to the run of a centre, with errors that name the line, the place and the mend.

Plans are read as strictly as scenarios, by the same reader; what is here is what the models cannot see.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from flowengine.flow.document import Flow, GroupTransfer, UserTransfer
from flowengine.flow.problems import pointer
from simulator.centre import run_centre
from simulator.centre_plan import CentrePlan
from simulator.centre_result import CentreResult
from simulator.people import Shift
from simulator.play import read_flow
from simulator.scenario_file import BadScenario, ScenarioProblem, line_of, problem_of, read_yaml
from simulator.traffic import DAY_S, Poisson, Profile

MOST_CALLS: Final = 20_000_000
"""In all replications together: a day's work for one core."""

At = list[int | str]


def run_file(path: str | Path) -> CentreResult:
    """Run the plan in a file, against the flow it names.

    Raises:
        BadScenario: with every problem of the plan.
        simulator.play.BadFlow: the flow could not be published.
        flowengine.flow.document.Unreadable, Invalid: the flow file is not a flow document.
    """
    plan, flow = load_plan(path)
    return run_centre(plan, flow)


def load_plan(path: str | Path) -> tuple[CentrePlan, Flow | None]:
    """Read a plan and its flow, if it names one. Raises as `run_file` does."""
    file = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadScenario([ScenarioProblem(file, 0, "", f"cannot be read: {error.strerror}")]) from None
    return parse_plan(data, file)


def parse_plan(data: bytes, file: str) -> tuple[CentrePlan, Flow | None]:
    """Read a plan from bytes; `file` is its name in complaints and where its flow is looked for."""
    node, value = read_yaml(data, file)
    try:
        plan = CentrePlan.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise BadScenario([problem_of(file, node, each) for each in found]) from None
    flow: Flow | None = None
    wrong: list[tuple[At, str]] = []
    if plan.flow is not None:
        try:
            flow = read_flow(Path(file).parent / plan.flow)
        except OSError as error:
            wrong.append((["flow"], f"{plan.flow} cannot be read: {error.strerror}: correct the name"))
    if not wrong:
        wrong = list(contradictions(plan, flow))
    if wrong:
        raise BadScenario(
            [ScenarioProblem(file, line_of(node, at), pointer(*at), message) for at, message in wrong]
        )
    return plan, flow


def contradictions(plan: CentrePlan, flow: Flow | None) -> Iterator[tuple[At, str]]:
    """What cannot be run, as (place in the plan, what is wrong and what to do)."""
    if plan.warm_up_s >= plan.days * DAY_S:
        yield ["warm_up_s"], "leaves nothing to look at: make it shorter than the days, or add days"
    if (calls := _expected_calls(plan)) > MOST_CALLS:
        yield (
            ["arrivals"],
            f"make about {calls:,.0f} calls in all replications, and at most {MOST_CALLS:,} are run:"
            " choose fewer days or replications",
        )
    owners: dict[str, str] = {}
    for name, team in plan.agents.items():
        for user in team.users(name):
            if user in owners:
                yield (
                    ["agents", name],
                    f"{user} is in team {owners[user]} already: give this team another name",
                )
            owners[user] = name
        if _overlap(team.shifts):
            yield ["agents", name, "shifts"], "these overlap: make one of them end before the next begins"
    if flow is None:
        if len(plan.groups) > 1:
            yield (
                ["agents"],
                f"are in several groups ({', '.join(plan.groups)}): name a flow that chooses between them",
            )
        return
    for state, node in flow.states.items():
        match node:
            case GroupTransfer(group=group) if group not in plan.groups:
                yield ["flow"], f"its state {state} rings the group {group}: put agents into that group"
            case UserTransfer(user=user) if user not in owners:
                yield ["flow"], f"its state {state} rings {user}: add a team of one named {user}"
            case _:
                pass


def _expected_calls(plan: CentrePlan) -> float:
    match plan.arrivals:
        case Poisson(per_hour=rate):
            calls_a_day = 24 * rate
        case Profile(pieces=pieces):
            ends = [start for start, _ in pieces[1:]] + [DAY_S]
            calls_a_day = sum(
                rate * (end - start) / 3_600 for (start, rate), end in zip(pieces, ends, strict=True)
            )
        case _:
            return 0.0  # recorded arrivals are as many as the file holds
    return calls_a_day * plan.days * plan.replications


def _overlap(shifts: list[Shift]) -> bool:
    parts: list[tuple[float, float]] = []
    for shift in shifts:
        if shift.from_s < shift.to_s:
            parts.append((shift.from_s, shift.to_s))
        else:
            parts += [(shift.from_s, DAY_S), (0, shift.to_s)]
    parts.sort()
    return any(end > start for (_, end), (start, _) in pairwise(parts))
