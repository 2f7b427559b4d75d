"""Auto-recharge: once for a crossing, whoever notices it; not for partners; and no loop of declines."""

import asyncio

import pytest

from flowengine.billing.money import CREDIT
from flowengine.call.events import SECOND
from flowengine.shop import recharge as service
from flowengine.shop.payment import PaymentOrder
from flowengine.shop.recharge import AutoRecharge
from flowengine.store import purchases, recharge, tables
from flowengine.store.catalog import read_epoch
from flowengine.store.credit_terms import set_policy
from flowengine.store.errors import NotStored
from flowengine.store.purchases import Bought
from flowengine.store.till import ShopRefused
from tests.shop.world import Shop

HOUR = 3_600 * SECOND


@pytest.fixture
async def low(shop: Shop) -> Shop:
    """The account recharges 20 credits below 5, and has 4."""
    await _configure(shop, 5 * CREDIT, 20 * CREDIT)
    await shop.fund(4 * CREDIT)
    return shop


async def _configure(shop: Shop, below: int | None, amount: int | None) -> None:
    async with shop.database.writing() as session:
        await recharge.configure(session, shop.account, below, amount, "hanako", shop.clock.now())


async def _history(shop: Shop) -> list[Bought]:
    async with shop.database.reading() as session:
        return await purchases.history(session, shop.account)


async def test_falling_below_the_threshold_buys_the_amount_once(low: Shop) -> None:
    (bought,) = await low.recharge.tick()
    assert (bought.state, bought.bought_by, bought.is_recharge) == ("paid", "auto-recharge", True)
    assert await low.balance() == 24 * CREDIT
    assert await low.recharge.tick() == []
    await low.fund(-19 * CREDIT, "use")
    assert await low.recharge.tick() == [], "at the threshold is not below it"
    await low.fund(-1, "a little more")
    assert len(await low.recharge.tick()) == 1
    assert await low.told() == ["recharge_set", "recharged", "recharged"]


async def test_many_engines_notice_a_crossing_and_one_purchase_is_made(low: Shop) -> None:
    """Each with eyes of its own, again and again, while the provider takes its time."""
    low.card.plan = ["pending"]
    engines = [AutoRecharge(low.database, low.checkout, low.card, low.clock) for _ in range(6)]
    looks = [engine.check(low.account) for engine in engines for _ in range(4)]
    begun = [each for each in await asyncio.gather(*looks) if each is not None]
    assert len(begun) == 1
    assert [await engine.tick() for engine in engines] == [[]] * 6, "one is under way"
    await low.checkout.told(low.card.webhook(begun[0].id))
    assert [await engine.tick() for engine in engines] == [[]] * 6
    assert (await low.balance(), low.card.taken) == (24 * CREDIT, 3_000)


