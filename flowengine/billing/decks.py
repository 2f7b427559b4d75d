"""Rate decks as CSV: read as a whole or refused as a whole, with every problem named by line and column.

The header says which deck it is: `prefix` makes it outbound, `country` and `type` inbound. docs/rates.md describes the
columns. Text streams should be opened with `newline=""` and UTF-8, with or without a byte order mark.
"""

import csv
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TextIO
from zoneinfo import ZoneInfo

from flowengine.billing.deck_cells import (
    BadCell,
    read_country,
    read_instant,
    read_name,
    read_number_type,
    read_prefix,
    read_price,
    read_seconds,
    write_instant,
)
from flowengine.billing.money import format_credits, shortened
from flowengine.billing.rates import BadRate, Direction, Rate, inbound_key

MOST_PROBLEMS: Final = 100
MOST_ROWS: Final = 1_000_000
LONGEST_LINE: Final = 10_000

_TERMS: Final = ("name", "per_minute", "connect_fee", "first_s", "following_s", "valid_from", "valid_until")
COLUMNS: Final[dict[Direction, tuple[str, ...]]] = {
    "inbound": ("country", "type", *_TERMS),
    "outbound": ("prefix", *_TERMS),
}
"""The columns of a deck in the order in which `write_deck` writes them; a deck to be read may have any order."""
REQUIRED: Final = ("prefix", "country", "type", "per_minute", "valid_from")
"""Columns that must be there and must be filled, where the deck has them."""


class DeckProblem(NamedTuple):
    """Something wrong in a deck. Lines and columns count from 1, the header is line 1; column 0 is the whole row."""

    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f", column {self.column} ({self.field})" if self.column else ""
        return f"line {self.line}{where}: {self.message}"


class BadDeck(ValueError):
    """A deck that was refused; nothing of it is used. `more`: reading stopped at the hundredth problem."""

    def __init__(self, problems: Sequence[DeckProblem], more: bool) -> None:
        self.problems = tuple(problems)
        self.more = more
        counted = f"{'more than ' if more else ''}{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        listed = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"the rate deck has {counted}, nothing was imported\n{listed}")


def read_deck(stream: TextIO, zone: ZoneInfo) -> list[Rate]:
    """Read all rates of a deck, in its order. A date alone is the beginning of that day in `zone`.

    Raises:
        BadDeck: anything is wrong anywhere. Within one deck the rates of a key must follow each other without an
            overlap and without a gap.
    """
    problems = _Problems()
    rates: list[Rate] = []
    lines = array("L")
    try:
        rows = _rows(stream, problems)
        header = _header(next(rows, None), problems)
        if header is not None:
            for line, cells in rows:
                rate = _rate(line, cells, header, zone, problems)
                if rate is not None:
                    rates.append(rate)
                    lines.append(line)
            if not rates and not problems.found:
                problems.add(1, "the deck has a header and no rates: add a row for each rate")
            _check_sequences(rates, lines, problems)
    except _Enough:
        raise BadDeck(problems.found, more=True) from None
    if problems.found:
        raise BadDeck(sorted(problems.found), more=False)
    return rates


def write_deck(rates: Iterable[Rate], stream: TextIO, zone: ZoneInfo) -> None:
    """Write rates of one direction so that `read_deck` with the same zone gives them back; same rates, same bytes.

    Raises:
        ValueError: inbound and outbound rates are mixed.
    """
    writer = csv.writer(stream, lineterminator="\n")
    direction: Direction | None = None
    for rate in rates:
        if direction is None:
            direction = rate.direction
            writer.writerow(COLUMNS[direction])
        elif rate.direction != direction:
            raise ValueError("a deck is inbound or outbound: write two")
        writer.writerow(
            (
                *(rate.key.split("/")),
                rate.name,
                format_credits(rate.per_minute),
                format_credits(rate.connect_fee),
                rate.first_s,
                rate.following_s,
                write_instant(rate.valid_from, zone),
                "" if rate.valid_until is None else write_instant(rate.valid_until, zone),
            )
        )


class _Enough(Exception):
    """So many problems that reading on tells nobody more."""


class _Problems:
    """What is wrong with a deck, in the order in which it was found."""

    def __init__(self) -> None:
        self.found: list[DeckProblem] = []

    def add(self, line: int, message: str, *, column: int = 0, field: str = "") -> None:
        """Note one.

        Raises:
            _Enough: there are `MOST_PROBLEMS` already.
        """
        if len(self.found) == MOST_PROBLEMS:
            raise _Enough
        self.found.append(DeckProblem(line, column, field, message))


class _Header(NamedTuple):
    """Which deck it is, and which cell of a row holds what."""

    direction: Direction
    fields: tuple[str, ...]


def _rows(stream: TextIO, problems: _Problems) -> Iterator[tuple[int, list[str]]]:
    """The rows with something in them, each with the line it begins on; ends early where the file is broken."""
    rows, begins_on = 0, 1
    first = _line(stream, problems, 1).removeprefix("\ufeff")
    while first.isspace():
        begins_on += 1
        first = _line(stream, problems, begins_on)
    above = begins_on - 1
    reader = csv.reader(_lines(first, begins_on, stream, problems), delimiter=_delimiter(first), strict=True)
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(begins_on, f"not readable as CSV ({error}): look for a quote that is not closed")
            return
        if any(cells):
            rows += 1
            if rows > MOST_ROWS:
                problems.add(begins_on, f"more than {MOST_ROWS:,} rows: divide the deck")
                return
            yield begins_on, cells
        begins_on = above + reader.line_num + 1


