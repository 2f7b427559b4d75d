"""A shop over a real database in virtual time."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from flowengine.billing.exchange import exchange_rates
from flowengine.billing.money import CREDIT
from flowengine.billing.number_fees import NumberFees
from flowengine.billing.periods import instant
from flowengine.call.events import SECOND
from flowengine.shop.carrier import Inventory
from flowengine.shop.checkout import Checkout
from flowengine.shop.fees import MonthlyFees
from flowengine.shop.numbers import NumberShop
from flowengine.shop.recharge import AutoRecharge
from flowengine.store import corrections, ledger, notifications, offered, tables
from flowengine.store.database import Database
from flowengine.store.debits import CREDITS
from flowengine.store.offered import Offer, Price
from flowengine.store.subscriptions import NO_FEES
from tests.shop.cards import FakeCard
from tests.store.seed import seed

DAY = 86_400 * SECOND
RATES = exchange_rates("JPY=150")
PRICE = Price(CREDIT, 2 * CREDIT)


def at(text: str) -> int:
    """An instant by its local time with an offset."""
    return instant(datetime.fromisoformat(text))


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: int) -> None:
        self.time = now

    def now(self) -> int:
        return self.time


BEGIN = at("2027-01-31T10:00:00+09:00")
"""31 January, in the account's time zone."""


class Shop:
    """All services over one database, with an account that began at `BEGIN`."""

    def __init__(self, database: Database, account: str, card: FakeCard, fees: NumberFees = NO_FEES) -> None:
        self.database = database
        self.account = account
        self.card = card
        self.clock = SetClock(BEGIN)
        self.carrier: Any = Inventory()
        self.checkout = Checkout(database, card, self.clock, RATES, fees)
        self.recharge = AutoRecharge(database, self.checkout, card, self.clock)
        self.numbers = NumberShop(database, self.carrier, self.clock, fees)
        self.fees = MonthlyFees(database, self.clock, fees)

    async def fund(self, credits: int, key: str = "fund", account: str = "") -> None:
        """Give or take credits as an operator does; micro-credits."""
        async with self.database.writing() as session:
            await corrections.adjust(
                session, account or self.account, key, credits, "test", "operator", self.clock.now()
            )

    async def balance(self, name: str = CREDITS, account: str = "") -> int:
        async with self.database.reading() as session:
            return (await ledger.balance(session, account or self.account, name)).balance

    async def told(self) -> list[str]:
        """The kinds of what admins were told, the oldest first."""
        async with self.database.reading() as session:
            found = await notifications.notices(session, self.account)
        return [notice.kind for notice in reversed(found)]

    async def entries(self, kind: str, account: str = "") -> list[tuple[str, int]]:
        """Keys and amounts of the entries of a kind, in their order."""
        of = tables.Transfer
        async with self.database.reading() as session:
            rows = await session.execute(
                select(of.key, of.amount)
                .where(of.account_id == (account or self.account), of.kind == kind)
                .order_by(of.at, of.id)
            )
            return [(key, amount) for key, amount in rows]

    async def offer(self, *numbers: str, price: Price = PRICE) -> None:
        offers = [Offer(e164, "JP", "local", "Tokyo", "inventory", e164, price) for e164 in numbers]
        async with self.database.writing() as session:
            await offered.replace_offers(session, "inventory", offers)

    async def set_account(self, **values: Any) -> None:
        async with self.database.writing() as session:
            await session.execute(
                update(tables.Account).where(tables.Account.id == self.account).values(**values)
            )


async def open_shop(database: Database, fees: NumberFees = NO_FEES) -> Shop:
    of = await seed(database)
    shop = Shop(database, of.account, FakeCard(), fees)
    await shop.set_account(created_at=datetime.fromtimestamp(BEGIN / SECOND, UTC))
    return shop
