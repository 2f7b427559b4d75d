"""Messages written down while an engine runs: which, in which order, and what happens when the program fails."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from flowengine import transcribing as module
from flowengine.alarms import Alarms
from flowengine.call.commands import KeepRecording
from flowengine.call.events import SECOND
from flowengine.config import BadConfig, Settings, load
from flowengine.store import notifications, recording_lists, recordings
from flowengine.store.database import Database
from flowengine.store.recordings import library_id
from flowengine.store.tables import FlowVersion, Recording
from flowengine.transcribing import ALARM, MOST_TRIES, Transcription, transcribing
from recordings.errors import LibraryUnavailable, ToolFailed
from recordings.library import RecordingLibrary
from recordings.transcribe import CommandTranscriber
from tests.recordings.sounds import wav_file
from tests.store.conftest import database, postgres, postgres_url, sqlite_template, sqlite_url, url
from tests.store.kept import ENGINE, add_call
from tests.store.seed import NOON, Seed, seed

__all__ = ["database", "postgres", "postgres_url", "sqlite_template", "sqlite_url", "url"]

HEARD = "call me back at 090-1234-5678"


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> int:
        return self.at


class Fake:
    """A transcriber that says what the test wants, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[bytes, str]] = []
        self.says: Callable[[], str] = lambda: HEARD

    async def transcribe(self, audio: Path, language: str) -> str:
        self.given.append((audio.read_bytes(), language))  # noqa: ASYNC240 - a small file
        return self.says()


class World:
    """An engine's messages, and who writes them down."""

    def __init__(self, database: Database, of: Seed, folder: Path) -> None:
        self.database, self.of, self.folder = database, of, folder
        self.library = RecordingLibrary(folder / "recordings")
        self.clock, self.alarms, self.fake = Clock(), Alarms(), Fake()
        self.work = Transcription(database, self.library, self.fake, ENGINE, self.clock, self.alarms)
        self._calls = 0

    async def message(self, minutes: int = 0, *, purpose: Any = "voicemail", owner: str = ENGINE) -> str:
        """A kept recording, made so many minutes after `NOON`; its id."""
        self._calls += 1
        at = NOON + minutes * 60 * SECOND
        call = await add_call(self.database, self.of, f"cal_{self._calls}", at)
        source = wav_file(self.folder / "source.wav", bytes([self._calls, 0]) * 800)
        kept = await self.library.keep(library_id(call, "rec-1"), source)
        command = KeepRecording("rec-1", purpose, "message", 100, 0)
        measured = recordings.Measured(kept.place, kept.bytes, kept.sha256, kept.duration_ms, True)
        async with self.database.writing() as session:
            await recordings.expect_recording(session, self.of.account, call, command, owner, at)
            return (await recordings.mark_kept(session, self.of.account, call, "rec-1", measured)).id

    async def text(self, id: str) -> str | None:
        async with self.database.reading() as session:
            return (await recording_lists.find(session, self.of.account, id)).transcript

    async def told(self) -> list[notifications.Notice]:
        async with self.database.reading() as session:
            return await notifications.notices(session, self.of.account)

    async def change(self, id: str, **values: Any) -> None:
        async with self.database.writing() as session:
            await session.execute(update(Recording).where(Recording.id == id).values(**values))


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    return World(database, await seed(database), tmp_path)


# Which messages


async def test_messages_are_written_down_newest_first_and_once(world: World) -> None:
    old, new = await world.message(), await world.message(5)
    assert await world.work.write_next()
    assert (await world.text(new), await world.text(old)) == (HEARD, None)
    assert await world.work.write_next()
    assert await world.text(old) == HEARD
    assert not await world.work.write_next()
    sounds = [sound[44:46] for sound, _ in world.fake.given]
    assert sounds == [b"\x02\x00", b"\x01\x00"]


async def test_only_kept_messages_of_this_engine_are(world: World) -> None:
    await world.message(purpose="talk")
    await world.message(owner="another-engine")
    for status in ("expected", "lost", "deleted"):
        await world.change(await world.message(), status=status)
    await world.change(await world.message(), transcript="")
    assert not await world.work.write_next()
    assert world.fake.given == []


