"""Credits are bought once, whatever is lost, repeated or late between us, the buyer and the provider."""

import asyncio

import pytest
from sqlalchemy import func, select

from flowengine.billing.money import CREDIT, LARGEST
from flowengine.shop.checkout import Checkout, Webhook
from flowengine.shop.payment import Answer, ManualPayment, PaymentOrder
from flowengine.store import corrections, purchases, tables
from flowengine.store.errors import KeyReused, NotStored
from flowengine.store.purchases import Bought, CreditQuote
from flowengine.store.till import ShopRefused
from tests.shop.cards import FakeCard
from tests.shop.world import RATES, Shop
from tests.store.seed import seed

QUOTED = 3_750
"""25 credits at 150 yen."""


async def _buy(shop: Shop, key: str = "k1") -> Bought:
    return await shop.checkout.buy(shop.account, 25 * CREDIT, QUOTED, key, "hanako")


async def _rows(shop: Shop) -> int:
    async with shop.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(tables.Purchase)) or 0


async def test_credits_are_quoted_in_the_accounts_currency_and_bought(shop: Shop) -> None:
    assert await shop.checkout.quote(shop.account, 25 * CREDIT) == CreditQuote(25 * CREDIT, QUOTED, "JPY")
    bought = await _buy(shop)
    assert (bought.state, bought.bought_by, bought.quote.credits) == ("paid", "hanako", 25 * CREDIT)
    assert await shop.balance() == 25 * CREDIT
    async with shop.database.reading() as session:
        assert await purchases.history(session, shop.account) == [bought]


async def test_a_price_that_changed_is_refused(shop: Shop) -> None:
    with pytest.raises(ShopRefused, match="confirm the new price") as refused:
        await shop.checkout.buy(shop.account, 25 * CREDIT, QUOTED - 1, "k1", "hanako")
    assert refused.value.code == "price_changed"
    assert (await _rows(shop), shop.card.taken) == (0, 0)


@pytest.mark.parametrize("amount", [0, -CREDIT, LARGEST + 1, 1])
async def test_amounts_that_cannot_be_bought_are_refused(shop: Shop, amount: int) -> None:
    with pytest.raises(ShopRefused) as refused:
        await shop.checkout.quote(shop.account, amount)
    assert refused.value.code == "wrong_amount"


async def test_a_client_that_tries_again_buys_once(shop: Shop) -> None:
    """Also at the same time, and also with the answer of the first try lost."""
    found = await asyncio.gather(*(_buy(shop) for _ in range(8)))
    assert {each.id for each in found} == {(await _buy(shop)).id}
    assert (await shop.balance(), await _rows(shop), shop.card.taken) == (25 * CREDIT, 1, QUOTED)
    with pytest.raises(ShopRefused) as refused:
        await shop.checkout.buy(shop.account, 26 * CREDIT, 3_900, "k1", "hanako")
    assert refused.value.code == "key_reused"


@pytest.mark.parametrize("key", ["", "x" * 121, "auto-recharge:1"])
async def test_keys_that_are_not_the_clients_to_choose_are_refused(shop: Shop, key: str) -> None:
    with pytest.raises(ShopRefused, match="choose a key"):
        await _buy(shop, key)


async def test_a_decline_takes_nothing_and_stays(shop: Shop) -> None:
    shop.card.plan = ["declined"]
    declined = await _buy(shop)
    assert (declined.state, declined.problem) == ("declined", "the card was declined")
    assert (await _buy(shop)).state == "declined", "the key stands for this try"
    assert await shop.balance() == 0


async def test_an_unknown_outcome_is_asked_again_by_the_same_key(shop: Shop) -> None:
    """The money was taken, and the answer was lost; nobody comes back but we ourselves."""
    shop.card.plan = ["silent"]
    assert (await _buy(shop)).state == "pending"
    assert await shop.checkout.ask_pending() == 0, "not so soon"
    shop.clock.time += 15_000_000
    assert await shop.checkout.ask_pending() == 1
    assert (await shop.balance(), shop.card.taken, shop.card.asked) == (25 * CREDIT, QUOTED, 2)


async def test_a_provider_that_is_down_is_asked_less_and_less_often(shop: Shop) -> None:
    shop.card.plan = ["down"] * 50
    await _buy(shop)
    for _ in range(600):
        shop.clock.time += 1_000_000
        await shop.checkout.ask_pending()
    assert shop.card.asked == 6, "at once, after 15 s, and then after 30, 60, 120 and 240 s more"


@pytest.mark.parametrize("answer", ["", "pending", "silent"])
async def test_webhooks_come_three_times_and_count_once(shop: Shop, answer: str) -> None:
    shop.card.plan = [answer]
    bought = await _buy(shop)
    webhook = shop.card.webhook(bought.id)
    told = await asyncio.gather(*(shop.checkout.told(webhook) for _ in range(3)))
    assert sum(bool(each and each.new) for each in told) == (0 if answer == "" else 1)
    assert (await shop.balance(), await _rows(shop)) == (25 * CREDIT, 1)
    assert await shop.entries("purchase") == [("purchase:k1", 25 * CREDIT)]


async def test_a_webhook_before_the_answer_counts(shop: Shop) -> None:
    async def early(order: PaymentOrder) -> None:
        told = await shop.checkout.told(shop.card.webhook(order.id))
        assert told is not None
        assert told.new

    shop.card.before_answer = early
    assert (await _buy(shop)).state == "paid"
    assert await shop.balance() == 25 * CREDIT


