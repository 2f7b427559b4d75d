"""Credits are read and written exactly, and refused with the mend."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.money import (
    CREDIT,
    LARGEST,
    BadAmount,
    checked,
    format_credits,
    half_up,
    parse_credits,
    shortened,
)

amounts = st.integers(-LARGEST, LARGEST)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("25", 25 * CREDIT),
        ("25.00", 25 * CREDIT),
        (" 0.0075 ", 7_500),
        ("0.000001", 1),
        ("007.5", 7_500_000),
        ("1000000000", LARGEST),
    ],
)
def test_an_amount_is_read_exactly(text: str, amount: int) -> None:
    assert parse_credits(text) == amount


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no credits given"),
        ("   ", "no credits given"),
        ("1,50", "write a point"),
        ("1,234.50", "nothing between thousands"),
        ("1.2E-05", "a spreadsheet has shortened it"),
        ("$5", "leave units and currency signs out"),
        ("5 USD", "leave units and currency signs out"),
        ("nan", "leave units"),
        (".5", "write digits with one point"),
        ("5.", "write digits with one point"),
        ("1.2.3", "write digits with one point"),
        ("+5", "write digits with one point"),
        ("１２", "write digits with one point"),
        ("1_000", "write digits with one point"),
        ("0.0000001", "more than 6 decimal places"),
        ("-1", "is negative"),
        ("1000000000.000001", "out of bounds: at most 1,000,000,000 at once"),
        ("9" * 10_000, "too large"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_mend(text: str, says: str) -> None:
    with pytest.raises(BadAmount, match=says) as refusal:
        parse_credits(text)
    assert len(str(refusal.value)) < 200


def test_a_negative_amount_is_read_where_one_is_meant() -> None:
    assert parse_credits("-1.5", signed=True) == -1_500_000
    with pytest.raises(BadAmount, match="out of bounds"):
        parse_credits("-1000000000.01", signed=True)


def test_amounts_are_written_with_two_decimals_or_as_many_as_they_need() -> None:
    assert [format_credits(each) for each in (0, 25 * CREDIT, 7_500, 1, -1_500_000, 100_000)] == [
        "0.00",
        "25.00",
        "0.0075",
        "0.000001",
        "-1.50",
        "0.10",
    ]


@given(amounts)
def test_what_is_written_is_read_back(amount: int) -> None:
    assert parse_credits(format_credits(amount), signed=True) == amount
    assert Decimal(format_credits(amount)) * CREDIT == amount


@given(st.decimals(0, 10**9, places=6))
def test_reading_agrees_with_exact_decimals(value: Decimal) -> None:
    assert parse_credits(f"{value:f}") == value * CREDIT


def test_a_wrong_text_is_repeated_in_one_short_line() -> None:
    assert shortened("it's") == '"it\'s"'
    assert shortened("x" * 30) == f"'{'x' * 30}'"
    assert shortened("x" * 31) == f"'{'x' * 30}...'"
    assert (
        shortened("\U00012544" * 30)
        == f"'{'𒕄' * 30}'".encode("ascii", "backslashreplace").decode()[:31] + "...'"
    )
    assert "\n" not in shortened("one\ntwo")


@given(st.text(max_size=60))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        amount = parse_credits(text)
    except BadAmount as refusal:
        said = str(refusal)
    else:
        said = ""
        assert 0 <= amount <= LARGEST
    assert "\n" not in said
    assert len(said) < 200


def test_nine_thousand_of_the_largest_fit_into_the_database() -> None:
    assert 9_000 * LARGEST < 2**63
    assert checked(LARGEST) == LARGEST
    assert checked(-LARGEST) == -LARGEST
    for beyond in (LARGEST + 1, -LARGEST - 1):
        with pytest.raises(BadAmount):
            checked(beyond)


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_halves_go_away_from_zero(numerator: int, denominator: int) -> None:
    rounded = half_up(numerator, denominator)
    assert abs(rounded * denominator - numerator) * 2 <= denominator
    if abs(numerator) * 2 % (2 * denominator) == denominator:
        assert abs(rounded) * denominator > abs(numerator)
    assert half_up(-numerator, denominator) == -rounded


@given(st.integers(-(10**9), 10**9))
def test_rounding_agrees_with_the_decimal_library(numerator: int) -> None:
    assert half_up(numerator, 1_000) == int((Decimal(numerator) / 1_000).quantize(Decimal(1), ROUND_HALF_UP))
