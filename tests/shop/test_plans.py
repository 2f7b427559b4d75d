"""Storage plans: larger ones at once and prorated, smaller ones at the anniversary, and what happens without credit."""

import asyncio

import pytest

from flowengine.billing.money import CREDIT
from flowengine.billing.number_fees import NumberFee, NumberFees
from flowengine.billing.plans import STORAGE_PLANS, BadPlan, prorated_change
from flowengine.store import ledger, plan_sales, rooms
from flowengine.store.plan_sales import PlanQuote, PlanView
from flowengine.store.till import ShopRefused
from tests.shop.world import BEGIN, DAY, PRICE, Shop, at

FEBRUARY, MARCH = at("2027-02-28T10:00:00+09:00"), at("2027-03-31T10:00:00+09:00")
K50, K200, M1, FREE = (STORAGE_PLANS[name] for name in ("50k", "200k", "1m", "free"))


@pytest.fixture
async def rich(shop: Shop) -> Shop:
    await shop.fund(200 * CREDIT)
    return shop


async def _quote(shop: Shop, code: str) -> PlanQuote:
    async with shop.database.writing() as session:
        return await plan_sales.quote_plan(session, shop.account, code, shop.clock.now())


async def _choose(shop: Shop, code: str, quoted: int | None = None) -> PlanQuote:
    price = (await _quote(shop, code)).to_pay if quoted is None else quoted
    now = shop.clock.now()
    return await ledger.transact(
        shop.database,
        lambda session: plan_sales.choose_plan(session, shop.account, code, price, "hanako", now),
    )


async def _view(shop: Shop) -> PlanView:
    async with shop.database.writing() as session:
        return await plan_sales.view_plan(session, shop.account, shop.clock.now())


async def _room(shop: Shop) -> int:
    async with shop.database.reading() as session:
        return (await rooms.usage(session, shop.account)).plan_ms


async def test_a_larger_plan_holds_at_once_for_the_rest_of_the_month(rich: Shop) -> None:
    assert (await _view(rich)).plan == FREE
    rich.clock.time = BEGIN + 14 * DAY
    quote = await _choose(rich, "50k")
    assert quote.to_pay == 25 * CREDIT // 2, "half of the 28 days are left"
    assert await rich.balance() == 200 * CREDIT - quote.to_pay
    assert await _room(rich) == K50.room_ms
    assert (await _view(rich)).month.ends_at == FEBRUARY, "the account's month, from its first day on"
    rich.clock.time = FEBRUARY
    await rich.fees.tick()
    assert await rich.balance() == 175 * CREDIT - quote.to_pay


async def test_a_change_within_the_month_is_credited_and_charged(rich: Shop) -> None:
    await _choose(rich, "50k")
    rich.clock.time = BEGIN + 7 * DAY + 1
    quote = await _choose(rich, "200k")
    month = (await _view(rich)).month
    assert (quote.credit, quote.charge) == prorated_change(25 * CREDIT, 50 * CREDIT, month, rich.clock.time)
    assert [amount for _, amount in await rich.entries("plan_credit")] == [quote.credit]
    assert [amount for _, amount in await rich.entries("plan_fee")] == [25 * CREDIT, quote.charge]
    assert await rich.balance() == 175 * CREDIT - quote.to_pay


async def test_a_change_that_is_asked_twice_is_made_once(rich: Shop) -> None:
    """The client did not hear the answer."""
    rich.clock.time = BEGIN + 14 * DAY
    price = (await _quote(rich, "50k")).to_pay
    for quote in await asyncio.gather(*(_choose(rich, "50k", price) for _ in range(5))):
        assert quote.new == K50
    assert await rich.balance() == 200 * CREDIT - price


async def test_a_smaller_plan_waits_for_the_anniversary_and_can_be_taken_back(rich: Shop) -> None:
    await _choose(rich, "200k")
    paid = await rich.balance()
    assert (await _choose(rich, "50k")).holds_from == FEBRUARY
    assert ((await _view(rich)).next_plan, await rich.balance(), await _room(rich)) == (
        K50,
        paid,
        K200.room_ms,
    )
    async with rich.database.writing() as session:
        assert await plan_sales.cancel_plan_change(session, rich.account)
        assert not await plan_sales.cancel_plan_change(session, rich.account)
    await _choose(rich, "50k")
    assert (await _choose(rich, "200k")).to_pay == 0, "choosing what holds takes the change back"
    assert (await _view(rich)).next_plan is None
    await _choose(rich, "50k")
    rich.clock.time = FEBRUARY
    await rich.fees.tick()
    assert (await _view(rich)).plan == K50
    assert (await rich.balance(), await _room(rich)) == (paid - 25 * CREDIT, K50.room_ms)


