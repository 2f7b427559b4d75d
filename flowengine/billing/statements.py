"""A month of an account's credits on one page: what was there, what came and went by kind, and what is left.

A statement is a value, made by the store from the ledger (`flowengine.store.statements`); this is its shape, its one
rule (closing = opening + the sum of its lines) and its CSV. Amounts are micro-credits, signed by what they did to the
balance: a debit is negative. Taxes are not ours: what a country asks of an invoice is between seller and buyer.
"""

import csv
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple, TextIO

from flowengine.billing.currencies import ExchangeRate, shown_in
from flowengine.billing.money import MicroCredits, format_credits

COLUMNS: Final = ("section", "item", "detail", "count", "credits", "amount", "currency")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


class Line(NamedTuple):
    """All entries of one kind: how many, and what they did to the balance."""

    kind: str
    many: int
    amount: MicroCredits


class CallLine(NamedTuple):
    """Increments of calls at the rates of one key ("JP/local", or an outbound prefix), paid or owed."""

    direction: str
    key: str
    many: int
    amount: MicroCredits


class FeeLine(NamedTuple):
    """Fees of one number or plan."""

    kind: str
    subject: str
    many: int
    amount: MicroCredits


class Statement(NamedTuple):
    """One month. `first` and `last` are its days as clocks in `zone` show them."""

    account: str
    """The account's key."""
    name: str
    language: str
    zone: str
    first: date
    last: date
    opening: MicroCredits
    lines: tuple[Line, ...]
    calls: tuple[CallLine, ...]
    fees: tuple[FeeLine, ...]
    owed: MicroCredits
    """Increments of calls that no credit could pay, all in all, at the end; 0 or more."""
    is_final: bool
    """The month is over."""

    @property
    def closing(self) -> MicroCredits:
        """The balance at the end."""
        return self.opening + sum(line.amount for line in self.lines)


def write_csv(statement: Statement, rate: ExchangeRate, stream: TextIO) -> None:
    """Write a statement as a table that a spreadsheet opens and that has no formulas in it."""
    writer = csv.writer(stream, lineterminator="\n")

    def row(section: str, item: str, detail: str, count: int | None, amount: MicroCredits) -> None:
        texts = [safe_cell(section), safe_cell(item), safe_cell(detail)]
        counted = "" if count is None else str(count)
        writer.writerow([*texts, counted, format_credits(amount), shown_in(amount, rate), rate.currency])

    writer.writerow(COLUMNS)
    row("balance", "opening", statement.first.isoformat(), None, statement.opening)
    for line in statement.lines:
        row("entries", line.kind, "", line.many, line.amount)
    row("balance", "closing", statement.last.isoformat(), None, statement.closing)
    for call in statement.calls:
        row("calls", call.direction, call.key, call.many, call.amount)
    for fee in statement.fees:
        row("fees", fee.kind, fee.subject, fee.many, fee.amount)
    row("balance", "owed", statement.last.isoformat(), None, statement.owed)


def safe_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that looks like it gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_rows(header: Sequence[str], rows: Sequence[Sequence[object]], stream: TextIO) -> None:
    """Write a list (purchases, usage by day) as CSV, its texts made safe; numbers stay numbers."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for cells in rows:
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])
