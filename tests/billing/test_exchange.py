"""The operator's table of exchange rates, as one line."""

import pytest

from flowengine.billing.currencies import BadCurrency, coins, exchange_rate, written
from flowengine.billing.exchange import exchange_rates, rate_of
from flowengine.billing.money import CREDIT


def test_a_table_is_read_with_the_dollar_in_it() -> None:
    rates = exchange_rates(" JPY=151.20, EUR = 0.92 ,")
    assert dict(rates) == {
        "JPY": exchange_rate("JPY", "151.20"),
        "EUR": exchange_rate("EUR", "0.92"),
        "USD": exchange_rate("USD", "1"),
    }
    assert coins(25 * CREDIT, rate_of(rates, "JPY")) == 3780
    assert coins(25 * CREDIT, rate_of(rates, "EUR")) == 2300
    assert written(2300, "EUR") == "23.00"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("JPY:151", "is no rate"),
        ("JPY=151,JPY=152", "two rates"),
        ("USD=2", "one US dollar"),
        ("XXX=1", "no currency"),
        ("EUR=0", "above 0"),
        ("EUR=0,92", "no rate|above 0"),
    ],
)
def test_a_table_that_cannot_be_is_refused(table: str, message: str) -> None:
    with pytest.raises(BadCurrency, match=message):
        exchange_rates(table)


def test_a_currency_without_a_rate_names_the_setting() -> None:
    with pytest.raises(BadCurrency, match="exchange_rates"):
        rate_of(exchange_rates(""), "JPY")
