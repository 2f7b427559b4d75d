"""The meter over both databases: many calls at once, faults, what a dead engine leaves, and reconciliation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from flowengine.call.commands import OfferAgents
from flowengine.call.events import (
    CALLER,
    SECOND,
    Agent,
    AgentsOffered,
    CallArrived,
    Event,
    LegAnswered,
    LegHungUp,
)
from flowengine.call.machine import CallMachine, digest
from flowengine.flow.document import UserTransfer
from flowengine.metering.books import DatabaseLedger
from flowengine.metering.recovery import Recovery
from flowengine.store import debits, flows, ledger, tables
from flowengine.store.database import Database
from flowengine.store.debits import CALLS, CREDITS, MINUTE, OWED, UNPAID
from flowengine.store.journal import DatabaseJournal
from flowengine.store.reconcile import Difference, Reconciliation
from flowengine.store.tables import Account, RateRow, Transfer
from flowengine.store.tariffs import Tariffs, Terms, load_tariffs
from tests.call.driving import flow
from tests.metering.world import CREDIT, NUMBER, OUTSIDE, T0, Caller, Metered, rate
from tests.store.seed import Seed, seed

TALK = flow(ring=UserTransfer(user="hanako"))
OUTSIDE_END = f"PJSIP/{OUTSIDE}@carrier"
LONG_AFTER = T0 + 86_400 * SECOND


class InDatabase(Metered):
    """A meter over a database with its calls journaled there, step by step, as an engine does."""

    def __init__(self, database: Database, of: Seed, known: Tariffs, owner: str = "engine-1") -> None:
        super().__init__(DatabaseLedger(database), of.account, known, owner)
        self.database = database
        self.seed = of
        self.machines: dict[str, CallMachine] = {}
        self.rows: dict[str, int] = {}

    async def open(self, journal: DatabaseJournal, id: str) -> str | None:
        """A call arrives, is admitted, and asks for hanako."""
        self.journal = journal
        now = self.clock.at
        self.calls[id] = Caller(id)
        asking = asyncio.ensure_future(self.meter.admit(self.account, id, NUMBER, now))
        await asyncio.sleep(0)
        await self.meter.tick(now)
        refused = self.calls[id].refused = await asking
        if refused is None:
            await journal.open(id, self.account, self.seed.flow, self.seed.version, now)
            self.machines[id], self.rows[id] = CallMachine(TALK), 0
            await self.feed(id, CallArrived(now, NUMBER, "+819055550123", self.seed.version))
        return refused

    async def feed(self, id: str, event: Event) -> None:
        """One event: machine, journal, meter."""
        said = self.machines[id].step(event)
        await self.journal.append(id, self.rows[id], event, digest(said))
        self.rows[id] += 1
        self.meter.step(self.account, id, event, said)
        for command in said:
            if isinstance(command, OfferAgents):
                offer = AgentsOffered(self.clock.at, command.request, (Agent("hanako", (OUTSIDE_END,)),))
                await self.feed(id, offer)

    async def talks(self, id: str) -> None:
        """The outside telephone is picked up, and the caller is answered."""
        [leg] = [leg for leg in self.machines[id].call.open_things if leg.startswith("leg-")]
        await self.feed(id, LegAnswered(self.clock.at, leg))
        await self.feed(id, LegAnswered(self.clock.at, CALLER))

    async def ends(self, id: str, *, settles: bool = True) -> None:
        """Everybody hangs up; without `settles` the engine dies before its meter hears of it."""
        machine = self.machines[id]
        for leg in [CALLER, *[each for each in machine.call.open_things if each.startswith("leg-")]]:
            event = LegHungUp(self.clock.at, leg, 16)
            said = machine.step(event)
            await self.journal.append(id, self.rows[id], event, digest(said))
            self.rows[id] += 1
            if settles:
                self.meter.step(self.account, id, event, said)
        assert machine.done
        await self.journal.close(id, machine.record())
        if settles:
            self.meter.over(self.account, id, self.clock.at)
            await self.meter.tick(self.clock.at)

    async def balance(self, name: str = CREDITS) -> tuple[int, int]:
        async with self.database.reading() as session:
            found = await ledger.balance(session, self.account, name)
            assert await ledger.derive(session, self.account) == []
        return found.balance, found.held

    async def many(self, kind: str) -> int:
        async with self.database.reading() as session:
            where = (Transfer.account_id == self.account, Transfer.kind == kind)
            return await session.scalar(select(func.count()).select_from(Transfer).where(*where)) or 0

    async def differences(self) -> list[Difference]:
        return [each async for each in self.reconciliation().run()]

    def reconciliation(self) -> Reconciliation:
        return Reconciliation(self.database, T0, LONG_AFTER, LONG_AFTER)


@pytest.fixture
async def here(database: Database) -> InDatabase:
    return await installation(database)


async def installation(database: Database, terms: Terms | None = None, **of_rates: int) -> InDatabase:
    """An account whose number rings a telephone out in the world, with rates of a credit a minute."""
    of = await seed(database)
    async with database.writing() as session:
        version = await flows.publish(session, of.account, of.flow, TALK)
        for each in (rate("inbound", "JP/local", **of_rates), rate("outbound", "81", **of_rates)):
            fields = ("direction", "key", "per_minute", "connect_fee", "first_s", "following_s", "valid_from")
            row = {name: getattr(each, name) for name in (*fields, "valid_until", "name")}
            session.add(RateRow(deck="test", id=each.id, **row))
        if terms is not None:
            policy = terms._asdict()
            await session.execute(update(Account).where(Account.id == of.account).values(**policy))
    async with database.reading() as session:
        known = await load_tariffs(session)
    return InDatabase(database, of._replace(version=version), known)


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[DatabaseJournal]:
    async with DatabaseJournal(database) as opened:
        yield opened


async def test_what_the_meter_must_know_is_read_again_only_when_it_has_changed(here: InDatabase) -> None:
    known = here.known
    assert known.terms[here.account] == Terms()
    assert len(known.deck) == 2
    async with here.database.writing() as session:
        await session.execute(update(Account).values(when_running_out="cut", refuse_when_empty=False))
    async with here.database.reading() as session:
        again = await load_tariffs(session, known)
    assert again.deck is known.deck
    assert again.terms[here.account] == Terms(refuse_when_empty=False, when_running_out="cut")
    async with here.database.writing() as session:
        await session.execute(delete(RateRow).where(RateRow.direction == "outbound"))
    async with here.database.reading() as session:
        assert len((await load_tariffs(session, again)).deck) == 1


@pytest.mark.parametrize("policy", ["finish", "cut"])
async def test_a_hundred_calls_at_once_against_ten_minutes(database: Database, policy: Any) -> None:
    here = await installation(database, Terms(when_running_out=policy))
    await here.buys(10 * CREDIT)
    ids = [f"cal_{n}" for n in range(100)]
    here.calls = {id: Caller(id) for id in ids}
    asking = [asyncio.ensure_future(here.meter.admit(here.account, id, NUMBER, here.clock.at)) for id in ids]
    await asyncio.sleep(0)
    await here.meter.tick(here.clock.at)
    refused = await asyncio.gather(*asking)
    taken = [id for id, reason in zip(ids, refused, strict=True) if reason is None]
    assert (len(taken), set(refused)) == (10, {None, "no_credit"})
    for id, reason in zip(ids, refused, strict=True):
        if reason is None:
            here.step(id, CallArrived(here.clock.at, NUMBER, "+819055550123", "v"))
            here.answers(id)
        else:
            here.over(id)
    await here.after(150)
    assert await here.balance() == (0, 0)
    assert await here.many(MINUTE) == 10
    assert all(here.calls[id].is_over for id in taken) is (policy == "cut")
    for id in taken:
        if not here.calls[id].is_over:
            here.end(id)
    await here.after(1)
    assert await here.many(OWED) == (0 if policy == "cut" else 20)
    assert await here.balance() == (0, 0)
    assert here.meter._calls == {}


async def test_two_engines_share_one_balance(database: Database) -> None:
    one = await installation(database, Terms(when_running_out="cut"))
    two = InDatabase(database, one.seed, one.known, "engine-2")
    await one.buys(10 * CREDIT)
    for n in range(20):
        engine = (one, two)[n % 2]
        if await engine.arrives(f"cal_{n}") is None:
            engine.answers(f"cal_{n}")
    for _ in range(200):
        await asyncio.gather(one.after(1), two.after(1))
    assert await one.balance() == (0, 0)
    assert await one.many(MINUTE) == 10


async def test_whole_calls_are_what_their_journals_say(here: InDatabase, journal: DatabaseJournal) -> None:
    await here.buys(20 * CREDIT)
    for n, seconds in enumerate((0, 1, 60, 61)):
        id = f"cal_{n}"
        assert await here.open(journal, id) is None
        await here.after(7)
        await here.talks(id)
        await here.after(seconds)
        await here.ends(id)
    assert await here.balance() == (12 * CREDIT, 0)
    run = here.reconciliation()
    assert [each async for each in run.run()] == []
    assert (run.calls, run.charges, run.owed, run.booked) == (4, 8, 8 * CREDIT, 8 * CREDIT)


async def test_what_a_dead_engine_left_is_settled_by_the_journals(
    here: InDatabase, journal: DatabaseJournal
) -> None:
    """One engine dies with a call that has ended unheard, one that was never answered, one that was never journaled,
    and one that still runs."""
    await here.buys(30 * CREDIT)
    for id in ("cal_1", "cal_2", "cal_3"):
        await here.open(journal, id)
    await here.talks("cal_1")
    await here.talks("cal_3")
    await here.after(30)
    await here.arrives("cal_4")
    here.ledger.is_away = True
    await here.after(100)
    await here.ends("cal_1", settles=False)
    await here.ends("cal_2", settles=False)
    here.ledger.is_away = False
    balance, held = await here.balance()
    assert held == (2 + 2 + 2 + 1) * CREDIT
    assert [each.kind for each in await here.differences()].count("missing") == 4
    recovery = Recovery(here.database, DatabaseLedger(here.database), "engine-1")
    assert await recovery.at_start(here.known, here.clock.at) == 3
    assert await recovery.at_start(here.known, here.clock.at) == 0
    assert await here.balance() == (balance - 4 * CREDIT, 2 * CREDIT)
    assert await here.differences() == []


async def test_what_another_engine_left_is_settled_after_an_hour(
    here: InDatabase, journal: DatabaseJournal
) -> None:
    await here.buys(30 * CREDIT)
    await here.open(journal, "cal_1")
    await here.talks("cal_1")
    await here.after(30)
    await here.ends("cal_1", settles=False)
    recovery = Recovery(here.database, DatabaseLedger(here.database), "engine-2")
    now = here.clock.at
    assert await recovery.of_others(here.known, now - SECOND, now) == 0
    assert await recovery.at_start(here.known, now) == 1, "it is among the last calls"
    assert await recovery.of_others(here.known, now, now) == 0
    assert await here.balance() == (28 * CREDIT, 0)


async def test_debts_are_settled_by_the_journals_when_nothing_is_left(
    here: InDatabase, journal: DatabaseJournal
) -> None:
    await here.buys(2 * CREDIT)
    await here.open(journal, "cal_1")
    await here.talks("cal_1")
    await here.meter.tick(here.clock.at)
    here.clock.at += 200 * SECOND
    await here.ends("cal_1", settles=False)
    recovery = Recovery(here.database, DatabaseLedger(here.database), "engine-1")
    await recovery.at_start(here.known, here.clock.at)
    assert await here.balance() == (0, 0)
    assert await here.balance(UNPAID) == (-6 * CREDIT, 0)
    assert await here.differences() == []


async def test_debts_are_paid_from_what_comes(here: InDatabase) -> None:
    await here.buys(CREDIT)
    await here.calls_for("cal_1", 200)
    assert await here.balance(UNPAID) == (-3 * CREDIT, 0)
    for bought, left, debt in ((2, 0, -1), (5, 4, 0)):
        await here.buys(bought * CREDIT)
        async with here.database.reading() as session:
            assert await debits.indebted(session) == [here.account]
        async with here.database.writing() as session:
            assert await debits.pay_arrears(session, here.account, here.clock.at) > 0
        async with here.database.writing() as session:
            assert await debits.pay_arrears(session, here.account, here.clock.at) == 0
        assert await here.balance() == (left * CREDIT, 0)
        assert await here.balance(UNPAID) == (debt * CREDIT, 0)
        here.clock.at += 1
    async with here.database.reading() as session:
        assert await debits.indebted(session) == []


async def test_reconciliation_finds_whatever_is_not_as_it_must_be(
    here: InDatabase, journal: DatabaseJournal
) -> None:
    await here.buys(30 * CREDIT)
    for n in range(3):
        await here.open(journal, f"cal_{n}")
        await here.talks(f"cal_{n}")
        await here.after(70)
        await here.ends(f"cal_{n}")
    assert await here.differences() == []
    of = debits.BilledTo(here.account, "cal_0", CALLER, NUMBER)
    async with here.database.writing() as session:
        await session.execute(delete(Transfer).where(Transfer.key == "minute:cal_0:caller:1"))
        await session.execute(update(Transfer).where(Transfer.key == "minute:cal_1:leg-2:0").values(amount=5))
        await ledger.hold(session, here.account, CREDITS, of.hold_key, 5, "engine-1", T0, "cal_0")
        for call, key in (("cal_2", "minute:cal_2:caller:2"), ("cal_9", "minute:cal_9:caller:0")):
            await ledger.transfer(session, here.account, key, MINUTE, CREDITS, CALLS, 7, T0, call)
        await session.execute(
            update(tables.JournalRow)
            .where(tables.JournalRow.call_id == "cal_2", tables.JournalRow.seq == 1)
            .values(digest="0")
        )
    found = await here.differences()
    assert {(each.kind, each.call, each.leg, each.number, each.owed, each.booked) for each in found} == {
        ("missing", "cal_0", CALLER, 1, CREDIT, 0),
        ("still_held", "cal_0", "", -1, 0, 0),
        ("wrong_amount", "cal_1", "leg-2", 0, CREDIT, 5),
        ("too_many", "cal_2", CALLER, 2, 0, 7),
        ("not_reckoned", "cal_2", "", -1, 0, 0),
        ("no_call", "cal_9", "", -1, 0, 7),
    }
    assert "call cal_0 leg caller increment 1: owed 1000000, booked 0" in "\n".join(map(str, found))


async def test_a_leg_without_a_price_is_reported(here: InDatabase, journal: DatabaseJournal) -> None:
    async with here.database.writing() as session:
        await session.execute(delete(RateRow).where(RateRow.direction == "outbound"))
    async with here.database.reading() as session:
        here.known = here.meter.tariffs = await load_tariffs(session)
    await here.buys(30 * CREDIT)
    await here.open(journal, "cal_1")
    assert "no_rate" in here.alarms.standing
    await here.talks("cal_1")
    await here.after(10)
    await here.ends("cal_1")
    [found] = await here.differences()
    assert (found.kind, found.leg) == ("no_rate", "leg-2")
    assert await here.balance() == (29 * CREDIT, 0)
