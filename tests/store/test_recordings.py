"""Rows of recordings: expected, kept or lost once; found, heard, deleted; and what must not be deleted."""

from datetime import UTC, datetime

import pytest

from flowengine.call.commands import KeepRecording
from flowengine.call.events import SECOND
from flowengine.store import recording_lists, recordings, tables
from flowengine.store.database import Database
from flowengine.store.errors import BadCursor, NotDeletable, NotStored
from flowengine.store.recording_lists import Listed, Page, Wanted
from tests.store.kept import DAY, ENGINE, add_call, keep, measured
from tests.store.seed import NOON, Seed, seed


async def _find(database: Database, of: Seed, id: str) -> Listed:
    async with database.reading() as session:
        return await recording_lists.find(session, of.account, id)


async def _page(
    database: Database, of: Seed, wanted: Wanted | None = None, cursor: str | None = None, many: int = 50
) -> Page:
    async with database.reading() as session:
        return await recording_lists.page(session, of.account, wanted, cursor, many)


async def test_a_recording_is_expected_and_kept_once(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    command = KeepRecording("rec-1", "voicemail", "message", 2_300, 120.0, "hanako")
    for _ in range(2):
        async with database.writing() as session:
            await recordings.expect_recording(session, of.account, "cal_1", command, ENGINE, NOON)
    async with database.reading() as session:
        assert await recordings.expected_recordings(session, ENGINE) == [(of.account, "cal_1", command)]
        assert await recordings.expected_recordings(session, "another") == []
    ids = set()
    for new in (True, False):
        async with database.writing() as session:
            marked = await recordings.mark_kept(session, of.account, "cal_1", "rec-1", measured(2_250))
        assert (marked.new, marked.status, marked.duration_ms) == (new, "kept", 2_250)
        ids.add(marked.id)
    (id,) = ids
    async with database.reading() as session:
        assert await recordings.expected_recordings(session, ENGINE) == []
    found = await _find(database, of, id)
    assert (found.purpose, found.state, found.user, found.duration_ms) == (
        "voicemail",
        "message",
        "hanako",
        2_250,
    )
    assert (found.caller, found.number, found.heard) == ("+819055550199", "+815055550100", False)
    assert (found.made, found.library_id) == (datetime.fromtimestamp(NOON / 1e6, UTC), "cal_1-rec-1")


async def test_a_recording_nobody_expected_cannot_be_kept(database: Database) -> None:
    of = await seed(database)
    with pytest.raises(NotStored, match="rec-9 of cal_1 was never expected"):
        async with database.writing() as session:
            await recordings.mark_kept(session, of.account, "cal_1", "rec-9", measured(1))


@pytest.mark.parametrize(
    ("ran_out", "whole", "complete"), [(False, True, True), (True, True, False), (False, False, False)]
)
async def test_what_was_cut_or_broken_off_is_not_complete(
    database: Database, ran_out: bool, whole: bool, complete: bool
) -> None:
    of = await seed(database)
    await add_call(database, of)
    command = KeepRecording("rec-1", "talk", "sales", 2_300, 0, "hanako", ran_out)
    async with database.writing() as session:
        await recordings.expect_recording(session, of.account, "cal_1", command, ENGINE)
        made = await recordings.mark_kept(
            session, of.account, "cal_1", "rec-1", measured(2_300, complete=whole)
        )
    found = await _find(database, of, made.id)
    assert (found.complete, found.ran_out) == (complete, ran_out)


async def test_a_lost_recording_says_why_and_cannot_be_deleted(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    command = KeepRecording("rec-1", "talk", "sales", 2_300)
    async with database.writing() as session:
        await recordings.expect_recording(session, of.account, "cal_1", command, ENGINE)
        id = await recordings.lose_recording(session, of.account, "cal_1", "rec-1", "it is gone")
        assert await recordings.lose_recording(session, of.account, "cal_1", "rec-1", "again") is None
    assert id is not None
    found = await _find(database, of, id)
    assert (found.status, found.problem, found.complete) == ("lost", "it is gone", False)
    with pytest.raises(NotDeletable, match="lost on the switch"):
        async with database.writing() as session:
            await recordings.delete_recordings(session, of.account, [id], "hanako", NOON)


async def test_a_recording_can_be_marked_heard_by_its_account_only(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    async with database.writing() as session:
        id = await keep(session, of, 1_000)
        await recordings.mark_heard(session, of.account, id)
        with pytest.raises(NotStored, match=id):
            await recordings.mark_heard(session, "acc_other", id)
    assert (await _find(database, of, id)).heard
    with pytest.raises(NotStored, match=id):
        async with database.reading() as session:
            await recording_lists.find(session, "acc_other", id)


async def test_a_deleted_row_stays_as_the_proof(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    async with database.writing() as session:
        id = await keep(session, of, 1_000)
        (sound,) = await recordings.delete_recordings(session, of.account, [id], "hanako", NOON + DAY)
    assert sound.library_id == "cal_1-rec-1"
    found = await _find(database, of, id)
    assert (found.status, found.deleted_by, found.duration_ms, found.sha256) == (
        "deleted",
        "hanako",
        1_000,
        "f" * 64,
    )
    assert found.deleted_at == datetime.fromtimestamp((NOON + DAY) / 1e6, UTC)
    async with database.reading() as session:
        assert await recordings.sounds_left(session, 10) == [sound]
    async with database.writing() as session:
        await recordings.forget_sounds(session, [id])
        assert await recordings.sounds_left(session, 10) == []
        assert (await session.get_one(tables.Recording, id)).path == ""


async def test_all_are_deleted_or_none(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    async with database.writing() as session:
        id = await keep(session, of, 1_000)
        await recordings.expect_recording(
            session, of.account, "cal_1", KeepRecording("rec-2", "talk", "sales", 9), ENGINE
        )
    page = await _page(database, of, Wanted(statuses=["expected"]))
    for other, refused in ((page.found[0].id, NotDeletable), ("rec_nowhere", NotStored)):
        with pytest.raises(refused, match=other):
            async with database.writing() as session:
                await recordings.delete_recordings(session, of.account, [id, other], "hanako", NOON)
    assert (await _find(database, of, id)).status == "kept"


async def test_sounds_of_a_row_that_is_kept_are_never_forgotten(database: Database) -> None:
    of = await seed(database)
    await add_call(database, of)
    async with database.writing() as session:
        id = await keep(session, of, 1_000)
        await recordings.forget_sounds(session, [id])
        assert (await session.get_one(tables.Recording, id)).path != ""


async def test_recordings_are_found_by_what_is_asked(database: Database) -> None:
    of = await seed(database)
    other = await seed(database, "other", "+815055550101")
    await add_call(database, of)
    await add_call(database, of, "cal_2", NOON + DAY)
    await add_call(database, other, "cal_3")
    async with database.writing() as session:
        message = await keep(session, of, 1_000)
        talk = await keep(
            session, of, 2_000, call="cal_2", at=NOON + DAY, purpose="talk", user="hanako", ran_out=True
        )
        await keep(session, other, 3_000, call="cal_3")
        await recordings.mark_heard(session, of.account, talk)
    for wanted, ids in (
        (None, [talk, message]),
        (Wanted(purpose="voicemail"), [message]),
        (Wanted(user="hanako"), [talk]),
        (Wanted(heard=False), [message]),
        (Wanted(heard=True), [talk]),
        (Wanted(since=NOON + DAY), [talk]),
        (Wanted(until=NOON + DAY), [message]),
        (Wanted(since=NOON, until=NOON + DAY + 1), [talk, message]),
        (Wanted(call="cal_2"), [talk]),
        (Wanted(statuses=["deleted", "lost"]), []),
        (Wanted(purpose="talk", heard=False), []),
    ):
        page = await _page(database, of, wanted)
        assert ([each.id for each in page.found], page.following) == (ids, None), wanted


async def test_pages_go_on_where_the_last_one_ended(database: Database) -> None:
    """Also within one instant, and when something new comes or goes meanwhile."""
    of = await seed(database)
    await add_call(database, of)
    async with database.writing() as session:
        made = [
            await keep(session, of, 1_000, short_id=f"rec-{n}", at=NOON + n // 4 * SECOND) for n in range(10)
        ]
    first = await _page(database, of, many=4)
    async with database.writing() as session:
        await keep(session, of, 1_000, short_id="rec-new", at=NOON + DAY)
        await recordings.delete_recordings(session, of.account, [made[0]], "hanako", NOON)
    second = await _page(database, of, cursor=first.following, many=4)
    third = await _page(database, of, cursor=second.following, many=4)
    found = [each.id for page in (first, second, third) for each in page.found]
    assert found == sorted(made[1:], reverse=True)
    assert third.following is None


@pytest.mark.parametrize("cursor", ["", "x", "12", "-rec", "12-", f"{10**30}-rec"])
async def test_a_cursor_that_is_none_is_refused(database: Database, cursor: str) -> None:
    of = await seed(database)
    with pytest.raises(BadCursor, match="is no cursor"):
        await _page(database, of, cursor=cursor)


@pytest.mark.parametrize("many", [0, -1, 201])
async def test_a_page_has_a_size(database: Database, many: int) -> None:
    of = await seed(database)
    with pytest.raises(ValueError, match="choose from 1 to 200"):
        await _page(database, of, many=many)


async def test_recordings_are_kept_for_ever_or_three_or_six_months(database: Database) -> None:
    of = await seed(database)
    async with database.writing() as session:
        assert await recordings.keeping_accounts(session) == []
        for months in (3, 6):
            await recordings.set_keep_months(session, of.account, months)
            assert await recordings.keeping_accounts(session) == [(of.account, months, "Asia/Tokyo")]
        await recordings.set_keep_months(session, of.account, 0)
        assert await recordings.keeping_accounts(session) == []
        with pytest.raises(ValueError, match="choose 3, 6, or 0"):
            await recordings.set_keep_months(session, of.account, 4)
        with pytest.raises(NotStored, match="acc_nobody"):
            await recordings.set_keep_months(session, "acc_nobody", 3)