async def test_debits_that_cross_at_once_are_one_crossing(low: Shop) -> None:
    await low.fund(3 * CREDIT, "above")

    async def debit(n: int) -> None:
        await low.fund(-CREDIT // 2, f"debit-{n}")
        await low.recharge.check(low.account)

    await asyncio.gather(*map(debit, range(10)))
    assert [each.quote.credits for each in await _history(low)] == [20 * CREDIT]
    assert await low.balance() == 22 * CREDIT


async def test_an_amount_too_small_is_bought_again_until_it_suffices(low: Shop) -> None:
    await _configure(low, 50 * CREDIT, 20 * CREDIT)
    assert [len(await low.recharge.tick()) for _ in range(4)] == [1, 1, 1, 0]
    assert await low.balance() == 64 * CREDIT


async def test_a_decline_pauses_and_is_not_tried_in_a_loop(low: Shop) -> None:
    low.card.plan = ["declined"] * 10
    tried = []
    for minute in range(60 * 24 * 3):
        if minute % 60 in (0, 1):
            low.clock.time += 60 * SECOND if minute % 60 else 59 * 60 * SECOND
            if await low.recharge.tick():
                tried.append(minute // 60)
    assert tried == [0, 1, 7, 31], "at once, after 1 hour, 6 hours and 24 hours, and never again"
    assert await low.told() == ["recharge_set", *["recharge_declined"] * 3, "recharge_stopped"]
    async with low.database.writing() as session:
        seen = await recharge.view(session, low.account)
    assert (seen.is_on, seen.in_a_row, seen.tries_at) == (False, 4, None)
    low.card.plan = []
    await _configure(low, 5 * CREDIT, 20 * CREDIT)
    low.clock.time += 60 * SECOND
    assert len(await low.recharge.tick()) == 1, "the settings were saved: somebody has mended it"


async def test_a_purchase_by_hand_that_goes_through_ends_the_pause(low: Shop) -> None:
    low.card.plan = ["declined"]
    await low.recharge.tick()
    low.clock.time += 60 * SECOND
    await low.checkout.buy(low.account, CREDIT // 2, 75, "k1", "hanako")
    low.clock.time += 60 * SECOND
    assert len(await low.recharge.tick()) == 1


async def test_a_silent_provider_holds_the_crossing_until_it_is_known(low: Shop) -> None:
    low.card.plan = ["silent"]
    await low.recharge.tick()
    for _ in range(5):
        low.clock.time += 5 * SECOND
        assert await low.recharge.tick() == []
    assert await low.checkout.ask_pending() == 1
    assert (await low.balance(), low.card.taken) == (24 * CREDIT, 3_000)
    assert (await low.told())[-1] == "recharged"


@pytest.mark.parametrize("became", [True, False])
async def test_who_becomes_a_partner_has_no_recharge_any_more(low: Shop, became: bool) -> None:
    async with low.database.reading() as session:
        before = await read_epoch(session)
    async with low.database.writing() as session:
        await set_policy(session, low.account, when_running_out="cut", is_partner=became)
    async with low.database.writing() as session:
        seen = await recharge.view(session, low.account)
        assert await read_epoch(session) == before + 1
        assert (await session.get_one(tables.Account, low.account)).when_running_out == "cut"
    assert (seen.is_partner, seen.is_on, seen.below is None, seen.amount is None) == (
        became, not became, became, became,
    )  # fmt: skip
    async with low.database.writing() as session:
        await set_policy(session, low.account)
        assert await read_epoch(session) == before + 1, "nothing was given and nothing set"
        with pytest.raises(NotStored):
            await set_policy(session, "acc_nobody", is_partner=True)


async def test_partners_are_refused_and_never_recharged(low: Shop) -> None:
    await low.set_account(is_partner=True)
    assert await low.recharge.tick() == []
    assert await low.recharge.check(low.account) is None
    with pytest.raises(ShopRefused, match="partner") as refused:
        await _configure(low, 5 * CREDIT, 20 * CREDIT)
    assert refused.value.code == "partner_account"
    await _configure(low, None, None)


@pytest.mark.parametrize(
    ("below", "amount"), [(None, CREDIT), (CREDIT, None), (0, CREDIT), (CREDIT, 0), (-1, CREDIT)]
)
async def test_settings_that_make_no_sense_are_refused(
    shop: Shop, below: int | None, amount: int | None
) -> None:
    with pytest.raises(ShopRefused):
        await _configure(shop, below, amount)


async def test_switched_off_nothing_is_bought(low: Shop) -> None:
    await _configure(low, None, None)
    assert await low.recharge.tick() == []


async def test_without_an_exchange_rate_nothing_is_bought_and_the_log_says_so(low: Shop) -> None:
    await low.set_account(currency="EUR")
    assert await low.recharge.tick() == []
    assert await _history(low) == []


async def test_a_debit_wakes_the_service_at_once(low: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POLL_S", 600)
    asked = asyncio.Event()

    async def note(order: PaymentOrder) -> None:
        assert order.account == low.account
        asked.set()

    low.card.before_answer = note
    running = asyncio.create_task(low.recharge.run())
    try:
        await asyncio.wait_for(asked.wait(), 10)
        asked.clear()
        await low.fund(-4 * CREDIT, "use")
        await asyncio.sleep(0.2)
        await low.fund(-20 * CREDIT, "use more")
        low.recharge.balance_changed(low.account)
        await asyncio.wait_for(asked.wait(), 10)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await low.checkout.ask_pending()
