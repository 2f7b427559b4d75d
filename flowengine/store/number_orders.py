"""A number bought and given up, in two steps each: between them the carrier is asked, outside of any transaction.

Each step can be done again. The client's key makes a purchase one purchase, and what a crash left half done is found by
`open_orders` and `open_releases` and carried on. The credits of an order are held meanwhile.
"""

from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.number_fees import NumberFees
from flowengine.billing.periods import anniversary, time_zone
from flowengine.call.events import Instant
from flowengine.store import ledger, offered, subscriptions
from flowengine.store.books import Entry, Operation
from flowengine.store.debits import CREDITS, FEES
from flowengine.store.flows import bump_epoch
from flowengine.store.ids import new_id
from flowengine.store.numbers import number_of
from flowengine.store.offered import Offer, Price
from flowengine.store.tables import Number, OfferedNumber, Subscription
from flowengine.store.till import ShopRefused, Till, open_till, sale_id

HOLDER: Final = "shop"
"""Whose holds those of orders are."""
LONGEST_KEY: Final = 120


class Order(NamedTuple):
    """A purchase of a number: under way with the carrier, done, or given up."""

    id: str
    account: str
    offer: Offer
    state: Literal["ordering", "owned", "over"]
    """over: declined by the carrier, or bought and released since."""


async def start_order(
    session: AsyncSession, account: str, e164: str, quoted: Price, key: str, fees: NumberFees, at: Instant
) -> Order:
    """Take a number off the market and hold what it costs; the same key again gives the same order as it is now.

    Raises:
        NotStored: there is no such account.
        ShopRefused: `key_reused`, `not_for_sale`, `number_taken`, `price_changed`, `not_enough_credit`.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        raise ShopRefused("key_reused", f"the key of a purchase has 1 to {LONGEST_KEY} characters")
    till = await open_till(session, account)
    id = sale_id("sub", account, f"number|{key}")
    before = await session.get(Subscription, id, populate_existing=True)
    if before is not None:
        return await _known(session, before, e164)
    offer = await offered.find_offer(session, e164)
    price = offered.price_of(offer, fees, at)
    if price != quoted:
        raise ShopRefused("price_changed", f"{e164} costs {price} now, not {quoted}: confirm the new price")
    await till.demand(session, price.now, e164)
    await offered.take(session, account, e164)
    if price.now:
        await ledger.hold(session, account, CREDITS, _hold(id), price.now, HOLDER, at)
    session.add(
        Subscription(
            id=id,
            account_id=account,
            kind="number",
            subject=e164,
            plan="",
            next_plan="",
            fee=price.monthly,
            zone=till.zone,
            began_at=at,
            paid_months=0,
            next_due_at=None,
        )
    )
    await session.flush()
    return Order(id, account, offer, "ordering")


async def complete_order(session: AsyncSession, order: Order, by: str, fees: NumberFees, at: Instant) -> bool:
    """The carrier has handed the number over: it is the account's, and setup and first month are paid with that.

    False when it was done before.

    Raises:
        ShopRefused: `not_enough_credit`: somebody gave back what was held, and it is spent. `carrier_refused`: the
            order was given up meanwhile. `number_taken`: an account file has brought it. The carrier must take the
            number back.
    """
    till = await open_till(session, order.account)
    of = await _subscription(session, order.id)
    if of.ended_at is not None:
        raise ShopRefused("carrier_refused", f"the order of {of.subject} was given up: buy again")
    if of.paid_months:
        return False
    if await session.scalar(select(exists().where(Number.e164 == of.subject))):
        raise ShopRefused("number_taken", f"{of.subject} was taken by an account file: choose another number")
    held = await ledger.release(session, order.account, CREDITS, _hold(of.id))
    setup = held - of.fee if held else offered.price_of(order.offer, fees, of.began_at).setup
    await till.demand(session, setup + of.fee, of.subject)
    await ledger.perform(session, _entries(till, of, setup, by, at))
    session.add(
        Number(
            id=new_id("num"),
            account_id=order.account,
            e164=of.subject,
            country=order.offer.country,
            type=order.offer.type,
            flow_id=None,
        )
    )
    of.began_at, of.paid_months = at, 1
    of.next_due_at = anniversary(at, 1, time_zone(of.zone))
    await session.flush()
    await bump_epoch(session)
    return True


async def abandon_order(
    session: AsyncSession, order: Order, at: Instant, *, has_it: Literal["carrier", "nobody", "us"]
) -> None:
    """Nothing was bought: give back what was held. `has_it` says who has the number.

    The carrier: it is offered again. Nobody: the carrier does not have it any more. Us: the carrier has handed it over
    and must have it back first (`open_releases`).
    """
    await open_till(session, order.account)
    of = await _subscription(session, order.id)
    if of.paid_months or of.ended_at is not None:
        return
    await ledger.release(session, order.account, CREDITS, _hold(of.id))
    await subscriptions.end(session, of, at)
    if has_it != "us":
        await offered.put_back(session, order.account, of.subject)
    if has_it == "nobody":
        await offered.withdraw(session, of.subject)


async def open_orders(session: AsyncSession, before: Instant) -> list[Order]:
    """Orders that are under way since before an instant: whoever made them may be dead."""
    where = (
        Subscription.kind == "number",
        Subscription.paid_months == 0,
        Subscription.ended_at.is_(None),
        Subscription.began_at <= before,
    )
    found = []
    for of in (await session.scalars(select(Subscription).where(*where).order_by(Subscription.id))).all():
        offer = await offered.offer_of(session, of.subject)
        assert offer is not None, "an offer that is taken is not withdrawn"
        found.append(Order(of.id, of.account_id, offer, "ordering"))
    return found


async def start_release(session: AsyncSession, account: str, e164: str, at: Instant) -> Offer | None:
    """Give a number up: it takes no calls from now on, and no month of it begins. The buyer has confirmed that.

    Gives the offer that its carrier must agree to have back; None: a number that was brought, which is gone now.

    Raises:
        NotStored: the account has no such number.
    """
    await open_till(session, account)
    number = await number_of(session, account, e164)
    sold = await session.scalar(
        select(OfferedNumber.e164).where(OfferedNumber.e164 == e164, OfferedNumber.taken_by == account)
    )
    running = await subscriptions.of_number(session, account, e164)
    if running is not None:
        await subscriptions.end(session, running, at)
    await bump_epoch(session)
    if sold is None:
        await session.delete(number)
        return None
    number.flow_id = None
    await session.flush()
    return await offered.offer_of(session, e164)


async def finish_release(session: AsyncSession, account: str, e164: str) -> None:
    """The carrier has the number back: it is not the account's any more, and is offered again."""
    await open_till(session, account)
    if await subscriptions.of_number(session, account, e164) is not None:
        return
    await session.execute(delete(Number).where(Number.account_id == account, Number.e164 == e164))
    await offered.put_back(session, account, e164)
    await bump_epoch(session)


