"""What came of a run of a centre: every call as it was seen at the telephones, and the figures made of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, nan
from statistics import fmean
from typing import Any, Final, Literal, NamedTuple

from flowengine.call.events import SECOND
from flowengine.routing.agents import State
from simulator.centre_plan import CentrePlan
from simulator.confidence import Interval, batches, interval
from simulator.phones import seconds

End = Literal["answered", "abandoned", "turned_away"]
"""An agent spoke to the caller; the caller's patience ended; or the flow went on without an agent."""

BATCHES: Final = 20
"""Into so many batches a single replication is cut, to tell how sure its figures are."""
PERCENTILES: Final = (50, 90, 99)


class CallSeen(NamedTuple):
    """One call. Times are microseconds, `at` since the beginning of the run.

    Attributes:
        waited: from dialling until an agent picked up, or until the call was over without.
        talked: how long the talk took.
        patience: how long the caller would have waited; `FOREVER` for ever.
    """

    at: int
    waited: int
    end: End
    talked: int
    kind: str
    patience: int


TimeByState = Counter[State]
"""Microseconds an agent spent in each state of the desk's table."""


@dataclass(frozen=True)
class Run:
    """One replication. `calls` holds all, those of the warm-up too; the other figures leave the warm-up out."""

    calls: tuple[CallSeen, ...]
    agents: dict[str, TimeByState]
    longest_line: int
    leaks: tuple[str, ...]
    """What was still there when everything should have been over; anything at all is a bug."""


def _share(calls: Sequence[CallSeen], which: Callable[[CallSeen], bool]) -> float:
    return sum(map(which, calls)) / len(calls) if calls else nan


def _mean(values: Sequence[int]) -> float:
    return fmean(values) / SECOND if values else nan


def figures(calls: Sequence[CallSeen], service_level_us: int) -> dict[str, float]:
    """Figures of some calls: shares of all of them, and means in seconds; NaN where there is nothing to count.

    `mean_wait_s` is that of all who were answered or gave up, `mean_answer_s` of the answered alone.
    """
    return {
        "waited": _share(calls, lambda call: call.waited > 0),
        "service_level": _share(
            calls, lambda call: call.end == "answered" and call.waited <= service_level_us
        ),
        "abandoned": _share(calls, lambda call: call.end == "abandoned"),
        "turned_away": _share(calls, lambda call: call.end == "turned_away"),
        "mean_wait_s": _mean([call.waited for call in calls if call.end != "turned_away"]),
        "mean_answer_s": _mean([call.waited for call in calls if call.end == "answered"]),
        "mean_talk_s": _mean([call.talked for call in calls if call.end == "answered"]),
    }


def occupancy(time: Mapping[State, int]) -> float:
    """Share of the logged-in time in which an agent talked or wrapped up; NaN for one who never logged in."""
    there = sum(time.values()) - time.get("offline", 0)
    return (time.get("talking", 0) + time.get("wrap_up", 0)) / there if there else nan


@dataclass(frozen=True)
class CentreResult:
    """All replications of a plan."""

    plan: CentrePlan
    runs: tuple[Run, ...]

    @property
    def leaks(self) -> tuple[str, ...]:
        """What any replication left behind."""
        return tuple(leak for run in self.runs for leak in run.leaks)

    @cached_property
    def calls(self) -> tuple[tuple[CallSeen, ...], ...]:
        """The calls that count, by replication: those that came after the warm-up."""
        since = seconds(self.plan.warm_up_s)
        return tuple(tuple(call for call in run.calls if call.at >= since) for run in self.runs)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Every figure of `figures`, and the occupancy of all agents, each with its confidence interval."""
        found = self._intervals(self.calls)
        found["occupancy"] = self._interval([self._occupancy(run) for run in self.runs])
        return found

    @cached_property
    def by_kind(self) -> dict[str, dict[str, Interval]]:
        """The figures of every kind of call."""
        return {
            kind: self._intervals([[call for call in calls if call.kind == kind] for calls in self.calls])
            for kind in self.plan.calls
        }

    @cached_property
    def percentiles_s(self) -> dict[int, float]:
        """Waits, in seconds, that so many percent of the callers who were answered or gave up did not exceed."""
        waits = sorted(call.waited for calls in self.calls for call in calls if call.end != "turned_away")
        if not waits:
            return dict.fromkeys(PERCENTILES, nan)
        return {each: waits[max(0, -(-len(waits) * each // 100) - 1)] / SECOND for each in PERCENTILES}

    @property
    def longest_line(self) -> int:
        """The most callers that ever waited in one line."""
        return max(run.longest_line for run in self.runs)

    @cached_property
    def agents(self) -> dict[str, TimeByState]:
        """Time of every agent by state, all replications together."""
        total: dict[str, TimeByState] = {}
        for run in self.runs:
            for user, time in run.agents.items():
                total.setdefault(user, TimeByState()).update(time)
        return total

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values; the same for the same plan and seed. Nothing to count is null."""
        return {
            "centre": self.plan.name,
            "seed": self.plan.seed,
            "days": self.plan.days,
            "replications": len(self.runs),
            "confidence": self.plan.confidence,
            "service_level_s": self.plan.service_level_s,
            "calls": sum(map(len, self.calls)),
            "figures": _plain(self.intervals),
            "by_kind": {kind: _plain(found) for kind, found in self.by_kind.items()},
            "waits_s": {f"p{each}": _finite(wait) for each, wait in self.percentiles_s.items()},
            "longest_line": self.longest_line,
            "agents": {
                user: {
                    "occupancy": _finite(occupancy(time)),
                    "states_s": {state: time[state] / SECOND for state in sorted(time)},
                }
                for user, time in self.agents.items()
            },
            "leaks": list(self.leaks),
        }

    def _intervals(self, runs: Sequence[Sequence[CallSeen]]) -> dict[str, Interval]:
        within = seconds(self.plan.service_level_s)
        parts = runs if len(runs) > 1 else batches(runs[0], BATCHES)
        each = [figures(calls, within) for calls in parts]
        return {name: self._interval([one[name] for one in each]) for name in each[0]}

    def _interval(self, values: Sequence[float]) -> Interval:
        known = [value for value in values if value == value]  # noqa: PLR0124 - NaN is nothing to count
        return interval(known, self.plan.confidence) if known else Interval(nan, inf)

    def _occupancy(self, run: Run) -> float:
        return occupancy(sum(run.agents.values(), TimeByState()))


def _plain(found: Mapping[str, Interval]) -> dict[str, Any]:
    return {
        name: {"mean": _finite(mean), "plus_minus": _finite(half_width)}
        for name, (mean, half_width) in found.items()
    }


def _finite(value: float) -> float | None:
    return value if abs(value) < inf else None
