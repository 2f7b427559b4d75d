"""Rate decks as CSV: read as a whole or refused as a whole (`csv_table`), and written the same way again.

The header says which deck it is: `prefix` makes it outbound, `country` and `type` inbound. docs/rates.md describes the
columns.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

from flowengine.billing.csv_cells import (
    read_country,
    read_instant,
    read_name,
    read_number_type,
    read_prefix,
    read_price,
    read_seconds,
    write_instant,
)
from flowengine.billing.csv_table import BadCell, Column, Layout, Problems, check_sequences, read_table
from flowengine.billing.money import format_credits
from flowengine.billing.rates import BadRate, Direction, Rate, inbound_key

_TERMS: Final = ("name", "per_minute", "connect_fee", "first_s", "following_s", "valid_from", "valid_until")
COLUMNS: Final[dict[Direction, tuple[str, ...]]] = {
    "inbound": ("country", "type", *_TERMS),
    "outbound": ("prefix", *_TERMS),
}
"""The columns of a deck in the order in which `write_deck` writes them; a deck to be read may have any order."""


Check = Callable[[Sequence[Rate], Sequence[int], Problems], None]
"""Looks at all rates of a deck with their lines, and adds problems."""


def read_deck(stream: TextIO, zone: ZoneInfo, check: Check | None = None) -> list[Rate]:
    """Read all rates of a deck, in its order. A date alone is the beginning of that day in `zone`.

    `check` may refuse it for what else is known, such as other decks.

    Raises:
        BadCsv: anything is wrong anywhere. Within one deck the rates of a key must follow each other without an
            overlap and without a gap.
    """

    def checked(rates: Sequence[Rate], lines: Sequence[int], problems: Problems) -> None:
        _check(rates, lines, problems)
        if check is not None:
            check(rates, lines, problems)

    return read_table(stream, partial(_layout, zone), _rate, checked)


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


def _layout(zone: ZoneInfo, fields: Sequence[str]) -> Layout:
    direction: Direction = "outbound" if "prefix" in fields else "inbound"
    columns = {
        "prefix": Column("prefix", read_prefix, required=True),
        "country": Column("country", read_country, required=True),
        "type": Column("type", read_number_type, required=True),
        "name": Column("name", read_name),
        "per_minute": Column("per_minute", read_price, required=True),
        "connect_fee": Column("connect_fee", read_price),
        "first_s": Column("first_s", read_seconds),
        "following_s": Column("following_s", read_seconds),
        "valid_from": Column("valid_from", lambda text: read_instant(text, zone), required=True),
        "valid_until": Column("valid_until", lambda text: read_instant(text, zone)),
    }
    return Layout(f"{direction} rate deck", [columns[name] for name in COLUMNS[direction]])


def _rate(said: dict[str, Any]) -> Rate:
    prefix = said.pop("prefix", None)
    key = prefix or inbound_key(said.pop("country"), said.pop("type"))
    try:
        return Rate(direction="outbound" if prefix else "inbound", key=key, **said)
    except BadRate as bad:
        raise BadCell(str(bad), bad.field) from None


def _check(rates: Sequence[Rate], lines: Sequence[int], problems: Problems) -> None:
    if rates:
        check_sequences(f"{rates[0].direction} rates", rates, lines, problems)
