"""Auto-recharge: which accounts are below their threshold, and the one purchase that this begins.

While the balance is below the threshold and no recharge is under way, the amount is bought. The balance is read under
the lock of the till, and the database allows one pending recharge an account, so a crossing is one purchase however
many notice it. An amount too small to come back above the threshold is bought again once it is paid.

A payment that does not go through is not tried in a loop: `PAUSES_H` hours later, and after the last of them not any
more until somebody saves the settings, or buys by hand and it goes through.
"""

from collections.abc import Mapping, Set
from typing import Final, NamedTuple

from sqlalchemy import and_, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.currencies import ExchangeRate
from flowengine.billing.money import LARGEST, MicroCredits
from flowengine.call.events import SECOND, Instant
from flowengine.store.debits import CREDITS
from flowengine.store.notifications import notify
from flowengine.store.purchases import BY_RECHARGE, Bought, insert, quote_credits
from flowengine.store.tables import Account, LedgerAccount, Notification, Purchase
from flowengine.store.till import ShopRefused, Till, open_till

PAUSES_H: Final = (1, 6, 24)
"""Hours between a recharge that did not go through and the next try; after them comes none."""
HOUR: Final = 3_600 * SECOND
SET: Final = "recharge_set"
"""The notification that settings were saved; it makes a paused recharge try again."""


class RechargeView(NamedTuple):
    """The settings of an account's auto-recharge, in micro-credits, and how it goes."""

    below: MicroCredits | None
    amount: MicroCredits | None
    is_partner: bool
    in_a_row: int
    """Recharges that did not go through since the last payment that did, or since settings were saved."""
    tries_at: Instant | None
    """When the next one may be tried; None: at once, or, after all `PAUSES_H`, not any more."""

    @property
    def is_on(self) -> bool:
        """Whether anything will be bought."""
        return self.below is not None and not self.is_partner and self.in_a_row <= len(PAUSES_H)


async def configure(
    session: AsyncSession,
    account: str,
    below: MicroCredits | None,
    amount: MicroCredits | None,
    by: str,
    at: Instant,
) -> None:
    """Buy `amount` whenever the balance falls below `below`; None and None: never.

    Raises:
        NotStored: there is no such account.
        ShopRefused: `partner_account`; `wrong_amount`: one without the other, or out of bounds.
    """
    till = await open_till(session, account)
    if (below is None) != (amount is None):
        raise ShopRefused(
            "wrong_amount", "give the threshold and the amount, or neither to switch auto-recharge off"
        )
    if below is not None and amount is not None:
        if till.is_partner:
            raise ShopRefused(
                "partner_account",
                "auto-recharge is not for partners and accounts attached to one: let the partner buy credits",
            )
        if not 0 < amount <= LARGEST or not 0 < below <= LARGEST:
            raise ShopRefused("wrong_amount", "the threshold and the amount must both be above 0")
    values = {"recharge_below": below, "recharge_amount": amount}
    await session.execute(update(Account).where(Account.id == account).values(**values))
    data = {"below": below, "amount": amount, "by": by}
    await notify(session, account, f"{SET}:{at}", SET, at, data)


async def view(session: AsyncSession, account: str) -> RechargeView:
    """The settings, and how it goes."""
    return await _view(session, await open_till(session, account))


async def accounts_below(session: AsyncSession, but: Set[str] = frozenset()) -> list[str]:
    """Accounts below their threshold without a recharge under way; `but` are known to pause."""
    under_way = exists().where(
        Purchase.account_id == Account.id, Purchase.state == "pending", Purchase.is_recharge
    )
    rows = await session.scalars(
        select(Account.id)
        .join(LedgerAccount, and_(LedgerAccount.account_id == Account.id, LedgerAccount.name == CREDITS))
        .where(
            Account.recharge_below.is_not(None),
            Account.is_partner.is_(False),
            LedgerAccount.balance < Account.recharge_below,
            ~under_way,
        )
        .order_by(Account.id)
    )
    return [account for account in rows if account not in but]


async def begin_recharge(
    session: AsyncSession, account: str, rates: Mapping[str, ExchangeRate], provider: str, at: Instant
) -> Bought | RechargeView:
    """Begin the purchase of a recharge when one is due now; otherwise the settings, which say why not.

    Raises:
        NotStored: there is no such account.
        ShopRefused: `wrong_amount`: its currency has no exchange rate.
    """
    till = await open_till(session, account)
    seen = await _view(session, till)
    below, amount = seen.below, seen.amount
    if below is None or amount is None or not seen.is_on or (await till.credits(session)).balance >= below:
        return seen
    if seen.tries_at is not None and at < seen.tries_at:
        return seen
    mine = (Purchase.account_id == account, Purchase.is_recharge)
    if await session.scalar(select(exists().where(*mine, Purchase.state == "pending"))):
        return seen
    number = await session.scalar(select(func.count()).select_from(Purchase).where(*mine)) or 0
    quote = quote_credits(amount, till.currency, rates)
    key = f"{BY_RECHARGE}:{number + 1}"
    return await insert(session, till, key, quote, BY_RECHARGE, provider, at, is_recharge=True)


async def tell_outcome(session: AsyncSession, bought: Bought, at: Instant) -> None:
    """Tell admins once how a recharge went, and what comes next."""
    data: dict[str, object] = {"amount": bought.quote.credits, "price": bought.quote.price}
    data["currency"] = bought.quote.currency
    if bought.state == "paid":
        await notify(session, bought.account, f"recharged:{bought.id}", "recharged", at, data)
        return
    seen = await view(session, bought.account)
    kind = "recharge_declined" if seen.is_on else "recharge_stopped"
    data |= {"problem": bought.problem, "tries_at": seen.tries_at}
    await notify(session, bought.account, f"recharge_declined:{bought.id}", kind, at, data)


async def _view(session: AsyncSession, till: Till) -> RechargeView:
    of_account = Purchase.account_id == till.account
    paid = select(func.max(Purchase.settled_at)).where(of_account, Purchase.state == "paid")
    saved = select(func.max(Notification.at)).where(
        Notification.account_id == till.account, Notification.kind == SET
    )
    since = max(await session.scalar(paid) or 0, await session.scalar(saved) or 0)
    many, last = (
        await session.execute(
            select(func.count(), func.max(Purchase.settled_at)).where(
                of_account,
                Purchase.is_recharge,
                Purchase.state.in_(("declined", "failed")),
                Purchase.settled_at > since,
            )
        )
    ).one()
    tries_at = None
    if last is not None and many <= len(PAUSES_H):
        tries_at = last + PAUSES_H[many - 1] * HOUR
    return RechargeView(till.recharge_below, till.recharge_amount, till.is_partner, many, tries_at)
