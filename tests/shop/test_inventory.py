"""Lists of numbers for sale: imported as a whole or refused as a whole, found again, and priced."""

import io

import pytest

from flowengine.billing.csv_table import BadCsv
from flowengine.billing.money import CREDIT
from flowengine.billing.number_fees import NumberFee, NumberFees
from flowengine.shop.numbers import NumberShop
from flowengine.store import numbers as stored
from flowengine.store import offered, subscriptions
from flowengine.store.database import Database
from flowengine.store.offered import Price
from tests.shop.world import DAY, PRICE, Shop

ONE, TWO = "+81312345678", "+81312345679"


async def _for_sale(shop: Shop) -> list[str]:
    async with shop.database.reading() as session:
        return [each.e164 for each in await offered.search(session, country="JP")]


LIST = """number,type,region,per_month,setup_fee,ref
+81312345678,,Tokyo,2.50,1,a-1
+819012345678,,,4,,
+81120123456,toll_free,,10,,
"""


async def test_numbers_are_imported_and_found(shop: Shop) -> None:
    assert await shop.numbers.import_list(io.StringIO(LIST)) == 3
    async with shop.database.reading() as session:
        assert [str(each.type) for each in await offered.search(session, country="JP")] == [
            "toll_free",
            "local",
            "mobile",
        ]
        (local,) = await offered.search(session, country="JP", region="Tokyo")
        assert (local.provider_ref, local.price) == ("a-1", Price(CREDIT, 5 * CREDIT // 2))
        assert len(await offered.search(session, country="JP", digits="12345678")) == 2
        assert len(await offered.search(session, country="JP", type="mobile")) == 1
        assert await offered.search(session, country="DE") == []
        first = (await offered.search(session, country="JP", many=1))[0]
        assert len(await offered.search(session, country="JP", after=first.e164)) == 2
        assert [(each.type, each.many) for each in await offered.kinds(session, "JP")] == [
            ("local", 1),
            ("mobile", 1),
            ("toll_free", 1),
        ]


async def test_an_import_replaces_what_is_for_sale_and_not_what_is_sold(shop: Shop) -> None:
    await shop.fund(10 * CREDIT)
    await shop.offer(ONE, TWO)
    await shop.numbers.buy(shop.account, ONE, PRICE, "k1")
    assert (
        await shop.numbers.import_list(io.StringIO("number,per_month\n+81312345678,1\n+819012345678,1\n"))
        == 1
    )
    assert await _for_sale(shop) == ["+819012345678"]
    async with shop.database.reading() as session:
        fees = {each.e164: each.fee for each in await stored.list_numbers(session, shop.account)}
    assert fees[ONE] == 2 * CREDIT


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ("81312345678,,,1,,", ["line 2, column 1 (number)"]),
        ("+8131234,,,1,,\n+81312345678,landline,,1,,", ["line 2, column 1", "line 3, column 2"]),
        ("+81312345678,,,-1,,", ["line 2, column 4 (per_month)"]),
        ("+81312345678,,,20000,,", ["line 2, column 4 (per_month)"]),
        ("+81312345678,,,,,", ["no price"]),
        ("+81312345678,,,1,,\n+81312345678,,,1,,", ["line 3", "line 2 already"]),
        ("+81312345678,,=1+1,1,,", ["line 2, column 3 (region)"]),
        ("+81312345678,,,1", ["line 2"]),
    ],
)
async def test_a_wrong_list_is_refused_as_a_whole(shop: Shop, rows: str, problems: list[str]) -> None:
    await shop.offer(ONE, TWO)
    with pytest.raises(BadCsv) as refused:
        await shop.numbers.import_list(
            io.StringIO(f"number,type,region,per_month,setup_fee,ref\n{rows}\n+819012345678,,,1,,\n")
        )
    for problem in problems:
        assert problem in str(refused.value)
    assert await _for_sale(shop) == [ONE, TWO]


async def test_the_operators_fees_go_before_the_carriers_price(shop: Shop, database: Database) -> None:
    begins, later = shop.clock.time - DAY, shop.clock.time + DAY
    fees = NumberFees(
        [
            NumberFee(
                country="JP",
                number_type="local",
                per_month=CREDIT,
                setup_fee=CREDIT // 2,
                valid_from=begins,
                valid_until=later,
            ),
            NumberFee(country="JP", number_type="local", per_month=3 * CREDIT, valid_from=later),
        ]
    )
    numbers_shop = NumberShop(database, shop.carrier, shop.clock, fees)
    await numbers_shop.import_list(io.StringIO("number\n+81312345678\n"))
    await shop.fund(10 * CREDIT)
    _, price = await numbers_shop.quote(ONE)
    assert price == Price(CREDIT // 2, CREDIT)
    await numbers_shop.buy(shop.account, ONE, price, "k1")
    shop.clock.time += 30 * DAY
    async with database.writing() as session:
        assert await subscriptions.charge_due(session, shop.account, shop.clock.time, fees) == 3 * CREDIT
