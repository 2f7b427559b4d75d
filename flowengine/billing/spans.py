"""Spans of the calendar in an account's time zone, for what was bought and used (product rules, section 1).

These are weeks, months and quarters of the calendar, not of anniversaries. Instants are microseconds since the Unix
epoch, UTC.
"""

from datetime import date, timedelta
from typing import Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from flowengine.billing.periods import local_time, start_of_day
from flowengine.call.events import Instant

SpanName = Literal["this_week", "last_week", "this_month", "last_month", "this_quarter", "last_quarter"]
SPAN_NAMES: Final[tuple[SpanName, ...]] = get_args(SpanName)


class Span(NamedTuple):
    """Whole local days: from the first instant of the first to the first instant after the last."""

    begins_at: Instant
    ends_at: Instant

    def holds(self, at: Instant) -> bool:
        """Whether an instant lies in it."""
        return self.begins_at <= at < self.ends_at


class BadSpan(ValueError):
    """A range of days that cannot be; the message says why."""


def named_span(name: SpanName, now: Instant, zone: ZoneInfo) -> Span:
    """The span of that name as seen at an instant. Weeks begin on Monday (ISO 8601)."""
    today = local_time(now, zone).date()
    match name:
        case "this_week" | "last_week":
            monday = today - timedelta(days=today.weekday())
            step = timedelta(days=7)
            first, after = monday, monday + step
            before = monday - step
        case "this_month" | "last_month":
            first, after, before = (_month(today, by) for by in (0, 1, -1))
        case "this_quarter" | "last_quarter":
            in_quarter = (today.month - 1) % 3
            first, after, before = (_month(today, by - in_quarter) for by in (0, 3, -3))
    if name.startswith("last"):
        first, after = before, first
    return Span(start_of_day(first, zone), start_of_day(after, zone))


def days_span(first: date, last: date, zone: ZoneInfo) -> Span:
    """From the first day to the last, both included.

    Raises:
        BadSpan: the last day is before the first, or has no day after it.
    """
    if last < first:
        raise BadSpan(f"the range ends on {last}, before it begins on {first}: exchange the two")
    if last == date.max:
        raise BadSpan(f"the range ends on {last}: give an earlier day")
    return Span(start_of_day(first, zone), start_of_day(last + timedelta(days=1), zone))


def _month(day: date, by: int) -> date:
    """The first day of the month so many months later."""
    years, month = divmod(day.month - 1 + by, 12)
    return date(day.year + years, month + 1, 1)
