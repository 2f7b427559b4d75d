"""Telephone numbers as people and carriers write them, and as we store them: E.164."""

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=10_000)
def e164(raw: str, country: str | None = None) -> str | None:
    """Give a number as E.164 ("+815055550100"), or None when it cannot be one.

    Args:
        raw: any spelling; without a leading + or the international prefix it is read as `country` dials it.
        country: two letters (ISO 3166), or None to accept international numbers only.
    """
    text = raw.strip()
    for spelling in (text, f"+{text}"):
        try:
            number = phonenumbers.parse(spelling, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return None


def masked(number: str) -> str:
    """A number for logs: enough to recognise it beside the history, too little to call it."""
    if len(number) <= 4:
        return number
    shown = 3 if len(number) > 6 else 2
    return f"{number[:shown]}{'*' * (len(number) - shown - 2)}{number[-2:]}"
