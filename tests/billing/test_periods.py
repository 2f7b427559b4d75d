"""Anniversaries: the 31st, leap years, clocks that jump, and the same months whoever asks."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.periods import (
    BadZone,
    anniversary,
    instant,
    local_time,
    period,
    period_at,
    periods_begun,
    start_of_day,
    time_zone,
)
from flowengine.call.events import SECOND
from tests.billing.pricing import DAY, NOW

TOKYO, NEW_YORK, UTC = (ZoneInfo(name) for name in ("Asia/Tokyo", "America/New_York", "UTC"))
zones = st.sampled_from(
    [TOKYO, NEW_YORK, UTC, *map(ZoneInfo, ("Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu"))]
)
moments = st.integers(1_500_000_000 * SECOND, 2_200_000_000 * SECOND)


def at(text: str, zone: ZoneInfo) -> int:
    """The instant of a local time."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=zone))


def seen(began: str, zone: ZoneInfo, months: int) -> list[str]:
    """Local times of the first anniversaries."""
    begun = at(began, zone)
    return [
        local_time(anniversary(begun, number, zone), zone).isoformat(timespec="minutes")[:16]
        for number in range(months)
    ]


def test_the_31st_is_the_last_day_of_shorter_months_and_comes_back() -> None:
    assert seen("2027-01-31T15:20", TOKYO, 7) == [
        "2027-01-31T15:20",
        "2027-02-28T15:20",
        "2027-03-31T15:20",
        "2027-04-30T15:20",
        "2027-05-31T15:20",
        "2027-06-30T15:20",
        "2027-07-31T15:20",
    ]


def test_a_leap_day_and_the_turn_of_a_year() -> None:
    assert seen("2028-02-29T00:00", UTC, 14)[::12] == ["2028-02-29T00:00", "2029-02-28T00:00"]
    assert seen("2027-12-31T23:59", UTC, 4) == [
        "2027-12-31T23:59",
        "2028-01-31T23:59",
        "2028-02-29T23:59",
        "2028-03-31T23:59",
    ]


def test_the_day_is_the_local_one() -> None:
    """In Tokyo it is the 1st already while UTC has the 31st."""
    began = at("2027-02-01T03:00", TOKYO)
    assert anniversary(began, 1, TOKYO) == at("2027-03-01T03:00", TOKYO)
    assert anniversary(began, 1, UTC) == at("2027-02-28T18:00", UTC)


def test_the_local_time_stays_when_clocks_change() -> None:
    began = at("2027-02-20T09:00", NEW_YORK)
    month = period(began, 0, NEW_YORK)
    assert local_time(month.ends_at, NEW_YORK).hour == 9
    assert month.ends_at - month.begins_at == 28 * DAY - 3_600 * SECOND


def test_a_time_that_clocks_skip_is_as_much_later() -> None:
    """On 14 March 2027 New York goes from 02:00 to 03:00."""
    assert seen("2027-02-14T02:30", NEW_YORK, 3) == [
        "2027-02-14T02:30",
        "2027-03-14T03:30",
        "2027-04-14T02:30",
    ]


def test_of_a_time_that_comes_twice_the_first_counts() -> None:
    """On 7 November 2027 New York has 01:30 twice. Who began at the second one keeps that beginning."""
    before = at("2027-10-07T01:30", NEW_YORK)
    assert anniversary(before, 1, NEW_YORK) == at("2027-11-07T01:30", NEW_YORK)
    second = at("2027-11-07T01:30", NEW_YORK) + 3_600 * SECOND
    assert local_time(second, NEW_YORK).fold == 1
    assert anniversary(second, 0, NEW_YORK) == second
    assert anniversary(second, 1, NEW_YORK) == at("2027-12-07T01:30", NEW_YORK)


@given(moments, st.integers(1, 200), zones)
def test_an_anniversary_is_the_same_day_and_time_or_the_nearest_there_is(
    began: int, number: int, zone: ZoneInfo
) -> None:
    first, then = local_time(began, zone), local_time(anniversary(began, number, zone), zone)
    assert (then.year - first.year) * 12 + then.month - first.month == number
    if then.day != first.day:
        assert then.day < first.day
        assert (then + timedelta(days=1)).day == 1
    skipped = then.replace(tzinfo=None) - datetime.combine(then.date(), first.time())
    if skipped:
        before = local_time(instant(then) - 3_600 * SECOND, zone)
        assert then.utcoffset() != before.utcoffset()
        assert skipped in (timedelta(hours=1), timedelta(minutes=30))


@given(moments, st.integers(0, 10_000 * DAY), zones)
def test_every_instant_lies_in_one_month(began: int, later: int, zone: ZoneInfo) -> None:
    month = period_at(began, began + later, zone)
    assert month.begins_at <= began + later < month.ends_at
    assert month == period(began, month.number, zone)
    assert (month.ends_at - month.begins_at) % SECOND == 0
    assert 27 * DAY < month.ends_at - month.begins_at < 32 * DAY


def test_there_is_no_month_before_the_first() -> None:
    with pytest.raises(ValueError, match="before it began"):
        period_at(NOW, NOW - 1, UTC)


@given(moments, st.integers(0, 2_000 * DAY), st.integers(0, 2_000 * DAY), zones)
def test_months_begun_are_all_up_to_now_whoever_asked_before(
    began: int, sooner: int, later: int, zone: ZoneInfo
) -> None:
    sooner, later = sorted((sooner, later))
    months = list(periods_begun(began, began + sooner, zone))
    months += periods_begun(began, began + later, zone, already=len(months))
    assert months == list(periods_begun(began, began + later, zone))
    assert [each.number for each in months] == list(range(len(months)))
    assert all(one.ends_at == other.begins_at for one, other in pairwise(months))
    assert months[-1] == period_at(began, began + later, zone)


def test_a_month_is_due_at_its_first_instant_and_not_before() -> None:
    second = anniversary(NOW, 1, TOKYO)
    assert list(periods_begun(NOW, NOW - 1, TOKYO)) == []
    assert len(list(periods_begun(NOW, NOW, TOKYO))) == 1
    assert len(list(periods_begun(NOW, second - 1, TOKYO))) == 1
    assert len(list(periods_begun(NOW, second, TOKYO))) == 2


def test_what_was_given_up_begins_no_month_any_more() -> None:
    second = anniversary(NOW, 1, TOKYO)
    for ended_at, months in [(NOW, 1), (NOW + 1, 1), (second, 1), (second + 1, 2)]:
        assert len(list(periods_begun(NOW, NOW + 300 * DAY, TOKYO, ended_at=ended_at))) == months


def test_a_day_begins_at_midnight_or_where_clocks_skip_it() -> None:
    assert start_of_day(date(2026, 12, 1), TOKYO) == at("2026-12-01T00:00", TOKYO)
    cairo = ZoneInfo("Africa/Cairo")
    assert (
        local_time(start_of_day(date(2026, 4, 24), cairo), cairo).isoformat() == "2026-04-24T01:00:00+03:00"
    )


@pytest.mark.parametrize("name", ["", "Asia/Tokio", "../etc/passwd", "/etc/passwd", "JST+9\0", "Asia"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadZone, match="is no time zone: use an IANA name"):
        time_zone(name)


def test_a_zone_is_found() -> None:
    assert time_zone("Asia/Tokyo") is ZoneInfo("Asia/Tokyo")
