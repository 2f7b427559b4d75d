"""Months from one anniversary to the next, in an account's time zone.

A monthly fee begins at an instant and comes again each month on the same day at the same local time. A month too
short for the day has it on its last day, and the next month on the day itself again: 31 January, 28 February,
31 March. Each anniversary is reckoned from the first day, never from the one before it.

Where a change of clocks skips the local time, the anniversary is as much later as was skipped; where the time comes
twice, the first counts. A zone is pinned when the fee begins: an account that moves keeps its anniversaries.

Instants are microseconds since the Unix epoch, UTC.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowengine.call.events import Instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Period(NamedTuple):
    """One month of a fee; `number` counts from 0. `ends_at` is the next one's `begins_at`."""

    number: int
    begins_at: Instant
    ends_at: Instant


class BadZone(ValueError):
    """No time zone of that name; the message names it and the mend."""


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name such as "Asia/Tokyo".

    Raises:
        BadZone: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadZone(f"{name[:60]!r} is no time zone: use an IANA name such as Asia/Tokyo") from None


def local_time(at: Instant, zone: ZoneInfo) -> datetime:
    """An instant as clocks in a zone show it."""
    return (_EPOCH + at * _MICROSECOND).astimezone(zone)


def instant(moment: datetime) -> Instant:
    """The instant of a moment with a zone or an offset."""
    return (moment - _EPOCH) // _MICROSECOND


def start_of_day(day: date, zone: ZoneInfo) -> Instant:
    """The first instant of a local day: midnight, or what comes instead of a midnight that clocks skip."""
    return instant(datetime.combine(day, time(), zone))


def anniversary(began_at: Instant, number: int, zone: ZoneInfo) -> Instant:
    """The instant at which month `number` of a fee begins; month 0 begins at `began_at` itself."""
    if number == 0:
        return began_at
    first = local_time(began_at, zone)
    months = first.month - 1 + number
    year, month = first.year + months // 12, months % 12 + 1
    day = min(first.day, monthrange(year, month)[1])
    return instant(first.replace(year=year, month=month, day=day, fold=0))


def period(began_at: Instant, number: int, zone: ZoneInfo) -> Period:
    """Month `number` of a fee that began then."""
    return Period(number, anniversary(began_at, number, zone), anniversary(began_at, number + 1, zone))


def period_at(began_at: Instant, at: Instant, zone: ZoneInfo) -> Period:
    """The month of a fee that an instant lies in. An anniversary belongs to the month that it begins.

    Raises:
        ValueError: `at` is before `began_at`.
    """
    if at < began_at:
        raise ValueError("a fee has no month before it began")
    first, now = local_time(began_at, zone), local_time(at, zone)
    number = max(0, (now.year - first.year) * 12 + now.month - first.month)
    while anniversary(began_at, number, zone) > at:
        number -= 1
    while anniversary(began_at, number + 1, zone) <= at:
        number += 1
    return period(began_at, number, zone)


def periods_begun(
    began_at: Instant, now: Instant, zone: ZoneInfo, *, ended_at: Instant | None = None, already: int = 0
) -> Iterator[Period]:
    """The months whose fee is due by `now`, `already` of them left out.

    A month is due as a whole at its first instant, the first one at once. What was given up (`ended_at`) begins no
    month any more, neither later nor at that very instant; the month it was given up in is not given back.
    """
    number = already
    while True:
        begins_at = anniversary(began_at, number, zone)
        given_up = ended_at is not None and number > 0 and begins_at >= ended_at
        if begins_at > now or given_up:
            return
        yield period(began_at, number, zone)
        number += 1
