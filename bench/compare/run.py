"""The whole comparison: the rounds, interleaved so that a slow minute of the machine is everybody's."""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench import Result, journal
from bench.compare.contenders import BY_NAME, CONTENDERS, Contender
from bench.compare.ground import Ground, NoGround, ground
from bench.compare.held import Held, held
from bench.compare.steady import Figure, highest_clean, percentile, rate_of
from bench.compare.trial import Line, Trial, trial
from flowengine.ari.node import NodeError

QUIET: Final = 1.5
"""Load average above which a machine is not quiet."""
FIRST_RUNG: Final = 56
STRIDE: Final = 8
WARM_S: Final = 2.0
WARM_RATE: Final = 10.0
PARTS: Final = ("rate", "delay", "held", "commits")


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    contenders: Sequence[Contender] = CONTENDERS
    lines: Sequence[Line] = ("sip", "local")
    parts: Sequence[str] = PARTS
    rounds: int = 5
    seconds: float = 8.0
    moderate: float | None = None
    """Calls a second at which delays are measured; None: half of what our engine carries cleanly."""
    steps: Sequence[int] = (100, 500, 2_000)


@dataclass
class Found:
    """What was measured, by line and contender."""

    load_before: float = 0.0
    load_after: float = 0.0
    strangers: list[float] = field(default_factory=list)
    """Cores in use by others, in each trial."""
    clean: dict[Line, dict[str, Figure]] = field(default_factory=dict)
    """Calls a second."""
    moderate: dict[Line, float] = field(default_factory=dict)
    delays: dict[Line, dict[str, list[Trial]]] = field(default_factory=dict)
    held: dict[str, list[Held]] = field(default_factory=dict)
    commits: list[tuple[Result, Figure]] = field(default_factory=list)
    """What the journal makes durable, beside the bare driver: a line of `bench.journal`, and its runs."""

    def figure(self, line: Line, name: str, what: str) -> Figure:
        """One figure over the rounds at the moderate rate: a percentile such as `action_ms 99`, or a field."""
        kind, _, percent = what.partition(" ")
        runs = []
        for each in self.delays[line][name]:
            value = getattr(each, kind)
            runs.append(percentile(value, int(percent)) if percent else float(value))
        return Figure(tuple(runs))


def tell(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


async def compare(plan: Plan) -> Found:
    """Measure it all. Raises NoGround, NodeError or SippUnusable."""
    found = Found(load_before=os.getloadavg()[0])
    if {"rate", "delay"} & set(plan.parts):
        async with ground(plan.contenders) as here:
            for line in plan.lines:
                await _line(here, plan, line, found)
    if "held" in plan.parts:
        for who in plan.contenders:
            tell(f"held calls: {who.label}")
            found.held[who.name] = await held(who, plan.steps)
    if "commits" in plan.parts:
        found.commits = await _commits(plan.rounds)
    found.load_after = os.getloadavg()[0]
    return found


async def _line(here: Ground, plan: Plan, line: Line, found: Found) -> None:
    for who in plan.contenders:
        await trial(here, who, line, WARM_RATE, WARM_S, probed=False)
    if "rate" in plan.parts:
        found.clean[line] = await _clean_rates(here, plan, line, found)
    if "delay" in plan.parts:
        rate = plan.moderate or _half_load(found.clean.get(line, {}))
        found.moderate[line] = rate
        found.delays[line] = defaultdict(list)
        for n in range(plan.rounds):
            for who in plan.contenders:
                seen = await trial(here, who, line, rate, plan.seconds, probed=True)
                found.strangers.append(seen.strangers)
                found.delays[line][who.name].append(seen)
                tell(
                    f"{line} round {n + 1} of {plan.rounds}, {rate:.0f} calls/s: {who.label}:"
                    f" {seen.wrong} of {seen.calls} wrong,"
                    f" {seen.controller_cpu_ms:.1f} + {seen.asterisk_cpu_ms:.1f} ms a call"
                )


async def _clean_rates(here: Ground, plan: Plan, line: Line, found: Found) -> dict[str, Figure]:
    runs: dict[str, list[float]] = defaultdict(list)
    rungs: dict[str, int] = {}
    for n in range(plan.rounds):
        for who in plan.contenders:

            async def is_clean(rate: float, who: Contender = who) -> bool:
                try:
                    seen = await trial(here, who, line, rate, plan.seconds, probed=False)
                except (NoGround, NodeError):  # so much too much that nobody had time to answer
                    await here.quiet(60)
                    return False
                found.strangers.append(seen.strangers)
                return seen.clean

            start, stride = (rungs[who.name], 1) if who.name in rungs else (FIRST_RUNG, STRIDE)
            rung = await highest_clean(is_clean, max(0, start), stride)
            rungs[who.name] = rung
            runs[who.name].append(rate_of(rung) if rung >= 0 else 0.0)
            tell(
                f"{line} round {n + 1} of {plan.rounds}: {who.label}: {runs[who.name][-1]:.0f} clean calls/s"
            )
    return {name: Figure(tuple(each)) for name, each in runs.items()}


async def _commits(rounds: int) -> list[tuple[Result, Figure]]:
    """Durable transitions a second, and the raw commit rate in the same minutes."""
    seen: dict[str, list[Result]] = defaultdict(list)
    for n in range(rounds):
        tell(f"commits, round {n + 1} of {rounds}")
        for each in await asyncio.to_thread(journal.measure):
            seen[each.what.partition(", groups of")[0]].append(each)
    return [(each[0], Figure(tuple(run.value for run in each))) for each in seen.values()]


def _half_load(clean: dict[str, Figure]) -> float:
    """Half of what our engine carries, or of the slowest where it does not take part."""
    ours = [clean[name].value for name in ("engine",) if name in clean]
    rate = min(ours or [each.value for each in clean.values()] or [40.0]) / 2
    return max(2.0, rate)


def chosen(names: Sequence[str]) -> list[Contender]:
    """Contenders by their names. Raises ValueError naming the one that is none."""
    for name in names:
        if name not in BY_NAME:
            raise ValueError(f"no contender {name}: choose from {', '.join(BY_NAME)}")
    return [BY_NAME[name] for name in names] or list(CONTENDERS)


def measured(plan: Plan) -> Found:
    """`compare`, from outside of a loop."""
    return asyncio.run(compare(plan))
