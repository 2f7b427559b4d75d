"""Many who pay at once: nothing twice, nothing lost, never below the floor, whoever dies over it."""

import asyncio

import pytest

from flowengine.store import ledger
from flowengine.store.books import Capture, Entry
from flowengine.store.database import Database
from flowengine.store.errors import NotEnough
from tests.store.ledger_race import race
from tests.store.seed import NOON, seed


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_processes_pay_from_the_same_balances_and_some_are_killed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    many = 40 if kind == "postgres" else 15
    went = race(url, 2, many, kills=2, within_s=150)
    assert went.killed > 0
    assert sum(went.purchases) > 0
    for outcome, purchased in zip(went.outcomes, went.purchases, strict=True):
        assert (outcome.sum, outcome.differences) == (0, 0)
        assert outcome.purchased == purchased
        assert outcome.least_free >= 0


async def test_a_hundred_want_the_last_ten(database: Database) -> None:
    """Exactly ten get one each, the rest are told, and not one more is spent."""
    of = await seed(database)
    async with database.writing() as session:
        for name, floor in (("world", None), ("credit", 0), ("spent", 0)):
            await ledger.open_account(session, of.account, name, "credit", floor)
        await ledger.transfer(session, of.account, "purchase:1", "purchase", "world", "credit", 10, NOON)

    async def want(n: int) -> bool:
        async with database.writing() as session:
            return await ledger.hold(session, of.account, "credit", f"call-{n}", 1, "engine", NOON)

    async def settle(n: int) -> bool:
        entry = Entry(of.account, f"minute:{n}", "minute", "credit", "spent", 1, NOON)
        async with database.writing() as session:
            (done,) = await ledger.perform(session, [Capture(f"call-{n}", entry)])
        return not isinstance(done, NotEnough)

    got = await asyncio.gather(*map(want, range(100)))
    assert sum(got) == 10
    assert list(await asyncio.gather(*map(settle, range(100)))) == got
    async with database.reading() as session:
        assert (await ledger.balance(session, of.account, "credit")).balance == 0
        assert await ledger.derive(session, of.account) == []


async def test_one_key_from_many_hands_is_one_transfer(database: Database) -> None:
    of = await seed(database)
    async with database.writing() as session:
        for name in ("world", "credit"):
            await ledger.open_account(session, of.account, name, "credit", None)

    async def buy(_: int) -> bool:
        async with database.writing() as session:
            done = await ledger.transfer(
                session, of.account, "purchase:1", "purchase", "world", "credit", 10, NOON
            )
        return done.new

    assert sum(await asyncio.gather(*map(buy, range(30)))) == 1
    async with database.reading() as session:
        assert (await ledger.balance(session, of.account, "credit")).balance == 10
