"""Processes that buy, use, refund and correct credits of the same accounts at once, and are killed over it.

As in `tests.store.ledger_race`, two workers share each list of things to do, as a client that retries does, and killed
ones are started again with theirs. Whether a payment goes through is decided by its price, so what every account must
have bought is known beforehand, whoever asked the provider and however often.
"""

import argparse
import asyncio
import logging
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from random import Random
from typing import NamedTuple

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.exchange import exchange_rates
from flowengine.clock import SystemClock
from flowengine.shop.checkout import Checkout, Webhook
from flowengine.shop.payment import Answer, OutcomeUnknown, PaymentOrder
from flowengine.store import corrections, ledger, purchases, tables
from flowengine.store.books import Entry
from flowengine.store.database import Database, open_database
from flowengine.store.debits import CALLS, CREDITS
from flowengine.store.errors import NotEnough, StoreError
from flowengine.store.till import open_till
from tests.shop.world import SetClock
from tests.store.seed import NOON, seed

RATES = exchange_rates("JPY=1000000")
"""A yen for each micro-credit, so that a price says which payment it is."""
TASKS = 4
"""Twenty workers need fewer connections than PostgreSQL has."""
ACCOUNTS = 3


class Price:
    """A provider whose outcomes follow from the price; of some it says nothing or tells later."""

    name = "price"
    can_be_asked = True

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    async def charge(self, order: PaymentOrder) -> Answer:
        await asyncio.sleep(self._chance.random() / 500)
        if self._chance.random() < 0.2:
            raise OutcomeUnknown
        if order.price % 10 == 9 and self._chance.random() < 0.7:
            return Answer("pending", order.id)
        return Answer("paid" if goes_through(order.price) else "declined", order.id)


def goes_through(price: int) -> bool:
    """Whether a payment of so many yen is paid in the end."""
    return price % 10 != 3


class Deed(NamedTuple):
    """Something a worker does to an account."""

    account: str
    number: int
    kind: str
    amount: int


def deeds(accounts: list[str], share: int, many: int) -> list[Deed]:
    """The list of a share: the same for every worker who has it."""
    chance = Random(share)
    kinds = ["buy", "buy", "debit", "debit", "debit", "refund", "adjust"]
    return [
        Deed(chance.choice(accounts), share * many + n, chance.choice(kinds), chance.randint(1, 1_000))
        for n in range(many)
    ]


class _Worker:
    def __init__(self, database: Database, chance: Random) -> None:
        self._database = database
        self._chance = chance
        self._checkout = Checkout(database, Price(chance), SystemClock(), RATES)
        self._bought: list[tuple[str, str]] = []

    async def do(self, deed: Deed) -> None:
        match deed.kind:
            case "buy":
                await self._buy(deed)
            case "debit":
                await self._debit(deed)
            case "refund":
                await self._refund(deed)
            case _:
                await self._adjust(deed)

    async def _buy(self, deed: Deed) -> None:
        key = f"buy-{deed.number}"
        bought = await self._checkout.buy(deed.account, deed.amount, deed.amount, key, "racer")
        self._bought.append((deed.account, bought.id))
        if bought.state == "pending":
            outcome = "paid" if goes_through(deed.amount) else "declined"
            webhook = Webhook(outcome, bought.id, bought.id)  # type: ignore[arg-type]
            for _ in range(3):
                await self._checkout.told(webhook)

    async def _debit(self, deed: Deed) -> None:
        entry = Entry(deed.account, f"minute:{deed.number}", "minute", CREDITS, CALLS, deed.amount, NOON)

        async def work(session: AsyncSession) -> None:
            (done,) = await ledger.perform(session, [entry])
            assert not isinstance(done, Exception) or isinstance(done, NotEnough)

        await ledger.transact(self._database, work)

    async def _refund(self, deed: Deed) -> None:
        if not self._bought:
            return
        account, id = self._chance.choice(self._bought)

        async def work(session: AsyncSession) -> None:
            await corrections.refund(
                session, account, id, f"r{deed.number}", deed.amount, "race", "operator", NOON
            )

        try:
            await ledger.transact(self._database, work)
        except StoreError:
            return  # too much, or not paid: nothing was changed

    async def _adjust(self, deed: Deed) -> None:
        async def work(session: AsyncSession) -> None:
            await corrections.adjust(
                session, deed.account, f"a{deed.number}", deed.amount, "race", "operator", NOON
            )

        await ledger.transact(self._database, work)


async def _work(url: str, accounts: list[str], share: int, many: int) -> None:
    async with open_database(url) as database:
        worker = _Worker(database, Random())
        waiting = iter(deeds(accounts, share, many))

        async def task() -> None:
            for deed in waiting:
                await worker.do(deed)

        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(task())


