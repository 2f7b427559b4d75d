"""Room for recordings: what is held, counted, given back, and what admins are told, on both databases."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text, update

from flowengine.billing.plans import BadPlan
from flowengine.call.commands import KeepRecording
from flowengine.store import notifications, recordings, rooms, tables
from flowengine.store.database import Database
from flowengine.store.errors import NotStored
from flowengine.store.room_reports import audit
from flowengine.store.rooms import Usage
from tests.store.kept import DAY, ENGINE, HOUR, MINUTE_MS, add_call, keep
from tests.store.seed import NOON, Seed, seed

FREE_MS = 1_000 * MINUTE_MS


@pytest.fixture
async def of(database: Database) -> AsyncIterator[Seed]:
    """An account with one call; at the end of each test its books must agree."""
    made = await seed(database)
    await add_call(database, made)
    yield made
    async with database.reading() as session:
        assert (await audit(session, made.account)).agrees


async def _usage(database: Database, of: Seed) -> Usage:
    async with database.reading() as session:
        return await rooms.usage(session, of.account)


async def _told(database: Database, of: Seed) -> list[str]:
    """The kinds of what admins were told, the oldest first."""
    async with database.reading() as session:
        return [notice.kind for notice in reversed(await notifications.notices(session, of.account))]


async def _hold(database: Database, of: Seed, recording: str, ms: int) -> bool:
    async with database.writing() as session:
        held = await rooms.hold_room(session, of.account, "cal_1", recording, ms, ENGINE, NOON)
    return held is not None


async def test_before_the_first_recording_the_plan_is_empty(database: Database, of: Seed) -> None:
    assert await _usage(database, of) == (FREE_MS, 0, 0)
    with pytest.raises(NotStored, match="no account acc_nobody"):
        async with database.reading() as session:
            await rooms.usage(session, "acc_nobody")


async def test_a_recording_holds_room_and_is_counted_once_by_its_length(database: Database, of: Seed) -> None:
    assert await _hold(database, of, "rec-1", 120_000)
    assert await _hold(database, of, "rec-1", 120_000)
    assert await _usage(database, of) == (FREE_MS, 0, 120_000)
    for _ in range(2):
        async with database.writing() as session:
            await keep(session, of, 31_500)
    assert await _usage(database, of) == (FREE_MS, 31_500, 0)


async def test_a_recording_without_a_hold_is_counted_all_the_same(database: Database, of: Seed) -> None:
    """The database could not be asked when it began."""
    async with database.writing() as session:
        await keep(session, of, FREE_MS + 1)
    found = await _usage(database, of)
    assert (found.stored_ms, found.left_ms) == (FREE_MS + 1, -1)
    assert not await _hold(database, of, "rec-2", 1)


async def test_an_empty_recording_gives_its_room_back(database: Database, of: Seed) -> None:
    assert await _hold(database, of, "rec-1", 120_000)
    async with database.writing() as session:
        await keep(session, of, 0)
    assert await _usage(database, of) == (FREE_MS, 0, 0)


async def test_room_is_given_back_once(database: Database, of: Seed) -> None:
    assert await _hold(database, of, "rec-1", 120_000)
    for given_back in (1, 0):
        async with database.writing() as session:
            assert await rooms.release_rooms(session, [(of.account, "cal_1", "rec-1")]) == given_back
    assert await _usage(database, of) == (FREE_MS, 0, 0)


async def test_holds_grow_as_far_as_the_plan_goes(database: Database, of: Seed) -> None:
    assert await _hold(database, of, "rec-1", FREE_MS - 90_000)
    assert await _hold(database, of, "rec-2", 60_000)
    wanted = [(of.account, "cal_1", name, 120_000) for name in ("rec-2", "rec-3")]
    async with database.writing() as session:
        assert await rooms.extend_rooms(session, wanted) == [90_000, 0]
    assert not await _hold(database, of, "rec-3", 1)


async def test_deleting_frees_what_was_stored(database: Database, of: Seed) -> None:
    async with database.writing() as session:
        id = await keep(session, of, 31_500)
    for deleted in (1, 0):
        async with database.writing() as session:
            assert (
                len(await recordings.delete_recordings(session, of.account, [id], "hanako", NOON)) == deleted
            )
    assert await _usage(database, of) == (FREE_MS, 0, 0)


async def test_recordings_older_than_the_ledger_are_counted_when_it_is_opened(
    database: Database, of: Seed
) -> None:
    async with database.writing() as session:
        id = await keep(session, of, 31_500)
        await session.execute(text("DELETE FROM ledger_transfers"))
        await session.execute(text("DELETE FROM ledger_accounts"))
    assert await _usage(database, of) == (FREE_MS, 31_500, 0)
    async with database.writing() as session:
        await recordings.delete_recordings(session, of.account, [id], "hanako", NOON)
    assert await _usage(database, of) == (FREE_MS, 0, 0)


async def test_a_plan_is_changed_at_once_and_a_smaller_one_leaves_no_room(
    database: Database, of: Seed
) -> None:
    async with database.writing() as session:
        await keep(session, of, FREE_MS - 1)
        assert (await rooms.set_plan(session, of.account, "50k", NOON)).left_ms == 49_000 * MINUTE_MS + 1
    async with database.writing() as session:
        await keep(session, of, 10 * MINUTE_MS, short_id="rec-2")
        for _ in range(2):
            found = await rooms.set_plan(session, of.account, "free", NOON)
            assert found.left_ms == 1 - 10 * MINUTE_MS
    assert not await _hold(database, of, "rec-3", 1)
    with pytest.raises(BadPlan, match="no storage plan"):
        async with database.writing() as session:
            await rooms.set_plan(session, of.account, "2m", NOON)


async def test_admins_are_told_each_mark_once_and_again_when_it_is_crossed_anew(
    database: Database, of: Seed
) -> None:
    async def stored(percent: int, short_id: str) -> str:
        async with database.writing() as session:
            return await keep(session, of, FREE_MS * percent // 100, short_id=short_id)

    async def deleted(id: str) -> None:
        async with database.writing() as session:
            await recordings.delete_recordings(session, of.account, [id], "hanako", NOON)

    await stored(79, "a")
    assert await _told(database, of) == []
    one = await stored(1, "b")
    assert await _told(database, of) == ["storage_80"]
    await stored(14, "c")
    assert await _told(database, of) == ["storage_80"]
    rest = await stored(6, "d")
    assert sorted(await _told(database, of)) == ["storage_100", "storage_80", "storage_95"]
    await deleted(one)
    again = await stored(1, "e")
    assert sorted(await _told(database, of)) == ["storage_100", "storage_100", "storage_80", "storage_95"]
    await deleted(again)
    await deleted(rest)
    await stored(1, "f")
    assert len(await _told(database, of)) == 4
    await stored(1, "g")
    assert sorted(await _told(database, of))[-2:] == ["storage_95", "storage_95"]


async def test_admins_are_told_once_that_something_was_not_recorded(database: Database, of: Seed) -> None:
    """A plan is hardly ever full to the millisecond."""
    async with database.writing() as session:
        id = await keep(session, of, FREE_MS - 119_999)
    assert sorted(await _told(database, of)) == ["storage_80", "storage_95"]
    for recording in ("rec-2", "rec-3"):
        assert not await _hold(database, of, recording, 120_000)
    assert sorted(await _told(database, of)) == ["storage_100", "storage_80", "storage_95"]
    async with database.writing() as session:
        await recordings.delete_recordings(session, of.account, [id], "hanako", NOON)
        await keep(session, of, FREE_MS - 119_999, short_id="rec-4")
    assert not await _hold(database, of, "rec-5", 120_000)
    assert sorted(await _told(database, of)) == sorted(2 * ["storage_100", "storage_80", "storage_95"])


async def test_a_smaller_plan_crosses_marks_and_a_larger_one_arms_them_again(
    database: Database, of: Seed
) -> None:
    async with database.writing() as session:
        await rooms.set_plan(session, of.account, "50k", NOON)
        await keep(session, of, FREE_MS * 96 // 100)
        await rooms.set_plan(session, of.account, "free", NOON)
    assert sorted(await _told(database, of)) == ["storage_80", "storage_95"]
    async with database.writing() as session:
        await rooms.set_plan(session, of.account, "50k", NOON)
        await rooms.set_plan(session, of.account, "free", NOON)
    assert sorted(await _told(database, of)) == ["storage_80", "storage_80", "storage_95", "storage_95"]


async def test_the_figures_are_told_with_the_mark(database: Database, of: Seed) -> None:
    async with database.writing() as session:
        await keep(session, of, FREE_MS * 81 // 100)
    async with database.reading() as session:
        (notice,) = await notifications.notices(session, of.account)
    assert notice.data == {
        "plan_ms": FREE_MS,
        "stored_ms": FREE_MS * 81 // 100,
        "held_ms": 0,
        "percent": 81,
        "mark": 80,
    }


async def test_holds_that_nobody_will_settle_are_found(database: Database, of: Seed) -> None:
    """Of this engine when their call is over, of others when it was over long ago; never what is still expected."""
    for call, over in (("cal_2", False), ("cal_3", True), ("cal_4", True), ("cal_5", True)):
        await add_call(database, of, call, NOON + (DAY if call == "cal_4" else 0), over=over)
    async with database.writing() as session:
        for call in ("cal_1", "cal_2", "cal_5"):
            await rooms.hold_room(session, of.account, call, "rec-1", 1_000, ENGINE, NOON)
        for call in ("cal_3", "cal_4"):
            await rooms.hold_room(session, of.account, call, "rec-1", 1_000, "other", NOON)
        await recordings.expect_recording(
            session, of.account, "cal_5", KeepRecording("rec-1", "talk", "sales", 900), ENGINE
        )
    async with database.reading() as session:
        mine = await rooms.left_over(session, ENGINE, 0)
        old = await rooms.left_over(session, ENGINE, NOON + HOUR)
    assert mine == [(of.account, "cal_1", "rec-1")]
    assert old == [(of.account, call, "rec-1") for call in ("cal_1", "cal_3")]


async def test_an_unlike_plan_of_an_account_is_found(database: Database, of: Seed) -> None:
    async with database.writing() as session:
        await keep(session, of, 1_000)
        await session.execute(update(tables.Account).values(storage_plan="50k"))
    async with database.reading() as session:
        assert not (await audit(session, of.account)).agrees
    async with database.writing() as session:
        await rooms.set_plan(session, of.account, "50k", NOON)
