"""Spans of the calendar: as an account's own clocks show it."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.periods import instant, local_time
from flowengine.billing.spans import SPAN_NAMES, BadSpan, Span, SpanName, days_span, named_span
from flowengine.call.events import SECOND

TOKYO, NEW_YORK = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")
zones = st.sampled_from([TOKYO, NEW_YORK, ZoneInfo("Africa/Cairo"), ZoneInfo("UTC")])
moments = st.integers(0, 4_000_000_000 * SECOND)
days = st.dates(date(1971, 1, 1), date(2190, 1, 1))


def of(span: Span, zone: ZoneInfo) -> tuple[str, str]:
    """First and last day of a span."""
    return (
        local_time(span.begins_at, zone).date().isoformat(),
        local_time(span.ends_at - 1, zone).date().isoformat(),
    )


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("this_week", "2027-02-22", "2027-02-28"),
        ("last_week", "2027-02-15", "2027-02-21"),
        ("this_month", "2027-02-01", "2027-02-28"),
        ("last_month", "2027-01-01", "2027-01-31"),
        ("this_quarter", "2027-01-01", "2027-03-31"),
        ("last_quarter", "2026-10-01", "2026-12-31"),
    ],
)
def test_spans_on_the_last_sunday_of_a_february(name: SpanName, first: str, last: str) -> None:
    late = instant(datetime(2027, 2, 28, 23, 59, tzinfo=TOKYO))
    assert of(named_span(name, late, TOKYO), TOKYO) == (first, last)


def test_the_same_instant_lies_in_another_month_elsewhere() -> None:
    in_march = instant(datetime(2027, 3, 1, 8, 0, tzinfo=TOKYO))
    assert of(named_span("this_month", in_march, TOKYO), TOKYO) == ("2027-03-01", "2027-03-31")
    assert of(named_span("this_month", in_march, NEW_YORK), NEW_YORK) == ("2027-02-01", "2027-02-28")


def test_a_day_is_as_long_as_its_clocks_make_it() -> None:
    shorter, longer = (days_span(day, day, NEW_YORK) for day in (date(2027, 3, 14), date(2027, 11, 7)))
    assert shorter.ends_at - shorter.begins_at == 23 * 3_600 * SECOND
    assert longer.ends_at - longer.begins_at == 25 * 3_600 * SECOND


@given(st.sampled_from(SPAN_NAMES), moments, zones)
def test_now_lies_in_this_span_and_the_last_one_ends_where_this_begins(
    name: SpanName, now: int, zone: ZoneInfo
) -> None:
    span = named_span(name, now, zone)
    if name.startswith("this"):
        assert span.holds(now)
    else:
        kind: dict[str, SpanName] = {"week": "this_week", "month": "this_month", "quarter": "this_quarter"}
        this = named_span(kind[name.removeprefix("last_")], now, zone)
        assert span.ends_at == this.begins_at
        assert named_span(kind[name.removeprefix("last_")], span.begins_at, zone) == span


@given(days, st.integers(0, 1_000), zones)
def test_a_range_holds_every_instant_of_its_days_and_no_other(first: date, more: int, zone: ZoneInfo) -> None:
    last = first + timedelta(days=more)
    span = days_span(first, last, zone)
    assert of(span, zone) == (first.isoformat(), last.isoformat())
    assert [
        span.holds(at) for at in (span.begins_at - 1, span.begins_at, span.ends_at - 1, span.ends_at)
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_a_range_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadSpan, match="ends on 2027-01-01, before it begins on 2027-01-02: exchange"):
        days_span(date(2027, 1, 2), date(2027, 1, 1), TOKYO)
    with pytest.raises(BadSpan, match="give an earlier day"):
        days_span(date(2027, 1, 2), date.max, TOKYO)
