"""Monthly fees: each month once, however long nobody looked; arrears, suspension, and credits that come in again."""

import asyncio
from calendar import monthrange
from datetime import datetime, timedelta, timezone
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import CREDIT
from flowengine.billing.number_fees import NumberFees
from flowengine.store import ledger, numbers, subscriptions
from flowengine.store.catalog import read_epoch
from flowengine.store.ledger import transact
from flowengine.store.offered import Price
from tests.shop.world import BEGIN, DAY, PRICE, Shop, at
from tests.store.seed import seed

ONE, TWO = "+81312345678", "+81312345679"


@pytest.fixture
async def owner(shop: Shop) -> Shop:
    """The account has a number since 31 January, 10:00, and 100 credits."""
    await shop.offer(ONE, TWO)
    await shop.fund(103 * CREDIT)
    await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    return shop


async def _state(shop: Shop, e164: str = ONE) -> str:
    async with shop.database.reading() as session:
        found = {each.e164: each.state for each in await numbers.list_numbers(session, shop.account)}
        suspended = await subscriptions.suspended_numbers(session)
    assert (e164 in suspended) == (found[e164] == "suspended")
    return found[e164]


async def test_a_month_is_charged_at_its_first_instant_and_once(owner: Shop) -> None:
    february = at("2027-02-28T10:00:00+09:00")
    owner.clock.time = february - 1
    assert await owner.fees.tick() == 0
    owner.clock.time = february
    assert [await owner.fees.tick() for _ in range(3)] == [1, 0, 0]
    assert await owner.balance() == 98 * CREDIT
    owner.clock.time = at("2027-03-31T10:00:00+09:00") - 1
    assert await owner.fees.tick() == 0, "31 March, and not 28 March"


async def test_a_service_that_was_away_charges_each_month_in_order(owner: Shop) -> None:
    owner.clock.time = at("2027-07-01T00:00:00+09:00")
    assert await owner.fees.tick() == 1
    keys = [key.rsplit(":", 1)[1] for key, _ in await owner.entries("number_fee")]
    assert keys == ["0", "1", "2", "3", "4", "5"]
    assert await owner.balance() == 90 * CREDIT
    assert await owner.fees.tick() == 0


async def test_engines_that_charge_at_once_charge_once(owner: Shop) -> None:
    owner.clock.time = at("2027-05-01T00:00:00+09:00")
    charges = [
        transact(
            owner.database,
            lambda session: subscriptions.charge_due(session, owner.account, owner.clock.time),
        )
        for _ in range(10)
    ]
    assert sorted(await asyncio.gather(*charges)) == [0] * 9 + [6 * CREDIT]
    assert await owner.balance() == 94 * CREDIT


_fresh = count()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.integers(0, 70 * DAY), max_size=8))
async def test_looking_often_and_looking_once_come_to_the_same(shop: Shop, gaps: list[int]) -> None:
    n = next(_fresh)
    number = f"+8131234{n:04d}"
    account = (await seed(shop.database, f"buyer-{n}", f"+8150555{n:05d}")).account
    shop.clock.time = BEGIN
    await shop.offer(number)
    await shop.fund(103 * CREDIT, account=account)
    await shop.numbers.buy(account, number, PRICE, "k1")
    for gap in gaps:
        shop.clock.time += gap
        await shop.fees.tick()
    assert await shop.balance(account=account) == (100 - 2 * _anniversaries(shop.clock.time)) * CREDIT