async def test_going_back_to_the_free_plan_ends_the_fees(rich: Shop) -> None:
    await _choose(rich, "50k")
    await _choose(rich, "free")
    rich.clock.time = FEBRUARY
    await rich.fees.tick()
    assert ((await _view(rich)).plan, await _room(rich)) == (FREE, FREE.room_ms)
    paid = await rich.balance()
    rich.clock.time = FEBRUARY + 200 * DAY
    assert await rich.fees.tick() == 0
    assert await rich.balance() == paid
    assert (await _quote(rich, "50k")).to_pay < 25 * CREDIT, "and its months are those of the account again"


async def test_a_plan_may_not_cost_more_than_was_shown_but_less(rich: Shop) -> None:
    shown = (await _quote(rich, "1m")).to_pay
    with pytest.raises(ShopRefused) as refused:
        await _choose(rich, "1m", shown - 1)
    assert refused.value.code == "price_changed"
    rich.clock.time += DAY
    assert (await _choose(rich, "1m", shown)).to_pay < shown
    with pytest.raises(BadPlan):
        await _choose(rich, "2m", 0)


async def test_without_credit_the_old_plan_stays(shop: Shop) -> None:
    await shop.fund(24 * CREDIT)
    with pytest.raises(ShopRefused) as refused:
        await _choose(shop, "50k")
    assert refused.value.code == "not_enough_credit"
    assert ((await _view(shop)).plan, await shop.balance()) == (FREE, 24 * CREDIT)


async def test_a_fee_that_is_not_paid_ends_in_the_free_plan_and_is_forgotten(shop: Shop) -> None:
    await shop.fund(26 * CREDIT)
    await _choose(shop, "50k")
    shop.clock.time = FEBRUARY
    await shop.fees.tick()
    assert ((await _view(shop)).plan, await _room(shop)) == (K50, K50.room_ms)
    with pytest.raises(ShopRefused) as refused:
        await _choose(shop, "200k", 100 * CREDIT)
    assert refused.value.code == "in_arrears"
    for day in range(1, 9):
        shop.clock.time = FEBRUARY + day * DAY
        await shop.fees.tick()
    assert ((await _view(shop)).plan, await _room(shop)) == (FREE, FREE.room_ms)
    assert await shop.told() == ["plan_arrears", "plan_arrears", "plan_arrears", "plan_ended"]
    await shop.fund(50 * CREDIT, "later")
    assert await shop.balance() == 51 * CREDIT


async def test_in_arrears_a_smaller_plan_takes_the_place_of_the_month_that_is_due(shop: Shop) -> None:
    await shop.fund(76 * CREDIT)
    await _choose(shop, "200k")
    shop.clock.time = FEBRUARY
    await shop.fund(-CREDIT * 2, "less")
    await shop.fees.tick()
    assert await shop.told() == ["plan_arrears"]
    with pytest.raises(ShopRefused):
        await _choose(shop, "50k", 25 * CREDIT)
    await shop.fund(CREDIT, "more")
    assert (await _quote(shop, "50k")).to_pay == 25 * CREDIT
    await _choose(shop, "50k")
    seen = await _view(shop)
    assert (seen.plan, seen.arrears_since, await shop.balance(), await _room(shop)) == (
        K50,
        None,
        0,
        K50.room_ms,
    )
    shop.clock.time = MARCH
    await shop.fees.tick()
    await _choose(shop, "free")
    assert ((await _view(shop)).plan, await _room(shop)) == (FREE, FREE.room_ms)


async def test_credits_within_the_grace_keep_the_plan(shop: Shop) -> None:
    await shop.fund(26 * CREDIT)
    await _choose(shop, "50k")
    shop.clock.time = FEBRUARY + DAY
    await shop.fees.tick()
    await shop.checkout.buy(shop.account, 25 * CREDIT, 3_750, "k1", "hanako")
    assert ((await _view(shop)).arrears_since, await shop.balance()) == (None, CREDIT)
    shop.clock.time = MARCH - 1
    assert await shop.fees.tick() == 0


@pytest.mark.parametrize("choose", [False, True], ids=["quote", "choose"])
async def test_a_month_of_a_number_that_is_due_costs_the_fee_of_now(rich: Shop, choose: bool) -> None:
    await rich.offer("+81312345678")
    await rich.numbers.buy(rich.account, "+81312345678", PRICE, "k1")
    fees = NumberFees(
        [NumberFee(country="JP", number_type="local", per_month=7 * CREDIT, valid_from=BEGIN + DAY)]
    )
    async with rich.database.writing() as session:
        if choose:
            await plan_sales.choose_plan(session, rich.account, "free", 0, "hanako", FEBRUARY, fees)
        else:
            await plan_sales.quote_plan(session, rich.account, "50k", FEBRUARY, fees)
    assert [amount for _, amount in await rich.entries("number_fee")] == [PRICE.monthly, 7 * CREDIT]


async def test_what_an_operator_granted_is_not_credited(rich: Shop) -> None:
    async with rich.database.writing() as session:
        await rooms.set_plan(session, rich.account, "50k", BEGIN)
    assert (await _quote(rich, "200k")).credit == 0
    assert (await _choose(rich, "200k")).to_pay == 50 * CREDIT
