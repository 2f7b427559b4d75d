"""Both databases: SQLite in a temporary folder, and a private PostgreSQL cluster on a Unix socket.

PostgreSQL is part of what is tested, so its absence fails. Each test gets a database of its own, copied from one
that was migrated once.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from flowengine.store import migrate
from flowengine.store.database import Database, open_database

TIMEOUT_S = 60
_numbers = count(1)


class Cluster:
    """A PostgreSQL server below one folder, reachable by its socket alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        if not self.data.exists():
            _postgres("initdb", "--pgdata", self.data, "--username=postgres", "--no-sync", "--encoding=UTF8")
        settings = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        log = self.folder / "log"
        _postgres("pg_ctl", "start", "--wait", "--pgdata", self.data, "--log", log, "--options", settings)

    def stop(self) -> None:
        _postgres("pg_ctl", "stop", "--wait", "--pgdata", self.data, "--mode=immediate")

    async def execute(self, statement: str) -> None:
        url = self.url("postgres").replace("postgresql:", "postgresql+asyncpg:")
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()


def _postgres(program: str, *arguments: object) -> None:
    """Run a program of PostgreSQL; it refuses root, so root runs it as the user postgres."""
    folders = [os.environ.get("PATH", ""), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))]
    found = shutil.which(program, path=os.pathsep.join(folders))
    if found is None:
        pytest.fail(f"{program} is not installed: install the Debian package postgresql", pytrace=False)
    as_postgres = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if not os.getuid() else []
    )
    ran = subprocess.run(
        [*as_postgres, found, *map(str, arguments)],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if program == "initdb" else subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=False,
        text=True,
    )
    if ran.returncode:
        pytest.fail(f"{program} ended with {ran.returncode}: {ran.stdout or 'see its log'}", pytrace=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A running cluster with the migrated database `template_flowengine`."""
    folder = Path(tempfile.mkdtemp(prefix="flowengine-pg-"))
    if not os.getuid():
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.fail("there is no user postgres: install the Debian package postgresql", pytrace=False)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    cluster = Cluster(folder)
    try:
        cluster.start()
        try:
            asyncio.run(cluster.execute("CREATE DATABASE template_flowengine"))
            asyncio.run(_migrate(cluster.url("template_flowengine")))
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


async def _migrate(url: str) -> None:
    async with open_database(url) as database:
        await migrate.upgrade(database)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'flowengine.db')}"


@pytest.fixture
async def postgres_url(postgres: Cluster) -> AsyncIterator[str]:
    """A migrated PostgreSQL database."""
    name = f"test_{next(_numbers)}"
    await postgres.execute(f"CREATE DATABASE {name} TEMPLATE template_flowengine")
    yield postgres.url(name)
    await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each kind."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with open_database(url) as opened:
        yield opened
