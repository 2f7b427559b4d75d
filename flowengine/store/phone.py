"""The numbers of an account, as people spell them and as they are stored (product rules, section 2)."""

from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from flowengine.store.account_state import NumberType

_TYPES: Final[dict[int, NumberType]] = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
}


class Phone(NamedTuple):
    """A telephone number. `country` is 001 for one of no country (+800)."""

    e164: str
    country: str
    type: NumberType


class InvalidNumber(ValueError):
    """This is no telephone number; the message says why and how to mend it."""


def read_number(spelling: str, country: str) -> Phone:
    """Read a number in any spelling; without a leading + it is read as it is dialled in `country` (ISO 3166).

    Raises:
        InvalidNumber: it is no number, or none that exists by its country's numbering plan.
    """
    try:
        number = phonenumbers.parse(spelling, country)
    except phonenumbers.NumberParseException as error:
        raise InvalidNumber(f'"{spelling}" is no telephone number: {_lower(str(error))}') from None
    if number.extension:
        raise InvalidNumber(f'"{spelling}" has an extension, which cannot be dialled: leave it out')
    if not phonenumbers.is_valid_number(number):
        raise InvalidNumber(
            f'"{spelling}", read in {country}, does not exist in the numbering plan of its country: check its digits,'
            " or write it with + and the country code"
        )
    return Phone(
        phonenumbers.format_number(number, PhoneNumberFormat.E164),
        phonenumbers.region_code_for_number(number) or "001",
        _TYPES.get(phonenumbers.number_type(number), "local"),
    )


def _lower(sentence: str) -> str:
    """Fit a sentence of the library behind a colon."""
    text = sentence.rpartition(") ")[2].rstrip(".")
    return text[:1].lower() + text[1:]
