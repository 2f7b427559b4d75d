"""A recording comes home: sound, row and count, whatever fails on the way, and admins are told."""

import wave
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from flowengine.call.commands import KeepRecording
from flowengine.intake import Expected, Lost
from flowengine.keeping import LibraryKeeper
from flowengine.storage.plan import StoragePlan
from flowengine.store import notifications, recording_lists, recordings, rooms
from flowengine.store.database import Database
from flowengine.store.recording_lists import Listed, Wanted
from flowengine.store.room_reports import audit
from recordings.library import RecordingLibrary
from tests.storage.things import Hands
from tests.store.kept import ENGINE, add_call
from tests.store.seed import NOON, Seed, seed

MESSAGE = KeepRecording("rec-1", "voicemail", "message", 2_000, 120.0, "hanako")
TALK = KeepRecording("rec-1", "talk", "sales", 2_000, 0, "hanako")


def _wav(ms: int) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(8_000)
        made.writeframes(b"\x01\x02" * 8 * ms)
    return file.getvalue()


async def _stream(sound: bytes) -> AsyncIterator[bytes]:
    yield sound


class Stage:
    """A library on a disk, a plan and a keeper."""

    def __init__(self, database: Database, of: Seed, library: RecordingLibrary) -> None:
        self.database = database
        self.of = of
        self.library = library
        self.plan = StoragePlan(database, ENGINE, Hands(NOON), lambda _call, _event: None)
        self.keeper = LibraryKeeper(database, library, self.plan, ENGINE, Hands(NOON))

    async def expect(self, command: KeepRecording) -> None:
        await self.plan.reserve(self.of.account, "cal_1", command.recording, command.limit_s)
        await self.keeper.expect(self.of.account, "cal_1", command)

    async def keep(self, command: KeepRecording, ms: int = 2_000) -> None:
        await self.keeper.keep(self.of.account, "cal_1", command, _stream(_wav(ms)))

    async def rows(self) -> list[Listed]:
        async with self.database.reading() as session:
            wanted = Wanted(statuses=["expected", "kept", "lost", "deleted"])
            return (await recording_lists.page(session, self.of.account, wanted)).found

    async def told(self) -> list[tuple[str, Any]]:
        async with self.database.reading() as session:
            found = await notifications.notices(session, self.of.account)
        return [(each.kind, each.data) for each in found]

    async def usage(self) -> tuple[int, int]:
        async with self.database.reading() as session:
            assert (await audit(session, self.of.account)).agrees
            found = await rooms.usage(session, self.of.account)
        return found.stored_ms, found.held_ms


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> Stage:
    of = await seed(database)
    await add_call(database, of)
    return Stage(database, of, RecordingLibrary(tmp_path / "recordings"))


async def test_a_message_is_kept_counted_and_told_once(stage: Stage) -> None:
    await stage.expect(MESSAGE)
    assert await stage.usage() == (0, 120_000)
    assert await stage.keeper.expected() == [Expected(stage.of.account, "cal_1", MESSAGE)]
    for _ in range(2):
        await stage.keep(MESSAGE)
    (row,) = await stage.rows()
    kept = await stage.library.find(row.library_id)
    assert (row.status, row.complete, row.duration_ms) == ("kept", True, 2_000)
    assert (row.sha256, row.size_bytes) == (kept.sha256, kept.bytes)
    assert await stage.usage() == (2_000, 0)
    assert await stage.keeper.expected() == []
    ((kind, data),) = await stage.told()
    assert kind == "voicemail"
    assert (data["recording"], data["caller"], data["user"], data["duration_ms"]) == (
        row.id,
        "+819055550199",
        "hanako",
        2_000,
    )


async def test_a_talk_is_kept_without_telling_anybody(stage: Stage) -> None:
    await stage.expect(TALK)
    await stage.keep(TALK, 70_000)
    assert (await stage.usage(), await stage.told()) == ((70_000, 0), [])


async def test_a_message_is_counted_as_it_was_cut(stage: Stage) -> None:
    await stage.expect(MESSAGE)
    await stage.keep(MESSAGE, 121_500)
    assert await stage.usage() == (120_000, 0)


async def test_a_crash_between_sound_and_row_is_mended_by_keeping_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither marked nor counted nor told, or all of it."""
    await stage.expect(MESSAGE)
    tell = notifications.notify

    async def dies(*_: object) -> bool:
        raise ConnectionError

    monkeypatch.setattr("flowengine.keeping.notify", dies)
    with pytest.raises(ConnectionError):
        await stage.keep(MESSAGE)
    assert [row.status for row in await stage.rows()] == ["expected"]
    assert await stage.usage() == (0, 120_000)
    monkeypatch.setattr("flowengine.keeping.notify", tell)
    await stage.keep(MESSAGE)
    assert [row.status for row in await stage.rows()] == ["kept"]
    assert await stage.usage() == (2_000, 0)
    assert len(await stage.told()) == 1


async def test_what_holds_no_sound_is_lost_and_told_once(stage: Stage) -> None:
    await stage.expect(MESSAGE)
    with pytest.raises(Lost):
        await stage.keep(MESSAGE, 0)
    for _ in range(2):
        await stage.keeper.lose(stage.of.account, "cal_1", MESSAGE, "no sound")
        await stage.plan.release(stage.of.account, "cal_1", "rec-1")
    assert [(row.status, row.problem) for row in await stage.rows()] == [("lost", "no sound")]
    assert await stage.usage() == (0, 0)
    ((kind, data),) = await stage.told()
    assert (kind, data["problem"]) == ("recording_lost", "no sound")


async def test_a_recording_that_was_deleted_stays_deleted_when_it_comes_again(stage: Stage) -> None:
    await stage.expect(TALK)
    await stage.keep(TALK)
    (row,) = await stage.rows()
    async with stage.database.writing() as session:
        await recordings.delete_recordings(session, stage.of.account, [row.id], "hanako", NOON)
    await stage.keep(TALK)
    assert [row.status for row in await stage.rows()] == ["deleted"]
    assert await stage.usage() == (0, 0)
