"""A prepaid installation: without a rate or without credit no call is taken, and every minute is in the books."""

import asyncio
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select

from flowengine.billing.increments import total_due
from flowengine.billing.money import CREDIT
from flowengine.billing.rates import Rate
from flowengine.serve import Installation
from flowengine.store import credit_reports, tables
from flowengine.store.corrections import adjust
from flowengine.store.ledger import derive, transact
from flowengine.store.rates import import_deck, load_deck
from simulator.fake_ari import FakeAri
from simulator.phones import Answered, HangUp, Wait, seconds
from tests.test_serve import NUMBER, installation, seeded, settings, until

DECK = (
    "country,type,name,per_minute,connect_fee,first_s,following_s,valid_from,valid_until\n"
    "JP,local,Japan local,6.00,0.05,1,1,2020-01-01,\n"
)
"""0.10 credits a second, and 0.05 for the connection."""


async def account_of(here: Installation) -> str:
    async with here.database.reading() as session:
        found: str | None = await session.scalar(select(tables.Account.id))
    assert found is not None
    return found


async def call(here: Installation, ari: FakeAri) -> None:
    """Call, say nothing, and stay until the engine has had enough."""
    leg = ari.place_call(NUMBER, "+819055550123", (Answered(), Wait(seconds(60)), HangUp()))
    await until(lambda: not leg.open, 30)
    await until(lambda: not here.engine.calls)


async def owed(here: Installation) -> int:
    """What the one call that was taken owes, by its record."""
    async with here.database.reading() as session:
        [row] = (await session.scalars(select(tables.Call))).all()
        rate = (await load_deck(session)).inbound("JP", "local", row.arrived_at)
    assert isinstance(rate, Rate)
    assert row.answered_at is not None
    assert row.ended_at is not None
    return total_due(row.answered_at, row.ended_at, rate)


async def paid(here: Installation) -> int:
    async with here.database.reading() as session:
        found = await session.scalars(select(tables.Transfer.amount).where(tables.Transfer.kind == "minute"))
        return sum(found)


async def test_calls_are_paid_before_they_are_taken(tmp_path: Path) -> None:
    of = settings(tmp_path, billing="prepaid", exchange_rates="JPY=150")
    await seeded(of)
    async with installation(of) as (here, ari):
        account = await account_of(here)
        refused: list[str] = []
        here.engine.on_refused = refused.append
        await call(here, ari)
        assert refused == ["no_rate"]
        assert "no_rate" in here.alarms.standing

        now = here.engine.clock.now()
        await import_deck(here.database, "standard", StringIO(DECK), ZoneInfo("Asia/Tokyo"), now)
        await until(lambda: not here.alarms.standing)
        await call(here, ari)
        assert refused == ["no_rate", "no_credit"]

        await transact(
            here.database,
            lambda session: adjust(session, account, "key-1", 5 * CREDIT, "a gift", "operator", now),
        )
        await call(here, ari)
        assert refused == ["no_rate", "no_credit"]
        async with asyncio.timeout(10):
            while await paid(here) != await owed(here):  # noqa: ASYNC110 - there is no event of it
                await asyncio.sleep(0.1)
        assert await owed(here) >= CREDIT // 4
        async with here.database.reading() as session:
            standing = await credit_reports.standing(session, account)
            assert await derive(session, account) == []
        assert (standing.balance, standing.held) == (5 * CREDIT - await paid(here), 0)