async def test_a_webhook_may_know_only_the_providers_name(shop: Shop) -> None:
    shop.card.plan = ["pending"]
    bought = await _buy(shop)
    by_ref = Webhook("paid", ref=f"ch_{bought.id}")
    told = await shop.checkout.told(by_ref)
    assert told is not None
    assert told.new
    assert await shop.checkout.told(Webhook("paid", ref="ch_unknown")) is None
    assert await shop.checkout.told(Webhook("paid", purchase="pur_unknown")) is None
    assert await shop.checkout.told(Webhook("paid")) is None


async def test_money_that_turns_up_after_a_decline_becomes_credits(shop: Shop) -> None:
    shop.card.plan = ["declined"]
    bought = await _buy(shop)
    told = await shop.checkout.told(shop.card.webhook(bought.id, "paid"))
    assert told is not None
    assert told.purchase.state == "paid"
    late = await shop.checkout.told(shop.card.webhook(bought.id, "declined"))
    assert late is not None
    assert (late.purchase.state, late.new) == ("paid", False), "credits may be spent: a person decides"
    assert await shop.balance() == 25 * CREDIT


async def test_a_provider_with_a_bug_is_a_provider_that_did_not_answer(shop: Shop) -> None:
    class Broken(FakeCard):
        async def charge(self, order: PaymentOrder) -> Answer:
            raise ZeroDivisionError

    checkout = Checkout(shop.database, Broken(), shop.clock, RATES)
    assert (await checkout.buy(shop.account, CREDIT, 150, "k1", "hanako")).state == "pending"
    await shop.fund(CREDIT)


async def test_an_operator_books_what_was_transferred_by_hand(shop: Shop) -> None:
    manual = Checkout(shop.database, ManualPayment(), shop.clock, RATES)
    bought = await manual.buy(shop.account, 25 * CREDIT, QUOTED, "k1", "hanako")
    assert (bought.state, await shop.balance(), await manual.ask_pending()) == ("pending", 0, 0)
    with pytest.raises(ShopRefused, match="give a reference"):
        await manual.book(bought.id, " ", "taro")
    for _ in range(2):
        booked = await manual.book(bought.id, "invoice 7", "taro")
        assert (booked.state, booked.reference) == ("paid", "invoice 7 (taro)")
    again = await manual.book(bought.id, "invoice 8", "hanako")
    late = await manual.told(Webhook("paid", bought.id, "ref-9"))
    assert late is not None
    assert again == late.purchase == booked, "what is settled stays as it is"
    assert await shop.balance() == 25 * CREDIT
    with pytest.raises(ShopRefused, match="refund it"):
        await manual.give_up(bought.id, "", "taro")
    with pytest.raises(NotStored):
        await manual.book("pur_nobody", "x", "taro")


async def test_an_operator_gives_a_purchase_up(shop: Shop) -> None:
    manual = Checkout(shop.database, ManualPayment(), shop.clock, RATES)
    bought = await manual.buy(shop.account, 25 * CREDIT, QUOTED, "k1", "hanako")
    gone = await manual.give_up(bought.id, "never came", "taro")
    assert (gone.state, gone.problem, await shop.balance()) == ("failed", "never came (taro)", 0)


async def test_refunds_give_back_at_most_what_was_bought_and_is_there(shop: Shop) -> None:
    bought = await _buy(shop)

    async def refund(key: str, amount: int, reason: str = "unused") -> bool:
        async with shop.database.writing() as session:
            return await corrections.refund(
                session, shop.account, bought.id, key, amount, reason, "taro", shop.clock.now()
            )

    assert await refund("r1", 10 * CREDIT)
    assert not await refund("r1", 10 * CREDIT), "once for its key"
    assert await shop.balance() == 15 * CREDIT
    with pytest.raises(KeyReused):
        await refund("r1", 11 * CREDIT)
    with pytest.raises(ShopRefused, match=r"at most 15\.00 credits"):
        await refund("r2", 16 * CREDIT)
    await shop.fund(-5 * CREDIT)
    with pytest.raises(ShopRefused, match=r"only 10\.00 credits are free"):
        await refund("r2", 15 * CREDIT)
    with pytest.raises(ShopRefused, match="reason"):
        await refund("r2", CREDIT, " ")
    with pytest.raises(ShopRefused):
        await refund("r2", 0)
    assert await refund("r2", 10 * CREDIT)
    assert await shop.balance() == 0


async def test_nobody_refunds_the_purchase_of_another_account(shop: Shop) -> None:
    bought = await _buy(shop)
    other = await seed(shop.database, "other", "+815055550199")
    async with shop.database.writing() as session:
        with pytest.raises(NotStored):
            await corrections.refund(session, other.account, bought.id, "r", 1, "x", "taro", 1)


async def test_the_history_goes_on_page_by_page(shop: Shop) -> None:
    for n in range(5):
        shop.clock.time += n % 2
        await _buy(shop, f"k{n}")
    seen: list[str] = []
    async with shop.database.reading() as session:
        while page := await purchases.history(session, shop.account, seen[-1] if seen else "", many=2):
            seen += [each.id for each in page]
        assert len(set(seen)) == 5
        assert seen == [each.id for each in await purchases.history(session, shop.account)]
        assert await purchases.history(session, shop.account, state="declined") == []
