"""Processes that pay from the same balances at once, and are killed over it.

Each worker has a list of payments and does all of it, many at a time. Two workers share each list, as a client that
retries does, and killed ones are started again with theirs. So what must come out is known beforehand: every purchase
once, and no balance below 0.
"""

import argparse
import asyncio
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from random import Random
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store import ledger, tables
from flowengine.store.books import Capture, Entry, Operation, Posted
from flowengine.store.books import Hold as HoldRoom
from flowengine.store.database import Database, open_database
from flowengine.store.errors import NotEnough
from tests.store.kept import ENGINE
from tests.store.seed import NOON, seed

WORLD, CREDIT, SPENT = "world", "credit", "credit.spent"
TASKS = 8
"""Payments that each worker has under way at a time."""
ACCOUNTS = 2


class Payment(NamedTuple):
    """Something one transaction does to one account."""

    account: str
    number: int
    kind: str
    amount: int

    def operations(self) -> list[Operation]:
        key = f"{self.kind}:{self.number}"
        match self.kind:
            case "purchase":
                return [Entry(self.account, key, "purchase", WORLD, CREDIT, self.amount, NOON)]
            case "refund":
                return [Entry(self.account, key, "refund", SPENT, CREDIT, self.amount, NOON)]
            case "hold":
                return [HoldRoom(self.account, CREDIT, key, self.amount, ENGINE, NOON)]
            case "settle":
                spent = Entry(self.account, key, "minute", CREDIT, SPENT, self.amount, NOON)
                return [Capture(f"hold:{self.number}", spent)]
            case _:
                return [Entry(self.account, key, "minute", CREDIT, SPENT, self.amount, NOON)]


def payments(accounts: list[str], share: int, many: int) -> list[Payment]:
    """The list of a share: the same for every worker who has it."""
    chance = Random(share)
    made = []
    for n in range(many):
        account, amount = chance.choice(accounts), chance.randint(1, 1_000)
        kind = chance.choice(["purchase", "minute", "minute", "refund", "hold"])
        made.append(Payment(account, share * many + n, kind, amount))
        if kind == "hold":
            made.append(Payment(account, share * many + n, "settle", chance.randint(1, 1_000)))
    return made


async def _pay(database: Database, mine: list[Payment]) -> None:
    waiting = iter(mine)

    async def task() -> None:
        for payment in waiting:

            async def work(session: AsyncSession, payment: Payment = payment) -> None:
                (done,) = await ledger.perform(session, payment.operations())
                assert not isinstance(done, Posted) or done.entry.amount == payment.amount
                assert done is None or not isinstance(done, Exception) or isinstance(done, NotEnough)

            await ledger.transact(database, work)

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(task())


async def _worker(url: str, accounts: list[str], share: int, many: int) -> None:
    async with open_database(url) as database:
        await _pay(database, payments(accounts, share, many))


def _process(url: str, accounts: list[str], share: int, many: int) -> None:
    asyncio.run(_worker(url, accounts, share, many))


async def _open(url: str) -> list[str]:
    accounts = []
    async with open_database(url) as database:
        for n in range(ACCOUNTS):
            of = await seed(database, f"demo-{n}", f"+81505555010{n}")
            accounts.append(of.account)
            async with database.writing() as session:
                for name, floor in ((WORLD, None), (CREDIT, 0), (SPENT, 0)):
                    await ledger.open_account(session, of.account, name, "credit", floor)
    return accounts


class Outcome(NamedTuple):
    """What the books say of an account when everybody is done."""

    purchased: int
    """What it bought, by its transfers."""
    transfers: int
    sum: int
    least_free: int
    differences: int


async def _outcome(url: str, account: str) -> Outcome:
    async with open_database(url) as database, database.reading() as session:
        found = await ledger.balances(session, account)
        transfers = await session.scalar(
            select(func.count()).select_from(tables.Transfer).where(tables.Transfer.account_id == account)
        )
        return Outcome(
            -found[WORLD].balance,
            transfers or 0,
            sum(each.balance for each in found.values()),
            min(found[CREDIT].free, found[SPENT].free),
            len(await ledger.derive(session, account)),
        )


class Race(NamedTuple):
    """How a race went."""

    outcomes: list[Outcome]
    purchases: list[int]
    """What each account should have bought."""
    killed: int
    seconds: float


def race(url: str, shares: int, many: int, *, kills: int = 0, within_s: float = 90) -> Race:
    """Let two workers for each share pay on a migrated database without accounts, killing some of them in between."""
    accounts = asyncio.run(_open(url))
    began = time.perf_counter()
    killed = 0
    with _workers(url, accounts, [*range(shares), *range(shares)], many) as running:
        while any(worker.is_alive() for worker, _ in running):
            assert time.perf_counter() - began < within_s, "they hang"
            time.sleep(0.3)
            if killed < kills:
                worker, share = running[killed % len(running)]
                if worker.is_alive() and worker.pid:
                    worker.kill()
                    worker.join()
                    killed += 1
                    running.append(_start(url, accounts, share, many))
        codes = {worker.exitcode for worker, _ in running}
    assert codes <= {0, -signal.SIGKILL}, codes
    seconds = time.perf_counter() - began
    bought = [
        sum(
            each.amount
            for share in range(shares)
            for each in payments(accounts, share, many)
            if each.account == account and each.kind == "purchase"
        )
        for account in accounts
    ]
    return Race([asyncio.run(_outcome(url, account)) for account in accounts], bought, killed, seconds)


Worker = tuple[BaseProcess, int]


def _start(url: str, accounts: list[str], share: int, many: int) -> Worker:
    worker = multiprocessing.get_context("spawn").Process(
        target=_process, args=(url, accounts, share, many), daemon=True
    )
    worker.start()
    return worker, share


@contextmanager
def _workers(url: str, accounts: list[str], shares: list[int], many: int) -> Iterator[list[Worker]]:
    running: list[Worker] = []
    try:
        for share in shares:
            running.append(_start(url, accounts, share, many))
        yield running
    finally:
        for worker, _ in running:
            worker.kill()
            worker.join()


def main() -> None:
    """Race on a migrated PostgreSQL, and say how it went."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--shares", type=int, default=10)
    arguments.add_argument("--payments", type=int, default=1_000)
    given = arguments.parse_args()
    went = race(given.url, given.shares, given.payments, kills=5, within_s=600)
    sys.stdout.write(f"{went}\n")


if __name__ == "__main__":
    main()
