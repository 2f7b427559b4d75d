"""What an operator corrects: refunds of purchases, and adjustments of a balance. Both say who and why, for good."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import LARGEST, MicroCredits, format_credits
from flowengine.billing.number_fees import NumberFees
from flowengine.call.events import Instant
from flowengine.store import ledger, purchases
from flowengine.store.books import Entry, Posted
from flowengine.store.debits import CREDITS, PURCHASES
from flowengine.store.errors import NotEnough, NotStored
from flowengine.store.purchases import pay_what_is_owed
from flowengine.store.subscriptions import NO_FEES
from flowengine.store.tables import Transfer
from flowengine.store.till import ADJUSTMENTS, ShopRefused, open_till

REFUND: Final = "refund"
ADJUSTMENT: Final = "adjustment"


async def refund(
    session: AsyncSession,
    account: str,
    id: str,
    key: str,
    amount: MicroCredits,
    reason: str,
    by: str,
    at: Instant,
) -> bool:
    """An operator gives money back outside: the credits go. False when this key was refunded before.

    Raises:
        NotStored: the account has no such purchase.
        KeyReused: the key stands for another refund.
        ShopRefused: `wrong_amount`: no reason or not above 0. `too_much`: more than was bought with it and not yet
            refunded, or more than is free. `not_here`: it was never paid.
    """
    _operators(amount, reason)
    await open_till(session, account)
    row = await purchases.find(session, id)
    if row.account != account:
        raise NotStored(f"there is no purchase {id[:40]} in this account")
    if row.state != "paid":
        raise ShopRefused("not_here", "the purchase is not paid, so there is nothing to give back")
    entry_key = f"{REFUND}:{row.id}:{key}"
    before = await _refunded(session, account, row.id, entry_key)
    if before + amount > row.quote.credits:
        left = format_credits(row.quote.credits - before)
        raise ShopRefused("too_much", f"at most {left} credits of this purchase are left to refund")
    details = {"purchase": row.id, "reason": reason, "by": by}
    entry = Entry(account, entry_key, REFUND, CREDITS, PURCHASES, amount, at, None, details)
    return await _operated(session, entry)


async def adjust(
    session: AsyncSession,
    account: str,
    key: str,
    amount: MicroCredits,
    reason: str,
    by: str,
    at: Instant,
    fees: NumberFees = NO_FEES,
) -> bool:
    """An operator corrects a balance, up or (a negative amount) down. False when this key was adjusted before.

    Raises:
        NotStored: there is no such account.
        KeyReused: the key stands for another adjustment.
        ShopRefused: `wrong_amount`: no reason, or 0. `too_much`: more than is free.
    """
    _operators(abs(amount), reason)
    till = await open_till(session, account)
    source, target = (ADJUSTMENTS, CREDITS) if amount > 0 else (CREDITS, ADJUSTMENTS)
    details = {"reason": reason, "by": by}
    entry = Entry(account, f"{ADJUSTMENT}:{key}", ADJUSTMENT, source, target, abs(amount), at, None, details)
    done = await _operated(session, entry)
    if done and amount > 0:
        await pay_what_is_owed(session, till, at, fees)
    return done


async def _operated(session: AsyncSession, entry: Entry) -> bool:
    try:
        (done,) = await ledger.perform(session, [entry])
    except ValueError as bad:
        raise ShopRefused("wrong_amount", str(bad)) from None
    if isinstance(done, NotEnough):
        raise ShopRefused(
            "too_much", f"only {format_credits(done.free)} credits are free: take at most those"
        )
    if isinstance(done, Exception):
        raise done
    assert isinstance(done, Posted)
    return done.new


async def _refunded(session: AsyncSession, account: str, purchase: str, but: str) -> int:
    """What was refunded of a purchase, without the entry of one key."""
    where = (
        Transfer.account_id == account,
        Transfer.key.startswith(f"{REFUND}:{purchase}:", autoescape=True),
        Transfer.key != but,
    )
    return int(await session.scalar(select(func.coalesce(func.sum(Transfer.amount), 0)).where(*where)) or 0)


def _operators(amount: MicroCredits, reason: str) -> None:
    if not 0 < amount <= LARGEST:
        raise ShopRefused(
            "wrong_amount", f"{format_credits(amount)} credits: choose an amount other than 0, in bounds"
        )
    if not reason.strip():
        raise ShopRefused("wrong_amount", "give the reason: it stays with the entry for good")
