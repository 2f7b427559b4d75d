"""Auto-recharge as a service: looks who is below the threshold each second, and at once when a balance is said to fall.

Any number of engines may look: the database lets one purchase begin for a crossing.
"""

import asyncio
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.events import SECOND, Instant
from flowengine.ports import Clock
from flowengine.shop.checkout import Checkout
from flowengine.shop.payment import PaymentProvider
from flowengine.store import recharge
from flowengine.store.database import Database
from flowengine.store.ledger import transact
from flowengine.store.purchases import Bought
from flowengine.store.till import ShopRefused

log = structlog.get_logger(__name__)

POLL_S: Final = 1.0
LOOK_AGAIN_S: Final = 60
"""An account whose recharge pauses is looked at this often, for its settings may have been saved."""


class AutoRecharge:
    """Begins recharges and has them paid."""

    def __init__(
        self, database: Database, checkout: Checkout, provider: PaymentProvider, clock: Clock
    ) -> None:
        self._database = database
        self._checkout = checkout
        self._provider = provider
        self._clock = clock
        self._changed = asyncio.Event()
        self._pausing: dict[str, Instant] = {}

    def balance_changed(self, account: str) -> None:
        """A debit was made: look at once, and not within the second."""
        del account  # one query finds all who are below, and costs the same
        self._changed.set()

    async def tick(self) -> list[Bought]:
        """Recharge every account that is below its threshold; the purchases that began now, as they are."""
        now = self._clock.now()
        self._pausing = {account: until for account, until in self._pausing.items() if until > now}
        async with self._database.reading() as session:
            below = await recharge.accounts_below(session, self._pausing.keys())
        begun = await asyncio.gather(*map(self.check, below))
        return [each for each in begun if each is not None]

    async def check(self, account: str) -> Bought | None:
        """Recharge one account if that is due; the purchase that began now."""
        now = self._clock.now()

        async def work(session: AsyncSession) -> Bought | recharge.RechargeView:
            return await recharge.begin_recharge(
                session, account, self._checkout.rates, self._provider.name, now
            )

        try:
            begun = await transact(self._database, work)
        except ShopRefused as refused:
            log.error("auto-recharge impossible", account=account, code=refused.code, problem=str(refused))
            self._pausing[account] = now + LOOK_AGAIN_S * SECOND
            return None
        if isinstance(begun, Bought):
            log.info("auto-recharge", account=account, purchase=begun.id)
            return await self._checkout.pay(begun)
        if begun.in_a_row:
            until = min(begun.tries_at or now + LOOK_AGAIN_S * SECOND, now + LOOK_AGAIN_S * SECOND)
            self._pausing[account] = until
        return None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.tick()
            except Exception:
                log.exception("auto-recharge not looked at")
            try:
                async with asyncio.timeout(POLL_S):
                    await self._changed.wait()
                self._changed.clear()
            except TimeoutError:
                continue
