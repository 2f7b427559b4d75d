"""How many events a second become durable, and how long a call waits for it. SQLite on this machine's disk.

Many calls append at once, each waiting for its row before the next, as calls do. The baseline is the driver alone
in the same file with the same settings: `executemany` of as many rows a transaction as the journal's groups had.
Beside it the same rows with a commit each, which is what group commit saves us from. Time is the clock's, for most
of it is the disk's.
"""

import asyncio
import sqlite3
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

from sqlalchemy import event

from bench import Result
from flowengine.call.events import DigitPressed
from flowengine.flow.document import Announcement, Flow, Say
from flowengine.store import flows, migrate, tables
from flowengine.store.database import Database, open_database
from flowengine.store.ids import new_id
from flowengine.store.journal import DatabaseJournal

CALLS = 200
EVENTS = 25
ROUNDS = 3
SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
INSERT = "INSERT INTO journal (call_id, seq, account_id, at, event, digest) VALUES (?, ?, ?, ?, ?, ?)"
FLOW = Flow(
    format="flowengine/1", name="Bench", start="hello", states={"hello": Announcement(prompt=Say(say="Hi"))}
)


async def appended(
    database: Database, journal: DatabaseJournal, account: str, flow: str
) -> tuple[float, int, list[float]]:
    """Append from all calls at once; returns the seconds, the commits, and each append's wait in milliseconds."""
    calls = [new_id("cal") for _ in range(CALLS)]
    await asyncio.gather(*(journal.open(call, account, flow, FLOW.sha256(), 0) for call in calls))
    commits = 0
    waits: list[float] = []

    def committed(_: object) -> None:
        nonlocal commits
        commits += 1

    async def live(call: str) -> None:
        for seq in range(EVENTS):
            began = perf_counter()
            await journal.append(call, seq, DigitPressed(seq, "caller", "5"), "0123456789abcdef")
            waits.append((perf_counter() - began) * 1_000)

    event.listen(database.engine.sync_engine, "commit", committed)
    began = perf_counter()
    await asyncio.gather(*(live(call) for call in calls))
    took = perf_counter() - began
    event.remove(database.engine.sync_engine, "commit", committed)
    return took, commits, waits


def inserted(path: Path, account: str, group: int, rows: int) -> float:
    """Insert rows of one running call with the bare driver, `group` a transaction; returns the seconds."""
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    (call,) = connection.execute("SELECT id FROM calls LIMIT 1").fetchone()
    (last,) = connection.execute("SELECT max(seq) FROM journal WHERE call_id = ?", (call,)).fetchone()
    body = b'{"type":"digit_pressed","at":1,"leg":"caller","digit":"5"}'
    began = perf_counter()
    for first in range(0, rows, group):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            INSERT,
            [
                (call, last + 1 + first + n, account, 1, body, "0123456789abcdef")
                for n in range(min(group, rows - first))
            ],
        )
        connection.execute("COMMIT")
    took = perf_counter() - began
    connection.close()
    return took


async def compared(path: Path) -> list[Result]:
    """Journal and baselines in turns, so that a slow minute of the disk is everybody's; the best of the rounds."""
    async with open_database(f"sqlite:///{path}") as database:
        await migrate.upgrade(database)
        account = new_id("acc")
        async with database.writing() as session:
            session.add(
                tables.Account(
                    id=account,
                    key="bench",
                    name="",
                    country="JP",
                    language="en",
                    time_zone="UTC",
                    currency="JPY",
                )
            )
            await session.flush()
            flow = await flows.create_flow(session, account, "bench", FLOW)
            await flows.publish(session, account, flow, FLOW)
        ours, bare, single = [], [], []
        async with DatabaseJournal(database) as journal:
            for _ in range(ROUNDS):
                took, commits, waits = await appended(database, journal, account, flow)
                group = round(len(waits) / commits)
                ours.append((len(waits) / took, group, quantiles(waits, n=100)))
                bare.append(len(waits) / inserted(path, account, group, len(waits)))
                single.append(CALLS / inserted(path, account, 1, CALLS))
    rate, group, waited = max(ours)
    return [
        Result("journal: bare executemany, groups as below", max(bare), "rows/s"),
        Result(
            f"journal: {CALLS} calls append at once, groups of {group}",
            rate,
            "rows/s",
            "bare",
            rate / max(bare),
        ),
        Result("journal: bare driver, a commit each", max(single), "rows/s", "bare", max(single) / max(bare)),
        Result("journal: an append waits (median)", waited[49] * 1_000, "us"),
        Result("journal: an append waits (99 of 100)", waited[98] * 1_000, "us"),
    ]


def measure() -> list[Result]:
    """Measure in a folder of its own on the disk of temporary files."""
    with TemporaryDirectory(prefix="flowengine-bench-") as folder:
        return asyncio.run(compared(Path(folder) / "bench.db"))
