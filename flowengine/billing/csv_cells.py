"""One cell of a table: read to the letter, or refused with what probably happened to it.

Rate decks and lists of fees pass through spreadsheets, and spreadsheets turn a prefix into a number, a number into a
date and a small price into a power of ten. A table that was damaged like that still looks like one, so every cell is
read strictly.
"""

import re
from datetime import date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from phonenumbers import SUPPORTED_REGIONS

from flowengine.billing.csv_table import BadCell
from flowengine.billing.money import BadAmount, MicroCredits, parse_credits, shortened
from flowengine.billing.periods import instant, local_time, start_of_day
from flowengine.billing.rates import LONGEST_PREFIX, NUMBER_TYPES, NumberType
from flowengine.call.events import Instant

NO_COUNTRY: Final = "001"
"""The country of numbers that belong to none, such as +800 (universal international freephone)."""
LONGEST_NAME: Final = 100
AS_TEXT: Final = "format the column as text in the spreadsheet before you type or paste"
_YEARS: Final = range(1970, 2200)

_PREFIX: Final = re.compile(rf"[1-9][0-9]{{0,{LONGEST_PREFIX - 1}}}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(
    rf"{_DAY.pattern}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?(Z|[-+][0-9]{{2}}:[0-9]{{2}})"
)
_POWER_OF_TEN: Final = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
_SPACES: Final = "[\u00a0\u3000]"
"""Spaces that people type on purpose and that Python calls unprintable."""
_GROUPED: Final = re.compile(r"[0-9]{1,3}([,.'’\s][0-9]{3})+")


def read_prefix(text: str) -> str:
    """The digits of an E.164 prefix without +, such as "8190"."""
    if _PREFIX.fullmatch(text):
        return text
    shown = shortened(text)
    if not text:
        raise BadCell("no prefix: write the digits a number begins with, country code first, such as 8190")
    if _POWER_OF_TEN.fullmatch(text):
        raise BadCell(
            f"{shown}: a spreadsheet has turned the prefix into a number and lost digits; {AS_TEXT}"
        )
    if text.startswith("+"):
        raise BadCell(f"{shown}: leave the + out, such as 8190")
    if text.startswith("00"):
        raise BadCell(f"{shown}: leave out the 00 that is dialled before the country code, such as 8190")
    if text.startswith("0"):
        raise BadCell(f"{shown}: begin with the country code and not with a national 0, such as 8190")
    if _GROUPED.fullmatch(text):
        raise BadCell(f"{shown}: a spreadsheet has put separators between thousands; {AS_TEXT}")
    if re.fullmatch(r"[0-9]+[.,]0*", text):
        raise BadCell(f"{shown}: a spreadsheet has turned the prefix into a number with decimals; {AS_TEXT}")
    if re.fullmatch(r"[='\"]+[0-9+]+\"?", text):
        raise BadCell(f"{shown}: a spreadsheet's mark for text has stayed in the cell; leave only the digits")
    if text.isdecimal() and not text.isascii():
        raise BadCell(f"{shown}: digits of another script or width; write plain 0 to 9")
    if len(text) > LONGEST_PREFIX and text.isdigit():
        raise BadCell(f"{shown}: longer than the {LONGEST_PREFIX} digits a number can have")
    raise BadCell(
        f"{shown} is no prefix: write digits only, country code first, one prefix a row, such as 8190"
    )


def read_country(text: str) -> str:
    """ISO 3166 code of a country that has telephone numbers, or 001."""
    if text in SUPPORTED_REGIONS or text == NO_COUNTRY:
        return text
    if text == "UK":
        raise BadCell("'UK' is no country code: the code of the United Kingdom is GB")
    raise BadCell(f"{shortened(text)} is no country: write two capital letters (ISO 3166), such as JP")


def read_number_type(text: str) -> NumberType:
    """Type of number, as the product names it."""
    for number_type in NUMBER_TYPES:
        if text == number_type:
            return number_type
    raise BadCell(f"{shortened(text)} is no type of number: write {', '.join(NUMBER_TYPES)}")


@lru_cache(maxsize=10_000)
def read_price(text: str) -> MicroCredits:
    """A price in credits, exactly; 0 is a price."""
    try:
        return parse_credits(text)
    except BadAmount as bad:
        raise BadCell(str(bad)) from None


def read_seconds(text: str) -> int:
    """Whole seconds of an increment."""
    if re.fullmatch(r"[0-9]{1,5}", text):
        return int(text)
    raise BadCell(f"{shortened(text)} is no length: write whole seconds, such as 60")


@lru_cache(maxsize=1_000)
def read_instant(text: str, zone: ZoneInfo) -> Instant:
    """The beginning of a local day (2026-12-01), or a moment with its offset (2026-12-01T09:00:00+09:00)."""
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            at = start_of_day(day, zone) if day.year in _YEARS else None
        elif _TIME.fullmatch(text):
            moment = datetime.fromisoformat(text)
            at = instant(moment) if moment.year in _YEARS else None
        else:
            at = None
    except ValueError:
        raise BadCell(f"{shortened(text)}: there is no such day or time") from None
    if at is None:
        raise BadCell(f"{shortened(text)} is no date: {_mend_of_date(text)}")
    return at


def _mend_of_date(text: str) -> str:
    if re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", text):
        return f"a spreadsheet shows it as a number; {AS_TEXT}"
    if _DAY.fullmatch(text) or _TIME.fullmatch(text):
        return f"the year must be {_YEARS.start} to {_YEARS.stop - 1}"
    if _DAY.match(text):
        return "a time needs its offset, such as 2026-12-01T09:00:00+09:00; or write the day alone"
    return "write year, month and day, such as 2026-12-01"


def write_instant(at: Instant, zone: ZoneInfo) -> str:
    """What `read_instant` reads as this instant: the day where a local day begins, else the moment in UTC."""
    day = local_time(at, zone).date()
    if start_of_day(day, zone) == at:
        return day.isoformat()
    return local_time(at, ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")


def read_name(text: str) -> str:
    """A name for people, on one line, which no spreadsheet would take for a formula."""
    if len(text) > LONGEST_NAME:
        raise BadCell(f"{shortened(text)}: longer than {LONGEST_NAME} characters")
    if not re.sub(_SPACES, "", text).isprintable():
        raise BadCell(f"{shortened(text)}: write the name on one line, without invisible characters")
    if text.startswith(("=", "+", "-", "@")):
        raise BadCell(f"{shortened(text)}: a spreadsheet would take it for a formula; begin with a letter")
    return text
