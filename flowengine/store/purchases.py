"""Credits that are bought: one row for each key of a client, and one transfer when it is paid.

A purchase is *pending* until its payment is settled: paid, declined, or failed (given up). The outcome is told by an
answer, a webhook, a question or an operator, in any order and any number of times; the first one counts. Only a
payment that turns up late is stronger than an earlier no: money that was taken becomes credits.

What comes in pays first what is owed: increments of calls, then monthly fees, the oldest first.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.currencies import BadCurrency, ExchangeRate, coins, written
from flowengine.billing.exchange import rate_of
from flowengine.billing.money import LARGEST, MicroCredits, format_credits
from flowengine.billing.number_fees import NumberFees
from flowengine.call.events import Instant
from flowengine.store import ledger
from flowengine.store.debits import CREDITS, PURCHASES, pay_arrears
from flowengine.store.errors import NotStored
from flowengine.store.subscriptions import NO_FEES, charge_at
from flowengine.store.tables import Purchase
from flowengine.store.till import ShopRefused, Till, open_till, sale_id

State = Literal["pending", "paid", "declined", "failed"]
Outcome = Literal["paid", "declined", "failed"]
BY_RECHARGE: Final = "auto-recharge"
LONGEST_KEY: Final = 120


class CreditQuote(NamedTuple):
    """What credits cost. `price` is in the smallest coin of `currency`; a buyer confirms it."""

    credits: MicroCredits
    price: int
    currency: str

    def __str__(self) -> str:
        return (
            f"{format_credits(self.credits)} credits for {written(self.price, self.currency)} {self.currency}"
        )


class Bought(NamedTuple):
    """A purchase as it is stored, for the history: date, user, credits, state."""

    id: str
    account: str
    key: str
    quote: CreditQuote
    is_recharge: bool
    bought_by: str
    provider: str
    provider_ref: str
    reference: str
    state: State
    problem: str
    at: Instant
    settled_at: Instant | None


class Settled(NamedTuple):
    """What settling did. `new`: this was the outcome that counted."""

    purchase: Bought
    new: bool


def quote_credits(amount: MicroCredits, currency: str, rates: Mapping[str, ExchangeRate]) -> CreditQuote:
    """What an amount of credits costs in a currency now.

    Raises:
        ShopRefused: `wrong_amount`: not above 0, too large, or worth less than the smallest coin; or the currency
            has no exchange rate, which only an operator can mend.
    """
    if not 0 < amount <= LARGEST:
        raise ShopRefused(
            "wrong_amount", f"{format_credits(amount)} credits cannot be bought: choose an amount above 0"
        )
    try:
        price = coins(amount, rate_of(rates, currency))
    except BadCurrency as bad:
        raise ShopRefused("wrong_amount", str(bad)) from None
    if not price:
        raise ShopRefused(
            "wrong_amount", f"{format_credits(amount)} credits are worth no coin: choose a larger amount"
        )
    return CreditQuote(amount, price, currency)


async def quote_for(
    session: AsyncSession, account: str, amount: MicroCredits, rates: Mapping[str, ExchangeRate]
) -> CreditQuote:
    """What credits cost an account, in its currency. Raises as `quote_credits`, and `NotStored`."""
    return quote_credits(amount, (await open_till(session, account)).currency, rates)


async def begin(
    session: AsyncSession,
    account: str,
    key: str,
    amount: MicroCredits,
    quoted: int,
    rates: Mapping[str, ExchangeRate],
    by: str,
    provider: str,
    at: Instant,
    reference: str = "",
) -> tuple[Bought, bool]:
    """Note a purchase before anything is paid; the same key again gives the same purchase as it is now, and False.

    Args:
        session: of `Database.writing`.
        account: who buys.
        key: the client's, so that trying again buys once.
        amount: micro-credits.
        quoted: the price the buyer confirmed, in the smallest coin of the account's currency.
        rates: the exchange rates of now.
        by: the user's name.
        provider: which provider is paid.
        at: now.
        reference: what a person wrote beside it.

    Raises:
        NotStored: there is no such account.
        ShopRefused: `wrong_amount`, `price_changed`, `key_reused`.
    """
    till = await open_till(session, account)
    if not 0 < len(key) <= LONGEST_KEY or key.startswith(f"{BY_RECHARGE}:"):
        raise ShopRefused(
            "key_reused",
            f"choose a key of 1 to {LONGEST_KEY} characters that does not begin with {BY_RECHARGE}:",
        )
    before = await session.scalar(
        select(Purchase).where(Purchase.account_id == account, Purchase.key == key), execution_options=_FRESH
    )
    if before is not None:
        if before.amount != amount:
            raise ShopRefused("key_reused", f"the key stands for {_bought(before).quote}: choose another key")
        return _bought(before), False
    quote = quote_credits(amount, till.currency, rates)
    if quote.price != quoted:
        raise ShopRefused("price_changed", f"now it is {quote}: confirm the new price")
    return await insert(session, till, key, quote, by, provider, at, reference=reference), True


async def insert(
    session: AsyncSession,
    till: Till,
    key: str,
    quote: CreditQuote,
    by: str,
    provider: str,
    at: Instant,
    *,
    reference: str = "",
    is_recharge: bool = False,
) -> Bought:
    """Write a purchase that is pending. The till is open, and nobody has used the key."""
    row = Purchase(
        id=sale_id("pur"),
        account_id=till.account,
        key=key,
        amount=quote.credits,
        price=quote.price,
        currency=quote.currency,
        is_recharge=is_recharge,
        bought_by=by[:100],
        provider=provider,
        provider_ref="",
        reference=reference[:200],
        state="pending",
        problem="",
        at=at,
    )
    session.add(row)
    await session.flush()
    return _bought(row)


async def settle(
    session: AsyncSession,
    id: str,
    outcome: Outcome,
    at: Instant,
    *,
    provider_ref: str = "",
    problem: str = "",
    reference: str = "",
    fees: NumberFees = NO_FEES,
) -> Settled:
    """Note how a payment went, once; when it is paid the credits are there, and what was owed is paid from them.

    An outcome that does not count any more changes nothing, neither the reference nor what the provider calls it.

    Raises:
        NotStored: there is no such purchase.
    """
    row = await _row(session, id)
    till = await open_till(session, row.account_id)
    row = await _row(session, id)
    if row.state == "paid" or (row.state != "pending" and outcome != "paid"):
        return Settled(_bought(row), new=False)
    row.provider_ref = row.provider_ref or provider_ref[:200]
    row.reference = reference[:200] or row.reference
    row.state, row.problem, row.settled_at = outcome, problem[:500], at
    if outcome == "paid":
        details = {"purchase": row.id, "by": row.bought_by, "price": row.price, "currency": row.currency}
        key = f"purchase:{row.key}"
        await ledger.transfer(
            session, till.account, key, "purchase", PURCHASES, CREDITS, row.amount, at, None, details
        )
        await pay_what_is_owed(session, till, at, fees)
    await session.flush()
    return Settled(_bought(row), new=True)


async def note_ref(session: AsyncSession, id: str, provider_ref: str) -> None:
    """Remember what the provider calls a payment that is not settled yet."""
    row = await _row(session, id)
    row.provider_ref = row.provider_ref or provider_ref[:200]
    await session.flush()


async def pay_what_is_owed(
    session: AsyncSession, till: Till, at: Instant, fees: NumberFees = NO_FEES
) -> None:
    """Credits came in: pay increments of calls first, then monthly fees. The till is open."""
    await pay_arrears(session, till.account, at)
    await charge_at(session, till, at, fees)


async def find(session: AsyncSession, id: str) -> Bought:
    """A purchase; raises `NotStored`."""
    return _bought(await _row(session, id))


async def find_by_ref(session: AsyncSession, provider: str, provider_ref: str) -> Bought | None:
    """The purchase that a provider calls so."""
    where = (Purchase.provider == provider, Purchase.provider_ref == provider_ref)
    row = await session.scalar(select(Purchase).where(*where).limit(1)) if provider_ref else None
    return None if row is None else _bought(row)


async def pending(session: AsyncSession, provider: str, before: Instant, many: int = 100) -> list[Bought]:
    """Purchases that a provider has not settled, begun before an instant, the oldest first."""
    where = (Purchase.state == "pending", Purchase.provider == provider, Purchase.at <= before)
    rows = await session.scalars(
        select(Purchase).where(*where).order_by(Purchase.at, Purchase.id).limit(many)
    )
    return [_bought(row) for row in rows]


async def history(
    session: AsyncSession, account: str, after: str = "", many: int = 50, state: State | None = None
) -> list[Bought]:
    """The purchases of an account, the newest first; `after` is the id of the last one of the page before."""
    where: list[ColumnElement[bool]] = [Purchase.account_id == account]
    if state is not None:
        where.append(Purchase.state == state)
    if after:
        last = await _row(session, after)
        older = (Purchase.at == last.at) & (Purchase.id < last.id)
        where.append((Purchase.at < last.at) | older)
    rows = await session.scalars(
        select(Purchase).where(*where).order_by(Purchase.at.desc(), Purchase.id.desc()).limit(many)
    )
    return [_bought(row) for row in rows]


_FRESH: Final = {"populate_existing": True}


async def _row(session: AsyncSession, id: str) -> Purchase:
    row = await session.get(Purchase, id, populate_existing=True)
    if row is None:
        raise _no_purchase(id)
    return row


def _bought(row: Purchase) -> Bought:
    return Bought(
        row.id,
        row.account_id,
        row.key,
        CreditQuote(row.amount, row.price, row.currency),
        row.is_recharge,
        row.bought_by,
        row.provider,
        row.provider_ref,
        row.reference,
        cast(State, row.state),
        row.problem,
        row.at,
        row.settled_at,
    )


def _no_purchase(id: str) -> NotStored:
    return NotStored(f"there is no purchase {id[:40]}")
