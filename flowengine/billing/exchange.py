"""The table of exchange rates an operator configures, as one line of text: "JPY=151.20,EUR=0.92".

A rate says how much of a currency is asked and shown for one credit. A credit is a US dollar, so USD needs no entry.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowengine.billing.currencies import BadCurrency, ExchangeRate, exchange_rate

DOLLAR: Final = exchange_rate("USD", "1")


def exchange_rates(table: str) -> Mapping[str, ExchangeRate]:
    """Read a table of rates; the dollar is always in it.

    Raises:
        BadCurrency: an entry is none, a currency comes twice, or the dollar is given another rate than 1.
    """
    found: dict[str, ExchangeRate] = {}
    for entry in filter(None, (each.strip() for each in table.split(","))):
        currency, sign, per_credit = (each.strip() for each in entry.partition("="))
        if not sign:
            raise BadCurrency(f"{entry[:40]!r} is no rate: write currency=amount, such as JPY=151.20")
        if currency in found:
            raise BadCurrency(f"{currency} has two rates: leave one out")
        found[currency] = exchange_rate(currency, per_credit)
    if found.setdefault("USD", DOLLAR) != DOLLAR:
        raise BadCurrency("a credit is one US dollar: leave USD out, or write USD=1")
    return MappingProxyType(found)


def rate_of(rates: Mapping[str, ExchangeRate], currency: str) -> ExchangeRate:
    """The rate of a currency.

    Raises:
        BadCurrency: the table does not have it.
    """
    try:
        return rates[currency]
    except KeyError:
        raise BadCurrency(
            f"there is no exchange rate for {currency[:10]}: add it to the setting exchange_rates"
        ) from None
