"""Numbers from the search to the flow, with the carrier in between.

An order is written first, with its credits held; then the carrier is asked; then the number is the account's and paid,
in one transaction. A release goes the same way back. What a crash or a silent carrier leaves half done is carried on
by `carry_on`.
"""

import asyncio
from functools import partial
from typing import Final, Literal, TextIO

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.number_fees import NumberFees
from flowengine.call.events import SECOND
from flowengine.ports import Clock
from flowengine.routing.numbers import masked
from flowengine.shop.carrier import Carrier, CarrierRefused, CarrierUnreachable
from flowengine.shop.inventory import read_inventory
from flowengine.store import number_orders, numbers, offered
from flowengine.store.database import Database
from flowengine.store.ledger import transact
from flowengine.store.number_orders import Order
from flowengine.store.offered import Offer, Price
from flowengine.store.subscriptions import NO_FEES
from flowengine.store.till import ShopRefused

log = structlog.get_logger(__name__)

CARRIER_S: Final = 30.0
"""How long a carrier may take to answer."""
LEFT_ALONE_S: Final = 60
"""An order is carried on by somebody else when it is this old: longer than a carrier may take."""


class NumberShop:
    """Sells numbers of one carrier and takes them back."""

    def __init__(
        self, database: Database, carrier: Carrier, clock: Clock, fees: NumberFees = NO_FEES
    ) -> None:
        self._database = database
        self._carrier = carrier
        self._clock = clock
        self._fees = fees

    async def import_list(self, stream: TextIO) -> int:
        """Offer the numbers of a list in the place of those offered so far; how many are for sale now.

        Raises:
            BadCsv: anything is wrong anywhere; nothing is changed then.
        """
        offers = read_inventory(stream, self._carrier.name, self._fees, self._clock.now())
        return await self._replace(offers)

    async def refresh(self) -> int | None:
        """Ask the carrier what it offers; None when its numbers are imported by hand.

        Raises:
            CarrierUnreachable: it does not answer.
        """
        async with asyncio.timeout(CARRIER_S):
            offers = await self._carrier.offers()
        return None if offers is None else await self._replace(list(offers))

    async def quote(self, e164: str) -> tuple[Offer, Price]:
        """A number for sale and what it costs now; a buyer confirms the price.

        Raises:
            ShopRefused: `not_for_sale`, `number_taken`.
        """
        async with self._database.reading() as session:
            offer = await offered.find_offer(session, e164)
        return offer, offered.price_of(offer, self._fees, self._clock.now())

    async def buy(self, account: str, e164: str, quoted: Price, key: str, by: str = "") -> Order:
        """Buy a number at the price that was confirmed; the same key again is the same purchase.

        It comes back "owned", or "ordering" when the carrier did not answer: it is carried on then.

        Raises:
            NotStored: there is no such account.
            ShopRefused: `key_reused`, `not_for_sale`, `number_taken`, `price_changed`, `not_enough_credit`,
                `carrier_refused`. Nothing is bought then, and nothing paid.
        """
        now = self._clock.now()

        async def start(session: AsyncSession) -> Order:
            return await number_orders.start_order(session, account, e164, quoted, key, self._fees, now)

        order = await transact(self._database, start)
        if order.state == "over":
            raise ShopRefused("carrier_refused", f"this order of {e164} is over: buy it with another key")
        return order if order.state == "owned" else await self._place(order, by)

    async def release(self, account: str, e164: str) -> bool:
        """Give a number up, confirmed by the caller. False: the carrier has yet to agree, and is asked again.

        Raises:
            NotStored: the account has no such number.
        """
        now = self._clock.now()

        async def start(session: AsyncSession) -> Offer | None:
            return await number_orders.start_release(session, account, e164, now)

        offer = await transact(self._database, start)
        return offer is None or await self._hand_back(account, offer)

    async def carry_on(self) -> int:
        """Go on with orders and releases that were left half done; how many are done now."""
        now = self._clock.now()

        async with self._database.reading() as session:
            removed = await numbers.removed(session)
        for account in removed:
            await transact(self._database, partial(numbers.end_removed, account=account, at=now))
            log.info("numbers removed by an account file, their fees end", account=account)
        async with self._database.reading() as session:
            orders = await number_orders.open_orders(session, now - LEFT_ALONE_S * SECOND)
            releases = await number_orders.open_releases(session)
        done = 0
        for order in orders:
            try:
                done += (await self._place(order, "")).state == "owned"
            except ShopRefused as refused:
                log.warning("order given up", order=order.id, account=order.account, code=refused.code)
            except Exception:
                log.exception("order not carried on", order=order.id, account=order.account)
        for account, offer in releases:
            try:
                done += await self._hand_back(account, offer)
            except Exception:
                log.exception("number not handed back", account=account, number=masked(offer.e164))
        return done

    async def _replace(self, offers: list[Offer]) -> int:
        async def work(session: AsyncSession) -> int:
            return await offered.replace_offers(session, self._carrier.name, offers)

        return await transact(self._database, work)

    async def _place(self, order: Order, by: str) -> Order:
        try:
            async with asyncio.timeout(CARRIER_S):
                await self._carrier.order(order.offer, order.id)
        except CarrierRefused as refused:
            await self._abandon(order, "nobody" if refused.is_gone else "carrier")
            raise ShopRefused(
                "carrier_refused", f"the carrier does not hand the number over: {refused}"
            ) from None
        except (CarrierUnreachable, TimeoutError):
            log.warning("carrier not reached, order carried on later", order=order.id, account=order.account)
            return order
        now = self._clock.now()

        async def complete(session: AsyncSession) -> bool:
            return await number_orders.complete_order(session, order, by, self._fees, now)

        try:
            await transact(self._database, complete)
        except ShopRefused:
            await self._abandon(order, "us")
            raise
        return order._replace(state="owned")

    async def _abandon(self, order: Order, has_it: Literal["carrier", "nobody", "us"]) -> None:
        now = self._clock.now()

        async def work(session: AsyncSession) -> None:
            await number_orders.abandon_order(session, order, now, has_it=has_it)

        await transact(self._database, work)

    async def _hand_back(self, account: str, offer: Offer) -> bool:
        try:
            async with asyncio.timeout(CARRIER_S):
                await self._carrier.release(offer)
        except CarrierRefused:
            log.error("carrier does not take a number back", account=account, number=masked(offer.e164))
            return False
        except (CarrierUnreachable, TimeoutError):
            log.warning("carrier not reached, number handed back later", account=account)
            return False

        async def finish(session: AsyncSession) -> None:
            await number_orders.finish_release(session, account, offer.e164)

        await transact(self._database, finish)
        return True
