"""Pictures and tables without a plotting library: a chart as SVG text, a table for the terminal.

Only what the figures of a centre need: curves, dots with error bars, linear and logarithmic axes. The same values give
the same text, so a picture can be committed and compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf, isfinite, log10
from typing import Final
from xml.sax.saxutils import escape

COLOURS: Final = ("#2f6db3", "#c4622d", "#4a8a36", "#8a4f9e", "#7a6a2a")
INK, PALE, PAPER = "#222233", "#d8d8d2", "#fbfbf8"
WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 48
_NOTHING: Final = 1e-100
"""What is smaller is 0 on paper."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A line through points in order of x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Dots:
    """Points with error bars: (x, y, how far y may be off in both directions)."""

    name: str
    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart. The colour of a curve or of dots is that of their name; `log_y` needs values above 0."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve] = ()
    dots: Sequence[Dots] = ()
    log_y: bool = False
    x_range: tuple[float, float] | None = None
    """What the x axis spans at least."""

    @property
    def names(self) -> list[str]:
        """Every name, once."""
        return list(
            dict.fromkeys([*(curve.name for curve in self.curves), *(dots.name for dots in self.dots)])
        )


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels, `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    ticks: tuple[float, ...] = field(default=())

    def at(self, value: float) -> float:
        """The pixel of a value; beyond the axis, that of its end."""
        value = min(max(value, self.low), self.high)
        low, high = (log10(self.low), log10(self.high)) if self.log else (self.low, self.high)
        place = log10(value) if self.log else value
        return self.start + (place - low) / (high - low) * (self.end - self.start)


def svg(panels: Sequence[Panel], *, title: str, description: str) -> str:
    """Give an SVG document of the panels side by side; a name has one colour in all of them."""
    names = dict.fromkeys(name for panel in panels for name in panel.names)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    width = WIDTH * len(panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}"'
        f' height="{HEIGHT}" font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="11"'
        f' fill="{INK}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(description)}</desc>',
        f'<rect width="{width}" height="{HEIGHT}" rx="10" fill="{PAPER}"/>',
    ]
    for place, panel in enumerate(panels):
        lines.append(f'<g transform="translate({place * WIDTH} 0)">')
        lines += _panel(panel, colours)
        lines.append("</g>")
    return "\n".join([*lines, "</svg>"]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table as text, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, ["-" * width for width in widths], *rows):
        first, *rest = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines) + "\n"


def _panel(panel: Panel, colours: dict[str, str]) -> Iterator[str]:
    points = [point for curve in panel.curves for point in curve.points]
    points += [(x, y) for dots in panel.dots for x, y, _ in dots.points]
    ends = [y + off * sign for dots in panel.dots for _, y, off in dots.points for sign in (-1, 1)]
    x = _axis([*(x for x, _ in points), *(panel.x_range or ())], LEFT, WIDTH - RIGHT)
    y = _axis([y for _, y in points] + ends, HEIGHT - BOTTOM, TOP, log=panel.log_y, from_zero=True)
    yield f'<text x="{LEFT}" y="24" font-size="13" font-weight="600">{escape(panel.title)}</text>'
    for tick in x.ticks:
        yield f'<text x="{_px(x.at(tick))}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
    for tick in y.ticks:
        row = _px(y.at(tick))
        yield f'<path d="M{LEFT} {row}H{WIDTH - RIGHT}" stroke="{PALE}"/>'
        yield f'<text x="{LEFT - 6}" y="{row}" dy="4" text-anchor="end">{tick:,g}</text>'
    middle = (TOP + HEIGHT - BOTTOM) // 2
    yield f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="{INK}"/>'
    yield (
        f'<text x="{(LEFT + WIDTH - RIGHT) // 2}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{escape(panel.x_label)}</text>"
    )
    yield (
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(panel.y_label)}</text>'
    )
    for curve in panel.curves:
        path = "L".join(f"{_px(x.at(at))} {_px(y.at(value))}" for at, value in curve.points)
        yield f'<path d="M{path}" fill="none" stroke="{colours[curve.name]}" stroke-width="1.5"/>'
    for dots in panel.dots:
        colour = colours[dots.name]
        for at, value, off in dots.points:
            column, left = _px(x.at(at)), _px(x.at(at) - 3)
            if isfinite(off):
                bottom, top = _px(y.at(value - off)), _px(y.at(value + off))
                yield (
                    f'<path d="M{column} {bottom}V{top}M{left} {bottom}h6M{left} {top}h6"'
                    f' stroke="{colour}" stroke-width="1.2"/>'
                )
            yield f'<circle cx="{column}" cy="{_px(y.at(value))}" r="2.6" fill="{colour}"/>'
    yield from _legend(panel, colours)


def _legend(panel: Panel, colours: dict[str, str]) -> Iterator[str]:
    for place, name in enumerate(panel.names):
        row = TOP + 12 + 16 * place
        yield f'<rect x="{LEFT + 12}" y="{row - 7}" width="14" height="4" fill="{colours[name]}"/>'
        yield f'<text x="{LEFT + 32}" y="{row}">{escape(name)}</text>'


def _axis(
    values: Sequence[float], start: float, end: float, *, log: bool = False, from_zero: bool = False
) -> _Axis:
    known = [value for value in values if isfinite(value) and (value > 0 or not log)]
    low, high = min(known, default=1.0), max(known, default=1.0)
    if log:
        first, last = floor(log10(low)), ceil(log10(high))
        last = max(last, first + 1)
        return _Axis(
            10.0**first, 10.0**last, start, end, True, tuple(10.0**each for each in range(first, last + 1))
        )
    low = min(0.0, low) if from_zero else low
    span = max(high - low, max(abs(low), abs(high)) / 1e6)
    step = _step(span if span > _NOTHING else 1.0)
    first, last = floor(low / step), ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = tuple(each * step for each in range(first, last + 1))
    return _Axis(first * step, last * step, start, end, False, ticks)


def _step(span: float) -> float:
    """A round step that gives some five ticks."""
    size: float = 10.0 ** floor(log10(span / 5))
    return min((each * size for each in (1, 2, 2.5, 5, 10) if span / (each * size) <= 6), default=inf)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
