"""The result of a centre for people: tables for the terminal, and a picture of its day."""

from collections.abc import Mapping, Sequence
from math import inf, isnan
from typing import Final

from simulator.centre_result import CallSeen, CentreResult, TimeByState, figures, occupancy
from simulator.confidence import Interval
from simulator.phones import seconds
from simulator.picture import Curve, Panel, svg, table
from simulator.traffic import DAY_S

HOUR_US: Final = seconds(3_600)
LABELS: Final = {
    "waited": "callers who waited",
    "service_level": "answered within {within:g} s",
    "abandoned": "hung up while waiting",
    "turned_away": "sent on without an agent",
    "mean_wait_s": "mean wait",
    "mean_answer_s": "mean wait of the answered",
    "mean_talk_s": "mean talk",
    "occupancy": "occupancy of the agents",
}


def report(result: CentreResult) -> str:
    """The figures as text; the same for the same result."""
    plan = result.plan
    calls = sum(map(len, result.calls))
    parts = [
        f"{plan.name or 'Centre'}: {calls:,} calls, {len(result.runs)} x {plan.days:g} days, seed {plan.seed}\n",
        _figures(result, result.intervals),
    ]
    if len(plan.calls) > 1:
        for kind, found in result.by_kind.items():
            number = sum(call.kind == kind for calls in result.calls for call in calls)
            parts.append(f"{kind}: {number:,} calls\n" + _figures(result, found))
    waits = ", ".join(f"{each} % {wait:.1f} s" for each, wait in result.percentiles_s.items())
    parts.append(f"waits not exceeded by: {waits}\nlongest line: {result.longest_line}\n")
    parts.append(_agents(result.agents))
    if result.leaks:
        parts.append("left over, which is a bug: " + ", ".join(result.leaks) + "\n")
    return "\n".join(parts)


def day_picture(result: CentreResult) -> str:
    """An SVG of the mean day: calls that come, and how long they wait, hour by hour."""
    hours: list[list[CallSeen]] = [[] for _ in range(24)]
    for calls in result.calls:
        for call in calls:
            hours[call.at // HOUR_US % 24].append(call)
    days = (result.plan.days - result.plan.warm_up_s / DAY_S) * len(result.runs)

    def curve(name: str, values: Sequence[float]) -> Curve:
        return Curve(name, [(hour + 0.5, value) for hour, value in enumerate(values) if not isnan(value)])

    within = seconds(result.plan.service_level_s)
    each = [figures(calls, within) for calls in hours]
    answered = [sum(call.end == "answered" for call in calls) / days for calls in hours]
    panels = [
        Panel(
            "Calls",
            "hour of the day, UTC",
            "calls in the hour",
            [curve("calls", [len(calls) / days for calls in hours]), curve("answered", answered)],
            x_range=(0, 24),
        ),
        Panel(
            "Waits",
            "hour of the day, UTC",
            "mean wait, seconds",
            [curve("waits", [one["mean_wait_s"] for one in each])],
            x_range=(0, 24),
        ),
    ]
    return svg(
        panels,
        title=result.plan.name or "Centre",
        description=f"The mean day of {sum(map(len, result.calls)):,} simulated calls, hour by hour.",
    )


def _figures(result: CentreResult, found: Mapping[str, Interval]) -> str:
    plan = result.plan
    rows = []
    for name, (mean, half_width) in found.items():
        unit = " s" if name.endswith("_s") else " %"
        scale = 1 if name.endswith("_s") else 100
        shown = "-" if isnan(mean) else f"{mean * scale:.1f}{unit}"
        sure = "" if half_width == inf or isnan(mean) else f"+-{half_width * scale:.1f}"
        rows.append([LABELS[name].format(within=plan.service_level_s), shown, sure])
    return table(["figure", "mean", f"{plan.confidence * 100:g} %"], rows)


def _agents(agents: Mapping[str, TimeByState]) -> str:
    rows = []
    for user, time in agents.items():
        there = sum(time.values()) - time["offline"]
        busy = occupancy(time)
        row = [user, f"{there / HOUR_US:.1f}", "-" if isnan(busy) else f"{busy * 100:.1f} %"]
        row += [f"{time[state] / HOUR_US:.1f}" for state in ("ringing", "talking", "wrap_up")]
        rows.append(row)
    return table(["agent", "hours", "occupancy", "ringing", "talking", "wrap-up"], rows)
