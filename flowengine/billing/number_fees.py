"""What a number costs a month, by country and type (product rules, section 1), and the table of it as CSV.

Each month costs the fee that holds when the month begins (`periods`), so a new fee counts from each number's next
anniversary on.
"""

import csv
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TextIO
from zoneinfo import ZoneInfo

import msgspec

from flowengine.billing.csv_cells import (
    read_country,
    read_instant,
    read_number_type,
    read_price,
    write_instant,
)
from flowengine.billing.csv_table import BadCell, Column, Layout, Problems, check_sequences, read_table
from flowengine.billing.money import CREDIT, MicroCredits, format_credits
from flowengine.billing.rates import NumberType, inbound_key
from flowengine.billing.validity import by_key, holding_at
from flowengine.call.events import Instant

DEAREST_MONTH: Final[MicroCredits] = 10_000 * CREDIT
COLUMNS: Final = ("country", "type", "per_month", "setup_fee", "valid_from", "valid_until")


class BadFee(ValueError):
    """A fee that cannot be; the message names the field and the mend."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field
        """The field of the fee that is wrong."""


class NumberFee(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The price of numbers of one country and type in one span of time, in micro-credits."""

    country: str
    number_type: NumberType
    per_month: MicroCredits
    setup_fee: MicroCredits = 0
    """Once, when the number is bought."""
    valid_from: Instant
    valid_until: Instant | None = None
    """The first instant it does not hold any more."""

    def __post_init__(self) -> None:
        for field, price in (("per_month", self.per_month), ("setup_fee", self.setup_fee)):
            if not 0 <= price <= DEAREST_MONTH:
                most = format_credits(DEAREST_MONTH)
                raise BadFee(f"{field} of {format_credits(price)} credits: give 0 to {most} credits", field)
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise BadFee("valid_until is not after valid_from: the fee would never hold", "valid_until")

    @property
    def key(self) -> str:
        """Country and type, as in "JP/toll_free"."""
        return inbound_key(self.country, self.number_type)

    @property
    def id(self) -> str:
        """All that it says, in one line."""
        until = "" if self.valid_until is None else self.valid_until
        return f"fee {self.key} {self.per_month} {self.setup_fee} {self.valid_from} {until}".rstrip()


class NoFee(NamedTuple):
    """There is no price for such numbers at that time: they are not for sale."""

    country: str
    number_type: NumberType

    def __str__(self) -> str:
        return f"no fee for {self.number_type} numbers of {self.country} at that time: import a list of fees with them"


class NumberFees:
    """All fees; immutable. Of several that hold at once the one that begins later wins, as with rates."""

    __slots__ = ("_by_key",)

    def __init__(self, fees: Iterable[NumberFee]) -> None:
        """Put fees in order; a fee given twice counts once.

        Raises:
            Contradiction: two different fees of one country and type begin at the same instant.
        """
        self._by_key = by_key(fees)

    def fee(self, country: str, number_type: NumberType, at: Instant) -> NumberFee | NoFee:
        """What a number of that country and type costs when it is bought, or its next month begins, at an instant."""
        fees = self._by_key.get(inbound_key(country, number_type), ())
        return holding_at(fees, at) or NoFee(country, number_type)


def read_number_fees(stream: TextIO, zone: ZoneInfo) -> list[NumberFee]:
    """Read a list of fees, in its order. A date alone is the beginning of that day in `zone`.

    Raises:
        BadCsv: anything is wrong anywhere; overlaps and gaps too, as in a rate deck.
    """
    return read_table(stream, partial(_layout, zone), _fee, _check)


def write_number_fees(fees: Iterable[NumberFee], stream: TextIO, zone: ZoneInfo) -> None:
    """Write fees so that `read_number_fees` with the same zone gives them back."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for fee in fees:
        writer.writerow(
            (
                fee.country,
                fee.number_type,
                format_credits(fee.per_month),
                format_credits(fee.setup_fee),
                write_instant(fee.valid_from, zone),
                "" if fee.valid_until is None else write_instant(fee.valid_until, zone),
            )
        )


def _layout(zone: ZoneInfo, _fields: Sequence[str]) -> Layout:
    return Layout(
        "list of number fees",
        [
            Column("country", read_country, required=True),
            Column("type", read_number_type, required=True),
            Column("per_month", read_price, required=True),
            Column("setup_fee", read_price),
            Column("valid_from", lambda text: read_instant(text, zone), required=True),
            Column("valid_until", lambda text: read_instant(text, zone)),
        ],
    )


def _fee(said: dict[str, Any]) -> NumberFee:
    try:
        return NumberFee(number_type=said.pop("type"), **said)
    except BadFee as bad:
        raise BadCell(str(bad), bad.field) from None


def _check(fees: Sequence[NumberFee], lines: Sequence[int], problems: Problems) -> None:
    check_sequences("fees", fees, lines, problems)
