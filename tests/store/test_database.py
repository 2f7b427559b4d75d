"""Opening a database: addresses, settings, the lock, and who sees what."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from flowengine.store import tables
from flowengine.store.database import Database, open_database, read_url
from flowengine.store.errors import DatabaseInUse, DatabaseRefused
from flowengine.store.ids import LENGTH, new_id, new_ids
from tests.store.seed import seed

ROOT = Path(__file__).parents[2]
ENGINE = """
import asyncio, sys
from flowengine.store.database import open_database

async def main():
    async with open_database(sys.argv[1], exclusive=True):
        print("open", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://localhost/x", '"mysql" is no database'),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////no/such/folder/x.db", "/no/such/folder of the database does not exist"),
        ("postgresql://someone:secret@127.0.0.1:1/x", "cannot be reached"),
    ],
)
async def test_an_address_that_leads_nowhere_is_named_with_the_mend(url: str, says: str) -> None:
    with pytest.raises(DatabaseRefused, match=says) as refused:
        async with open_database(url):
            pass
    assert "secret" not in str(refused.value)


def test_urls_choose_the_asynchronous_driver() -> None:
    assert read_url("sqlite:///x.db").drivername == "sqlite+aiosqlite"
    assert read_url("postgresql+psycopg://u@h/d").drivername == "postgresql+asyncpg"


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear Hanako, this is a letter and not a database. " * 40)
    with pytest.raises(DatabaseRefused, match="file is not a database"):
        async with open_database(f"sqlite:///{file}"):
            pass


async def test_sqlite_has_its_settings_and_belongs_to_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    async with open_database(f"sqlite:///{file}") as database, database.reading() as session:
        found = {
            name: (await session.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    assert file.stat().st_mode & 0o077 == 0


async def test_a_second_engine_in_this_process_is_refused_and_a_command_is_not(sqlite_url: str) -> None:
    async with open_database(sqlite_url, exclusive=True):
        with pytest.raises(DatabaseInUse, match=f"process {os.getpid()}"):
            async with open_database(sqlite_url, exclusive=True):
                pass
        async with open_database(sqlite_url) as beside:
            await seed(beside)
    async with open_database(sqlite_url, exclusive=True):
        pass


async def test_an_engine_in_another_process_is_named_and_its_death_frees_the_file(sqlite_url: str) -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENGINE, sqlite_url, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert other.stdout is not None
    try:
        assert await other.stdout.readline() == b"open\n"
        with pytest.raises(DatabaseInUse, match=f"process {other.pid}"):
            async with open_database(sqlite_url, exclusive=True):
                pass
    finally:
        other.kill()
        await other.wait()
    async with open_database(sqlite_url, exclusive=True):
        pass


async def test_postgresql_takes_many_engines(postgres_url: str) -> None:
    async with open_database(postgres_url, exclusive=True), open_database(postgres_url, exclusive=True):
        pass


async def test_a_time_comes_back_with_its_zone(database: Database) -> None:
    tokyo = datetime(2026, 7, 1, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    account = (await seed(database)).account
    async with database.writing() as session:
        await session.execute(update(tables.Account).values(created_at=tokyo))
    async with database.reading() as session:
        query = select(tables.Account.created_at).where(tables.Account.id == account)
        stored = (await session.scalars(query)).one()
    assert stored == tokyo
    assert stored.tzinfo is UTC


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    await seed(database)
    with pytest.raises(StatementError, match="no time zone"):
        async with database.writing() as session:
            await session.execute(update(tables.Account).values(created_at=datetime(2026, 7, 1)))  # noqa: DTZ001


async def test_a_transaction_left_by_an_exception_leaves_nothing(database: Database) -> None:
    await seed(database)

    async def leave_in_the_middle() -> None:
        async with database.writing() as session:
            await session.execute(update(tables.Account).values(name="Changed"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await leave_in_the_middle()
    async with database.reading() as session:
        assert (await session.scalars(select(tables.Account.name))).one() == "Demo"


async def test_readers_see_one_picture_while_others_write(database: Database) -> None:
    await seed(database)
    async with database.reading() as reader:
        before = (await reader.scalars(select(tables.Account.name))).one()
        async with database.writing() as session:
            await session.execute(update(tables.Account).values(name="Changed"))
        assert (await reader.scalars(select(tables.Account.name))).one() == before


async def test_a_row_cannot_point_into_another_account(database: Database) -> None:
    ours = await seed(database)
    theirs = await seed(database, "other", "+815055550101")
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            await session.execute(
                update(tables.Number)
                .where(tables.Number.account_id == ours.account)
                .values(flow_id=theirs.flow)
            )


def test_ids_are_unique_sorted_and_plain() -> None:
    ids = [new_id("cal") for _ in range(2_500)] + [*new_ids("cal", 2_500), new_id("cal")]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(id_) == LENGTH and id_.startswith("cal_") and id_[4:].isalnum() for id_ in ids)
    assert all(id_.isascii() and id_ == id_.lower() for id_ in ids)
