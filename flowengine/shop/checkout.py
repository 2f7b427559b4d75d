"""Credits from the quote to the balance: the provider is asked outside of any transaction, and told apart from it.

First the purchase is written, then the provider is asked, then the outcome is written. Whatever dies or gets lost in
between is found again: by the client's retry with its key, by the provider's webhook, or by asking about what is
pending. Each of them comes to the same row and the same transfer.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.currencies import ExchangeRate
from flowengine.billing.money import MicroCredits
from flowengine.billing.number_fees import NumberFees
from flowengine.call.events import SECOND, Instant
from flowengine.ports import Clock
from flowengine.shop.payment import Answer, OutcomeUnknown, PaymentOrder, PaymentProvider
from flowengine.store import purchases, recharge
from flowengine.store.database import Database
from flowengine.store.errors import NotStored
from flowengine.store.ledger import transact
from flowengine.store.purchases import Bought, CreditQuote, Outcome, Settled
from flowengine.store.subscriptions import NO_FEES
from flowengine.store.till import ShopRefused

log = structlog.get_logger(__name__)

CHARGE_S: Final = 20.0
"""How long a provider may take to answer; then the outcome is unknown."""
ASK_AFTER_S: Final = 15
"""A pending payment is asked about this long after it began, then after twice the time, and so on."""
LONGEST_PAUSE_S: Final = 3_600


class Webhook(NamedTuple):
    """What a provider tells of itself, its signature checked by whoever received it."""

    outcome: Outcome
    purchase: str = ""
    """The id the provider was asked with."""
    ref: str = ""
    """What the provider calls the payment."""
    problem: str = ""


class Checkout:
    """Sells credits.

    Args:
        rates: what a credit costs by currency.
        fees: the operator's number fees, for months that a payment settles.
    """

    def __init__(
        self,
        database: Database,
        provider: PaymentProvider,
        clock: Clock,
        rates: Mapping[str, ExchangeRate],
        fees: NumberFees = NO_FEES,
    ) -> None:
        self._database = database
        self._provider = provider
        self._clock = clock
        self.rates = rates
        self._fees = fees
        self._asked: dict[str, tuple[int, Instant]] = {}
        """How often a pending purchase was asked about here, and when it is the next time."""

    async def quote(self, account: str, amount: MicroCredits) -> CreditQuote:
        """What credits cost an account now. Raises as `purchases.quote_for`."""

        async def work(session: AsyncSession) -> CreditQuote:
            return await purchases.quote_for(session, account, amount, self.rates)

        return await transact(self._database, work)

    async def buy(
        self, account: str, amount: MicroCredits, quoted: int, key: str, by: str, reference: str = ""
    ) -> Bought:
        """Buy credits at the price that was confirmed; the same key again is the same purchase, as it is then.

        It comes back paid, declined, or pending when the provider tells later. Raises as `purchases.begin`.
        """
        now, name = self._clock.now(), self._provider.name

        async def work(session: AsyncSession) -> Bought:
            begun, _ = await purchases.begin(
                session, account, key, amount, quoted, self.rates, by, name, now, reference
            )
            return begun

        begun = await transact(self._database, work)
        return await self.pay(begun)

    async def pay(self, begun: Bought) -> Bought:
        """Ask the provider about a pending purchase, and write down what it says."""
        if begun.state != "pending" or begun.provider != self._provider.name:
            return begun
        answer = await self._charge(begun)
        if answer is None:
            return begun
        if answer.outcome != "pending":
            return (await self._settle(begun.id, answer.outcome, answer.ref, answer.problem)).purchase

        async def note(session: AsyncSession) -> Bought:
            await purchases.note_ref(session, begun.id, answer.ref)
            return await purchases.find(session, begun.id)

        return await transact(self._database, note)

    async def told(self, webhook: Webhook) -> Settled | None:
        """Take what a provider tells, however late and however often.

        None: no purchase is known by that name yet. Answer the provider with an error then, so that it tells again.
        """
        id = webhook.purchase
        if not id:
            async with self._database.reading() as session:
                found = await purchases.find_by_ref(session, self._provider.name, webhook.ref)
            if found is None:
                return None
            id = found.id
        try:
            return await self._settle(id, webhook.outcome, webhook.ref, webhook.problem)
        except NotStored:
            return None

    async def book(self, purchase: str, reference: str, by: str) -> Bought:
        """An operator has seen the money of a pending purchase come in.

        Raises:
            NotStored: there is no such purchase.
            ShopRefused: `wrong_amount`: no reference.
        """
        if not reference.strip():
            raise ShopRefused(
                "wrong_amount", "give a reference: the number of the invoice or of the bank transfer"
            )
        return (await self._settle(purchase, "paid", reference=f"{reference.strip()} ({by})")).purchase

    async def give_up(self, purchase: str, problem: str, by: str) -> Bought:
        """An operator does not wait for the money of a pending purchase any more.

        Raises:
            NotStored: there is no such purchase.
            ShopRefused: `already_settled`: it is paid.
        """
        done = await self._settle(purchase, "failed", problem=f"{problem.strip() or 'given up'} ({by})")
        if done.purchase.state == "paid":
            raise ShopRefused("already_settled", "the purchase is paid: refund it instead")
        return done.purchase

    async def ask_pending(self) -> int:
        """Ask the provider about what it did not settle, each less and less often; how many are settled by that."""
        if not self._provider.can_be_asked:
            return 0
        now = self._clock.now()
        async with self._database.reading() as session:
            waiting = await purchases.pending(session, self._provider.name, now - ASK_AFTER_S * SECOND)
        self._asked = {each.id: self._asked[each.id] for each in waiting if each.id in self._asked}
        due = [each for each in waiting if self._asked.get(each.id, (0, 0))[1] <= now]
        for each in due:
            tries = self._asked.get(each.id, (0, 0))[0] + 1
            pause = min(ASK_AFTER_S << min(tries, 20), LONGEST_PAUSE_S)
            self._asked[each.id] = tries, now + pause * SECOND
        settled = await asyncio.gather(*map(self.pay, due))
        return sum(each.state != "pending" for each in settled)

    async def _charge(self, begun: Bought) -> Answer | None:
        """The provider's answer; None: it is not known whether money was taken."""
        quote = begun.quote
        order = PaymentOrder(begun.id, begun.account, quote.price, quote.currency, str(quote))
        try:
            async with asyncio.timeout(CHARGE_S):
                return await self._provider.charge(order)
        except (OutcomeUnknown, TimeoutError):
            log.warning("payment unknown, asked again later", purchase=begun.id, account=begun.account)
        except Exception:
            log.exception("payment provider failed", purchase=begun.id, account=begun.account)
        return None

    async def _settle(
        self, id: str, outcome: Outcome, ref: str = "", problem: str = "", reference: str = ""
    ) -> Settled:
        now = self._clock.now()

        async def work(session: AsyncSession) -> Settled:
            settled = await purchases.settle(
                session,
                id,
                outcome,
                now,
                provider_ref=ref,
                problem=problem,
                reference=reference,
                fees=self._fees,
            )
            if settled.new and settled.purchase.is_recharge:
                await recharge.tell_outcome(session, settled.purchase, now)
            return settled

        done = await transact(self._database, work)
        known = {"purchase": id, "account": done.purchase.account, "state": done.purchase.state}
        if done.new:
            log.info("purchase settled", **known)
        elif done.purchase.state == "paid" and outcome != "paid":
            log.warning("payment reported otherwise after it was paid", told=outcome, **known)
        return done