async def test_the_language_is_that_of_the_flow_the_caller_heard(world: World) -> None:
    await world.message()
    assert await world.work.write_next()
    async with world.database.writing() as session:
        stored = await session.scalar(select(FlowVersion.document))
        await session.execute(update(FlowVersion).values(document={**(stored or {}), "language": "ja"}))
    await world.message()
    assert await world.work.write_next()
    assert [language for _, language in world.fake.given] == ["en-US", "ja"]


async def test_nothing_understood_is_written_down_and_nobody_told(world: World) -> None:
    id = await world.message()
    world.fake.says = lambda: ""
    assert await world.work.write_next()
    assert await world.text(id) == ""
    assert not await world.work.write_next()
    assert await world.told() == []


# Who is told


async def test_admins_are_told_once_and_without_the_words(world: World) -> None:
    id = await world.message()
    with capture_logs() as logs:
        assert await world.work.write_next()
    [notice] = await world.told()
    assert (notice.kind, notice.data["recording"]) == ("voicemail_transcript", id)
    assert set(notice.data) == {"recording", "call", "caller", "number", "user", "duration_ms"}
    assert HEARD not in json.dumps(dict(notice.data))
    assert [(log["event"], log["recording"]) for log in logs] == [("message written down", id)]
    assert HEARD not in str(logs)
    assert "+81" not in str(logs)


async def test_a_message_that_is_deleted_meanwhile_gets_no_text(world: World) -> None:
    id = await world.message()
    delete = asyncio.Event()

    class Slow(Fake):
        async def transcribe(self, audio: Path, language: str) -> str:
            delete.set()
            await go_on.wait()
            return HEARD

    go_on = asyncio.Event()
    work = Transcription(world.database, world.library, Slow(), ENGINE, world.clock, world.alarms)
    writing = asyncio.create_task(work.write_next())
    await delete.wait()
    await world.change(id, status="deleted")
    go_on.set()
    assert await writing
    assert await world.text(id) is None
    assert await world.told() == []


# When it fails


def fail() -> str:
    raise ToolFailed("whisper", "it ended with 1", "mend it")


async def test_a_message_that_fails_rests_while_others_have_their_turn(world: World) -> None:
    old, new = await world.message(), await world.message(5)
    world.fake.says = fail
    with capture_logs() as logs:
        assert not await world.work.write_next()
    assert [(log["recording"], log["problem"]) for log in logs] == [(new, "it ended with 1")]
    assert world.work.pause_s == 2 * module.POLL_S
    world.fake.says = lambda: HEARD
    assert await world.work.write_next()
    assert (await world.text(old), await world.text(new)) == (HEARD, None)
    assert world.work.pause_s == module.POLL_S
    assert not await world.work.write_next()
    world.clock.at += module.FIRST_REST_S * SECOND
    assert await world.work.write_next()
    assert await world.text(new) == HEARD


async def test_a_message_is_given_up_and_an_alarm_raised_until_one_succeeds(world: World) -> None:
    id = await world.message()
    world.fake.says = fail
    with capture_logs() as logs:
        for _ in range(MOST_TRIES + 2):
            assert not await world.work.write_next()
            world.clock.at += 3_600 * SECOND
    assert len(world.fake.given) == MOST_TRIES
    problems = [log for log in logs if log["event"].startswith("message not")]
    assert [log["log_level"] for log in problems] == ["warning"] * (MOST_TRIES - 1) + ["error"]
    assert "whisper: it ended with 1" in world.alarms.standing[ALARM]
    assert world.work.pause_s == module.POLL_S * 2**MOST_TRIES
    world.fake.says = lambda: HEARD
    other = await world.message(5)
    assert await world.work.write_next()
    assert world.alarms.standing == {}
    assert (await world.text(id), await world.text(other)) == (None, HEARD)
    anew = Transcription(world.database, world.library, world.fake, ENGINE, world.clock, world.alarms)
    assert await anew.write_next()
    assert await world.text(id) == HEARD


