"""How many minutes of running calls a second the meter debits: SQLite on this machine's disk, and PostgreSQL.

All calls are answered at one moment, so each minute they are due together, and the meter books them in its groups:
each debits the minute that begins and goes on holding the next. The baseline is the driver alone in the same database
in groups of the same size: for each minute a transfer inserted, with a call and a key like the meter's, and its two
balances updated, looking at nothing. They take turns, so that a slow minute of the disk is everybody's. PostgreSQL runs
in a folder of its own for the time of the measurement, without fsync for both.
"""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import structlog

from bench import Result
from flowengine.alarms import Alarms
from flowengine.billing.rates import Deck, Rate
from flowengine.call.events import CALLER, SECOND, CallArrived, Instant, LegAnswered
from flowengine.metering.books import DatabaseLedger
from flowengine.metering.meter import CallMeter
from flowengine.metering.rounds import GROUP
from flowengine.store import debits, ledger, migrate, tables
from flowengine.store.database import Database, open_database
from flowengine.store.ids import new_id, new_ids
from flowengine.store.tariffs import Kind, Tariffs, Terms
from tests.store.conftest import Cluster

CALLS = 2_000
ACCOUNTS = 64
ROUNDS = 5
NUMBER = "+815055550100"
T0: Instant = 1_790_000_000_000_000
DETAILS = (
    '{"leg": "caller", "n": 1, "direction": "inbound", "number": "+815055550100",'
    ' "rate": "rat_0123456789abcdef01234567", "key": "JP/local", "per_minute": 10000, "connect_fee": 0,'
    ' "first_s": 60, "following_s": 60, "begins_at": 1790000000000000, "ends_at": 1790000060000000}'
)
MINUTE = ("minute", "credits", "credits.calls", 1)
COLUMNS = "id, account_id, key, kind, from_name, to_name, amount, at, call_id, details"
UPDATES = (
    "UPDATE ledger_accounts SET balance = balance - 1 WHERE account_id = {} AND name = 'credits'",
    "UPDATE ledger_accounts SET balance = balance + 1 WHERE account_id = {} AND name = 'credits.calls'",
)
SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")

Row = tuple[Any, ...]
Write = Callable[[Sequence[Row]], Awaitable[None]]
"""Inserts transfers and updates their balances, in one transaction."""


class Clock:
    """Set by hand."""

    at = T0

    def now(self) -> Instant:
        return self.at


class Calls:
    """Running calls of some accounts on a meter."""

    def __init__(self, database: Database, accounts: Sequence[str]) -> None:
        self.clock = Clock()
        rate = Rate(direction="inbound", key="JP/local", per_minute=10_000, valid_from=0)

        async def load(known: Tariffs) -> Tariffs:
            return known

        self.meter = CallMeter(
            DatabaseLedger(database), load, "bench", self.clock, lambda _call, _event: None, Alarms()
        )
        self.meter.tariffs = Tariffs(
            deck=Deck([rate]),
            numbers={NUMBER: Kind("JP", "local")},
            terms=dict.fromkeys(accounts, Terms()),
        )
        self.ids = new_ids("cal", CALLS)
        for n in range(CALLS):
            account, call = accounts[n % len(accounts)], self.ids[n]
            self.meter.step(account, call, CallArrived(T0, NUMBER, "", "v"), ())
            self.meter.step(account, call, LegAnswered(T0, CALLER), ())

    async def minute(self) -> float:
        """Let a minute pass; gives debits a second."""
        self.clock.at += 60 * SECOND
        began = perf_counter()
        await self.meter.tick(self.clock.at)
        return CALLS / (perf_counter() - began)


async def written(write: Write, accounts: Sequence[str], calls: Sequence[str], number: int) -> float:
    """As many debits by the driver alone, of the minute of that number of each call; gives debits a second."""
    at = T0 + number * 60 * SECOND
    rows = [
        (id, accounts[n % len(accounts)], f"bare:{call}:caller:{number}", *MINUTE, at, call, DETAILS)
        for n, (id, call) in enumerate(zip(new_ids("trf", len(calls)), calls, strict=True))
    ]
    began = perf_counter()
    for start in range(0, CALLS, GROUP):
        await write(rows[start : start + GROUP])
    return CALLS / (perf_counter() - began)


async def compared(database: Database, write: Write, name: str) -> list[Result]:
    """Meter and baseline in turns; the medians of the rounds and of their ratios, of one hot account and of many."""
    accounts = [await _account(database, f"{name}-{n}") for n in range(ACCOUNTS)]
    results = []
    for what, chosen in (("one account", accounts[:1]), (f"{ACCOUNTS} accounts", accounts)):
        calls = Calls(database, chosen)
        await calls.minute()
        ours, bare = [], []
        for number in range(ROUNDS):
            ours.append(await calls.minute())
            bare.append(await written(write, chosen, calls.ids, number))
        ratio = median(mine / driver for mine, driver in zip(ours, bare, strict=True))
        note = f"{CALLS} calls, groups of {GROUP}"
        results += [
            Result(f"debits, {name}, {what}: by the driver alone", median(bare), "per s"),
            Result(f"debits, {name}, {what}: by the meter", median(ours), "per s", "bare", ratio, note),
        ]
    return results


async def _account(database: Database, key: str) -> str:
    account = new_id("acc")
    async with database.writing() as session:
        session.add(
            tables.Account(
                id=account,
                key=key,
                name="",
                country="JP",
                language="en",
                time_zone="UTC",
                currency="JPY",
            )
        )
        await session.flush()
        await debits.open_credits(session, account)
        await ledger.transfer(
            session, account, "purchase:1", "purchase", debits.PURCHASES, debits.CREDITS, 10**15, 1
        )
    return account


async def on_sqlite(folder: Path) -> list[Result]:
    """In a file."""
    path = folder / "bench.db"
    async with open_database(f"sqlite:///{path}") as database:
        await migrate.upgrade(database)
        connection = sqlite3.connect(path, isolation_level=None)
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        insert = f"INSERT INTO ledger_transfers ({COLUMNS}) VALUES ({', '.join('?' * 10)})"

        async def write(rows: Sequence[Row]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, rows)
            for update in UPDATES:
                connection.executemany(update.format("?"), [(row[1],) for row in rows])
            connection.execute("COMMIT")

        found = await compared(database, write, "SQLite")
        connection.close()
        return found


async def on_postgres() -> list[Result]:
    """In a cluster of our own."""
    async with _cluster() as cluster:
        await cluster.execute("CREATE DATABASE bench")
        async with open_database(cluster.url("bench")) as database:
            await migrate.upgrade(database)
            connection = await asyncpg.connect(user="postgres", database="bench", host=str(cluster.folder))
            places = ", ".join(f"${n}" for n in range(1, 11))
            insert = f"INSERT INTO ledger_transfers ({COLUMNS}) VALUES ({places})"

            async def write(rows: Sequence[Row]) -> None:
                async with connection.transaction():
                    await connection.executemany(insert, rows)
                    for update in UPDATES:
                        await connection.executemany(update.format("$1"), [(row[1],) for row in rows])

            found = await compared(database, write, "PostgreSQL")
            await connection.close()
            return found


@asynccontextmanager
async def _cluster() -> AsyncIterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="flowengine-bench-pg-"))
    if not os.getuid():
        shutil.chown(folder, "postgres")
    cluster = Cluster(folder)
    try:
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="flowengine-bench-") as folder:
        return [*await on_sqlite(Path(folder)), *await on_postgres()]


def measure() -> list[Result]:
    """Measure both."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return asyncio.run(_measure())