async def open_releases(session: AsyncSession) -> list[tuple[str, Offer]]:
    """Numbers, with their account, that nobody pays for any more and that their carrier does not have back."""
    running = exists().where(
        Subscription.kind == "number",
        Subscription.subject == OfferedNumber.e164,
        Subscription.account_id == OfferedNumber.taken_by,
        Subscription.ended_at.is_(None),
    )
    rows = await session.execute(
        select(OfferedNumber.e164, OfferedNumber.taken_by)
        .where(OfferedNumber.taken_by.is_not(None), ~running)
        .order_by(OfferedNumber.e164)
    )
    found = []
    for e164, account in rows.all():
        offer = await offered.offer_of(session, e164)
        if offer is not None and account is not None:
            found.append((account, offer))
    return found


async def _known(session: AsyncSession, of: Subscription, e164: str) -> Order:
    """An order of this key as it is now."""
    if of.subject != e164:
        raise ShopRefused("key_reused", f"the key stands for {of.subject}: choose another key for {e164}")
    offer = await offered.offer_of(session, e164)
    if offer is None:
        raise ShopRefused("carrier_refused", f"the carrier does not have {e164} any more: choose another")
    if of.ended_at is not None:
        return Order(of.id, of.account_id, offer, "over")
    return Order(of.id, of.account_id, offer, "owned" if of.paid_months else "ordering")


def _entries(till: Till, of: Subscription, setup: int, by: str, at: Instant) -> list[Operation]:
    ends_at = anniversary(at, 1, time_zone(of.zone))
    once: dict[str, Any] = {"number": of.subject, "by": by}
    month = {**once, "month": 0, "begins_at": at, "ends_at": ends_at}
    fees = [
        (f"setup:{of.id}", "setup_fee", setup, once),
        (f"fee:{of.id}:0", "number_fee", of.fee, month),
    ]
    return [
        Entry(till.account, key, kind, CREDITS, FEES, amount, at, None, details)
        for key, kind, amount, details in fees
        if amount
    ]


async def _subscription(session: AsyncSession, id: str) -> Subscription:
    return (
        await session.scalars(
            select(Subscription).where(Subscription.id == id).execution_options(populate_existing=True)
        )
    ).one()


def _hold(id: str) -> str:
    return f"order:{id}"