async def test_a_pause_has_an_end(world: World) -> None:
    world.work._failed = 10_000
    assert world.work.pause_s == module.LONGEST_PAUSE_S


async def test_a_sound_that_is_gone_keeps_no_other_from_its_turn(world: World) -> None:
    old, new = await world.message(), await world.message(5)
    await world.library.delete(library_id("cal_2", "rec-1"))
    assert not await world.work.write_next()
    assert await world.work.write_next()
    assert (await world.text(old), await world.text(new)) == (HEARD, None)


async def test_a_library_that_is_away_counts_against_no_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await world.message()

    async def away(*_: object) -> Any:
        raise LibraryUnavailable("recordings", "gone", "mount it")

    with monkeypatch.context() as patched:
        patched.setattr(world.library, "read", away)
        for _ in range(MOST_TRIES + 1):
            with pytest.raises(LibraryUnavailable):
                await world.work.write_next()
    assert await world.work.write_next()
    assert await world.text(id) == HEARD


# Running


def settings_of(world: World, command: str = "") -> Settings:
    return Settings.model_validate({"data_dir": world.folder, "transcribe_command": command})


async def _until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_real_program_writes_down_while_the_engine_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.05)
    program = world.folder / "hear.py"
    program.write_text(
        "import sys, wave\n"
        "with wave.open(sys.argv[1]) as sound:\n"
        "    print(sys.argv[2], sound.getnframes(), 'frames')\n"
    )
    settings = settings_of(world, f"{sys.executable} {program} {{audio}} {{lang}}")
    first = await world.message()
    async with transcribing(world.database, world.library, settings, world.clock, world.alarms):

        async def written() -> bool:
            return await world.text(first) is not None and await world.text(second) is not None

        second = await world.message(1)
        await _until(written)
    assert [await world.text(id) for id in (first, second)] == ["en 800 frames"] * 2


async def test_a_database_that_fails_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    id, real, times = await world.message(), world.work.write_next, 0

    async def fails_first() -> bool:
        nonlocal times
        times += 1
        if times == 1:
            raise OSError("no connection")
        if times == 2:
            raise LibraryUnavailable("recordings", "gone", "mount it")
        return await real()

    monkeypatch.setattr(world.work, "write_next", fails_first)
    with capture_logs() as logs:
        running = asyncio.create_task(world.work.run())

        async def written() -> bool:
            return await world.text(id) is not None

        await _until(written)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert logs[0]["event"] == "messages not written down, tried again"


async def test_the_end_of_the_engine_stops_the_program_at_once(world: World) -> None:
    program = world.folder / "slow.py"
    program.write_text(f"import time\nopen({str(world.folder / 'began')!r}, 'w')\ntime.sleep(60)\n")
    settings = settings_of(world, f"{sys.executable} {program} {{audio}}")
    id = await world.message()
    loop = asyncio.get_running_loop()
    async with transcribing(world.database, world.library, settings, world.clock, world.alarms):
        async with asyncio.timeout(20):
            while not (world.folder / "began").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        ended = loop.time()
    assert loop.time() - ended < 5
    assert await world.text(id) is None


async def test_without_a_program_nothing_is_done(world: World) -> None:
    id = await world.message()
    async with transcribing(world.database, world.library, settings_of(world), world.clock, world.alarms):
        await asyncio.sleep(0.05)
        assert not any(task.get_name() == "transcription" for task in asyncio.all_tasks())
    assert await world.text(id) is None


# Settings


def test_a_command_line_that_cannot_work_is_told_by_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfig, match=r"FLOWENGINE_TRANSCRIBE_COMMAND .*: it does not say where the sound"):
        load(transcribe_command="whisper")
    with pytest.raises(BadConfig, match=r"FLOWENGINE_TRANSCRIBE_COMMAND .*: it cannot be read"):
        load(transcribe_command="whisper '{audio}")
    assert (
        CommandTranscriber(load(transcribe_command="whisper {audio}").transcribe_command).program == "whisper"
    )
