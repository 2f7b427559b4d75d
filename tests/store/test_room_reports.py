"""How much was stored each day, without gaps and by local days, against a plain recount."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowengine.billing.periods import instant
from flowengine.store import ledger, recordings, rooms
from flowengine.store.database import Database, open_database
from flowengine.store.room_reports import Day, usage_by_day
from tests.store.kept import add_call, keep
from tests.store.seed import Seed, seed

BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")


def _at(text: str, zone: ZoneInfo) -> int:
    return instant(datetime.fromisoformat(text).replace(tzinfo=zone))


async def _days(database: Database, of: Seed, first: str, last: str, zone: ZoneInfo) -> list[Day]:
    async with database.reading() as session:
        return await usage_by_day(
            session, of.account, date.fromisoformat(first), date.fromisoformat(last), zone
        )


async def test_days_without_anything_are_there_and_what_was_before_counts(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    async with database.writing() as session:
        old = await keep(session, of, 1_000, at=_at("2026-03-01T12:00", BERLIN))
        await keep(session, of, 500, short_id="b", at=_at("2026-03-10T23:59:59", BERLIN))
        await keep(session, of, 70, short_id="c", at=_at("2026-03-12T00:00", BERLIN))
        await recordings.delete_recordings(session, of.account, [old], "h", _at("2026-03-12T09:00", BERLIN))
    assert await _days(database, of, "2026-03-09", "2026-03-13", BERLIN) == [
        (date(2026, 3, 9), 1_000, 0, 0),
        (date(2026, 3, 10), 1_500, 500, 0),
        (date(2026, 3, 11), 1_500, 0, 0),
        (date(2026, 3, 12), 570, 70, 1_000),
        (date(2026, 3, 13), 570, 0, 0),
    ]


async def test_an_account_without_a_recording_has_days_of_nothing(database: Database) -> None:
    of = await seed(database)
    assert await _days(database, of, "2026-02-28", "2026-03-01", KATHMANDU) == [
        (date(2026, 2, 28), 0, 0, 0),
        (date(2026, 3, 1), 0, 0, 0),
    ]


@pytest.mark.parametrize(("first", "last"), [("2026-03-02", "2026-03-01"), ("2000-01-01", "2026-01-01")])
async def test_a_period_that_is_none_is_refused(database: Database, first: str, last: str) -> None:
    of = await seed(database)
    with pytest.raises(ValueError, match="is no period"):
        await _days(database, of, first, last, BERLIN)


@contextmanager
def _opened(url: str) -> Iterator[tuple[asyncio.Runner, Database]]:
    with asyncio.Runner() as runner:
        opened = open_database(url)
        try:
            yield runner, runner.run(opened.__aenter__())
        finally:
            runner.run(opened.__aexit__(None, None, None))


DAY_ONE = date(2026, 3, 27)
FIRST = datetime(2026, 3, 27, tzinfo=UTC)
"""Two days before clocks change in Berlin."""
ZONES = st.sampled_from(
    [BERLIN, KATHMANDU, *map(ZoneInfo, ("America/St_Johns", "Pacific/Chatham", "Asia/Tokyo"))]
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 5 * 86_400 * 1_000_000), st.integers(1, 1_000_000), st.booleans()), max_size=12
)


class _BrokenOff(Exception):
    """Leaves nothing of a transaction."""


def test_every_change_is_in_its_local_day(url: str) -> None:
    with _opened(url) as (runner, database):
        of = runner.run(seed(database))

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(changes=CHANGES, zone=ZONES)
        def check(changes: list[tuple[int, int, bool]], zone: ZoneInfo) -> None:
            with suppress(_BrokenOff):
                runner.run(_check(database, of.account, changes, zone))

        check()


async def _check(
    database: Database, account: str, changes: list[tuple[int, int, bool]], zone: ZoneInfo
) -> None:
    """Transfers as they are, against days counted by asking each instant for its local date."""
    days = {DAY_ONE + timedelta(days=n): [0, 0] for n in range(6)}
    running = stored = 0
    async with database.writing() as session:
        await rooms.open_rooms(session, account, 0)
        for n, (after, ms, wanted) in enumerate(sorted(changes)):
            at, is_deleted = FIRST + timedelta(microseconds=after), wanted and ms <= stored
            stored += -ms if is_deleted else ms
            source, target = (rooms.STORED, rooms.ROOM) if is_deleted else (rooms.ROOM, rooms.STORED)
            await ledger.transfer(session, account, f"{n}", "kept", source, target, ms, instant(at))
            day = at.astimezone(zone).date()
            if day < DAY_ONE:
                running = stored
            elif day in days:
                days[day][is_deleted] += ms
        for each in await usage_by_day(session, account, DAY_ONE, max(days), zone):
            kept, deleted = days.pop(each.day)
            running += kept - deleted
            assert each == (each.day, running, kept, deleted)
        assert not days
        raise _BrokenOff
