"""The storage plan of one engine, tick by tick, and when the database or a call is gone."""

import asyncio

import pytest
from sqlalchemy import text

from flowengine.call.events import SECOND, Event, RoomRanOut
from flowengine.storage.notices import Notices, OnlyLog
from flowengine.storage.plan import AHEAD_MS, SLICE_MS, STOP_MS, TICK_S, StoragePlan
from flowengine.storage.retention import Retention
from flowengine.storage.watch import looking_after
from flowengine.store import notifications, rooms
from flowengine.store.database import Database
from tests.storage.things import Hands, Shelf
from tests.store.kept import ENGINE, MINUTE_MS, add_call, keep
from tests.store.seed import NOON, Seed, seed

PLAN_MS = 1_000 * MINUTE_MS
MS = SECOND // 1_000


class Stage:
    """An engine on the free plan, of which `left_ms` are left."""

    def __init__(self, database: Database, of: Seed) -> None:
        self.database = database
        self.of = of
        self.clock = Hands(NOON)
        self.heard: list[tuple[str, Event]] = []
        self.running = {"cal_1"}
        self.plan = self.engine()

    def engine(self, owner: str = ENGINE) -> StoragePlan:
        return StoragePlan(
            self.database,
            owner,
            self.clock,
            lambda call, event: self.heard.append((call, event)),
            self.running.__contains__,
        )

    async def fill(self, left_ms: int) -> None:
        async with self.database.writing() as session:
            await keep(session, self.of, PLAN_MS - left_ms, short_id="before")

    async def reserve(self, recording: str = "rec-1", limit_s: float = 0) -> bool:
        return await self.plan.reserve(self.of.account, "cal_1", recording, limit_s)

    async def tick_at(self, ms: int) -> int:
        """Tick so many milliseconds after the start; after how many it wants to be called again."""
        self.clock.at = NOON + ms * MS
        return (await self.plan.tick(self.clock.at) - NOON) // MS

    async def held_ms(self) -> int:
        async with self.database.reading() as session:
            return (await rooms.usage(session, self.of.account)).held_ms


@pytest.fixture
async def stage(database: Database) -> Stage:
    of = await seed(database)
    await add_call(database, of, over=False)
    return Stage(database, of)


async def test_a_message_holds_its_whole_limit(stage: Stage) -> None:
    assert await stage.reserve(limit_s=120)
    assert await stage.held_ms() == 120_000
    await stage.tick_at(119_000)
    assert (await stage.held_ms(), stage.heard) == (120_000, [])


async def test_a_talk_holds_a_minute_and_gets_another_before_it_is_used_up(stage: Stage) -> None:
    assert await stage.reserve()
    assert await stage.held_ms() == SLICE_MS
    for at_ms in range(0, 600_000, 10_000):
        assert await stage.tick_at(at_ms) == at_ms + TICK_S * 1_000
        assert at_ms + AHEAD_MS <= await stage.held_ms() <= at_ms + AHEAD_MS + SLICE_MS
    assert stage.heard == []


async def test_a_talk_is_stopped_when_its_hold_is_used_up_and_not_before(stage: Stage) -> None:
    await stage.fill(95_000)
    assert await stage.reserve()
    assert await stage.tick_at(50_000) == 60_000
    assert await stage.held_ms() == 95_000
    assert await stage.tick_at(90_000) == 95_000 - STOP_MS
    assert await stage.tick_at(95_000 - STOP_MS - 1) == 95_000 - STOP_MS
    assert stage.heard == []
    await stage.tick_at(95_000 - STOP_MS)
    assert stage.heard == [("cal_1", RoomRanOut(stage.clock.at, "rec-1"))]
    await stage.tick_at(120_000)
    assert len(stage.heard) == 1
    async with stage.database.reading() as session:
        told = [each.kind for each in await notifications.notices(session, stage.of.account)]
    assert "storage_100" in told


async def test_room_that_comes_free_lets_a_talk_go_on(stage: Stage) -> None:
    await stage.fill(95_000)
    assert await stage.reserve()
    await stage.tick_at(90_000)
    async with stage.database.writing() as session:
        await rooms.set_plan(session, stage.of.account, "50k", NOON)
    assert await stage.tick_at(95_000 - STOP_MS) > 100_000
    assert stage.heard == []


