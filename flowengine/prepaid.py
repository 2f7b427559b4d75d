"""Prepaid money while an engine runs: calls charged, monthly fees booked, credits bought when they run low."""

import contextlib
from collections.abc import AsyncIterator, Iterable

from flowengine.alarms import Alarms
from flowengine.billing.exchange import exchange_rates
from flowengine.config import Settings
from flowengine.metering.meter import CallMeter
from flowengine.metering.opened import metering
from flowengine.runtime import Engine
from flowengine.shop.carrier import Inventory
from flowengine.shop.checkout import Checkout
from flowengine.shop.fees import MonthlyFees, load_number_fees
from flowengine.shop.numbers import NumberShop
from flowengine.shop.payment import ManualPayment
from flowengine.shop.recharge import AutoRecharge
from flowengine.shop.watch import selling
from flowengine.store.database import Database


@contextlib.asynccontextmanager
async def prepaid_by(
    engine: Engine, settings: Settings, database: Database, alarms: Alarms
) -> AsyncIterator[CallMeter]:
    """Give an engine its meter, and look after the shop while the context is open.

    Enter it when the calls of an earlier engine are closed or taken back.

    Raises:
        BadCsv, OSError: the list of number fees cannot be used.
    """
    clock = engine.clock
    fees = load_number_fees(settings.number_fees_file)
    provider = ManualPayment()
    checkout = Checkout(database, provider, clock, exchange_rates(settings.exchange_rates), fees)
    recharge = AutoRecharge(database, checkout, provider, clock)
    shop = NumberShop(database, Inventory(), clock, fees)

    def spent(accounts: Iterable[str]) -> None:
        for account in accounts:
            recharge.balance_changed(account)

    async with (
        metering(database, settings.ari_app, clock, engine.happened, alarms) as meter,
        selling(MonthlyFees(database, clock, fees), recharge, checkout, shop),
    ):
        meter.on_spent = spent
        engine.meter = meter
        yield meter
