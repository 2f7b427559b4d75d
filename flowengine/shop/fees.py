"""Monthly fees as a service: what is due is charged within a second, and arrears are looked at each hour.

Any number of engines may do it, and none for months: each month is charged once, by its key in the ledger.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from flowengine.billing.number_fees import NumberFees, read_number_fees
from flowengine.call.events import SECOND, Instant
from flowengine.ports import Clock
from flowengine.store import subscriptions
from flowengine.store.database import Database
from flowengine.store.ledger import transact
from flowengine.store.subscriptions import NO_FEES

log = structlog.get_logger(__name__)

POLL_S: Final = 1.0
ARREARS_S: Final = 3_600
FAILING_S: Final = 60


class MonthlyFees:
    """Charges the months of numbers and storage plans.

    Args:
        fees: the operator's list; what it does not have costs what it cost when it was bought.
    """

    def __init__(self, database: Database, clock: Clock, fees: NumberFees = NO_FEES) -> None:
        self._database = database
        self._clock = clock
        self._fees = fees
        self._arrears_at: Instant = 0
        self._failing: dict[str, Instant] = {}

    async def tick(self) -> int:
        """Charge what is due; of how many accounts. One that fails is tried again in a minute, and stops no other."""
        now = self._clock.now()
        async with self._database.reading() as session:
            due = await subscriptions.due_accounts(session, now)
            if now >= self._arrears_at:
                due += await subscriptions.accounts_in_arrears(session)
                self._arrears_at = now + ARREARS_S * SECOND
        self._failing = {account: until for account, until in self._failing.items() if until > now}
        charged = [await self._charge(each, now) for each in dict.fromkeys(due) if each not in self._failing]
        return sum(charged)

    async def _charge(self, account: str, now: Instant) -> bool:
        charge = partial(subscriptions.charge_due, account=account, now=now, fees=self._fees)
        try:
            charged = await transact(self._database, charge)
        except Exception:
            log.exception("monthly fees not charged", account=account)
            self._failing[account] = now + FAILING_S * SECOND
            return False
        log.info("monthly fees", account=account, charged=charged)
        return True

    async def run(self) -> None:
        """Charge for ever."""
        while True:
            try:
                await self.tick()
            except Exception:
                log.exception("monthly fees not charged")
            await asyncio.sleep(POLL_S)


def load_number_fees(file: Path | None) -> NumberFees:
    """Read the operator's list of number fees; without a file, numbers cost what their carrier asks.

    A date alone is the beginning of that day in UTC.

    Raises:
        BadCsv: anything is wrong anywhere.
        OSError: the file cannot be read.
    """
    if file is None:
        return NO_FEES
    with file.open(encoding="utf-8", newline="") as stream:
        return NumberFees(read_number_fees(stream, ZoneInfo("UTC")))
