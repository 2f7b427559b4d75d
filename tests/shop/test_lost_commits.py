"""Commits that are lost, or that nobody hears of: whoever tries again comes to one row and one transfer."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import CREDIT
from flowengine.shop import checkout, numbers
from flowengine.store import ledger, tables
from flowengine.store.database import Database
from flowengine.store.ledger import T
from tests.shop.world import PRICE, Shop
from tests.store.seed import seed

Fate = Literal["fine", "lost", "unheard"]
"""lost: the transaction leaves nothing. unheard: it is committed, and we are told that it failed."""
FATES = st.lists(st.sampled_from(["fine", "lost", "unheard"]), max_size=10)
MANY = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
_fresh = count()


class ConnectionGone(Exception):
    """What a driver says."""


@contextmanager
def _commits(fates: list[Fate]) -> Iterator[None]:
    """Let the next transactions of the shop have these fates, and all later ones be fine."""
    left = iter(fates)

    async def transact(database: Database, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        fate = next(left, "fine")

        async def lost(session: AsyncSession) -> T:
            await work(session)
            raise ConnectionGone

        done = await ledger.transact(database, lost if fate == "lost" else work)
        if fate == "unheard":
            raise ConnectionGone
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkout, "transact", transact)
        patch.setattr(numbers, "transact", transact)
        yield


async def _until_it_works(work: Callable[[], Awaitable[T]]) -> T:
    """What a client does."""
    for _ in range(20):
        try:
            return await work()
        except ConnectionGone:
            continue
    raise AssertionError("it never works")


@MANY
@given(fates=FATES, says=st.lists(st.sampled_from(["", "silent", "down", "pending", "declined"]), max_size=3))
async def test_a_purchase_is_one_row_and_one_transfer(shop: Shop, fates: list[Fate], says: list[str]) -> None:
    n = next(_fresh)
    account = (await seed(shop.database, f"buyer-{n}", f"+8150555{n:05d}")).account
    shop.card.plan, taken = list(says), shop.card.taken
    with _commits(fates):
        bought = await _until_it_works(lambda: shop.checkout.buy(account, CREDIT, 150, "k1", "hanako"))
        for _ in range(3):
            if bought.id in shop.card.charges:
                webhook = shop.card.webhook(bought.id)
                await _until_it_works(lambda webhook=webhook: shop.checkout.told(webhook))  # type: ignore[misc]
        shop.card.plan = []
        for _ in range(len(fates) + 3):  # it asks again each hour, and swallows what it meets
            shop.clock.time += 3_600_000_000
            await _until_it_works(shop.checkout.ask_pending)
    async with shop.database.reading() as session:
        row = tables.Purchase
        states = list(await session.scalars(select(row.state).where(row.account_id == account)))
        transfers = await session.scalar(
            select(func.count()).select_from(tables.Transfer).where(tables.Transfer.account_id == account)
        )
    assert (states, transfers) == (["paid"], 1)
    assert await shop.balance(account=account) == CREDIT
    assert shop.card.taken - taken == 150


@MANY
@given(fates=FATES)
async def test_a_number_is_bought_and_given_up_once(shop: Shop, fates: list[Fate]) -> None:
    n = next(_fresh)
    number = f"+8131234{n:04d}"
    account = (await seed(shop.database, f"buyer-{n}", f"+8150555{n:05d}")).account
    await shop.offer(number)
    await shop.fund(10 * CREDIT, account=account)
    with _commits(fates):
        order = await _until_it_works(lambda: shop.numbers.buy(account, number, PRICE, "k1"))
        assert order.state == "owned"
    assert await shop.balance(account=account) == 10 * CREDIT - PRICE.now
    with _commits(fates):
        try:
            await shop.numbers.release(account, number)
        except ConnectionGone:
            shop.clock.time += 60_000_000
        for _ in range(len(fates) + 1):  # it looks again each minute, and swallows what it meets
            await _until_it_works(shop.numbers.carry_on)
    async with shop.database.reading() as session:
        taken_by = await session.scalar(
            select(tables.OfferedNumber.taken_by).where(tables.OfferedNumber.e164 == number)
        )
        running = await session.scalar(
            select(func.count())
            .select_from(tables.Subscription)
            .where(tables.Subscription.account_id == account, tables.Subscription.ended_at.is_(None))
        )
    if fates[:1] == ["lost"]:
        assert (taken_by, running) == (account, 1), "the first step was lost: the client asks again"
    else:
        assert (taken_by, running) == (None, 0)
    assert await shop.balance(account=account) == 10 * CREDIT - PRICE.now
