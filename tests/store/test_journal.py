"""The journal: what was acknowledged is there, whoever fails or dies."""

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, text, update

from flowengine.call.events import CallArrived, DigitPressed, Event, LegAnswered, LegHungUp, TimerFired
from flowengine.ports import Journal
from flowengine.store import tables
from flowengine.store.database import Database, open_database
from flowengine.store.errors import JournalConflict, JournalUnavailable, JournalUnreadable
from flowengine.store.journal import DatabaseJournal, read_journal
from flowengine.store.journal_rows import Entry
from tests.store.seed import NOON, Seed, arrived, record, seed

ROOT = Path(__file__).parents[2]


def _commits(database: Database) -> list[int]:
    """Count commits: the list grows by one with each."""
    seen: list[int] = []
    event.listen(database.engine.sync_engine, "commit", lambda _: seen.append(1))
    return seen


async def _open(journal: DatabaseJournal, of: Seed, call: str, at: int = NOON) -> None:
    await journal.open(call, of.account, of.flow, of.version, at)
    await journal.append(call, 0, arrived(of, at), "0" * 16)


async def test_it_is_a_journal(database: Database) -> None:
    async with DatabaseJournal(database) as journal:
        port: Journal = journal
        assert port is journal


async def test_what_was_appended_is_read_back_in_order(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await _open(journal, of, "cal_1")
        events: list[Event] = [
            LegAnswered(NOON + 1, "caller"),
            DigitPressed(NOON + 2, "caller", "*"),
            TimerFired(NOON + 3, "timer-1"),
        ]
        await asyncio.gather(
            *(
                journal.append("cal_1", seq, happened, f"{seq:016x}")
                for seq, happened in reversed([*enumerate(events, 1)])
            )
        )
        expected = [Entry(0, arrived(of), "0" * 16)]
        expected += [Entry(seq, happened, f"{seq:016x}") for seq, happened in enumerate(events, 1)]
        assert await journal.read("cal_1") == expected
    assert await read_journal(database, of.account, "cal_1") == expected
    assert await read_journal(database, "acc_other", "cal_1") == []


async def test_a_running_call_is_found_by_the_next_engine_and_a_closed_one_is_not(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await _open(journal, of, "cal_1")
        await _open(journal, of, "cal_2")
        await journal.close("cal_1", record(of))
    async with DatabaseJournal(database) as journal:
        (running,) = await journal.open_calls()
        assert (running.id, running.account, running.flow) == ("cal_2", of.account, of.flow)
        assert (running.version, running.opened_at) == (of.version, NOON)
        await journal.append("cal_2", 1, LegHungUp(NOON + 9, "caller", 16), "")
        assert len(await journal.read("cal_2")) == 2


async def test_a_closed_call_has_its_record_in_the_history(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await _open(journal, of, "cal_1")
        async with database.reading() as session:
            running = (await session.scalars(select(tables.Call))).one()
        assert (running.number, running.disposition) == ("+815055550100", None)
        await journal.close("cal_1", record(of))
    async with database.reading() as session:
        done = (await session.scalars(select(tables.Call))).one()
    assert (done.caller, done.arrived_at, done.answered_at) == ("+819055550199", NOON, NOON + 1)
    assert (done.ended_at, done.disposition, done.end_reason) == (NOON + 2, "message", "completed")
    assert done.record is not None
    assert done.record["version"] == of.version


async def test_what_comes_together_shares_commits(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database, linger_s=0.2) as journal:
        await _open(journal, of, "cal_1")
        commits = _commits(database)
        await asyncio.gather(
            *(journal.append("cal_1", seq, DigitPressed(NOON, "caller", "1"), "") for seq in range(1, 65))
        )
        assert len(commits) == 1


async def test_opening_and_the_first_event_share_a_commit(database: Database) -> None:
    of = await seed(database)
    commits = _commits(database)
    async with DatabaseJournal(database) as journal:
        await asyncio.gather(
            journal.open("cal_1", of.account, of.flow, of.version, NOON),
            journal.append("cal_1", 0, arrived(of), ""),
        )
    assert len(commits) == 1


async def test_a_lonely_row_does_not_wait_for_company(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await _open(journal, of, "cal_1")
        async with asyncio.timeout(1):
            await journal.append("cal_1", 1, LegAnswered(NOON, "caller"), "")


async def test_more_than_may_wait_waits_for_room_and_arrives(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database, max_waiting=3) as journal:
        await _open(journal, of, "cal_1")
        appends = [journal.append("cal_1", seq, LegAnswered(NOON, "caller"), "") for seq in range(1, 41)]
        tasks = [asyncio.create_task(append) for append in appends]
        await asyncio.sleep(0)
        assert len(journal._waiting) == 3
        await asyncio.gather(*tasks)
        assert len(await journal.read("cal_1")) == 41


async def test_a_failing_database_is_told_to_everybody_and_the_next_try_succeeds(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await _open(journal, of, "cal_1")
        async with database.writing() as session:
            await session.execute(text("ALTER TABLE journal RENAME TO away"))
        outcomes = await asyncio.gather(
            *(journal.append("cal_1", seq, LegAnswered(NOON, "caller"), "") for seq in range(1, 9)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [JournalUnavailable] * 8
        async with database.writing() as session:
            await session.execute(text("ALTER TABLE away RENAME TO journal"))
        await journal.append("cal_1", 1, LegAnswered(NOON, "caller"), "")
        assert len(await journal.read("cal_1")) == 2


async def test_only_the_row_at_fault_is_refused(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database, linger_s=0.05) as journal:
        await _open(journal, of, "cal_1")
        outcomes = await asyncio.gather(
            journal.append("cal_1", 1, LegAnswered(NOON, "caller"), "a"),
            journal.open("cal_2", of.account, of.flow, "no such version", NOON),
            journal.append("cal_1", 0, LegAnswered(NOON, "other than the arrival"), "b"),
            journal.append("cal_1", 2, LegHungUp(NOON, "caller", 16), "c"),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [
            type(None),
            JournalConflict,
            JournalConflict,
            type(None),
        ]
        assert [entry.digest for entry in await journal.read("cal_1")] == ["0" * 16, "a", "c"]


async def test_text_that_is_no_unicode_hurts_no_other_call(database: Database) -> None:
    of = await seed(database)
    half = CallArrived(NOON, "+815055550100", "+819055550199", of.version, "half a pair: \ud83d")
    async with DatabaseJournal(database, linger_s=0.05) as journal:
        await _open(journal, of, "cal_1")
        await journal.open("cal_2", of.account, of.flow, of.version, NOON)
        outcomes = await asyncio.gather(
            journal.append("cal_1", 1, LegAnswered(NOON, "caller"), ""),
            journal.append("cal_2", 0, half, ""),
            return_exceptions=True,
        )
    assert [type(outcome) for outcome in outcomes] == [type(None), JournalConflict]


async def test_repeating_what_is_stored_is_harmless(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        for _ in range(2):
            await _open(journal, of, "cal_1")
            await journal.append("cal_1", 1, LegAnswered(NOON, "caller"), "a")
        assert len(await journal.read("cal_1")) == 2


async def test_a_call_that_is_not_open_is_refused(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        with pytest.raises(JournalConflict, match="cal_1 is not open"):
            await journal.append("cal_1", 0, arrived(of), "")
        with pytest.raises(JournalConflict, match="cal_1 is not open"):
            await journal.close("cal_1", record(of))
        with pytest.raises(JournalConflict, match="cal_1 cannot be opened"):
            await journal.open("cal_1", of.account, "flw_unknown", of.version, NOON)
        with pytest.raises(JournalConflict, match="cal_1 is not open"):
            await journal.append("cal_1", 0, arrived(of), "")


async def test_leaving_writes_what_waits_and_takes_nothing_more(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database, linger_s=5) as journal:
        opened = asyncio.create_task(journal.open("cal_1", of.account, of.flow, of.version, NOON))
        await asyncio.sleep(0)
    await opened
    await journal.drain()
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.append("cal_1", 0, arrived(of), "")
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(tables.Call)) == 1


async def test_an_append_nobody_waits_for_any_more_hurts_nobody(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database, linger_s=0.05) as journal:
        await _open(journal, of, "cal_1")
        given_up = asyncio.create_task(journal.append("cal_1", 1, LegAnswered(NOON, "caller"), ""))
        other = asyncio.create_task(journal.append("cal_1", 2, LegAnswered(NOON, "caller"), ""))
        await asyncio.sleep(0)
        given_up.cancel()
        await other
        assert given_up.cancelled()


async def test_strange_numbers_fit_the_history(database: Database) -> None:
    """A caller's number is whatever a stranger sends: too long, or with a zero byte, which PostgreSQL refuses."""
    of = await seed(database)
    strange = arrived(of)
    strange = type(strange)(NOON, "+81\x0050", "x" * 5_000, of.version, "\x00 \U0001f40c")
    async with DatabaseJournal(database) as journal:
        await journal.open("cal_1", of.account, of.flow, of.version, NOON)
        await journal.append("cal_1", 0, strange, "")
        assert (await journal.read("cal_1"))[0].event == strange
    async with database.reading() as session:
        call = (await session.scalars(select(tables.Call))).one()
    assert (call.number, call.caller) == ("+8150", "x" * 100)


async def test_an_event_of_another_time_is_named(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await _open(journal, of, "cal_1")
        async with database.writing() as session:
            await session.execute(update(tables.JournalRow).values(event=b'{"type":"leg_levitated","at":1}'))
        with pytest.raises(JournalUnreadable, match="event 0 of call cal_1"):
            await journal.read("cal_1")


async def test_every_acknowledged_row_survives_the_death_of_the_writer(url: str) -> None:
    """A child appends from twenty calls at once and says so after each; it is killed in the middle."""
    async with open_database(url) as database:
        of = await seed(database)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.journal_writer", url, *of, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30):
            told = [await child.stdout.readline() for _ in range(400)]
    finally:
        child.kill()
        await child.wait()
    told += (await child.stdout.read()).splitlines(keepends=True)
    acknowledged = {tuple(line.decode().split()) for line in told if line.endswith(b"\n")}
    assert len(acknowledged) >= 400
    async with open_database(url) as database, database.reading() as session:
        stored = {
            (call, str(seq))
            for call, seq in await session.execute(select(tables.JournalRow.call_id, tables.JournalRow.seq))
        }
    assert acknowledged <= stored


async def test_a_call_is_found_with_its_channel_by_the_engine_it_belongs_to(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database, "one") as one, DatabaseJournal(database, "two") as two:
        await one.open("cal_1", of.account, of.flow, of.version, NOON, "1790000000.1")
        await two.open("cal_2", of.account, of.flow, of.version, NOON, "1790000000.2")
        found = [[(call.id, call.channel) for call in await one.open_calls(who)] for who in ("one", "two")]
        assert found == [[("cal_1", "1790000000.1")], [("cal_2", "1790000000.2")]]
        assert len(await one.open_calls()) == 2


async def test_a_call_of_which_nothing_was_told_can_be_forgotten_and_no_other(database: Database) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        await journal.open("cal_1", of.account, of.flow, of.version, NOON)
        await _open(journal, of, "cal_2")
        await journal.withdraw("cal_1")
        await journal.withdraw("cal_2")
        assert [call.id for call in await journal.open_calls()] == ["cal_2"]


async def test_many_journals_are_read_at_once_and_one_that_cannot_be_read_spoils_no_other(
    database: Database,
) -> None:
    of = await seed(database)
    async with DatabaseJournal(database) as journal:
        for call in ("cal_1", "cal_2", "cal_3"):
            await journal.open(call, of.account, of.flow, of.version, NOON)
        await journal.append("cal_1", 0, arrived(of), "0" * 16)
        await journal.append("cal_2", 0, arrived(of), "0" * 16)
        async with database.writing() as session:
            await session.execute(
                update(tables.JournalRow).where(tables.JournalRow.call_id == "cal_2").values(event=b"{}")
            )
        found = await journal.read_many(["cal_1", "cal_2", "cal_3"])
        assert found["cal_1"] == [Entry(0, arrived(of), "0" * 16)]
        assert isinstance(found["cal_2"], JournalUnreadable)
        assert found["cal_3"] == []
