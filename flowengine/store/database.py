"""Opening the database: its address, its settings, and the two kinds of transaction.

SQLite runs with a write-ahead log and `synchronous=FULL`. What a crash can lose: nothing that was committed,
neither when the process is killed nor when the machine loses power; only transactions not yet committed, whose
caller was never told otherwise. `NORMAL` would save the fsync and lose the last commits at a power cut, among
them paid minutes. The journal commits in groups, so that many rows share one fsync. PostgreSQL gives the same
with its default `synchronous_commit=on`.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from flowengine.store.errors import DatabaseRefused
from flowengine.store.lock import engine_lock

BUSY_S: Final = 10.0
"""How long a SQLite writer waits for another writer, and how long a connection to PostgreSQL may take."""
_BEGIN: Final = "flowengine_begin"
_FORMS: Final = "use sqlite:///path/to/file.db or postgresql://user@host/name"


class Database:
    """An open database. Sessions come from `reading` and `writing`; nothing else opens transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        if self.is_sqlite:
            self.writer = engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            self._reader = engine
        else:
            self.writer = engine
            self._reader = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Give a session that sees one consistent picture and never waits for writers."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Give a session whose transaction commits at the end, or leaves nothing when it is left by an exception.

        On SQLite it takes the write lock at once: a transaction that reads first and writes later could be
        refused in between. Keep it short, for the journal writes to the same file.
        """
        async with AsyncSession(self.writer, expire_on_commit=False) as session, session.begin():
            yield session


@asynccontextmanager
async def open_database(url: str, *, exclusive: bool = False) -> AsyncIterator[Database]:
    """Open a database by its URL (`sqlite:///file`, `postgresql://user@host/name`) and close it at the end.

    Args:
        exclusive: this process runs calls. Two such processes on one SQLite file are refused; commands beside
            a running engine (apply, export) leave it off. PostgreSQL is made for many and has no such limit.

    Raises:
        DatabaseRefused: the address, the folder, the driver or the server is at fault; the message says which.
    """
    address = read_url(url)
    with ExitStack() as held:
        if address.get_backend_name() == "sqlite":
            path = _prepare_file(address)
            if exclusive:
                held.enter_context(engine_lock(path))
        engine = make_engine(address)
        try:
            await _greet(engine)
            yield Database(engine)
        finally:
            await engine.dispose()


def read_url(url: str) -> URL:
    """Check a database URL and choose its asynchronous driver."""
    try:
        address = make_url(url)
    except ArgumentError:
        raise DatabaseRefused(f"the database URL cannot be read: {_FORMS}") from None
    match address.get_backend_name():
        case "sqlite":
            if address.database in (None, "", ":memory:"):
                raise DatabaseRefused(
                    "a SQLite database in memory forgets its calls: use sqlite:///path/to/file.db"
                )
            return address.set(drivername="sqlite+aiosqlite")
        case "postgresql":
            return address.set(drivername="postgresql+asyncpg")
        case other:
            raise DatabaseRefused(f'"{other}" is no database this engine knows: {_FORMS}')


def make_engine(address: URL, *, foreign_keys: bool = True) -> AsyncEngine:
    """Make an engine with the settings of this file. Only migrations go without `foreign_keys`."""
    if address.get_backend_name() == "sqlite":
        engine = create_async_engine(address, hide_parameters=True)
        _tune_sqlite(engine, foreign_keys=foreign_keys)
        return engine
    try:
        return create_async_engine(
            address,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"timeout": BUSY_S, "command_timeout": 60},
        )
    except ModuleNotFoundError:
        raise DatabaseRefused(
            'the driver for PostgreSQL is not installed: install "flowengine[postgres]"'
        ) from None


def _tune_sqlite(engine: AsyncEngine, *, foreign_keys: bool) -> None:
    pragmas = (
        f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}",
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # or the driver begins transactions of its own, too late
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _prepare_file(address: URL) -> Path:
    """Make the file for this user alone: it holds who called whom."""
    path = Path(str(address.database))
    if not path.parent.is_dir():
        raise DatabaseRefused(f"the folder {path.parent} of the database does not exist: make it")
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise DatabaseRefused(
            f"cannot write to {path}: {error.strerror}: let this user write to it"
        ) from None
    return path.resolve()


async def _greet(engine: AsyncEngine) -> None:
    """Make sure that somebody is there and speaks."""
    shown = engine.url.render_as_string(hide_password=True)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        raise DatabaseRefused(f"{shown} cannot be used: {error.orig}: correct it, or the address") from None
    except (OSError, SQLAlchemyError) as error:
        raise DatabaseRefused(
            f"{shown} cannot be reached: {error}: start it, or correct the address"
        ) from None
