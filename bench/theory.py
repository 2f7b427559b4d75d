"""The engine against queueing theory: `python -m bench.theory [FOLDER]` prints the tables and can write the picture.

Callers come at random into the line of one group, talk times are exponentially distributed, agents pick up at once:
the situation of Erlang C, and with impatient callers of Erlang A. What the formulas say is compared with what was seen
at the telephones of the real machine, desk and states in virtual time, at 99 % confidence over replications with
independent luck. Every replication starts in its long run (`StandingStart`), so none of it has to be thrown away.

Besides, every single wait is held against plain arithmetic (`simulator.waiting`), which must give the same
microsecond. The arithmetic alone then runs a million calls a row, more than the engine could be asked for.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import process_time
from typing import NamedTuple

from bench import Result
from flowengine.call.events import SECOND
from simulator.centre import run_centre
from simulator.centre_plan import CallKind, CentrePlan, Team
from simulator.centre_result import CentreResult
from simulator.chance import FOREVER, Exponential, Infinite, stream
from simulator.confidence import Interval, interval
from simulator.erlang import ErlangA, ErlangC
from simulator.picture import Curve, Dots, Panel, svg, table
from simulator.traffic import Poisson, StandingStart
from simulator.waiting import Need, waits

SEED = 1
TALK_S = 180.0
PATIENCE_S = 120.0
REPLICATIONS = 10
"""Few and long: the means of short replications are so skewed that their intervals miss too often."""
AGENTS = (1, 5, 20)
CALLS = {0.5: 30_000, 0.8: 20_000, 0.95: 40_000}
"""Calls by load: who waits long is followed by others who wait long, so busy centres need more of them."""
RARE_WAITS_CALLS = {(20, 0.5): 100_000}
"""Where one call in 270 waits, it takes many to see some."""
IMPATIENT_CALLS = {0.8: 10_000, 0.95: 10_000, 1.1: 10_000}
BY_CHANCE = 3
"""So many of 54 figures may lie outside their 99 % intervals; more happen in one run of several hundred."""
LONG_RUNS = 10
LONG_RUN_CALLS = {0.5: 50_000, 0.8: 100_000, 0.95: 200_000}


class Case(NamedTuple):
    """One row: a centre as theory knows it, and the run of the engine."""

    theory: ErlangC | ErlangA
    load: float
    """Offered traffic by the number of agents: the occupancy, if nobody hangs up."""
    result: CentreResult
    identical: int
    """Calls whose wait is that of the arithmetic, to the microsecond."""
    took_s: float

    @property
    def calls(self) -> int:
        """How many calls came after the standing start."""
        return sum(map(len, self.result.calls))

    @property
    def compared(self) -> dict[str, tuple[Interval, float]]:
        """By figure: the engine's interval, and what theory says."""
        found = {"waited": self.theory.waits, "mean_wait_s": self.theory.mean_wait_s}
        if isinstance(self.theory, ErlangA):
            found["abandoned"] = self.theory.abandons
        return {name: (self.result.intervals[name], value) for name, value in found.items()}


def case(agents: int, load: float, calls: int, *, patient: bool, seed: int = SEED) -> Case:
    """Run one centre, with about so many calls in all replications together. Every case has luck of its own."""
    theory = in_theory(agents, load, patient=patient)
    plan = CentrePlan(
        name=f"{agents} agents, load {load:g}",
        seed=own_seed(theory, seed),
        days=calls / REPLICATIONS / theory.per_hour / 24,
        warm_up_s=1e-6,  # nothing but the standing start
        replications=REPLICATIONS,
        confidence=0.99,
        arrivals=StandingStart(theory.in_centre(), Poisson(theory.per_hour)),
        calls={"call": CallKind(patience=Infinite() if patient else Exponential(PATIENCE_S))},
        agents={"line": Team(count=agents, talk=Exponential(TALK_S))},
    )
    began = process_time()
    result = run_centre(plan)
    took_s = process_time() - began
    assert result.leaks == (), result.leaks
    return Case(theory, load, result, identical(result, agents), took_s)


