"""The keeper of an engine: the sound, its row and its room, and every crash in between mended by doing it again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from flowengine.call.commands import KeepRecording
from flowengine.intake import Expected, Lost, Unusable
from flowengine.keeping import LibraryKeeper
from flowengine.storage.plan import StoragePlan
from flowengine.store import rooms, tables
from flowengine.store.database import Database, open_database
from flowengine.store.errors import NotStored
from flowengine.store.journal import DatabaseJournal
from flowengine.store.migrate import upgrade
from flowengine.store.notifications import notices
from recordings.library import RecordingLibrary
from simulator.switch import silence
from tests.store.seed import NOON, Seed, seed

KEEP = KeepRecording("rec-1", "voicemail", "message", 3_000, limit_s=2.0)


class Clock:
    def now(self) -> int:
        return NOON


class Scene:
    """A keeper, its library and its database."""

    def __init__(self, database: Database, library: RecordingLibrary, seeded: Seed) -> None:
        self.database = database
        self.library = library
        self.account = seeded.account
        self.plan = StoragePlan(database, "engine", Clock(), lambda *_: None)
        self.keeper = LibraryKeeper(database, library, self.plan, "engine", Clock())

    async def row(self) -> tables.Recording:
        async with self.database.reading() as session:
            [row] = (await session.scalars(select(tables.Recording))).all()
        return row

    async def usage(self) -> rooms.Usage:
        async with self.database.reading() as session:
            return await rooms.usage(session, self.account)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_database(f"sqlite:///{tmp_path}/flowengine.db") as database:
        await upgrade(database)
        seeded = await seed(database)
        async with DatabaseJournal(database) as journal:
            await journal.open("cal_1", seeded.account, seeded.flow, seeded.version, NOON)
        yield Scene(database, RecordingLibrary(tmp_path / "recordings"), seeded)


async def pieces(sound: bytes) -> AsyncIterator[bytes]:
    yield sound[:1_000]
    yield sound[1_000:]


async def test_a_recording_is_cut_to_its_limit_counted_and_written_down(scene: Scene) -> None:
    assert await scene.plan.reserve(scene.account, "cal_1", "rec-1", 2.0)
    assert (await scene.usage()).held_ms == 2_000
    await scene.keeper.expect(scene.account, "cal_1", KEEP)
    assert await scene.keeper.expected() == [Expected(scene.account, "cal_1", KEEP)]
    await scene.keeper.keep(scene.account, "cal_1", KEEP, pieces(silence(3_000_000)))
    kept = await scene.library.find("cal_1-rec-1")
    row = await scene.row()
    assert (row.duration_ms, kept.duration_ms) == (2_000, 2_000)
    assert (row.status, row.purpose, row.state, row.sha256) == ("kept", "voicemail", "message", kept.sha256)
    usage = await scene.usage()
    assert (usage.stored_ms, usage.held_ms) == (2_000, 0)
    assert await scene.keeper.expected() == []


async def test_doing_it_again_changes_nothing(scene: Scene) -> None:
    for _ in range(3):
        await scene.keeper.expect(scene.account, "cal_1", KEEP)
        await scene.keeper.keep(scene.account, "cal_1", KEEP, pieces(silence(3_000_000)))
    assert (await scene.usage()).stored_ms == 2_000
    async with scene.database.reading() as session:
        told = await notices(session, scene.account)
    assert [each.kind for each in told] == ["voicemail"]


async def test_a_recording_nobody_expected_is_not_written_down(scene: Scene) -> None:
    with pytest.raises(NotStored, match="rec-1"):
        await scene.keeper.keep(scene.account, "cal_1", KEEP, pieces(silence(3_000_000)))


async def test_a_file_that_is_broken_off_is_not_kept_and_may_be_whole_the_next_time(scene: Scene) -> None:
    await scene.keeper.expect(scene.account, "cal_1", KEEP)
    whole = silence(3_000_000)
    for broken in (b"", whole[:20_000]):
        with pytest.raises(Unusable):
            await scene.keeper.keep(scene.account, "cal_1", KEEP, pieces(broken))
    assert (await scene.row()).status == "expected"
    await scene.keeper.keep(scene.account, "cal_1", KEEP, pieces(whole))
    assert (await scene.row()).status == "kept"


async def test_a_file_without_a_sample_is_lost_and_told(scene: Scene) -> None:
    await scene.plan.reserve(scene.account, "cal_1", "rec-1", 120.0)
    await scene.keeper.expect(scene.account, "cal_1", KEEP)
    with pytest.raises(Lost):
        await scene.keeper.keep(scene.account, "cal_1", KEEP, pieces(silence(0)))
    await scene.keeper.lose(scene.account, "cal_1", KEEP, "there is no sound in it")
    row = await scene.row()
    assert (row.status, row.problem, row.path) == ("lost", "there is no sound in it", "")
    assert await scene.keeper.expected() == []
    assert (await scene.usage()).stored_ms == 0
