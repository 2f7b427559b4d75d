"""The migrations lead exactly to the tables of the code, on both databases, all or nothing."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect, text

from flowengine.store import migrate
from flowengine.store.database import Database, open_database
from flowengine.store.errors import SchemaMismatch
from flowengine.store.tables import Base
from flowengine.store.types import UtcDateTime
from tests.store.seed import seed


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "include_object": _ours}
    )
    return list(compare_metadata(context, Base.metadata))


def _ours(_: object, name: str | None, kind: str, *__: object) -> bool:
    return not (kind == "table" and name == "alembic_version")


def _constraints(connection: Connection) -> set[str | None]:
    """Names of everything a migration may have to name one day."""
    found = inspect(connection)
    names: set[str | None] = set()
    for table in Base.metadata.tables:
        names |= {key["name"] for key in found.get_foreign_keys(table)}
        names |= {key["name"] for key in found.get_unique_constraints(table)}
        names |= {key["name"] for key in found.get_check_constraints(table)}
        names.add(found.get_pk_constraint(table)["name"])
    return names


async def test_the_migrations_lead_to_the_tables_of_the_code(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
        migrated = await connection.run_sync(_constraints)
    assert migrated == {str(c.name) for table in Base.metadata.tables.values() for c in table.constraints}


async def test_a_missing_column_would_be_seen(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("ALTER TABLE numbers DROP COLUMN country"))
    async with database.engine.connect() as connection:
        assert len(await connection.run_sync(_differences)) == 1


async def test_upgrading_twice_changes_nothing_and_down_and_up_again_works(database: Database) -> None:
    await migrate.upgrade(database)
    await migrate.downgrade(database, "base")
    async with database.reading() as session:
        with pytest.raises(SchemaMismatch, match="flowengine db upgrade"):
            await migrate.check_schema(session)
    await migrate.upgrade(database)
    async with database.reading() as session:
        await migrate.check_schema(session)


async def test_two_who_upgrade_at_once_do_it_once(database: Database) -> None:
    await migrate.downgrade(database, "base")
    await asyncio.gather(*(migrate.upgrade(database) for _ in range(3)))
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    async with database.reading() as session:
        assert (await session.execute(text("SELECT epoch FROM catalog_epoch"))).scalars().all() == [0]


async def test_a_newer_database_is_left_alone(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="9999, which this version does not know"):
        await migrate.upgrade(database)
    async with database.reading() as session:
        with pytest.raises(SchemaMismatch, match="run the newer version"):
            await migrate.check_schema(session)


async def test_a_migration_that_fails_leaves_nothing(database: Database) -> None:
    """A table is in the way of the last statement: the tables made before it must be gone again."""
    await migrate.downgrade(database, "base")
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE recordings (id INTEGER)"))
    with pytest.raises(Exception, match="recordings"):
        await migrate.upgrade(database)
    async with database.engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert set(tables) <= {"recordings", "alembic_version"}


async def test_rows_that_point_nowhere_stop_a_migration_on_sqlite(sqlite_url: str) -> None:
    async with open_database(sqlite_url) as database:
        await seed(database)
        engine = database.engine
        async with engine.connect() as connection:
            await connection.exec_driver_sql("COMMIT")
            await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            await connection.exec_driver_sql("DELETE FROM accounts")
            await connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            await connection.exec_driver_sql("BEGIN")
        with pytest.raises(SchemaMismatch, match="rows of flows, groups, numbers, users point at"):
            await migrate.upgrade(database)


def test_the_migrations_are_inside_the_package() -> None:
    assert (migrate.MIGRATIONS / "script.py.mako").is_file()
    assert migrate.MIGRATIONS.is_relative_to(Path(migrate.__file__).parent)
    assert sorted(file.name for file in (migrate.MIGRATIONS / "versions").glob("*.py")) == [
        "0001_first_tables.py",
        "0002_keep_the_desk_in_the_database.py",
        "0003_keep_the_sip_accounts_of_devices.py",
        "0004_keep_sounds_rooms_and_a_ledger.py",
        "0005_sell_numbers_plans_and_credits.py",
        "0006_keep_the_channel_and_owner_of_calls.py",
    ]


async def test_a_new_migration_holds_what_the_tables_have_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        table.to_metadata(more)
    Table("ledger", more, Column("id", Integer, primary_key=True), Column("made_at", UtcDateTime))
    monkeypatch.setattr(Base, "metadata", more)
    path = await migrate.revise("Add the ledger", tmp_path)
    assert path == tmp_path / f"{int(migrate.newest()) + 1:04}_add_the_ledger.py"
    text_ = path.read_text()
    assert "create_table('ledger'" in text_.replace('"', "'")
    assert "sa.DateTime(timezone=True)" in text_
    assert text_.count("create_table") == 1