def _lines(line: str, number: int, stream: TextIO, problems: _Problems) -> Iterator[str]:
    while line:
        yield line
        number += 1
        line = _line(stream, problems, number)


def _line(stream: TextIO, problems: _Problems, number: int) -> str:
    """The next line, "" at the end or where reading makes no sense any more."""
    try:
        line = stream.readline(LONGEST_LINE + 1)
    except UnicodeDecodeError:
        problems.add(number, "this line or one soon after it is not UTF-8: save the file as CSV UTF-8")
        return ""
    if len(line) > LONGEST_LINE:
        problems.add(number, f"longer than {LONGEST_LINE:,} characters: no rate deck has such a line")
        return ""
    return line


def _delimiter(header: str) -> str:
    return ";" if ";" in header else ","


def _header(row: tuple[int, list[str]] | None, problems: _Problems) -> _Header | None:
    """Recognise the columns, or say what is wrong with them."""
    if row is None:
        if not problems.found:
            problems.add(1, "the file is empty: a deck begins with a header line")
        return None
    line, cells = row
    fields = tuple(cell.lower() for cell in cells)
    direction: Direction = "outbound" if "prefix" in fields else "inbound"
    before = len(problems.found)
    for column, field in enumerate(fields, 1):
        if field not in COLUMNS[direction]:
            problems.add(line, _unknown(field, direction), column=column, field=field[:30])
        elif field in fields[: column - 1]:
            problems.add(line, "the column is there twice: leave one out", column=column, field=field)
    missing = [field for field in COLUMNS[direction] if field in REQUIRED and field not in fields]
    if missing:
        problems.add(
            line, f"the {direction} deck lacks {', '.join(missing)}: its columns are {_columns(direction)}"
        )
    return None if len(problems.found) > before else _Header(direction, fields)


def _unknown(field: str, direction: Direction) -> str:
    if field == "currency":
        return "prices are credits, which are US dollars: convert them and leave the column out"
    return f"{shortened(field)} is no column of an {direction} deck: its columns are {_columns(direction)}"


def _columns(direction: Direction) -> str:
    return ", ".join(COLUMNS[direction])


def _rate(line: int, cells: list[str], header: _Header, zone: ZoneInfo, problems: _Problems) -> Rate | None:
    """The rate of a row, or None and its problems noted."""
    if len(cells) != len(header.fields):
        problems.add(
            line,
            f"{len(cells)} cells, but the header has {len(header.fields)}: a cell that holds a separator needs quotes",
        )
        return None
    before = len(problems.found)
    said: dict[str, Any] = {}
    for column, (field, text) in enumerate(zip(header.fields, cells, strict=True), 1):
        if not text and field not in REQUIRED:
            continue
        try:
            said[field] = _READERS[field](text, zone)
        except BadCell as bad:
            problems.add(line, str(bad), column=column, field=field)
    if len(problems.found) > before:
        return None
    if header.direction == "outbound":
        said["key"] = said.pop("prefix")
    else:
        said["key"] = inbound_key(said.pop("country"), said.pop("type"))
    try:
        return Rate(direction=header.direction, **said)
    except BadRate as bad:
        problems.add(line, str(bad), column=header.fields.index(bad.field) + 1, field=bad.field)
        return None


_READERS: Final[Mapping[str, Callable[[str, ZoneInfo], object]]] = {
    "prefix": lambda text, _: read_prefix(text),
    "country": lambda text, _: read_country(text),
    "type": lambda text, _: read_number_type(text),
    "name": lambda text, _: read_name(text),
    "per_minute": lambda text, _: read_price(text),
    "connect_fee": lambda text, _: read_price(text),
    "first_s": lambda text, _: read_seconds(text),
    "following_s": lambda text, _: read_seconds(text),
    "valid_from": read_instant,
    "valid_until": read_instant,
}


def _check_sequences(rates: Sequence[Rate], lines: Sequence[int], problems: _Problems) -> None:
    """Within a deck one rate of a key ends where the next one begins.

    Gaps are not looked for when rows were refused: what seems a gap may be one of them.
    """
    whole = not problems.found
    if len({rate.key for rate in rates}) == len(rates):
        return
    order = sorted(range(len(rates)), key=lambda at: (rates[at].key, rates[at].valid_from, lines[at]))
    for one, other in pairwise(order):
        earlier, later = rates[one], rates[other]
        if earlier.key != later.key or earlier.valid_until == later.valid_from:
            continue
        what, line, before = f"{later.direction} rates for {later.key}", lines[other], lines[one]
        if earlier.valid_from == later.valid_from:
            problems.add(line, f"two {what} begin together, the other in line {before}: leave one out")
        elif earlier.valid_until is None:
            problems.add(
                line, f"two {what} overlap: give line {before} the valid_until where this one begins"
            )
        elif earlier.valid_until > later.valid_from:
            problems.add(line, f"two {what} overlap: line {before} must end where this one begins")
        elif whole:
            problems.add(line, f"a gap between {what}: line {before} ends before this one begins")
