"""The tables' versions: Alembic without an ini file, from the source tree and from the installed wheel.

Migrations run in one transaction, one process at a time (SQLite: the write lock; PostgreSQL: an advisory
lock), with foreign keys off on SQLite, where changing a table means copying it, and checked before the commit.
"""

import asyncio
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store.database import Database, make_engine, open_database, read_url
from flowengine.store.errors import SchemaMismatch

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK_KEY: Final = 0x666C6F77  # "flow": any number which nobody else locks in this database


async def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables to the newest revision, or to a named one. Harmless when they are there already.

    Raises:
        SchemaMismatch: the database was made by a newer version, or its rows break a reference.
    """
    await _run(database, lambda config: command.upgrade(config, revision))


async def downgrade(database: Database, revision: str) -> None:
    """Go back to a revision; "base" removes every table and all data."""
    await _run(database, lambda config: command.downgrade(config, revision))


async def revise(message: str, folder: Path = MIGRATIONS / "versions") -> Path:
    """Write the migration from the newest revision to the tables of the code, for a developer to read and correct.

    Run it as `python -m flowengine.store.migrate "Add the ledger"`.
    """
    written: list[Path] = []

    def write(config: Config) -> None:
        config.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}{os.pathsep}{folder}")
        revision = f"{int(newest()) + 1:04}"
        made = command.revision(config, message, autogenerate=True, rev_id=revision, version_path=str(folder))
        assert isinstance(made, Script), "one message makes one file"
        written.append(Path(made.path))

    with TemporaryDirectory() as scratch:
        async with open_database(f"sqlite:///{scratch}/empty.db") as database:
            await upgrade(database)
            await _run(database, write)
    return written[0]


async def check_schema(session: AsyncSession) -> None:
    """Make sure that the tables are those of this code; raises `SchemaMismatch` with the command to run."""
    connection = await session.connection()
    have = await connection.run_sync(_current)
    need = newest()
    if have == need:
        return
    if have is None or have in _known():
        raise SchemaMismatch(
            f"the database is at revision {have or 'none'} and this version needs {need}: run flowengine db"
            " upgrade"
        )
    raise _from_the_future(have)


def newest() -> str:
    """Name the newest revision this code has."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the migrations are part of the package"
    return head


async def _run(database: Database, what: Callable[[Config], None]) -> None:
    engine = make_engine(
        read_url(database.engine.url.render_as_string(hide_password=False)), foreign_keys=False
    )
    writer = Database(engine).writer
    try:
        async with writer.begin() as connection:
            if not database.is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
            await connection.run_sync(_migrate, what)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, what: Callable[[Config], None]) -> None:
    have = _current(connection)
    if have is not None and have not in _known():
        raise _from_the_future(have)
    config = _config()
    config.attributes["connection"] = connection
    what(config)
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            tables = ", ".join(sorted({str(row[0]) for row in broken}))
            raise SchemaMismatch(
                f"rows of {tables} point at rows that are not there, nothing was changed: mend them first"
            )


def _config() -> Config:
    config = Config(
        stdout=io.StringIO()
    )  # alembic reports each file it writes; commands here speak for themselves
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _from_the_future(have: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"the database is at revision {have}, which this version does not know: run the newer version that made it"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(revise(sys.argv[1]))}\n")