def in_theory(agents: int, load: float, *, patient: bool) -> ErlangC | ErlangA:
    """The centre as theory knows it; `load` is the offered traffic by the number of agents."""
    per_hour = load * agents * 3_600 / TALK_S
    if patient:
        return ErlangC(agents, per_hour, TALK_S)
    return ErlangA(agents, per_hour, TALK_S, PATIENCE_S)


def own_seed(theory: ErlangC | ErlangA, seed: int) -> int:
    """A seed for one case: with the same luck in all of them, one unlucky draw would bend every row the same way."""
    patient = isinstance(theory, ErlangC)
    return ((seed * 2 + patient) * 1_000 + theory.agents) * 1_000 + round(theory.load / theory.agents * 100)


def identical(result: CentreResult, agents: int) -> int:
    """How many of the calls that count waited exactly as long as the arithmetic says."""
    same = 0
    for run, counted in zip(result.runs, result.calls, strict=True):
        expected = waits(agents, [Need(call.at, call.patience, call.talked) for call in run.calls])
        as_expected = [
            call.waited == (call.patience if wait is None else wait)
            for call, wait in zip(run.calls, expected, strict=True)
        ]
        same += sum(as_expected[len(run.calls) - len(counted) :])
    return same


def mean_wait_by_arithmetic(theory: ErlangC, calls: int, seed: int = SEED) -> Interval:
    """The mean wait in far longer runs than the engine's, from an empty centre, the first tenth cut off."""
    means = []
    for number in range(LONG_RUNS):
        luck = own_seed(theory, seed)
        arrivals = Poisson(theory.per_hour).instants(stream(luck, number, "arrivals of arithmetic"))
        talk = Exponential(theory.talk_s).source(stream(luck, number, "talk of arithmetic"))
        needs = (Need(at, FOREVER, talk()) for at in islice(arrivals, calls))
        waited = waits(theory.agents, needs)[calls // 10 :]
        means.append(sum(wait or 0 for wait in waited) / len(waited) / SECOND)
    return interval(means, 0.99)


def cases() -> tuple[list[Case], list[Case]]:
    """All rows: those of patient and those of impatient callers."""
    patient = [
        case(agents, load, RARE_WAITS_CALLS.get((agents, load), calls), patient=True)
        for agents in AGENTS
        for load, calls in CALLS.items()
    ]
    impatient = [
        case(agents, load, calls, patient=False)
        for agents in AGENTS
        for load, calls in IMPATIENT_CALLS.items()
    ]
    return patient, impatient


HEADINGS = {"waited": "who waits", "mean_wait_s": "mean wait s", "abandoned": "who hangs up"}


def rows(of: list[Case]) -> str:
    """One table: theory beside the engine, figure by figure."""
    names = list(of[0].compared)
    head = ["agents", "load", "calls", "same wait"]
    for name in names:
        head += [HEADINGS[name], "engine"]
    lines = []
    for each in of:
        line = [str(each.theory.agents), f"{each.load:g}", f"{each.calls:,}", f"{each.identical:,}"]
        for name, (seen, value) in each.compared.items():
            line += _beside(seen, value, ".2f" if name.endswith("_s") else ".4f")
        lines.append(line)
    return table(head, lines)


def long_rows(of: list[tuple[Case, Interval]]) -> str:
    """The table of the long runs."""
    lines = []
    for each, seen in of:
        calls = f"{LONG_RUNS * LONG_RUN_CALLS[each.load]:,}"
        figures = _beside(seen, each.theory.mean_wait_s, ".2f")
        lines.append([str(each.theory.agents), f"{each.load:g}", calls, *figures])
    return table(["agents", "load", "calls", HEADINGS["mean_wait_s"], "arithmetic"], lines)


def _beside(seen: Interval, value: float, digits: str) -> list[str]:
    """What theory says, and what was seen; NO marks an interval which does not hold it."""
    mark = "" if seen.contains(value) else " NO"
    return [f"{value:{digits}}", f"{seen.mean:{digits}} +-{seen.half_width:{digits}}{mark}"]


def picture(patient: list[Case], impatient: list[Case]) -> str:
    """The formulas as curves, the engine as dots with its confidence intervals."""

    def curves(which: str, loads: range, *, patient: bool) -> Iterator[Curve]:
        for agents in AGENTS:
            points = []
            for percent in loads:
                theory = in_theory(agents, percent / 100, patient=patient)
                points.append((percent / 100, getattr(theory, which)))
            yield Curve(_agents(agents), points)

    def dots(of: list[Case], figure: str) -> Iterator[Dots]:
        for agents in AGENTS:
            mine = [each for each in of if each.theory.agents == agents]
            yield Dots(
                _agents(agents),
                [
                    (each.load, each.compared[figure][0].mean, each.compared[figure][0].half_width)
                    for each in mine
                ],
            )

    panels = [
        Panel(
            "Patient callers: who waits",
            "load of an agent, erlang",
            "share of calls",
            list(curves("waits", range(40, 99), patient=True)),
            list(dots(patient, "waited")),
        ),
        Panel(
            "Patient callers: mean wait",
            "load of an agent, erlang",
            "seconds",
            list(curves("mean_wait_s", range(40, 99), patient=True)),
            list(dots(patient, "mean_wait_s")),
            log_y=True,
        ),
        Panel(
            "Impatient callers: who hangs up",
            "load of an agent, erlang",
            "share of calls",
            list(curves("abandons", range(40, 131), patient=False)),
            list(dots(impatient, "abandoned")),
        ),
    ]
    return svg(
        panels,
        title="The engine and queueing theory",
        description="Curves: Erlang C for patient, Erlang A for impatient callers. Dots: the engine in virtual time,"
        " with 99 % confidence intervals.",
    )


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number} agents"


