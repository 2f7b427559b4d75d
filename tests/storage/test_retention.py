"""Old recordings go when their calendar months are over, not a moment before, and whatever fails is done later."""

import asyncio
from calendar import monthrange
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from flowengine.billing.periods import instant
from flowengine.call.commands import KeepRecording
from flowengine.call.events import Instant
from flowengine.storage import retention
from flowengine.storage.retention import Retention
from flowengine.store import notifications, recording_lists, recordings, rooms, tables
from flowengine.store.database import Database, open_database
from flowengine.store.errors import NotDeletable
from flowengine.store.recording_lists import Wanted
from flowengine.store.room_reports import audit
from recordings.errors import RecordingRefused
from tests.storage.things import Hands, Shelf
from tests.store.kept import DAY, ENGINE, add_call, keep
from tests.store.seed import NOON, Seed, seed

TOKYO = ZoneInfo("Asia/Tokyo")
"""Where the seeded account is."""


class Stage:
    """An account that keeps recordings for three months, a shelf and a clock."""

    def __init__(self, database: Database, of: Seed) -> None:
        self.database = database
        self.of = of
        self.shelf = Shelf()
        self.clock = Hands(NOON)
        self.retention = Retention(database, self.shelf, self.clock)

    async def keep_for(self, months: int) -> None:
        async with self.database.writing() as session:
            await recordings.set_keep_months(session, self.of.account, months)

    async def record(self, *at: Instant) -> list[str]:
        """Recordings made at these times, each with its sound."""
        ids = []
        async with self.database.writing() as session:
            for n, each in enumerate(at):
                ids.append(await keep(session, self.of, 60_000, short_id=f"rec-{n}", at=each))
                self.shelf.sounds.add(f"cal_1-rec-{n}")
        return ids

    async def kept(self, *statuses: str) -> set[str]:
        async with self.database.reading() as session:
            wanted = Wanted(statuses=statuses or ["kept"])
            page = await recording_lists.page(session, self.of.account, wanted, many=200)
        return {each.id for each in page.found}

    async def run(self, at: datetime) -> int:
        self.clock.at = instant(at)
        return await self.retention.run()

    async def check(self) -> None:
        async with self.database.reading() as session:
            assert (await audit(session, self.of.account)).agrees


@pytest.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    of = await seed(database)
    await add_call(database, of)
    made = Stage(database, of)
    yield made
    await made.check()


async def test_recordings_are_kept_for_ever_unless_an_account_says_otherwise(stage: Stage) -> None:
    await stage.record(NOON)
    assert await stage.run(datetime(2126, 1, 1, tzinfo=UTC)) == 0
    assert len(await stage.kept()) == 1


async def test_three_months_are_over_at_the_same_local_time(stage: Stage) -> None:
    """31 August at nine in Tokyo, and so 30 November at nine; the row stays and says who deleted it."""
    made = datetime(2026, 8, 31, 9, tzinfo=TOKYO)
    (id,) = await stage.record(instant(made))
    await stage.keep_for(3)
    over = datetime(2026, 11, 30, 9, tzinfo=TOKYO)
    assert await stage.run(over - timedelta(microseconds=1)) == 0
    assert await stage.run(over) == 1
    assert await stage.run(over) == 0
    assert stage.shelf.sounds == set()
    async with stage.database.reading() as session:
        proof = await recording_lists.find(session, stage.of.account, id)
        assert (await rooms.usage(session, stage.of.account)).stored_ms == 0
        (told,) = await notifications.notices(session, stage.of.account)
    assert (proof.status, proof.deleted_by, proof.deleted_at) == (
        "deleted",
        "retention",
        over.astimezone(UTC),
    )
    assert (proof.duration_ms, proof.sha256) == (60_000, "f" * 64)
    assert (told.kind, told.data) == ("retention_deleted", {"many": 1, "months": 3})


