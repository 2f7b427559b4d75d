"""Numbers to flows, and numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.routing.directory import NO_PUBLISHED_FLOW, UNKNOWN_NUMBER, Catalog, PublishedFlow
from flowengine.routing.numbers import e164, masked
from tests.call.driving import announcement, flow

PUBLISHED = PublishedFlow("flw_1", "acc", "v1", flow(a=announcement("A")))
CATALOG = Catalog(numbers={"+815055550100": PUBLISHED, "+815055550101": None})


def test_a_number_leads_to_its_published_flow() -> None:
    assert CATALOG.route("+815055550100") is PUBLISHED


def test_a_number_without_an_enabled_flow_is_refused_as_not_available() -> None:
    assert CATALOG.route("+815055550101") is NO_PUBLISHED_FLOW
    assert NO_PUBLISHED_FLOW.cause == 20


def test_a_number_that_is_not_ours_is_refused_as_unallocated() -> None:
    assert CATALOG.route("+815055550199") is UNKNOWN_NUMBER
    assert Catalog().route("") is UNKNOWN_NUMBER
    assert UNKNOWN_NUMBER.cause == 1


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("+81 50-5555-0100", None, "+815055550100"),
        ("815055550100", None, "+815055550100"),
        ("050-5555-0100", "JP", "+815055550100"),
        ("  +1 (202) 555-0123 ", None, "+12025550123"),
        ("202-555-0123", "US", "+12025550123"),
        ("011 81 50 5555 0100", "US", "+815055550100"),
        ("050-5555-0100", None, None),
        ("anonymous", None, None),
        ("100", None, None),
        ("", "JP", None),
        ("+", None, None),
    ],
)
def test_numbers_as_they_are_written(raw: str, country: str | None, number: str | None) -> None:
    assert e164(raw, country) == number


@given(st.text(max_size=30), st.sampled_from([None, "JP", "US", "ZZ"]))
def test_any_text_is_a_number_or_none(raw: str, country: str | None) -> None:
    number = e164(raw, country)
    if number is not None:
        assert number.startswith("+")
        assert number[1:].isdecimal()
        assert e164(number) == number


@given(st.from_regex(r"\+[1-9][0-9]{5,14}", fullmatch=True))
def test_a_masked_number_cannot_be_called(number: str) -> None:
    hidden = masked(number)
    assert len(hidden) == len(number)
    assert hidden.count("*") == len(number) - 5
    assert hidden[:3] == number[:3]
    assert hidden[-2:] == number[-2:]


@pytest.mark.parametrize("short", ["12345", "+1234", "117", "anonymous"])
def test_what_is_masked_is_never_whole_unless_it_is_a_short_code(short: str) -> None:
    assert masked(short) == short if len(short) <= 4 else masked(short) != short
