"""How many debits a second the ledger takes, in batches as a meter makes them. SQLite on this machine's disk.

The baseline is the driver alone in the same file with the same settings: as many rows inserted and as many balances
updated a transaction, without a look at floors and keys. One hot account, where every debit is from the same
balance, and many accounts in turn. A debit moves an amount; a minute is held before, in a transaction of its own.
"""

import asyncio
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import Result
from flowengine.store import ledger, migrate, tables
from flowengine.store.books import Capture, Entry, Hold, Operation
from flowengine.store.database import Database, open_database
from flowengine.store.ids import new_id

BATCH = 500
DEBITS = 8_000
ACCOUNTS = 64
ROUNDS = 3
SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
INSERT = (
    "INSERT INTO ledger_transfers (id, account_id, key, kind, from_name, to_name, amount, at, call_id, details)"
    " VALUES (?, ?, ?, 'minute', 'credit', 'spent', 1, 1, 'cal_1', '{\"rate\": 1}')"
)
HOLD = "INSERT INTO ledger_holds (account_id, name, key, amount, owner, at) VALUES (?, 'credit', ?, 1, 'engine', 1)"
UNHOLD = "DELETE FROM ledger_holds WHERE account_id = ? AND name = 'credit' AND key = ?"
UPDATE = "UPDATE ledger_accounts SET balance = balance + ? WHERE account_id = ? AND name = ?"


def _batches(accounts: list[str], round: str) -> list[list[Entry]]:
    entries = [
        Entry(
            accounts[n % len(accounts)],
            f"{round}:{n}",
            "minute",
            "credit",
            "spent",
            1,
            1,
            "cal_1",
            {"rate": 1},
        )
        for n in range(DEBITS)
    ]
    return [entries[first : first + BATCH] for first in range(0, DEBITS, BATCH)]


async def debited(database: Database, accounts: list[str], round: str) -> float:
    """Debit in batches; returns debits a second."""
    began = perf_counter()
    for batch in _batches(accounts, round):
        async with database.writing() as session:
            await ledger.perform(session, batch)
    return DEBITS / (perf_counter() - began)


async def metered(database: Database, accounts: list[str], round: str) -> float:
    """Hold minutes in one transaction and debit them in another, as running calls do; returns minutes a second."""
    began = perf_counter()
    for batch in _batches(accounts, round):
        holds: list[Operation] = [
            Hold(entry.account, "credit", entry.key, 1, "engine", 1, "cal_1") for entry in batch
        ]
        async with database.writing() as session:
            await ledger.perform(session, holds)
        async with database.writing() as session:
            await ledger.perform(session, [Capture(entry.key, entry) for entry in batch])
    return DEBITS / (perf_counter() - began)


def written(path: Path, accounts: list[str], round: str, *, held: bool = False) -> float:
    """The same rows and balances by the driver alone; returns debits a second."""
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    began = perf_counter()
    for batch in _batches(accounts, round):
        if held:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(HOLD, [(each.account, each.key) for each in batch])
            connection.executemany(UPDATE, [(0, each.account, "credit") for each in batch])
            connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        if held:
            connection.executemany(UNHOLD, [(each.account, each.key) for each in batch])
        connection.executemany(INSERT, [(new_id("trf"), each.account, each.key) for each in batch])
        connection.executemany(UPDATE, [(-1, each.account, "credit") for each in batch])
        connection.executemany(UPDATE, [(1, each.account, "spent") for each in batch])
        connection.execute("COMMIT")
    took = perf_counter() - began
    connection.close()
    return DEBITS / took


async def compared(path: Path) -> list[Result]:
    """Ledger and baseline in turns, so that a slow minute of the disk is everybody's; the best of the rounds."""
    results = []
    async with open_database(f"sqlite:///{path}") as database:
        await migrate.upgrade(database)
        accounts = [await _account(database, n) for n in range(ACCOUNTS)]
        for what, chosen in (("one hot account", accounts[:1]), (f"{ACCOUNTS} accounts", accounts)):
            figures: dict[str, list[float]] = {"debits": [], "bare": [], "minutes": [], "bare minutes": []}
            for n in range(ROUNDS):
                figures["debits"].append(await debited(database, chosen, f"{what}:{n}"))
                figures["bare"].append(written(path, chosen, f"bare:{what}:{n}"))
                figures["minutes"].append(await metered(database, chosen, f"held:{what}:{n}"))
                figures["bare minutes"].append(written(path, chosen, f"bare held:{what}:{n}", held=True))
            best = {name: max(rates) for name, rates in figures.items()}
            for name, bare in (("debits", "bare"), ("minutes", "bare minutes")):
                results += [
                    Result(f"ledger: {name} by the driver alone, {what}", best[bare], "per s"),
                    Result(f"ledger: {name}, {what}", best[name], "per s", "bare", best[name] / best[bare]),
                ]
    return results


async def _account(database: Database, number: int) -> str:
    account = new_id("acc")
    async with database.writing() as session:
        session.add(
            tables.Account(
                id=account,
                key=f"bench-{number}",
                name="",
                country="JP",
                language="en",
                time_zone="UTC",
                currency="JPY",
            )
        )
        await session.flush()
        for name, floor in (("world", None), ("credit", 0), ("spent", 0)):
            await ledger.open_account(session, account, name, "credit", floor)
        await ledger.transfer(session, account, "purchase:1", "purchase", "world", "credit", 10**9, 1)
    return account


def measure() -> list[Result]:
    """Measure in a folder of its own on the disk of temporary files."""
    with TemporaryDirectory(prefix="flowengine-bench-") as folder:
        return asyncio.run(compared(Path(folder) / "bench.db"))
