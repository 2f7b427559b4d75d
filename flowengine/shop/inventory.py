"""A carrier's list of numbers as CSV: read as a whole, or refused as a whole with every problem by its line.

| column | what | left empty |
| --- | --- | --- |
| `number` | E.164 with its + | not allowed |
| `type` | `local`, `mobile`, `toll_free` | what the numbering plan says |
| `region` | for people: a city or a prefecture | no region |
| `per_month` | credits a month | the operator's number fees decide |
| `setup_fee` | credits once | 0 |
| `ref` | what the carrier calls it | the number |
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, TextIO

from flowengine.billing.csv_cells import read_name, read_number_type, read_price
from flowengine.billing.csv_table import BadCell, Column, Layout, Problems, read_table
from flowengine.billing.money import shortened
from flowengine.billing.number_fees import DEAREST_MONTH, NoFee, NumberFees
from flowengine.call.events import Instant
from flowengine.store.offered import Offer, Price
from flowengine.store.phone import InvalidNumber, Phone, read_number

WHAT: Final = "list of numbers"


def read_inventory(stream: TextIO, provider: str, fees: NumberFees, at: Instant) -> list[Offer]:
    """Read a list of numbers for sale, in its order.

    Args:
        stream: the file, opened as UTF-8 with `newline=""`.
        provider: the carrier's name.
        fees: the operator's number fees, for rows without a price.
        at: now; a fee must hold then.

    Raises:
        BadCsv: anything is wrong anywhere.
    """
    return read_table(stream, _layout, partial(_offer, provider, fees, at), _check)


def _layout(_fields: Sequence[str]) -> Layout:
    return Layout(
        WHAT,
        [
            Column("number", _read_number, required=True),
            Column("type", read_number_type),
            Column("region", read_name),
            Column("per_month", read_price),
            Column("setup_fee", read_price),
            Column("ref", read_name),
        ],
    )


def _read_number(text: str) -> Phone:
    if not text.startswith("+"):
        raise BadCell(
            f"{shortened(text)}: write the number with + and the country code, in a column formatted as text,"
            " such as +815055550100"
        )
    try:
        return read_number(text, "ZZ")
    except InvalidNumber as bad:
        raise BadCell(str(bad).replace(", read in ZZ,", "")) from None


def _offer(provider: str, fees: NumberFees, at: Instant, said: dict[str, Any]) -> Offer:
    phone: Phone = said["number"]
    kind = said.get("type", phone.type)
    fee = fees.fee(phone.country, kind, at)
    for field in ("per_month", "setup_fee"):
        if said.get(field, 0) > DEAREST_MONTH:
            raise BadCell("more than 10,000 credits: somebody has slipped with the point", field)
    if "per_month" in said:
        price = Price(said.get("setup_fee", 0), said["per_month"])
    elif isinstance(fee, NoFee):
        raise BadCell(f"no price: fill per_month in, or {fee}", "number")
    else:
        price = Price(fee.setup_fee, fee.per_month)
    ref = said.get("ref", phone.e164)
    return Offer(phone.e164, phone.country, kind, said.get("region", ""), provider, ref, price)


def _check(offers: Sequence[Offer], lines: Sequence[int], problems: Problems) -> None:
    first: dict[str, int] = {}
    for offer, line in zip(offers, lines, strict=True):
        before = first.setdefault(offer.e164, line)
        if before != line:
            problems.add(line, f"{offer.e164} is in line {before} already: leave one out")
