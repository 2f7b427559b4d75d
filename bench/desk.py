"""How many offers a second the desk in the database makes, and how long a large group takes to decide.

The baseline is what an offer cannot do without: the bare driver reserves the first free agent of the line by one
conditional UPDATE and lets them go by another, each in a transaction of its own with the same settings, on the same
file. The desk does more (other engines, waiting lines, the answer), and shares a transaction among the calls that ask
at the same time. Time is the clock's, for most of it is the disk's.
"""

import asyncio
import sqlite3
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from bench import Result
from flowengine.call import commands
from flowengine.call.events import AgentsOffered, Event
from flowengine.routing.desk import MemoryDesk, Outlets
from flowengine.routing.directory import Catalog, User
from flowengine.store import migrate, tables
from flowengine.store.database import Database, open_database
from flowengine.store.desk import DatabaseDesk

ACCOUNT = "acc"
MEMBERS = 500
ASKING = 50
"""Calls that ask at the same time."""
OFFERS = 1_000
ROUNDS = 3
AT = 1_750_000_000_000_000
SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
RESERVE = """
    UPDATE agents SET state = 'reserved', call_id = ?, lease = ? WHERE account_id = ? AND user_name = (
        SELECT user_name FROM agents WHERE account_id = ? AND state = 'available' ORDER BY place LIMIT 1
    ) AND state = 'available' RETURNING user_name
"""
RELEASE = (
    "UPDATE agents SET state = 'available', call_id = '', lease = 0 WHERE account_id = ? AND call_id = ?"
)


def people(members: int) -> Catalog:
    """A group of so many users with a device each."""
    names = tuple(f"user-{n}" for n in range(members))
    return Catalog(
        users={ACCOUNT: {name: User(name, (f"PJSIP/{name}",)) for name in names}},
        groups={ACCOUNT: {"all": names}},
    )


class Asking:
    """Calls that ask for an agent of the group, and wait for the answer."""

    def __init__(self) -> None:
        self.answers: dict[str, asyncio.Future[AgentsOffered]] = {}
        self.waits_ms: list[float] = []

    def deliver(self, call: str, event: Event) -> None:
        """The desk speaks."""
        if isinstance(event, AgentsOffered) and call in self.answers:
            self.answers.pop(call).set_result(event)

    async def asks(self, desk: DatabaseDesk, call: str) -> None:
        """Ask, be offered somebody, let them go."""
        answer = self.answers[call] = asyncio.get_running_loop().create_future()
        began = perf_counter()
        desk.perform(ACCOUNT, call, commands.OfferAgents("ask-1", "group", "all", "sequential"), AT)
        offer = await answer
        self.waits_ms.append((perf_counter() - began) * 1_000)
        desk.perform(ACCOUNT, call, commands.AgentReleased(offer.agents[0].user, "cancelled"), AT)

    async def all_ask(self, desk: DatabaseDesk, at_once: int, offers: int) -> float:
        """So many calls at once, until there were so many offers; returns the seconds."""

        async def caller(name: str) -> None:
            for n in range(offers // at_once):
                await self.asks(desk, f"{name}-{n}")

        began = perf_counter()
        await asyncio.gather(*(caller(f"c{n}") for n in range(at_once)))
        await desk.settled()
        return perf_counter() - began


def bare(path: Path, offers: int) -> float:
    """Reserve and release with the bare driver; returns the seconds."""
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    began = perf_counter()
    for n in range(offers):
        for statement, values in (
            (RESERVE, (f"bare-{n}", AT, ACCOUNT, ACCOUNT)),
            (RELEASE, (ACCOUNT, f"bare-{n}")),
        ):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement, values).fetchall()
            connection.execute("COMMIT")
    took = perf_counter() - began
    connection.close()
    return took


async def _add_account(database: Database) -> None:
    async with database.writing() as session:
        session.add(
            tables.Account(
                id=ACCOUNT, key="bench", name="", country="JP", language="en", time_zone="UTC", currency="JPY"
            )
        )


async def compared(path: Path) -> list[Result]:
    """Desk and baseline in turns, so that a slow minute of the disk is everybody's; the medians of the rounds."""
    asking = Asking()
    plain, at_once, alone = [], [], []
    async with open_database(f"sqlite:///{path}") as database:
        await migrate.upgrade(database)
        await _add_account(database)
        catalog = people(MEMBERS)
        async with DatabaseDesk(database, Outlets(asking.deliver), catalog, "bench") as desk:
            for name in catalog.users[ACCOUNT]:
                desk.reachable(f"PJSIP/{name}", True, AT)
            await desk.settled()
            for _ in range(ROUNDS):
                plain.append(OFFERS / 4 / bare(path, OFFERS // 4))
                at_once.append(OFFERS / await asking.all_ask(desk, ASKING, OFFERS))
                asking.waits_ms.clear()
                alone.append(100 / await asking.all_ask(desk, 1, 100))
    base = median(plain)
    return [
        Result("desk: bare conditional UPDATE, reserve and release", base, "offers/s"),
        Result(
            f"desk: {ASKING} calls ask at once, group of {MEMBERS}",
            median(at_once),
            "offers/s",
            "bare",
            median(at_once) / base,
        ),
        Result(
            "desk: one call asks after the other", median(alone), "offers/s", "bare", median(alone) / base
        ),
        Result("desk: a call alone waits for its offer (median)", median(asking.waits_ms) * 1_000, "us"),
    ]


def decided() -> list[Result]:
    """How long a group of 500 takes to decide, without any database. Processor time, for nothing is waited for."""
    told: list[Event] = []
    catalog = people(MEMBERS)
    desk = MemoryDesk(lambda _, event: told.append(event), catalog)
    for name in catalog.users[ACCOUNT]:
        desk.reachable(f"PJSIP/{name}", True, AT)
    results = []
    for way in ("sequential", "parallel"):
        took = []
        for n in range(50):
            ask = commands.OfferAgents("ask-1", "group", "all", way)
            began = process_time()
            desk.perform(ACCOUNT, f"c{n}", ask, AT)
            took.append((process_time() - began) * 1_000_000)
            desk.call_ended(ACCOUNT, f"c{n}", AT)
        note = "limit 5,000 us"
        results.append(Result(f"desk: a group of {MEMBERS} decides, {way}", median(took), "us", note=note))
    return results


def measure() -> list[Result]:
    """Measure in a folder of its own on the disk of temporary files."""
    with TemporaryDirectory(prefix="flowengine-bench-") as folder:
        return asyncio.run(compared(Path(folder) / "bench.db")) + decided()
