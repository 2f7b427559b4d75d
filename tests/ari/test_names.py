"""Ids, numbers and display names: what strangers signal is harmless, what is ours is found again."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.ari.names import (
    ANONYMOUS,
    MAX_NAME,
    called_number,
    caller_id,
    caller_number,
    display_name,
    full_id,
    is_addressable,
    is_dialable,
    split_id,
)

CALL = "cal_01JD8ZK4V0000000000000TEST"


def test_an_id_is_split_at_its_first_hyphen() -> None:
    assert split_id(f"{CALL}-leg-1") == (CALL, "leg-1")
    assert split_id(full_id(CALL, "caller")) == (CALL, "caller")


@pytest.mark.parametrize(
    "id", ["", "1795282836.0", "flowengine-44607-1795.0", "cal_", "cal_x", "cal_x-", "cal_-1"]
)
def test_what_is_not_ours_is_not_split(id: str) -> None:
    assert split_id(id) is None


@pytest.mark.parametrize("id", ["", "a/b", "x" * 151, "a\nb"])
def test_an_id_that_cannot_stand_in_a_path(id: str) -> None:
    assert not is_addressable(id)
    assert is_addressable("flowengine-44607-1795282836.0")


@pytest.mark.parametrize(
    ("signalled", "number"),
    [
        ("+819012345678", "+819012345678"),
        ("090-1234-5678", "09012345678"),
        ("+1 (555) 010.0100", "+15550100100"),
        ("anonymous", ANONYMOUS),
        ("", ANONYMOUS),
        ("hanako", ANONYMOUS),
        ("+1234567890123456", ANONYMOUS),
        ("１２３", ANONYMOUS),
        ("1;ext=5", ANONYMOUS),
    ],
)
def test_a_caller_is_a_number_or_anonymous(signalled: str, number: str) -> None:
    assert caller_number(signalled) == number


@pytest.mark.parametrize(
    ("dialled", "number"),
    [
        ("+81312345678", "+81312345678"),
        ("*8#", "*8#"),
        ("03-1234-5678", "0312345678"),
        ("s", ""),
        ("1&2", ""),
    ],
)
def test_a_called_number(dialled: str, number: str) -> None:
    assert called_number(dialled) == number


@given(st.text(max_size=200))
def test_any_name_becomes_one_visible_line(text: str) -> None:
    name = display_name(text)
    assert len(name) <= MAX_NAME
    assert not any(unicodedata.category(c).startswith("C") for c in name)
    assert display_name(name) == name


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_caller_id_cannot_be_broken_out_of(number: str, name: str) -> None:
    quoted, _, rest = caller_id(number, name)[1:].partition('"')
    assert not set(quoted) & set('"<>\\\r\n')
    assert rest == f" <{caller_number(number)}>"


@pytest.mark.parametrize("endpoint", ["PJSIP/hanako", "PJSIP/+15550100@carrier", "Local/s@queue"])
def test_one_device_is_dialable(endpoint: str) -> None:
    assert is_dialable(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["", "hanako", "PJSIP/", "PJSIP/a&PJSIP/b", "PJSIP/a,30", "PJSIP/${X}", "PJSIP/a/b", "PJSIP/a\n"],
)
def test_what_may_be_more_than_a_device_is_not(endpoint: str) -> None:
    assert not is_dialable(endpoint)
