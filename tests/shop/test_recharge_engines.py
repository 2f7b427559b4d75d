"""Engines in processes of their own notice the same crossing: one of them buys."""

import asyncio
import multiprocessing
from collections import Counter

import pytest

from flowengine.billing.money import CREDIT
from flowengine.shop.checkout import Checkout
from flowengine.shop.recharge import AutoRecharge
from flowengine.store import corrections, purchases, recharge
from flowengine.store.database import open_database
from tests.shop.cards import FakeCard
from tests.shop.world import BEGIN, RATES, SetClock
from tests.store.seed import seed

ENGINES, LOOKS = 3, 10


async def _engine(url: str) -> int:
    """Look again and again; how many purchases began here."""
    async with open_database(url) as database:
        card, clock = FakeCard(*["pending"] * 100), SetClock(BEGIN)
        checkout = Checkout(database, card, clock, RATES)
        services = [AutoRecharge(database, checkout, card, clock) for _ in range(2)]
        begun = 0
        for _ in range(LOOKS):
            found = await asyncio.gather(*(service.tick() for service in services))
            begun += sum(map(len, found))
        return begun


def _look(url: str) -> int:
    return asyncio.run(_engine(url))


async def _open(url: str) -> str:
    async with open_database(url) as database:
        account = (await seed(database)).account
        async with database.writing() as session:
            await corrections.adjust(session, account, "few", CREDIT, "test", "operator", BEGIN)
            await recharge.configure(session, account, 5 * CREDIT, 20 * CREDIT, "hanako", BEGIN)
    return account


async def _states(url: str, account: str) -> Counter[str]:
    async with open_database(url) as database, database.reading() as session:
        return Counter(each.state for each in await purchases.history(session, account))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_of_several_engines_one_recharges(kind: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    account = asyncio.run(_open(url))
    with multiprocessing.get_context("spawn").Pool(ENGINES) as pool:
        begun = pool.map_async(_look, [url] * ENGINES).get(timeout=120)
    assert sum(begun) == 1
    assert asyncio.run(_states(url, account)) == {"pending": 1}
