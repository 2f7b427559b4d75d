"""Credits shown in an account's own currency: for the eye only, never stored and never summed up.

The list is ISO 4217, without metals, funds, units of account and test codes.
"""

from typing import Final, NamedTuple

from flowengine.billing.money import (
    CREDIT,
    BadAmount,
    MicroCredits,
    half_up,
    parse_decimal,
    shortened,
)

RATE_PLACES: Final = 9
"""Decimal places an exchange rate may have."""
_HIGHEST_RATE: Final = 10**9

_ISO_4217: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU
    UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_CODES: Final = frozenset(_ISO_4217.split())
_NO_MINOR_UNIT: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_MINOR_PLACES: Final = {
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(_THOUSANDTHS.split(), 3),
}


class BadCurrency(ValueError):
    """No currency, or no exchange rate; the message names it and the mend."""


class ExchangeRate(NamedTuple):
    """How much of a currency one credit is shown as: `billionths` of it, an exact decimal fraction."""

    currency: str
    billionths: int


def minor_places(currency: str) -> int:
    """Decimal places of a currency: 2 for the euro, 0 for the yen, 3 for the Kuwaiti dinar.

    Raises:
        BadCurrency: no current ISO 4217 code.
    """
    if currency not in _CODES:
        raise BadCurrency(
            f"{shortened(currency)} is no currency: use a current ISO 4217 code in capital letters, such as EUR or JPY"
        )
    return _MINOR_PLACES.get(currency, 2)


def exchange_rate(currency: str, per_credit: str) -> ExchangeRate:
    """Read a configured rate: how much of `currency` is shown for one credit, as a decimal text such as "151.20".

    Raises:
        BadCurrency: an unknown currency, or a rate that is no number above 0 with at most nine places.
    """
    minor_places(currency)
    try:
        billionths = parse_decimal(per_credit, RATE_PLACES, f"{currency} for one credit")
    except BadAmount as bad:
        raise BadCurrency(str(bad)) from None
    if not 0 < billionths <= _HIGHEST_RATE * 10**RATE_PLACES:
        raise BadCurrency(
            f"{shortened(per_credit)} {currency} for one credit: give a rate above 0 and sensible"
        )
    return ExchangeRate(currency, billionths)


def shown_in(amount: MicroCredits, rate: ExchangeRate) -> str:
    """Write an amount of credits in a currency, rounded half up to its smallest coin: "3780", "-12.35", "0.005".

    The half goes away from zero for debits, so that a debit looks like the purchase it takes from. The text has no
    sign or name of the currency and no thousands separators: that is the matter of whoever shows it.
    """
    return written(coins(amount, rate), rate.currency)


def coins(amount: MicroCredits, rate: ExchangeRate) -> int:
    """An amount of credits in whole smallest coins of a currency (yen, cents), rounded as `shown_in` does."""
    return half_up(amount * rate.billionths * 10 ** minor_places(rate.currency), CREDIT * 10**RATE_PLACES)


def written(coins: int, currency: str) -> str:
    """Whole smallest coins as people write them: 1235 cents are "12.35", 3780 yen "3780"."""
    places = minor_places(currency)
    digits = f"{abs(coins):0{places + 1}d}"
    sign = "-" if coins < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
