"""Text for terminals: columns that line up, lengths, local times; what others have named is shown and never obeyed."""

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Final

GAP: Final = "  "
LEAST: Final = 12
"""Characters that a cut last column keeps at least."""


def plain(text: str) -> str:
    """The text on one line, without control characters and without anything that turns the direction of writing."""
    return "".join(c if c.isprintable() else " " if c in "\n\r\t" else "?" for c in text)


def columns(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> list[str]:
    """Lines of a table; the columns named in `right` end together. On a terminal the last column is cut to fit."""
    table = [list(titles), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    to_right = [title in set(right) for title in titles]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = []
    for row in table:
        cells = [_padded(cell, width, end) for cell, width, end in zip(row, widths, to_right, strict=True)]
        if most is not None:
            before = _width(GAP.join(cells[:-1])) + len(GAP)
            cells[-1] = _cut(cells[-1], max(LEAST, most - before))
        lines.append(GAP.join(cells).rstrip())
    return lines


def clock(ms: int) -> str:
    """A length as 0:07, 12:30 or 1:02:03, rounded; whatever has a length is a second long at least."""
    minutes, seconds = divmod(max((ms + 500) // 1_000, min(ms, 1)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def local(moment: datetime, zone: tzinfo) -> str:
    """When it was, by the clocks of a zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def iso(moment: datetime | None, zone: tzinfo) -> str | None:
    """When it was, for programs: with the offset of the zone."""
    return None if moment is None else moment.astimezone(zone).isoformat(timespec="seconds")


def bar(part: int, whole: int, width: int) -> str:
    """So much of the whole as a bar of text; more than the whole fills it."""
    filled = min(width, -(-part * width // whole)) if whole > 0 and part > 0 else 0
    return "#" * filled + "." * (width - filled)


def _width(text: str) -> int:
    """Cells on a terminal: kanji take two, marks on the letter before take none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _padded(text: str, width: int, to_right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if to_right else text + space


def _cut(text: str, width: int) -> str:
    text = text.rstrip()
    if _width(text) <= width:
        return text
    while _width(text) > width - 3:
        text = text[:-1]
    return f"{text}..."
