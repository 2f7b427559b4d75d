"""What looks after storage while an engine runs: room that grows, old recordings, notifications, stray holds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from flowengine.beside import beside
from flowengine.call.events import SECOND
from flowengine.ports import Clock
from flowengine.storage.notices import Notices
from flowengine.storage.plan import StoragePlan
from flowengine.storage.retention import Retention

log = structlog.get_logger(__name__)

SWEEP_S: Final = 3_600.0
"""How often to look for holds whose engine died and never came back, and how long their call must be over."""


@contextlib.asynccontextmanager
async def looking_after(
    plan: StoragePlan, retention: Retention, notices: Notices, clock: Clock
) -> AsyncIterator[None]:
    """Look after storage while the context is open. Enter it when the calls of an earlier engine are closed."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await plan.give_back_left_over(clock.now() - int(SWEEP_S * SECOND))
            except Exception:
                log.exception("stray holds not given back")

    if given_back := await plan.give_back_left_over():
        log.info("room given back that an earlier engine held", recordings=given_back)
    async with beside(plan.run(), retention.run_hourly(), notices.run(), sweep()):
        yield
