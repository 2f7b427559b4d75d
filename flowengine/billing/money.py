"""Credits as whole numbers, so that nothing is ever lost between two sums.

1 credit is 1 US dollar (product rules, section 1). All sums are whole micro-credits, a millionth of a credit. No float
comes near them: a decimal fraction is read and written digit by digit.
"""

import re
from typing import Final

MicroCredits = int
"""Whole millionths of a credit; 1,000,000 is one US dollar."""

CREDIT: Final[MicroCredits] = 1_000_000
PLACES: Final = 6
"""Decimal places of a micro-credit."""
LARGEST: Final[MicroCredits] = 1_000_000_000 * CREDIT
"""The largest amount one entry may have: a billion credits. More than 9,000 of them fit into a BIGINT sum."""

_DECIMAL: Final = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?")
_SHOWN: Final = 30
"""So much of a wrong text is repeated in a message."""


class BadAmount(ValueError):
    """A text or a number is no amount of credits; the message names it and the mend."""


def parse_credits(text: str, *, signed: bool = False) -> MicroCredits:
    """Read an exact amount of credits, such as "25", "0.0075" or (with `signed`) "-1.50".

    Raises:
        BadAmount: not a plain decimal number, more than six places, negative without `signed`, or out of bounds.
    """
    units = parse_decimal(text, PLACES, "credits")
    if units < 0 and not signed:
        raise BadAmount(f"{shortened(text)} is negative: give an amount of 0 or more")
    return checked(units)


def parse_decimal(text: str, places: int, what: str) -> int:
    """Read a decimal number as whole units of 10 to the power of minus `places`; `what` is named in messages.

    Raises:
        BadAmount: not digits with at most one point, or more places than that.
    """
    trimmed = text.strip()
    if not trimmed:
        raise BadAmount(f"no {what} given: write digits with a point, such as 12.50")
    found = _DECIMAL.fullmatch(trimmed)
    if found is None:
        raise BadAmount(f"{shortened(trimmed)} is no number of {what}: {_mend(trimmed)}")
    whole, fraction = found["whole"], found["fraction"] or ""
    if len(fraction) > places:
        raise BadAmount(f"{shortened(trimmed)} has more than {places} decimal places: round it first")
    if len(whole) > _SHOWN:
        raise BadAmount(f"{shortened(trimmed)} is too large for {what}")
    units = int(whole + fraction.ljust(places, "0"))
    return -units if found["sign"] else units


def _mend(text: str) -> str:
    if "," in text:
        return "write a point before the decimals and nothing between thousands, such as 1234.50"
    if re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", text):
        return "a spreadsheet has shortened it; format the cells as text or with fixed decimals, such as 0.000012"
    if re.search(r"[^\W\d_]|[$€£¥¥]", text):
        return "leave units and currency signs out, such as 12.50"
    return "write digits with one point, such as 12.50"


def shortened(text: str) -> str:
    """A text as a message repeats it: quoted, on one line, not too long even when its characters are escaped."""
    quoted = repr(text[: _SHOWN + 1])
    return quoted if len(quoted) <= _SHOWN + 2 else f"{quoted[: _SHOWN + 1]}...{quoted[0]}"


def checked(amount: MicroCredits) -> MicroCredits:
    """Give the amount back when it is within bounds.

    Raises:
        BadAmount: more than `LARGEST` to either side.
    """
    if not -LARGEST <= amount <= LARGEST:
        raise BadAmount(
            f"{format_credits(amount)} credits are out of bounds: at most {LARGEST // CREDIT:,} at once"
        )
    return amount


def format_credits(amount: MicroCredits) -> str:
    """Write an amount exactly: two decimals, or as many as it needs. `parse_credits` reads the same back."""
    whole, fraction = divmod(abs(amount), CREDIT)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{digits}"


def half_up(numerator: int, denominator: int) -> int:
    """Divide whole numbers and round to the nearest; a half goes away from zero, so that signs mirror each other.

    `denominator` must be above 0.
    """
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))