def _anniversaries(now: int) -> int:
    """How many there were of 31 January 2027, 10:00 in Tokyo."""
    months = [(2027 + month // 12, month % 12 + 1) for month in range(1, 60)]
    days = [datetime(y, m, monthrange(y, m)[1], 10, tzinfo=timezone(timedelta(hours=9))) for y, m in months]
    return sum(day.timestamp() * 1_000_000 <= now for day in days)


async def _without_credit(owner: Shop) -> int:
    """Take all credits; the next anniversary, which cannot be paid then."""
    await owner.fund(-100 * CREDIT, "gone")
    owner.clock.time = at("2027-02-28T10:00:00+09:00")
    assert await owner.fees.tick() == 1
    return owner.clock.time


async def test_a_month_that_cannot_be_paid_has_a_grace_and_then_suspends_the_number(owner: Shop) -> None:
    since = await _without_credit(owner)
    assert await _state(owner) == "arrears"
    assert await owner.told() == ["number_arrears"]
    for day in range(1, 7):
        owner.clock.time = since + day * DAY
        await owner.fees.tick()
    assert await _state(owner) == "arrears"
    assert await owner.told() == ["number_arrears"] * 3, "at once, after 3 and after 6 days"
    async with owner.database.reading() as session:
        before = await read_epoch(session)
    owner.clock.time = since + 7 * DAY
    await owner.fees.tick()
    assert await _state(owner) == "suspended"
    assert (await owner.told())[-1] == "number_suspended"
    async with owner.database.reading() as session:
        assert await read_epoch(session) == before + 1
    for day in range(8, 60):
        owner.clock.time = since + day * DAY
        await owner.fees.tick()
    assert (await owner.told())[3:] == ["number_suspended", *["number_arrears"] * 3], (
        "then nobody is told any more"
    )
    assert await _state(owner) == "suspended", "a number is never taken away"


async def test_credits_that_come_in_pay_all_months_due_and_bring_the_number_back(owner: Shop) -> None:
    since = await _without_credit(owner)
    owner.clock.time = since + 40 * DAY
    await owner.fees.tick()
    assert await _state(owner) == "suspended"
    owner.card.plan = []
    await owner.checkout.buy(owner.account, 3 * CREDIT, 450, "little", "hanako")
    assert (await _state(owner), await owner.balance()) == ("suspended", CREDIT), "two months are due"
    await owner.checkout.buy(owner.account, 3 * CREDIT, 450, "more", "hanako")
    assert (await _state(owner), await owner.balance()) == ("paid", 2 * CREDIT)
    assert (await owner.told())[-1] == "number_resumed"


async def test_a_dear_number_in_arrears_does_not_hold_up_a_cheap_one(owner: Shop) -> None:
    await owner.offer("+81312345670", price=Price(0, 90 * CREDIT))
    await owner.numbers.buy(owner.account, "+81312345670", Price(0, 90 * CREDIT), "dear")
    owner.clock.time = at("2027-02-28T10:00:00+09:00")
    await owner.fees.tick()
    assert (await _state(owner), await _state(owner, "+81312345670")) == ("paid", "arrears")
    assert await owner.balance() == 8 * CREDIT


async def test_arrears_are_tried_again_each_hour(owner: Shop) -> None:
    """What was held for a call came back: no purchase says so."""
    async with owner.database.writing() as session:
        assert await ledger.hold(session, owner.account, "credits", "call", 99 * CREDIT, "engine", BEGIN)
    since = owner.clock.time = at("2027-02-28T10:00:00+09:00")
    await owner.fees.tick()
    async with owner.database.writing() as session:
        await ledger.release(session, owner.account, "credits", "call")
    owner.clock.time = since + 3_599_000_000
    await owner.fees.tick()
    assert await _state(owner) == "arrears"
    owner.clock.time = since + 3_600_000_000
    await owner.fees.tick()
    assert await _state(owner) == "paid"


async def test_an_account_that_fails_stops_no_other(owner: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    other = (await seed(owner.database, "other", "+815055550111")).account
    await owner.fund(5 * CREDIT, account=other)
    await owner.numbers.buy(other, TWO, PRICE, "k1")
    charge = subscriptions.charge_due

    async def failing(session: AsyncSession, account: str, now: int, fees: NumberFees) -> int:
        if account == owner.account:
            raise ZeroDivisionError
        return await charge(session, account, now, fees)

    monkeypatch.setattr(subscriptions, "charge_due", failing)
    owner.clock.time = at("2027-02-28T10:00:00+09:00")
    assert [await owner.fees.tick(), await owner.fees.tick()] == [1, 0]
    assert (await owner.balance(), await owner.balance(account=other)) == (100 * CREDIT, 0)
    monkeypatch.undo()
    owner.clock.time += 60_000_000
    assert await owner.fees.tick() == 1