def measure() -> Iterator[Result]:
    """For `python -m bench`: how fast whole centres run, by how long their lines are."""
    for load in (0.5, 0.95):
        each = case(20, load, 10_000, patient=True)
        calls = sum(len(run.calls) for run in each.result.runs)
        yield Result(f"centre: 20 agents, each {load:g} busy", calls / each.took_s, "calls/s")


def main(arguments: list[str]) -> int:
    """Print the tables; with a folder also write `erlang.svg` there.

    1 when engine and theory disagree: a wait is not that of the arithmetic, or more figures lie outside their
    intervals than chance explains.
    """
    began = process_time()
    for folder in arguments:
        Path(folder).mkdir(parents=True, exist_ok=True)  # now, and not when minutes of work are done
    patient, impatient = cases()
    print(f"Erlang C: callers wait for ever, talks last {TALK_S:g} s on average, seed {SEED}; +- at 99 %")
    print(rows(patient))
    arithmetic = [
        (each, mean_wait_by_arithmetic(each.theory, LONG_RUN_CALLS[each.load]))
        for each in patient
        if isinstance(each.theory, ErlangC)
    ]
    print(f"The same by arithmetic, in {LONG_RUNS} long runs")
    print(long_rows(arithmetic))
    print(f"Erlang A: patience lasts {PATIENCE_S:g} s on average")
    print(rows(impatient))
    every = [*patient, *impatient]
    checks = [seen.contains(value) for each in every for seen, value in each.compared.values()]
    checks += [seen.contains(each.theory.mean_wait_s) for each, seen in arithmetic]
    calls, same = sum(each.calls for each in every), sum(each.identical for each in every)
    print(f"{sum(checks)} of {len(checks)} figures of theory lie in the 99 % confidence intervals")
    print(f"{same:,} of {calls:,} waits are those of the arithmetic, to the microsecond")
    print(f"{process_time() - began:.0f} s of processor time")
    for folder in arguments:
        Path(folder, "erlang.svg").write_text(picture(patient, impatient), encoding="utf-8")
    return 0 if checks.count(False) <= BY_CHANCE and same == calls else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