def _process(url: str, accounts: list[str], share: int, many: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(_work(url, accounts, share, many))


async def _open(url: str) -> list[str]:
    accounts = []
    async with open_database(url) as database:
        for n in range(ACCOUNTS):
            of = await seed(database, f"demo-{n}", f"+81505555010{n}")
            accounts.append(of.account)
            async with database.writing() as session:
                await open_till(session, of.account)
    return accounts


class Outcome(NamedTuple):
    """What the books say of an account when everybody is done."""

    bought: int
    """By its transfers."""
    rows: int
    """Purchases, whatever their state."""
    paid_rows: int
    transfers: int
    """Of kind purchase."""
    adjusted: int
    balance: int
    entries: int
    """Sum of what all entries did to the balance."""
    differences: int


async def _outcome(url: str, account: str) -> Outcome:
    of, row = tables.Transfer, tables.Purchase

    async def sum_of(session: AsyncSession, *where: object) -> int:
        found = await session.scalar(
            select(func.coalesce(func.sum(of.amount), 0)).where(of.account_id == account, *where)  # type: ignore[arg-type]
        )
        return int(found or 0)

    async with open_database(url) as database, database.reading() as session:
        by_state = select(row.state, func.count()).where(row.account_id == account).group_by(row.state)
        states = dict((await session.execute(by_state)).all())
        return Outcome(
            bought=await sum_of(session, of.kind == "purchase"),
            rows=sum(states.values()),
            paid_rows=states.get("paid", 0),
            transfers=await session.scalar(
                select(func.count()).select_from(of).where(of.account_id == account, of.kind == "purchase")
            )
            or 0,
            adjusted=await sum_of(session, of.kind == "adjustment"),
            balance=(await ledger.balance(session, account, CREDITS)).balance,
            entries=await sum_of(session, of.to_name == CREDITS)
            - await sum_of(session, of.from_name == CREDITS),
            differences=len(await ledger.derive(session, account)),
        )


async def _settle_the_rest(url: str) -> None:
    """What killed workers left pending is asked for, as an engine does."""
    clock = SetClock(SystemClock().now())
    async with open_database(url) as database:
        checkout = Checkout(database, Price(Random(0)), clock, RATES)
        for _ in range(200):
            clock.time += 3_600_000_000
            await checkout.ask_pending()
            async with database.reading() as session:
                if not await purchases.pending(session, "price", clock.time):
                    return
    raise AssertionError("payments stay pending")


class Race(NamedTuple):
    """How a race went, and what each account must have: bought, purchases, paid ones, adjusted."""

    outcomes: list[Outcome]
    expected: list[tuple[int, int, int, int]]
    killed: int
    seconds: float


def race(url: str, shares: int, many: int, *, kills: int = 0, within_s: float = 90) -> Race:
    """Let two workers for each share act on a migrated database without accounts, killing some of them in between."""
    accounts = asyncio.run(_open(url))
    began = time.perf_counter()
    killed = 0
    with _workers(url, accounts, [*range(shares), *range(shares)], many) as running:
        while any(worker.is_alive() for worker, _ in running):
            assert time.perf_counter() - began < within_s, "they hang"
            time.sleep(0.4)
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
    asyncio.run(_settle_the_rest(url))
    every = [deed for share in range(shares) for deed in deeds(accounts, share, many)]
    outcomes = [asyncio.run(_outcome(url, account)) for account in accounts]
    return Race(outcomes, [_expected(every, account) for account in accounts], killed, seconds)


def _expected(every: list[Deed], account: str) -> tuple[int, int, int, int]:
    mine = [deed for deed in every if deed.account == account]
    bought = [deed.amount for deed in mine if deed.kind == "buy"]
    paid = [amount for amount in bought if goes_through(amount)]
    adjusted = sum(deed.amount for deed in mine if deed.kind == "adjust")
    return sum(paid), len(bought), len(paid), adjusted


def check(went: Race) -> None:
    """Hold the books against what must have come out."""
    for outcome, expected in zip(went.outcomes, went.expected, strict=True):
        assert (outcome.bought, outcome.rows, outcome.paid_rows, outcome.adjusted) == expected
        assert outcome.transfers == outcome.paid_rows, "one transfer for each payment"
        assert outcome.entries == outcome.balance >= 0, "opening, which is 0, and all entries are the closing"
        assert outcome.differences == 0


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
    """Race on a migrated database without accounts, and say how it went."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--shares", type=int, default=10)
    arguments.add_argument("--deeds", type=int, default=1_000)
    given = arguments.parse_args()
    went = race(given.url, given.shares, given.deeds, kills=8, within_s=550)
    check(went)
    sys.stdout.write(f"{went}\n")


if __name__ == "__main__":
    main()
