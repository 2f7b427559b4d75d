"""A meter over a database, at work for as long as a context is open."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.alarms import Alarms
from flowengine.call.events import SECOND, Event
from flowengine.metering.books import DatabaseLedger
from flowengine.metering.meter import CallMeter
from flowengine.metering.recovery import Recovery
from flowengine.ports import Clock
from flowengine.store import debits
from flowengine.store.database import Database
from flowengine.store.ledger import transact
from flowengine.store.tariffs import Tariffs, load_tariffs

log = structlog.get_logger(__name__)

SWEEP_S: Final = 3_600.0
"""How often to look for credit held by engines that never came back, and how long their calls must be over."""
ARREARS_S: Final = 10.0
"""How often to look for accounts that owe for calls and have credit again."""


@contextlib.asynccontextmanager
async def metering(
    database: Database, owner: str, clock: Clock, happened: Callable[[str, Event], None], alarms: Alarms
) -> AsyncIterator[CallMeter]:
    """Meter calls while the context is open. Enter it when the calls of an earlier engine are closed.

    Args:
        owner: the name of this engine, under which credit is held; the same after a restart.
        happened: puts an event into the inbox of a call (`Engine.happened`).

    Raises:
        DBAPIError, OSError: the database cannot be used.
    """

    async def load(known: Tariffs) -> Tariffs:
        async with database.reading() as session:
            return await load_tariffs(session, known)

    ledger = DatabaseLedger(database)
    meter = CallMeter(ledger, load, owner, clock, happened, alarms)
    recovery = Recovery(database, ledger, owner)

    async def sweep() -> None:
        now = clock.now()
        await recovery.of_others(meter.tariffs, now - int(SWEEP_S * SECOND), now)

    async def arrears() -> None:
        async with database.reading() as session:
            indebted = await debits.indebted(session)
        for account in indebted:

            async def pay(session: AsyncSession, account: str = account) -> int:
                return await debits.pay_arrears(session, account, clock.now())

            await transact(database, pay)

    await meter.renew()
    if settled := await recovery.at_start(meter.tariffs, clock.now()):
        log.warning("calls of an earlier engine settled", calls=settled)
    work = {
        "metering": meter.run(),
        "metering-sweep": _every(SWEEP_S, sweep),
        "metering-arrears": _every(ARREARS_S, arrears),
    }
    tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
    try:
        yield meter
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if left := await meter.settle():
            log.error("calls not settled, the next start of this engine settles them", calls=left)


async def _every(pause_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(pause_s)
        try:
            await work()
        except Exception:
            log.exception("a task beside the meter failed; it is tried again")
