"""The comparison as one picture: bars side by side, the lowest and the highest run as a line across each bar's end."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.compare.contenders import BY_NAME
from bench.compare.report import LINES, quiet
from bench.compare.run import Found
from bench.compare.steady import Figure

INK, PAPER, PALE, OURS, THEIRS, SECOND = "#222233", "#fbfbf8", "#d8d8d2", "#2f6db3", "#9a9a92", "#c4622d"
NAMES, BARS, GAP, ROW, HEAD, FOOT = 210, 330, 110, 22, 52, 46


@dataclass(frozen=True)
class Bar:
    """One bar: its parts from left to right, and its lowest and highest run."""

    name: str
    parts: tuple[float, ...]
    low: float
    high: float
    mark: str = ""


@dataclass(frozen=True)
class Panel:
    """Bars on one scale."""

    title: str
    bars: Sequence[Bar]


def panels(found: Found) -> list[Panel]:
    """What there is to be drawn."""
    made = []
    for line, rates in found.clean.items():
        bars = [_bar(name, rate) for name, rate in rates.items()]
        made.append(Panel(f"{LINES[line]}: highest clean rate, calls/s", bars))
    for line, trials in found.delays.items():
        at = f"{LINES[line]}, {found.moderate[line]:.0f} calls/s"
        cpu = []
        for name in trials:
            ours = found.figure(line, name, "controller_cpu_ms")
            asterisk = found.figure(line, name, "asterisk_cpu_ms")
            whole = ours.value + asterisk.value
            mark = "" if ours.steady and asterisk.steady else " *"
            cpu.append(Bar(name, (ours.value, asterisk.value), whole, whole, mark))
        made.append(Panel(f"{at}: CPU of controller + Asterisk, ms a call", cpu))
        bars = [_bar(name, found.figure(line, name, "action_ms 99")) for name in trials]
        made.append(Panel(f"{at}: digit to action p99, ms", bars))
    weights = []
    for name, steps in found.held.items():
        if steps and steps[-1].controller_kb > 0:
            last = steps[-1]
            weights.append(
                Bar(name, (last.controller_kb,), last.controller_kb, last.controller_kb, f" at {last.up}")
            )
    if weights:
        made.append(Panel("Memory of the controller, kB a live call", weights))
    return made


def _bar(name: str, figure: Figure) -> Bar:
    return Bar(
        name,
        (max(0.0, figure.value),),
        max(0.0, min(figure.runs)),
        max(figure.runs),
        "" if figure.steady else " *",
    )


def svg(found: Found) -> str:
    """The picture."""
    drawn = panels(found)
    width = NAMES + BARS + GAP
    heights = [HEAD + ROW * len(each.bars) for each in drawn]
    height = sum(heights) + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="11" fill="{INK}" role="img"'
        ' aria-labelledby="t">',
        '<title id="t">flowengine beside the Asterisk dialplan, FastAGI and bare ARI loops</title>',
        f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>',
    ]
    top = 0
    for panel, tall in zip(drawn, heights, strict=True):
        lines += _panel(panel, top)
        top += tall
    for up, note in ((26, quiet(found)), (12, "* refused: runs of one differ by more than 10 %")):
        lines.append(f'<text x="12" y="{height - up}" font-size="9">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _panel(panel: Panel, top: int) -> list[str]:
    most = max([bar.high for bar in panel.bars] + [sum(bar.parts) for bar in panel.bars] + [1e-9])
    lines = [f'<text x="12" y="{top + 30}" font-size="13" font-weight="600">{escape(panel.title)}</text>']
    for n, bar in enumerate(panel.bars):
        y = top + HEAD - 8 + n * ROW
        lines.append(
            f'<text x="{NAMES - 8}" y="{y + 12}" text-anchor="end">{escape(BY_NAME[bar.name].label)}</text>'
        )
        x = float(NAMES)
        colours = (OURS if bar.name.startswith("engine") else THEIRS, SECOND)
        for part, colour in zip(bar.parts, colours, strict=False):
            long = part / most * BARS
            lines.append(f'<rect x="{x:.1f}" y="{y}" width="{long:.1f}" height="{ROW - 6}" fill="{colour}"/>')
            x += long
        if bar.high > bar.low:
            low, high = (NAMES + end / most * BARS for end in (bar.low, bar.high))
            lines.append(f'<path d="M{low:.1f} {y + 8}H{high:.1f}" stroke="{INK}" stroke-width="1.5"/>')
        shown = " + ".join(f"{part:.0f}" if part >= 20 else f"{part:.1f}" for part in bar.parts)
        end = max(x, NAMES + bar.high / most * BARS)
        lines.append(f'<text x="{end + 5:.1f}" y="{y + 12}">{shown}{bar.mark}</text>')
    return lines
