"""Numbers: found, bought once by one buyer, attached, given up; with a carrier that refuses, is silent or dies."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import delete, select

from flowengine.billing.money import CREDIT
from flowengine.call.events import SECOND
from flowengine.shop.carrier import CarrierRefused, CarrierUnreachable
from flowengine.shop.numbers import NumberShop
from flowengine.store import catalog, ledger, numbers, offered, tables
from flowengine.store.errors import NotStored
from flowengine.store.numbers import NumberView
from flowengine.store.offered import Offer, Price
from flowengine.store.till import ShopRefused
from tests.shop.world import DAY, PRICE, Shop
from tests.store.seed import seed

ONE, TWO = "+81312345678", "+81312345679"
BROUGHT = "+815055550100"


class Carrier:
    """A carrier that does what `says` tells: nothing, or raise."""

    name = "inventory"

    def __init__(self) -> None:
        self.says: list[Exception | None] = []
        self.orders: list[str] = []
        self.released: list[str] = []

    async def offers(self) -> Sequence[Offer] | None:
        self._say()
        return [Offer(TWO, "JP", "local", "", "inventory", TWO, PRICE)]

    async def order(self, offer: Offer, order: str) -> None:
        self.orders.append(order)
        self._say()

    async def release(self, offer: Offer) -> None:
        self._say()
        self.released.append(offer.e164)

    def _say(self) -> None:
        if self.says and (said := self.says.pop(0)):
            raise said


@pytest.fixture
async def carrier(shop: Shop) -> Carrier:
    made = Carrier()
    shop.numbers = NumberShop(shop.database, made, shop.clock)
    await shop.offer(ONE, TWO)
    await shop.fund(10 * CREDIT)
    return made


async def _list(shop: Shop) -> dict[str, NumberView]:
    async with shop.database.reading() as session:
        return {each.e164: each for each in await numbers.list_numbers(session, shop.account)}


async def _for_sale(shop: Shop) -> list[str]:
    async with shop.database.reading() as session:
        return [each.e164 for each in await offered.search(session, country="JP")]


async def _held(shop: Shop) -> int:
    async with shop.database.reading() as session:
        return (await ledger.balance(session, shop.account, "credits")).held


@pytest.mark.usefixtures("carrier")
async def test_a_number_is_bought_with_its_price_confirmed(shop: Shop) -> None:
    offer, price = await shop.numbers.quote(ONE)
    assert (offer.e164, price, price.now) == (ONE, PRICE, 3 * CREDIT)
    order = await shop.numbers.buy(shop.account, ONE, price, "k1", "hanako")
    assert order.state == "owned"
    assert await shop.balance() == 7 * CREDIT
    found = (await _list(shop))[ONE]
    assert (found.state, found.fee, found.flow) == ("paid", 2 * CREDIT, None)
    assert await _for_sale(shop) == [TWO]
    assert await shop.entries("setup_fee") == [(f"setup:{order.id}", CREDIT)]
    assert await shop.entries("number_fee") == [(f"fee:{order.id}:0", 2 * CREDIT)]


async def test_the_same_key_is_the_same_purchase(shop: Shop, carrier: Carrier) -> None:
    orders = await asyncio.gather(
        *(shop.numbers.buy(shop.account, ONE, PRICE, "k1") for _ in range(6)), return_exceptions=True
    )
    assert [each.state for each in orders if not isinstance(each, BaseException)] == ["owned"] * 6
    assert len(set(carrier.orders)) == 1
    assert await shop.balance() == 7 * CREDIT
    with pytest.raises(ShopRefused, match="choose another key"):
        await shop.numbers.buy(shop.account, TWO, PRICE, "k1")


@pytest.mark.usefixtures("carrier")
@pytest.mark.parametrize(
    ("price", "leave", "code"),
    [
        (Price(CREDIT, CREDIT), 10 * CREDIT, "price_changed"),
        (PRICE, 3 * CREDIT - 1, "not_enough_credit"),
    ],
)
async def test_a_purchase_that_cannot_be_is_refused(shop: Shop, price: Price, leave: int, code: str) -> None:
    if leave < 10 * CREDIT:
        await shop.fund(leave - 10 * CREDIT, "less")
    with pytest.raises(ShopRefused) as refused:
        await shop.numbers.buy(shop.account, ONE, price, "k1")
    assert refused.value.code == code
    assert (await shop.balance(), await _held(shop)) == (leave, 0)
    assert await _for_sale(shop) == [ONE, TWO]
    for wrong, expected in (("+81312340000", "not_for_sale"), (BROUGHT, "not_for_sale")):
        with pytest.raises(ShopRefused) as refused:
            await shop.numbers.buy(shop.account, wrong, price, "k2")
        assert refused.value.code == expected


async def test_of_fifty_buyers_one_gets_it(shop: Shop, carrier: Carrier) -> None:
    buyers = [shop.account]
    for n in range(4):
        other = await seed(shop.database, f"other-{n}", f"+81505555011{n}")
        await shop.fund(10 * CREDIT, "fund", other.account)
        buyers.append(other.account)
    tries = await asyncio.gather(
        *(shop.numbers.buy(buyers[n % 5], ONE, PRICE, f"k{n}") for n in range(50)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in tries) == 1
    assert {each.code for each in tries if isinstance(each, ShopRefused)} == {"number_taken"}
    assert sum([await shop.balance(account=each) for each in buyers]) == 47 * CREDIT
    assert len(carrier.orders) == 1


@pytest.mark.parametrize("is_gone", [True, False])
async def test_a_carrier_that_refuses_costs_nothing(shop: Shop, carrier: Carrier, is_gone: bool) -> None:
    carrier.says = [CarrierRefused("taken elsewhere", is_gone=is_gone)]
    for _ in range(2):
        with pytest.raises(ShopRefused) as refused:
            await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
        assert refused.value.code == "carrier_refused"
    assert (await shop.balance(), await _held(shop)) == (10 * CREDIT, 0)
    assert await _for_sale(shop) == ([TWO] if is_gone else [ONE, TWO])
    assert len(carrier.orders) == 1


async def test_a_silent_carrier_is_asked_again_by_the_same_order(shop: Shop, carrier: Carrier) -> None:
    """The credits are held meanwhile, nobody else gets the number, and it is paid when it is ours."""
    carrier.says = [CarrierUnreachable()]
    order = await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    assert (order.state, await _held(shop), await _for_sale(shop)) == ("ordering", 3 * CREDIT, [TWO])
    assert ONE not in await _list(shop)
    assert await shop.numbers.carry_on() == 0, "it may still be under way"
    shop.clock.time += 60 * SECOND
    assert await shop.numbers.carry_on() == 1
    assert carrier.orders == [order.id, order.id]
    assert (await shop.balance(), await _held(shop)) == (7 * CREDIT, 0)
    assert (await _list(shop))[ONE].state == "paid"
    assert await shop.numbers.carry_on() == 0


async def test_an_order_whose_credits_are_gone_goes_back_to_the_carrier(shop: Shop, carrier: Carrier) -> None:
    carrier.says = [CarrierUnreachable()]
    await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    async with shop.database.writing() as session:
        hold = await session.scalar(select(tables.Hold.key).where(tables.Hold.account_id == shop.account))
        assert hold is not None
        await ledger.release(session, shop.account, "credits", hold)
    await shop.fund(-9 * CREDIT, "spent")
    with pytest.raises(ShopRefused) as refused:
        await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    assert refused.value.code == "not_enough_credit"
    assert await _for_sale(shop) == [TWO]
    await shop.numbers.carry_on()
    assert carrier.released == [ONE]
    assert await _for_sale(shop) == [ONE, TWO]
    assert await shop.balance() == CREDIT


async def test_a_number_is_attached_and_detached_and_engines_hear_of_it(shop: Shop, carrier: Carrier) -> None:
    await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    flow = (await _list(shop))[BROUGHT].flow
    assert flow is not None
    for attached in (flow, None):
        async with shop.database.writing() as session:
            before = await catalog.read_epoch(session)
            await numbers.attach(session, shop.account, ONE, attached)
            assert await catalog.read_epoch(session) == before + 1
            loaded = (await catalog.load_catalog(session)).numbers[ONE]
            assert (loaded is not None) == (attached is not None)
    async with shop.database.writing() as session:
        with pytest.raises(NotStored, match="no flow"):
            await numbers.attach(session, shop.account, ONE, "flw_nobody")
        with pytest.raises(NotStored, match="no number"):
            await numbers.attach(session, shop.account, TWO, flow)
    assert carrier.orders


async def test_a_released_number_goes_back_when_the_carrier_agrees(shop: Shop, carrier: Carrier) -> None:
    await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    carrier.says = [CarrierUnreachable(), CarrierRefused("not today"), None]
    assert not await shop.numbers.release(shop.account, ONE)
    assert (await _list(shop))[ONE].state == "releasing"
    async with shop.database.writing() as session:
        with pytest.raises(ShopRefused):
            await numbers.attach(session, shop.account, ONE, None)
    assert await _for_sale(shop) == [TWO]
    assert await shop.numbers.carry_on() == 0
    assert await shop.numbers.carry_on() == 1
    assert ONE not in await _list(shop)
    assert await _for_sale(shop) == [ONE, TWO]
    shop.clock.time += 400 * DAY
    assert await shop.fees.tick() == 0
    assert await shop.balance() == 7 * CREDIT, "the month is not given back, and no other begins"
    with pytest.raises(ShopRefused, match="another key"):
        await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    assert (await shop.numbers.buy(shop.account, ONE, PRICE, "k2")).state == "owned"


@pytest.mark.usefixtures("carrier")
async def test_a_number_that_was_brought_is_released_at_once(shop: Shop) -> None:
    assert (await _list(shop))[BROUGHT].state == "brought"
    assert await shop.numbers.release(shop.account, BROUGHT)
    assert await _list(shop) == {}
    with pytest.raises(NotStored):
        await shop.numbers.release(shop.account, BROUGHT)


async def test_what_an_account_file_takes_away_costs_no_more_and_goes_back(
    shop: Shop, carrier: Carrier
) -> None:
    await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    async with shop.database.writing() as session:
        await session.execute(delete(tables.Number).where(tables.Number.e164 == ONE))
    assert await shop.numbers.carry_on() == 1
    assert carrier.released == [ONE]
    shop.clock.time += 40 * DAY
    await shop.fees.tick()
    assert await shop.balance() == 7 * CREDIT


@pytest.mark.usefixtures("carrier")
async def test_a_number_that_an_account_file_brings_is_not_for_sale(shop: Shop) -> None:
    other = await seed(shop.database, "other", ONE)
    assert await _for_sale(shop) == [TWO]
    with pytest.raises(ShopRefused) as refused:
        await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    assert refused.value.code == "number_taken"
    assert other.account


async def test_a_carrier_with_a_list_of_its_own_is_asked_for_it(shop: Shop, carrier: Carrier) -> None:
    assert await shop.numbers.refresh() == 1
    assert await _for_sale(shop) == [TWO]
    carrier.says = [CarrierUnreachable()]
    with pytest.raises(CarrierUnreachable):
        await shop.numbers.refresh()
