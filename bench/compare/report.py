"""What was found, as text: tables for the terminal and lines for `python -m bench`."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from bench import Result
from bench.compare.contenders import BY_NAME
from bench.compare.run import QUIET, Found
from bench.compare.steady import APART, Figure
from bench.compare.trial import Line
from simulator.picture import table

LINES: Final[dict[Line, str]] = {"sip": "SIPp with RTP", "local": "Local channels"}
BASELINE: Final = "dialplan"
DELAYS: Final = ("setup_ms 50", "setup_ms 99", "action_ms 50", "action_ms 95", "action_ms 99")
CHECKED: Final = ("asterisk_cpu_ms", "controller_cpu_ms", "setup_ms 50", "action_ms 50")
"""What is refused when its runs lie apart. A 99th percentile of some hundred calls always scatters."""
STRANGERS: Final = 0.1
"""Cores in use by others above which they count as a disturbance."""


def quiet(found: Found) -> str:
    """Whether the machine was quiet, in a sentence."""
    others = median(found.strangers) if found.strangers else 0.0
    most = max(found.strangers, default=0.0)
    text = f"load average {found.load_before:.1f} before"
    if found.strangers:
        text += f"; others used {others:.2f} cores (median of the trials, {most:.2f} at most)"
    noisy = found.load_before > QUIET or others > STRANGERS
    return f"THE MACHINE WAS NOT QUIET: {text}" if noisy else f"The machine was quiet: {text}"


def unsteady(found: Found) -> list[str]:
    """The figures whose runs lie too far apart to be compared."""
    bad = []
    for line, each in found.clean.items():
        for name, rate in each.items():
            if not rate.steady:
                bad.append(f"clean rate, {LINES[line]}, {BY_NAME[name].label}: {_runs(rate)}")
    for line, trials in found.delays.items():
        for name in trials:
            for what in CHECKED:
                figure = found.figure(line, name, what)
                if not figure.steady and figure.value > 1.0:
                    bad.append(f"{what}, {LINES[line]}, {BY_NAME[name].label}: {_runs(figure)}")
    bad += [f"{each.what}: {_runs(figure)}" for each, figure in found.commits if not figure.steady]
    return bad


def _runs(figure: Figure) -> str:
    return f"{', '.join(f'{run:.1f}' for run in figure.runs)} ({figure.apart:.0%} apart)"


def text(found: Found) -> str:
    """All tables."""
    parts = [quiet(found)]
    for line, rates in found.clean.items():
        parts.append(f"\n{LINES[line]}: highest clean rate, calls/s (all calls right, nothing sent twice)")
        rows = []
        for name, rate in rates.items():
            base = rates.get(BASELINE)
            rows.append([BY_NAME[name].label, f"{rate.value:.0f}", _ratio(rate, base), _runs(rate)])
        parts.append(table(["", "calls/s", "x dialplan", "runs"], rows))
    for line, trials in found.delays.items():
        parts.append(f"\n{LINES[line]} at {found.moderate[line]:.0f} calls/s, medians of the rounds")
        rows = []
        for name in trials:
            cpu = [found.figure(line, name, what).value for what in ("asterisk_cpu_ms", "controller_cpu_ms")]
            wrong = sum(each.wrong for each in trials[name])
            calls = sum(each.calls for each in trials[name])
            figures = [f"{found.figure(line, name, what).value:.1f}" for what in DELAYS]
            rows.append([BY_NAME[name].label, *figures, f"{cpu[0]:.1f}", f"{cpu[1]:.1f}", f"{wrong}/{calls}"])
        head = ["", "setup p50 ms", "p99", "digit to action p50 ms", "p95", "p99"]
        parts.append(table([*head, "Asterisk CPU ms/call", "controller", "wrong"], rows))
    if found.held:
        parts.append("\nLive calls that wait for a key, on Local channels")
        rows = []
        for name, steps in found.held.items():
            for each in steps:
                rows.append(
                    [
                        BY_NAME[name].label,
                        f"{each.up} of {each.wanted}",
                        f"{each.controller_kb:.1f}",
                        f"{each.asterisk_kb:.1f}",
                        f"{each.controller_cores:.2f}",
                        f"{each.asterisk_cores:.2f}",
                        "" if each.reached else "this machine carries no more",
                    ]
                )
        head = [
            "",
            "live",
            "controller kB/call",
            "Asterisk kB/call",
            "controller cores",
            "Asterisk cores",
            "",
        ]
        parts.append(table(head, rows))
    if found.commits:
        parts.append("\nDurable transitions, SQLite")
        rows = [
            [line.what, f"{figure.value:,.0f}", line.unit, _runs(figure)] for line, figure in found.commits
        ]
        parts.append(table(["", "median", "", "runs"], rows))
    if bad := unsteady(found):
        parts.append(f"\nREFUSED, for runs of one differ by more than {APART:.0%}; not to be compared:")
        parts += [f"  {each}" for each in bad]
    return "\n".join(parts)


def _ratio(figure: Figure, base: Figure | None) -> str:
    if base is None or not base.value:
        return ""
    if not (figure.steady and base.steady):
        return "refused"
    return f"{figure.value / base.value:.2f}"


def results(found: Found) -> Iterator[Result]:
    """The lines of `python -m bench`."""
    for line, rates in found.clean.items():
        base = rates.get(BASELINE)
        for name, rate in rates.items():
            what = f"compare: {LINES[line]}, {BY_NAME[name].label}"
            fair = base is not None and rate.steady and base.steady and base.value > 0
            ratio = rate.value / base.value if fair and base is not None else None
            note = "" if fair else f"refused: {_runs(rate)}"
            yield Result(what, rate.value, "calls/s", BASELINE if fair else "", ratio, note)
    for line, trials in found.delays.items():
        for name in trials:
            what = f"compare: {LINES[line]}, {BY_NAME[name].label}"
            at = f"at {found.moderate[line]:.0f} calls/s"
            yield Result(
                f"{what}, CPU",
                found.figure(line, name, "controller_cpu_ms").value * 1_000,
                "us/call",
                note=at,
            )
            action = found.figure(line, name, "action_ms 99").value * 1_000
            yield Result(f"{what}, digit to action p99", action, "us", note=at)
    for name, steps in found.held.items():
        for each in steps:
            what = f"compare: {each.up} live calls, {BY_NAME[name].label}"
            yield Result(what, each.controller_kb * 1_000, "bytes/call")
    yield Result("compare: load average before", found.load_before, "", note=quiet(found))
