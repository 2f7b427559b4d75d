"""Credits in the account's own currency, for the eye."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.currencies import BadCurrency, exchange_rate, minor_places, shown_in
from flowengine.billing.money import CREDIT, LARGEST


@pytest.mark.parametrize(
    ("amount", "currency", "per_credit", "shown"),
    [
        (25 * CREDIT, "JPY", "151.20", "3780"),
        (25 * CREDIT, "EUR", "0.92", "23.00"),
        (5_000, "EUR", "1", "0.01"),
        (4_999, "EUR", "1", "0.00"),
        (-5_000, "EUR", "1", "-0.01"),
        (-4_999, "EUR", "1", "0.00"),
        (500_000, "JPY", "1", "1"),
        (499_999, "JPY", "1", "0"),
        (CREDIT, "KWD", "0.307", "0.307"),
        (1, "VND", "25000", "0"),
        (0, "USD", "1", "0.00"),
    ],
)
def test_an_amount_is_rounded_half_up_to_the_smallest_coin(
    amount: int, currency: str, per_credit: str, shown: str
) -> None:
    assert shown_in(amount, exchange_rate(currency, per_credit)) == shown


@given(
    st.integers(-LARGEST, LARGEST),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.decimals("0.000000001", 10**6, places=9),
)
def test_what_is_shown_agrees_with_the_decimal_library(amount: int, currency: str, rate: Decimal) -> None:
    shown = Decimal(shown_in(amount, exchange_rate(currency, f"{rate:f}")))
    coin = Decimal(1).scaleb(-minor_places(currency))
    exact = Decimal(amount) * rate / CREDIT
    assert abs(shown - exact) * 2 <= coin
    assert shown == (exact / coin).quantize(Decimal(1), ROUND_HALF_UP) * coin


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "XAU", "DEM", "¥"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(BadCurrency, match="is no currency: use a current ISO 4217 code"):
        exchange_rate(code, "1")


@pytest.mark.parametrize(
    ("per_credit", "says"),
    [
        ("0", "above 0"),
        ("-1", "above 0"),
        ("1000000000.1", "above 0 and sensible"),
        ("1,5", "no number of EUR for one credit: write a point"),
        ("0.0000000001", "more than 9 decimal places"),
        ("", "no EUR for one credit given"),
    ],
)
def test_what_is_no_rate_is_refused(per_credit: str, says: str) -> None:
    with pytest.raises(BadCurrency, match=says):
        exchange_rate("EUR", per_credit)
