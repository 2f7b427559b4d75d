"""What numbers cost a month: the fee that holds when the month begins, from a list read as a whole or not at all."""

import io
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.csv_table import BadCsv
from flowengine.billing.money import CREDIT
from flowengine.billing.number_fees import (
    COLUMNS,
    DEAREST_MONTH,
    BadFee,
    NoFee,
    NumberFee,
    NumberFees,
    read_number_fees,
    write_number_fees,
)
from flowengine.billing.periods import periods_begun
from flowengine.billing.rates import NUMBER_TYPES
from flowengine.billing.validity import Contradiction
from flowengine.call.events import SECOND
from tests.billing.pricing import DAY, NOW

ROOT = Path(__file__).parents[2]
UTC = ZoneInfo("UTC")
HEADER = "country,type,per_month,setup_fee,valid_from,valid_until\n"


def fee(per_month: int = CREDIT, begin: int = 0, until: int | None = None) -> NumberFee:
    """A fee of Japanese local numbers."""
    return NumberFee(
        country="JP", number_type="local", per_month=per_month, valid_from=begin, valid_until=until
    )


def read(text: str) -> list[NumberFee]:
    """Read a list given as text."""
    return read_number_fees(io.StringIO(text, newline=""), UTC)


def written(fees: list[NumberFee]) -> str:
    """Write a list as text."""
    stream = io.StringIO(newline="")
    write_number_fees(fees, stream, UTC)
    return stream.getvalue()


def test_each_month_costs_the_fee_that_holds_when_it_begins() -> None:
    cheap, dear = fee(CREDIT, 0, NOW + 45 * DAY), fee(2 * CREDIT, NOW + 45 * DAY)
    fees = NumberFees([dear, cheap])
    months = periods_begun(NOW, NOW + 80 * DAY, UTC)
    assert [fees.fee("JP", "local", month.begins_at) for month in months] == [cheap, cheap, dear]


def test_a_number_without_a_fee_is_not_for_sale() -> None:
    fees = NumberFees([fee(0, NOW)])
    assert fees.fee("JP", "local", NOW) == fee(0, NOW)
    for answer in (fees.fee("JP", "local", NOW - 1), fees.fee("US", "local", NOW)):
        assert isinstance(answer, NoFee)
        assert str(answer).startswith(f"no fee for local numbers of {answer.country} at that time: import")


def test_two_fees_that_begin_together_are_refused_and_one_given_twice_counts_once() -> None:
    assert NumberFees([fee(), fee()]).fee("JP", "local", NOW) == fee()
    with pytest.raises(Contradiction, match="two prices of JP/local begin at the same time"):
        NumberFees([fee(1), fee(2)])


def test_a_fee_that_cannot_be_is_refused() -> None:
    for terms, says in [
        ((-1, 0, None), "per_month of -0.000001 credits: give 0 to 10000.00 credits"),
        ((DEAREST_MONTH + 1, 0, None), "per_month of 10000.000001"),
        ((1, NOW, NOW), "valid_until is not after"),
    ]:
        with pytest.raises(BadFee, match=says):
            fee(*terms)


@given(
    st.lists(
        st.builds(
            NumberFee,
            country=st.sampled_from(["JP", "US", "001"]),
            number_type=st.sampled_from(NUMBER_TYPES),
            per_month=st.integers(0, DEAREST_MONTH),
            setup_fee=st.integers(0, DEAREST_MONTH),
            valid_from=st.integers(0, 7_000_000_000 * SECOND),
        ),
        min_size=1,
        unique_by=lambda each: each.key,
    )
)
def test_what_is_written_is_read_back(fees: list[NumberFee]) -> None:
    assert read(written(fees)) == fees


def test_the_example_is_as_we_write_it() -> None:
    text = (ROOT / "schemas/examples/number-fees.csv").read_text(encoding="utf-8")
    assert written(read(text)) == text


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("JP,local,-1,0,2026-01-01,", "column 3 (per_month): '-1' is negative"),
        ("JP,local,10001,0,2026-01-01,", "column 3 (per_month): per_month of 10001.00 credits"),
        ("JP,landline,1,0,2026-01-01,", "column 2 (type): 'landline' is no type of number"),
        ("JP,local,1,0,2026-01-01,2026-01-01", "column 6 (valid_until): valid_until is not after"),
        ("JP,local,1,0,2026-01-01,\nJP,local,2,0,2026-02-01,", "line 3: two fees for JP/local overlap"),
    ],
)
def test_a_wrong_row_is_named(row: str, says: str) -> None:
    with pytest.raises(
        BadCsv, match="the list of number fees has 1 problem, nothing was imported"
    ) as refusal:
        read(HEADER + row)
    assert says in str(refusal.value.problems[0])


def test_the_page_names_every_column() -> None:
    page = (ROOT / "docs" / "rates.md").read_text(encoding="utf-8")
    assert all(f"`{column}`" in page for column in COLUMNS)
