"""The till of an account: its credits locked, what it is, and why a sale was refused.

Everything that sells something (numbers, plans, credits) opens the till first, so all sales of one account happen one
after the other, whoever asks for them and in however many processes. The locks are held until the transaction ends.
"""

from hashlib import sha256
from typing import Final, Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import format_credits
from flowengine.billing.periods import instant
from flowengine.call.events import Instant
from flowengine.store import ledger
from flowengine.store.books import Balance
from flowengine.store.debits import CHART, CREDITS, open_credits
from flowengine.store.errors import NotStored, StoreError
from flowengine.store.ids import new_id
from flowengine.store.tables import Account

ADJUSTMENTS: Final = "credits.adjustments"
"""Where credits come from and go to that an operator corrects; no floor."""
NAMES: Final = (*CHART, ADJUSTMENTS)

RefusalCode = Literal[
    "already_settled",
    "carrier_refused",
    "in_arrears",
    "key_reused",
    "not_enough_credit",
    "not_for_sale",
    "not_here",
    "number_taken",
    "partner_account",
    "price_changed",
    "too_much",
    "wrong_amount",
]


class ShopRefused(StoreError):
    """A sale that is not made; nothing was changed. The code is stable, the message names the mend."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code: RefusalCode = code


class Till(NamedTuple):
    """An account at the till. Amounts are micro-credits."""

    account: str
    key: str
    country: str
    language: str
    zone: str
    currency: str
    plan: str
    is_partner: bool
    recharge_below: int | None
    recharge_amount: int | None
    created_at: Instant

    async def credits(self, session: AsyncSession) -> Balance:
        """The balance as it is now in this transaction, which holds its lock."""
        return await ledger.balance(session, self.account, CREDITS)

    async def demand(self, session: AsyncSession, amount: int, what: str) -> None:
        """See that so much is free.

        Raises:
            ShopRefused: `not_enough_credit`.
        """
        free = (await self.credits(session)).free
        if amount > free:
            raise ShopRefused(
                "not_enough_credit",
                f"{what} costs {format_credits(amount)} credits and {format_credits(free)} are free: buy credits first",
            )


async def open_till(session: AsyncSession, account: str) -> Till:
    """Lock the credits of an account, opening its balances when this is the first sale.

    Raises:
        NotStored: there is no such account.
    """
    places = [(account, name) for name in NAMES]
    if len(await ledger.lock(session, places)) < len(places):
        if await session.scalar(select(Account.id).where(Account.id == account)) is None:
            raise NotStored(f"there is no account {account}")
        await open_credits(session, account)
        await ledger.open_account(session, account, ADJUSTMENTS, "credit", None)
        await ledger.lock(session, places)
    of = (
        await session.execute(
            select(Account).where(Account.id == account), execution_options={"populate_existing": True}
        )
    ).scalar_one()
    return Till(
        account=of.id,
        key=of.key,
        country=of.country,
        language=of.language,
        zone=of.time_zone,
        currency=of.currency,
        plan=of.storage_plan,
        is_partner=of.is_partner,
        recharge_below=of.recharge_below,
        recharge_amount=of.recharge_amount,
        created_at=instant(of.created_at),
    )


def sale_id(prefix: Literal["sub", "pur"], account: str = "", key: str = "") -> str:
    """The id of a monthly fee or a purchase; with a client's key always the same for this key."""
    if key:
        return f"{prefix}_{sha256(f'{account}|{key}'.encode()).hexdigest()[:26]}"
    return f"{prefix}{new_id('trf')[3:]}"
