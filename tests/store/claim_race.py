"""Engine processes that race for one agent, watched by somebody outside the database.

Callers in each process ask for the agent; who gets them marks the shared witness, unmarks it and lets go; who does
not joins the waiting line and must have a turn. Two marks at once are a double claim, a turn that does not come a
lost wake-up. Run it as `python -m tests.store.claim_race --rounds 20000`; it starts a PostgreSQL of its own.
"""

import argparse
import asyncio
import multiprocessing
import os
import pwd
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Lock
from pathlib import Path
from typing import NamedTuple

from flowengine.call import commands
from flowengine.call.events import AgentsOffered, Event, LineMoved
from flowengine.clock import SystemClock
from flowengine.routing.desk import Outlets
from flowengine.store import migrate
from flowengine.store.database import open_database
from flowengine.store.desk import DatabaseDesk
from tests.routing.desk_contract import ACCOUNT, ask, catalog, join, release
from tests.store.conftest import Cluster
from tests.store.desk_floor import add_account

CALLERS = 2
"""In each process."""
LOST_S = 10.0
"""A turn that has not come after so many seconds never will."""


class Figures(NamedTuple):
    claims: int
    after_waiting: int
    doubles: int
    lost: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.claims} claims in {self.seconds:.1f} s ({self.claims / self.seconds:.0f}/s), "
            f"{self.after_waiting} of them after waiting in line: "
            f"{self.doubles} double claims, {self.lost} lost wake-ups"
        )


@dataclass
class Witness:
    """What all processes share."""

    lock: Lock
    holders: "Synchronized[int]"
    claims: "Synchronized[int]"
    after_waiting: "Synchronized[int]"
    doubles: "Synchronized[int]"
    lost: "Synchronized[int]"

    def claimed(self, after_waiting: bool) -> int:
        with self.lock:
            self.holders.value += 1
            self.claims.value += 1
            self.after_waiting.value += after_waiting
            self.doubles.value += self.holders.value > 1
            return self.claims.value

    def let_go(self) -> None:
        with self.lock:
            self.holders.value -= 1

    def is_lost(self) -> None:
        with self.lock:
            self.lost.value += 1


class Caller:
    """Calls for the agent again and again."""

    def __init__(self, name: str, desk: DatabaseDesk, witness: Witness, rounds: int, in_line: bool) -> None:
        self.name = name
        self.desk = desk
        self.witness = witness
        self.rounds = rounds
        self.in_line = in_line
        self.heard: asyncio.Queue[Event] = asyncio.Queue()
        self.clock = SystemClock()

    async def race(self) -> None:
        calls = 0
        while self.witness.claims.value < self.rounds and not self.witness.lost.value:
            calls += 1
            self.call = f"{self.name}-{calls}"
            self.say(ask("aki"))
            offer, waited = await self.offered(), False
            if not offer.agents and self.in_line:
                waited = True
                self.say(join("aki", max_waiting=100))
                try:
                    async with asyncio.timeout(LOST_S):
                        offer = await self.offered()
                except TimeoutError:
                    self.witness.is_lost()
            if offer.agents:
                self.witness.claimed(waited)
                await asyncio.sleep(0)
                self.witness.let_go()
                self.say(release("aki"))
            self.desk.call_ended(ACCOUNT, self.call, self.clock.now())

    def say(self, command: commands.DeskCommand) -> None:
        self.desk.perform(ACCOUNT, self.call, command, self.clock.now())

    async def offered(self) -> AgentsOffered:
        while not isinstance(event := await self.heard.get(), AgentsOffered):
            pass
        return event


async def _engine(url: str, name: str, witness: Witness, rounds: int, in_line: bool) -> None:
    callers: dict[str, Caller] = {}

    def deliver(call: str, event: Event) -> None:
        caller = callers[call.rsplit("-", 1)[0]]
        if call == caller.call and not isinstance(event, LineMoved):
            caller.heard.put_nowait(event)

    async with (
        open_database(url) as database,
        DatabaseDesk(database, Outlets(deliver), catalog(), name) as desk,
    ):
        desk.reachable("PJSIP/aki", True, SystemClock().now())
        await desk.settled()
        callers |= {
            (each := f"{name}-{n}"): Caller(each, desk, witness, rounds, in_line) for n in range(CALLERS)
        }
        async with asyncio.TaskGroup() as group:
            for caller in callers.values():
                group.create_task(caller.race())


def _process(url: str, name: str, witness: Witness, rounds: int, in_line: bool) -> None:
    asyncio.run(_engine(url, name, witness, rounds, in_line))


def race(url: str, rounds: int, *, processes: int = 2, in_line: bool = True, within_s: float = 60) -> Figures:
    """Let engine processes race on a migrated database without accounts, until so many claims are made.

    Args:
        in_line: who does not get the agent waits in line; else they ask again.
        within_s: processes that take longer are ended, and that is an error.
    """

    async def prepare() -> None:
        async with open_database(url) as database:
            await add_account(database)

    asyncio.run(prepare())
    spawn = multiprocessing.get_context("spawn")
    count: Callable[[], Synchronized[int]] = lambda: spawn.Value("q", 0, lock=True)  # noqa: E731
    witness = Witness(spawn.Lock(), count(), count(), count(), count(), count())
    running = [
        spawn.Process(target=_process, args=(url, f"engine-{n}", witness, rounds, in_line), daemon=True)
        for n in range(processes)
    ]
    began = time.perf_counter()
    for each in running:
        each.start()
    for each in running:
        each.join(max(0.1, began + within_s - time.perf_counter()))
    took = time.perf_counter() - began
    for each in running:
        if each.exitcode is None:
            each.kill()
            each.join()
    assert [each.exitcode for each in running] == [0] * processes, f"after {witness.claims.value} claims"
    return Figures(
        witness.claims.value, witness.after_waiting.value, witness.doubles.value, witness.lost.value, took
    )


@contextmanager
def _cluster() -> Iterator[Cluster]:
    """A PostgreSQL for this race alone, with our tables."""
    folder = Path(tempfile.mkdtemp(prefix="flowengine-race-"))
    if not os.getuid():
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    cluster = Cluster(folder)
    try:
        cluster.start()
        try:
            asyncio.run(_migrated(cluster.url("postgres")))
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _migrated(url: str) -> None:
    async with open_database(url) as database:
        await migrate.upgrade(database)


def main() -> None:
    """Race, and say how it went."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20_000)
    arguments.add_argument("--processes", type=int, default=2)
    given = arguments.parse_args()
    with _cluster() as cluster:
        figures = race(
            cluster.url("postgres"),
            given.rounds,
            processes=given.processes,
            within_s=60 + given.rounds * 0.05,
        )
    sys.stdout.write(f"{figures}\n")


if __name__ == "__main__":
    main()
