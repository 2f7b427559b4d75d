"""Tables as CSV files: read as a whole or refused as a whole, with every problem named by line and column.

What a table is about (rate decks, number fees) stands elsewhere; this is the reading. Text streams should be opened
with `newline=""` and UTF-8, with or without a byte order mark.
"""

import csv
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TextIO, TypeVar

from flowengine.billing.money import shortened
from flowengine.billing.validity import Dated

MOST_PROBLEMS: Final = 100
MOST_ROWS: Final = 1_000_000
LONGEST_LINE: Final = 10_000

Item = TypeVar("Item")


class CsvProblem(NamedTuple):
    """Something wrong in a table. Lines and columns count from 1, the header is line 1; column 0 is the whole row."""

    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f", column {self.column} ({self.field})" if self.column else ""
        return f"line {self.line}{where}: {self.message}"


class BadCsv(ValueError):
    """A table that was refused; nothing of it is used. `more`: reading stopped at the hundredth problem."""

    def __init__(self, what: str, problems: Sequence[CsvProblem], more: bool) -> None:
        self.problems = tuple(problems)
        self.more = more
        counted = f"{'more than ' if more else ''}{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        listed = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"the {what} has {counted}, nothing was imported\n{listed}")


class BadCell(ValueError):
    """What a cell says cannot be used; the message says why and how to mend it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        """The column, where whoever raises this knows it and the reading does not."""


class Column(NamedTuple):
    """A column. An empty cell of one that is not required is left out of the row; `read` raises `BadCell`."""

    name: str
    read: Callable[[str], object]
    required: bool = False


class Layout(NamedTuple):
    """The columns that a table may have, in any order, and what to call the table: "outbound deck"."""

    what: str
    columns: Sequence[Column]


class Problems:
    """What is wrong with a table, in the order in which it was found."""

    def __init__(self) -> None:
        self.found: list[CsvProblem] = []

    def add(self, line: int, message: str, *, column: int = 0, field: str = "") -> None:
        """Note one; ends the reading when there are `MOST_PROBLEMS` already."""
        if len(self.found) == MOST_PROBLEMS:
            raise _Enough
        self.found.append(CsvProblem(line, column, field, message))


class _Enough(Exception):
    """So many problems that reading on tells nobody more."""


def read_table(
    stream: TextIO,
    layout_of: Callable[[Sequence[str]], Layout],
    make: Callable[[dict[str, Any]], Item],
    check: Callable[[Sequence[Item], Sequence[int], Problems], None],
) -> list[Item]:
    """Read a table and give what `make` made of its rows, in their order.

    Args:
        stream: the file.
        layout_of: chooses the layout by the names in the header, in small letters.
        make: an item of the values of a row by column; raises `BadCell` with the column.
        check: looks at all items together, with their lines, and adds problems.

    Raises:
        BadCsv: anything is wrong anywhere.
    """
    problems = Problems()
    items: list[Item] = []
    lines = array("L")
    what = "table"
    try:
        rows = _rows(stream, problems)
        line, cells = next(rows, (1, []))
        fields = [cell.lower() for cell in cells]
        layout = layout_of(fields)
        what = layout.what
        if _usable(layout, line, fields, problems):
            columns = {column.name: column for column in layout.columns}
            in_order = [columns[field] for field in fields]
            for line, cells in rows:
                values = _values(line, cells, in_order, problems)
                if values is not None:
                    try:
                        items.append(make(values))
                    except BadCell as bad:
                        problems.add(line, str(bad), column=fields.index(bad.field) + 1, field=bad.field)
                    else:
                        lines.append(line)
            if not items and not problems.found:
                problems.add(1, "there is a header and nothing below it: add rows")
            check(items, lines, problems)
    except _Enough:
        raise BadCsv(what, problems.found, more=True) from None
    if problems.found:
        raise BadCsv(what, sorted(problems.found), more=False)
    return items


def check_sequences(what: str, prices: Sequence[Dated], lines: Sequence[int], problems: Problems) -> None:
    """See that within a table one price of a key ends where the next one begins; `what` names them: "rates".

    Gaps are not looked for when rows were refused: what seems a gap may be one of them.
    """
    whole = not problems.found
    if len({price.key for price in prices}) == len(prices):
        return
    order = sorted(range(len(prices)), key=lambda at: (prices[at].key, prices[at].valid_from, lines[at]))
    for one, other in pairwise(order):
        earlier, later = prices[one], prices[other]
        if earlier.key != later.key or earlier.valid_until == later.valid_from:
            continue
        of_key, line, before = f"{what} for {later.key}", lines[other], lines[one]
        if earlier.valid_from == later.valid_from:
            problems.add(line, f"two {of_key} begin together, the other in line {before}: leave one out")
        elif earlier.valid_until is None:
            problems.add(
                line, f"two {of_key} overlap: give line {before} the valid_until where this one begins"
            )
        elif earlier.valid_until > later.valid_from:
            problems.add(line, f"two {of_key} overlap: line {before} must end where this one begins")
        elif whole:
            problems.add(line, f"a gap between {of_key}: line {before} ends before this one begins")


def _rows(stream: TextIO, problems: Problems) -> Iterator[tuple[int, list[str]]]:
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
                problems.add(begins_on, f"more than {MOST_ROWS:,} rows: divide the file")
                return
            yield begins_on, cells
        begins_on = above + reader.line_num + 1


def _lines(line: str, number: int, stream: TextIO, problems: Problems) -> Iterator[str]:
    while line:
        yield line
        number += 1
        line = _line(stream, problems, number)


def _line(stream: TextIO, problems: Problems, number: int) -> str:
    """The next line, "" at the end or where reading makes no sense any more."""
    try:
        line = stream.readline(LONGEST_LINE + 1)
    except UnicodeDecodeError:
        problems.add(number, "this line or one soon after it is not UTF-8: save the file as CSV UTF-8")
        return ""
    if len(line) > LONGEST_LINE:
        problems.add(number, f"longer than {LONGEST_LINE:,} characters: no row is as long")
        return ""
    return line


def _delimiter(header: str) -> str:
    return ";" if ";" in header else ","


def _usable(layout: Layout, line: int, fields: Sequence[str], problems: Problems) -> bool:
    """Whether the header fits the layout; says what does not."""
    if problems.found:
        return False
    if not fields:
        problems.add(line, "the file is empty: it begins with a header line")
        return False
    known = [column.name for column in layout.columns]
    its_columns = f"its columns are {', '.join(known)}"
    for column, field in enumerate(fields, 1):
        if field == "currency" and field not in known:
            message = "prices are credits, which are US dollars: convert them and leave the column out"
            problems.add(line, message, column=column, field=field)
        elif field not in known:
            message = f"{shortened(field)} is no column of the {layout.what}: {its_columns}"
            problems.add(line, message, column=column, field=field[:30])
        elif field in fields[: column - 1]:
            problems.add(line, "the column is there twice: leave one out", column=column, field=field)
    missing = [column.name for column in layout.columns if column.required and column.name not in fields]
    if missing:
        problems.add(line, f"the {layout.what} lacks {', '.join(missing)}: {its_columns}")
    return not problems.found


def _values(
    line: int, cells: Sequence[str], columns: Sequence[Column], problems: Problems
) -> dict[str, Any] | None:
    """What the cells of a row say, or None and their problems noted."""
    if len(cells) != len(columns):
        problems.add(
            line,
            f"{len(cells)} cells, but the header has {len(columns)}: a cell that holds a separator needs quotes",
        )
        return None
    before = len(problems.found)
    values: dict[str, Any] = {}
    for number, (column, text) in enumerate(zip(columns, cells, strict=True), 1):
        if text or column.required:
            try:
                values[column.name] = column.read(text)
            except BadCell as bad:
                problems.add(line, str(bad), column=number, field=column.name)
    return values if len(problems.found) == before else None