async def test_without_a_minute_of_room_no_talk_is_recorded(stage: Stage) -> None:
    await stage.fill(SLICE_MS - 1)
    assert not await stage.reserve()
    assert await stage.reserve(limit_s=59.999)
    assert not await stage.reserve("rec-2", limit_s=0.001)


async def test_asking_again_is_asking_once(stage: Stage) -> None:
    assert await stage.reserve()
    await stage.tick_at(50_000)
    before = await stage.held_ms()
    assert await stage.reserve()
    assert await stage.held_ms() == before > SLICE_MS


async def test_a_recording_that_has_ended_holds_no_more(stage: Stage) -> None:
    """It may wait for a library that is away for hours."""
    assert await stage.reserve()
    stage.plan.finished("cal_1", "rec-1")
    await stage.tick_at(7_200_000)
    assert (await stage.held_ms(), stage.heard) == (SLICE_MS, [])
    await stage.plan.release(stage.of.account, "cal_1", "rec-1")
    await stage.plan.release(stage.of.account, "cal_1", "rec-1")
    assert await stage.held_ms() == 0


async def test_a_talk_whose_call_vanished_holds_no_more(stage: Stage) -> None:
    assert await stage.reserve()
    stage.running.clear()
    await stage.tick_at(50_000)
    assert await stage.held_ms() == SLICE_MS


async def test_a_hold_that_somebody_settled_meanwhile_is_not_made_anew(stage: Stage) -> None:
    assert await stage.reserve()
    async with stage.database.writing() as session:
        await rooms.release_rooms(session, [(stage.of.account, "cal_1", "rec-1")])
    await stage.tick_at(59_900)
    assert (await stage.held_ms(), stage.heard) == (0, [])


async def test_no_talk_is_stopped_because_the_database_is_away(stage: Stage) -> None:
    assert await stage.reserve()
    async with stage.database.writing() as session:
        await session.execute(text("ALTER TABLE ledger_holds RENAME TO away"))
    with pytest.raises(Exception, match="ledger_holds"):
        await stage.tick_at(300_000)
    with pytest.raises(Exception, match="ledger_holds"):
        await stage.reserve("rec-2")
    async with stage.database.writing() as session:
        await session.execute(text("ALTER TABLE away RENAME TO ledger_holds"))
    await stage.tick_at(301_000)
    assert (await stage.held_ms(), stage.heard) == (301_000 + AHEAD_MS + SLICE_MS, [])


async def test_what_a_dead_engine_held_is_given_back(stage: Stage) -> None:
    """For calls that are over; what another engine holds only when its call was over long ago."""
    await add_call(stage.database, stage.of, "cal_2")
    other = stage.engine("other")
    assert await stage.plan.reserve(stage.of.account, "cal_2", "rec-1", 10)
    assert await stage.plan.reserve(stage.of.account, "cal_1", "rec-1", 20)
    assert await other.reserve(stage.of.account, "cal_2", "rec-2", 40)
    again = stage.engine()
    assert (await again.give_back_left_over(), await again.give_back_left_over()) == (1, 0)
    assert await stage.held_ms() == 60_000
    assert await again.give_back_left_over(NOON + 3_600 * SECOND) == 1
    assert await stage.held_ms() == 20_000


async def test_storage_is_looked_after_until_the_engine_ends(stage: Stage) -> None:
    """One round of everything: stray holds, retention, notifications, and talks that run out."""
    await add_call(stage.database, stage.of, "cal_2")
    assert await stage.plan.reserve(stage.of.account, "cal_2", "rec-1", 10)
    await stage.fill(SLICE_MS)
    shelf = Shelf()
    plan = stage.engine()
    work = looking_after(
        plan,
        Retention(stage.database, shelf, stage.clock),
        Notices(stage.database, OnlyLog(), stage.clock),
        stage.clock,
    )
    before = asyncio.all_tasks()
    async with asyncio.timeout(30), work:
        assert await stage.held_ms() == 0
        while True:
            async with stage.database.reading() as session:
                told = await notifications.notices(session, stage.of.account)
            if told and all(each.delivered_at for each in told):
                break
            await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
