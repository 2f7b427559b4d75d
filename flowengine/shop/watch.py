"""What the shop does of itself while an engine runs: monthly fees, recharges, payments and orders left half done."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog

from flowengine.shop.checkout import Checkout
from flowengine.shop.fees import MonthlyFees
from flowengine.shop.numbers import NumberShop
from flowengine.shop.recharge import AutoRecharge

log = structlog.get_logger(__name__)

ASK_S: Final = 15.0
CARRY_ON_S: Final = 30.0


@contextlib.asynccontextmanager
async def selling(
    fees: MonthlyFees, recharge: AutoRecharge, checkout: Checkout, numbers: NumberShop
) -> AsyncIterator[None]:
    """Look after the shop while the context is open."""
    work = {
        "monthly-fees": fees.run(),
        "auto-recharge": recharge.run(),
        "payments": _each(ASK_S, checkout.ask_pending),
        "orders": _each(CARRY_ON_S, numbers.carry_on),
    }
    tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _each(seconds: float, work: Callable[[], Awaitable[int]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("shop not looked after")
        await asyncio.sleep(seconds)