async def test_more_than_a_batch_is_deleted_and_younger_ones_in_between_stay(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    now = datetime(2026, 11, 30, 9, tzinfo=TOKYO)
    old = instant(now) - 93 * DAY
    ids = await stage.record(*(old + n for n in range(23)), *(old + 3 * DAY + n for n in range(12)))
    await stage.keep_for(3)
    assert await stage.run(now) == 23
    assert await stage.kept() == set(ids[23:])
    assert len(stage.shelf.sounds) == 12


async def test_a_crash_between_row_and_sound_is_mended_by_the_next_run(stage: Stage) -> None:
    ids = await stage.record(NOON, NOON + 1)
    async with stage.database.writing() as session:
        await recordings.delete_recordings(session, stage.of.account, ids[:1], "hanako", NOON)
    assert len(stage.shelf.sounds) == 2
    assert await stage.run(datetime(2026, 11, 30, tzinfo=UTC)) == 0
    assert stage.shelf.sounds == {"cal_1-rec-1"}
    assert await stage.kept() == set(ids[1:])


async def test_a_library_that_is_gone_holds_up_no_deletion_and_is_cleared_later(stage: Stage) -> None:
    ids = await stage.record(*(NOON + n for n in range(3)))
    await stage.keep_for(3)
    stage.shelf.is_gone = True
    assert await stage.run(datetime(2027, 11, 30, tzinfo=UTC)) == 3
    assert await stage.kept("deleted") == set(ids)
    assert len(stage.shelf.sounds) == 3
    stage.shelf.is_gone = False
    await stage.run(datetime(2027, 12, 1, tzinfo=UTC))
    assert stage.shelf.sounds == set()


async def test_a_sound_that_cannot_be_deleted_keeps_no_other_from_it(stage: Stage) -> None:
    await stage.record(*(NOON + n for n in range(3)))
    await stage.keep_for(3)
    stage.shelf.fails["cal_1-rec-1"] = RecordingRefused("cal_1-rec-1", "no", "no")
    assert await stage.run(datetime(2027, 11, 30, tzinfo=UTC)) == 3
    assert stage.shelf.sounds == {"cal_1-rec-1"}


async def test_an_account_that_fails_keeps_no_other_from_its_turn(stage: Stage) -> None:
    await stage.record(NOON)
    await stage.keep_for(3)
    async with stage.database.writing() as session:
        await session.execute(update(tables.Account).values(time_zone="Moon/Base"))
    other = Stage(stage.database, await seed(stage.database, "other", "+815055550101"))
    await add_call(stage.database, other.of, "cal_2")
    async with stage.database.writing() as session:
        await keep(session, other.of, 1, call="cal_2")
    await other.keep_for(3)
    assert await stage.run(datetime(2027, 11, 30, tzinfo=UTC)) == 1
    assert (len(await stage.kept()), len(await other.kept())) == (1, 0)


async def test_what_is_expected_or_lost_is_left_alone(stage: Stage) -> None:
    await stage.keep_for(3)
    async with stage.database.writing() as session:
        for n in (1, 2):
            command = KeepRecording(f"rec-{n}", "talk", "sales", 9)
            await recordings.expect_recording(session, stage.of.account, "cal_1", command, ENGINE, NOON)
        await recordings.lose_recording(session, stage.of.account, "cal_1", "rec-2", "gone")
    assert await stage.run(datetime(2027, 11, 30, tzinfo=UTC)) == 0
    (expected,) = await stage.kept("expected")
    with pytest.raises(NotDeletable, match="on its way"):
        await stage.retention.delete(stage.of.account, [expected], "hanako")


async def test_a_person_deletes_and_twice_is_once(stage: Stage) -> None:
    ids = await stage.record(NOON, NOON + 1)
    assert await stage.retention.delete(stage.of.account, ids, "hanako") == 2
    assert await stage.retention.delete(stage.of.account, ids, "taro") == 0
    assert stage.shelf.sounds == set()
    async with stage.database.reading() as session:
        assert (await recording_lists.find(session, stage.of.account, ids[0])).deleted_by == "hanako"
    for nobody in ("", "retention"):
        with pytest.raises(ValueError, match="say by whom"):
            await stage.retention.delete(stage.of.account, ids, nobody)


def _is_over(made: datetime, months: int, now: datetime) -> bool:
    """Told by the calendar alone, for a zone whose clocks never change."""
    year, month = divmod(made.year * 12 + made.month - 1 + months, 12)
    last = made.replace(year=year, month=month + 1, day=min(made.day, monthrange(year, month + 1)[1]))
    return last <= now


YEARS = st.datetimes(datetime(2024, 1, 1), datetime(2029, 12, 31), timezones=st.just(TOKYO))  # noqa: DTZ001
NEAR = st.integers(-3 * DAY, 3 * DAY)


@pytest.mark.parametrize("months", [3, 6])
def test_over_years_nothing_younger_goes_and_nothing_older_stays(url: str, months: int) -> None:
    with asyncio.Runner() as runner:
        opened = open_database(url)
        database = runner.run(opened.__aenter__())
        try:
            of = runner.run(seed(database))
            numbers = iter(range(10**6))

            @settings(max_examples=12, suppress_health_check=list(HealthCheck))
            @given(first=YEARS, ages=st.lists(NEAR, min_size=1, max_size=8), runs=st.lists(NEAR, max_size=4))
            def check(first: datetime, ages: list[int], runs: list[int]) -> None:
                runner.run(live(Stage(database, of), first, ages, runs))

            async def live(stage: Stage, first: datetime, ages: list[int], runs: list[int]) -> None:
                """Recordings made around one day, and runs around the day on which they are due."""
                await stage.keep_for(months)
                call = f"cal_{next(numbers)}"
                await add_call(database, of, call, instant(first))
                made: dict[str, datetime] = {}
                async with database.writing() as session:
                    for n, age in enumerate(ages):
                        at = first + timedelta(microseconds=age)
                        id = await keep(session, of, 1, call=call, short_id=f"rec-{n}", at=instant(at))
                        made[id] = at
                due = first + timedelta(days=30.5 * months)
                for now in sorted(due + timedelta(microseconds=run) for run in runs):
                    await stage.run(now)
                    stays = {id for id, at in made.items() if not _is_over(at, months, now)}
                    assert await stage.kept() == stays
                await stage.run(first + timedelta(days=400))
                assert await stage.kept() == set()
                await stage.check()

            check()
        finally:
            runner.run(opened.__aexit__(None, None, None))
