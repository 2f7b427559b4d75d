"""The meter as an engine opens it: at work in real time, and settled when it is closed."""

import asyncio

import pytest

from flowengine.alarms import Alarms
from flowengine.call.events import CALLER, SECOND, CallArrived, CallKilled, Event, LegAnswered, LegHungUp
from flowengine.clock import SystemClock
from flowengine.metering import opened
from flowengine.metering.opened import metering
from flowengine.store import ledger
from flowengine.store.database import Database
from flowengine.store.debits import CREDITS, PURCHASES, UNPAID
from flowengine.store.tariffs import Terms
from tests.metering.test_database import InDatabase, installation
from tests.metering.world import CREDIT, NUMBER


async def _figures(here: InDatabase, name: str = CREDITS) -> tuple[int, int]:
    async with here.database.reading() as session:
        found = await ledger.balance(session, here.account, name)
    return found.balance, found.held


async def _until(here: InDatabase, wanted: tuple[int, int], name: str = CREDITS) -> None:
    async with asyncio.timeout(10):
        while await _figures(here, name) != wanted:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_a_call_is_charged_and_settled_when_the_engine_stops(database: Database) -> None:
    here = await installation(database)
    await here.buys(3 * CREDIT)
    clock = SystemClock()
    async with metering(database, "engine-1", clock, lambda _call, _event: None, Alarms()) as meter:
        assert await meter.admit(here.account, "cal_1", NUMBER, clock.now()) is None
        assert await _figures(here) == (3 * CREDIT, CREDIT)
        arrived = CallArrived(clock.now(), NUMBER, "+819055550123", "v")
        meter.step(here.account, "cal_1", arrived, ())
        meter.step(here.account, "cal_1", LegAnswered(clock.now(), CALLER), ())
        await _until(here, (2 * CREDIT, CREDIT))
        meter.step(here.account, "cal_1", LegHungUp(clock.now(), CALLER, 16), ())
        meter.over(here.account, "cal_1", clock.now())
    assert await _figures(here) == (2 * CREDIT, 0)


async def test_a_call_is_cut_to_the_moment(database: Database) -> None:
    here = await installation(database, Terms(when_running_out="cut"), first_s=1, following_s=1)
    await here.buys(50_000)  # a second costs 16,667
    clock = SystemClock()
    happened: list[tuple[Event, int]] = []
    heard = asyncio.Event()

    def tell(_call: str, event: Event) -> None:
        happened.append((event, clock.now()))
        heard.set()

    async with metering(database, "engine-1", clock, tell, Alarms()) as meter:
        assert await meter.admit(here.account, "cal_1", NUMBER, clock.now()) is None
        meter.step(here.account, "cal_1", CallArrived(clock.now(), NUMBER, "", "v"), ())
        answered = LegAnswered(clock.now(), CALLER)
        meter.step(here.account, "cal_1", answered, ())
        async with asyncio.timeout(10):
            while not any(isinstance(event, CallKilled) for event, _ in happened):
                heard.clear()
                await heard.wait()
        [(cut, at)] = [each for each in happened if isinstance(each[0], CallKilled)]
        assert cut == CallKilled(answered.at + 2 * SECOND, "no_credit")
        assert 0 <= at - cut.at < SECOND // 2
        meter.step(here.account, "cal_1", cut, ())
        meter.over(here.account, "cal_1", clock.now())
    assert await _figures(here) == (50_000 - 2 * 16_667, 0)


async def test_debts_are_paid_while_the_engine_runs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "ARREARS_S", 0.05)
    here = await installation(database, Terms(refuse_when_empty=False))
    await here.calls_for("cal_1", 61)
    assert await _figures(here, UNPAID) == (-2 * CREDIT, 0)
    clock = SystemClock()
    async with metering(database, "engine-1", clock, lambda _call, _event: None, Alarms()):
        async with database.writing() as session:
            await ledger.transfer(
                session, here.account, "p", "purchase", PURCHASES, CREDITS, 5 * CREDIT, clock.now()
            )
        await _until(here, (3 * CREDIT, 0))
        assert await _figures(here, UNPAID) == (0, 0)
