"""A meter in virtual time: its ledger in memory or in a database, callers who answer and hang up, and faults on demand.

Nothing waits here: a test sets the clock and ticks. The ledger in memory is the arithmetic of the real one
(`flowengine.store.books`), for tests that want thousands of examples.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from flowengine.alarms import Alarms
from flowengine.billing.rates import Deck, Rate
from flowengine.billing.tab import BilledLeg, Tab
from flowengine.call.commands import Command, Dial
from flowengine.call.events import (
    CALLER,
    SECOND,
    CallArrived,
    CallKilled,
    CreditRunsOut,
    Event,
    Instant,
    LegAnswered,
    LegHungUp,
)
from flowengine.metering.books import Ledger, Perform
from flowengine.metering.meter import CallMeter
from flowengine.store.books import Balance, Books, Entry, Operation, Result
from flowengine.store.debits import CHART, CREDITS, PURCHASES
from flowengine.store.tariffs import Kind, Tariffs, Terms, WhenRunningOut

T0: Instant = 1_790_000_000_000_000
NUMBER = "+815055550100"
OUTSIDE = "+819011112222"
CREDIT = 1_000_000
PRICE = CREDIT
"""Of a minute of each of the rates here."""

T = TypeVar("T")


def rate(direction: str = "inbound", key: str = "JP/local", **terms: int) -> Rate:
    """A credit a minute, unless `terms` say otherwise."""
    wanted = {"per_minute": PRICE, "valid_from": 0, **terms}
    return Rate(direction=direction, key=key, **wanted)  # type: ignore[arg-type]


def tariffs(*rates: Rate, account: str, terms: Terms | None = None) -> Tariffs:
    return Tariffs(
        deck=Deck(rates or (rate(), rate("outbound", "81"))),
        numbers={NUMBER: Kind("JP", "local")},
        terms={account: terms or Terms()},
    )


class MemoryLedger:
    """The ledger without a database. Operations of a transaction that raises leave nothing."""

    def __init__(self) -> None:
        self.books = Books({})

    def open(self, account: str) -> None:
        for name, floor in CHART.items():
            self.books.balances.setdefault((account, name), Balance("credit", 0, 0, floor))

    async def transact(self, accounts: Sequence[str], work: Callable[[Perform], Awaitable[T]]) -> T:
        books = self.books
        self.books = Books(
            {place: copy.copy(balance) for place, balance in books.balances.items()},
            dict(books.holds),
            dict(books.entries),
        )
        for account in accounts:
            self.open(account)

        async def perform(operations: Sequence[Operation]) -> list[Result]:
            return [self.books.do(each) for each in operations]

        try:
            return await work(perform)
        except BaseException:
            self.books = books
            raise


class Faulty:
    """A ledger that can be away: nothing is stored; or lose its answers: everything is stored, and nobody told."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.is_away = False
        self.loses_answers = False

    async def transact(self, accounts: Sequence[str], work: Callable[[Perform], Awaitable[T]]) -> T:
        if self.is_away:
            raise OSError("the database is away")
        done = await self.ledger.transact(accounts, work)
        if self.loses_answers:
            raise TimeoutError
        return done


@dataclass
class Clock:
    at: Instant = T0

    def now(self) -> Instant:
        return self.at


@dataclass
class Caller:
    """A call as its engine sees it: events go to the meter, and those of the meter take effect here."""

    id: str
    refused: str | None = None
    events: list[tuple[Event, tuple[Command, ...]]] = field(default_factory=list)
    warned: list[int] = field(default_factory=list)
    is_over: bool = False

    def legs(self) -> list[BilledLeg]:
        """What of it costs, by its events alone."""
        tab = Tab()
        for event, said in self.events:
            tab.step(event, said)
        tab.close()
        return list(tab.legs.values())


class Metered:
    """A meter, and calls of one account."""

    def __init__(self, ledger: Ledger, account: str, known: Tariffs, owner: str = "engine-1") -> None:
        self.clock = Clock()
        self.account = account
        self.ledger = Faulty(ledger)
        self.known = known
        self.purchases = 0
        self.alarms = Alarms()
        self.calls: dict[str, Caller] = {}
        self.meter = CallMeter(self.ledger, self._load, owner, self.clock, self._happened, self.alarms)
        self.meter.tariffs = known

    async def _load(self, known: Tariffs) -> Tariffs:
        return self.known

    def _happened(self, call: str, event: Event) -> None:
        caller = self.calls[call]
        if caller.is_over:
            return
        match event:
            case CreditRunsOut(left_s=left_s):
                caller.warned.append(left_s)
                self.step(call, event)
            case CallKilled():
                self.step(call, event)
                self.end(call)

    async def to(self, at: Instant) -> None:
        """Let time pass, ticking when the meter asks for it."""
        while True:
            again = await self.meter.tick(self.clock.at)
            if again is None or again > at:
                break
            self.clock.at = max(self.clock.at + 1, again)
        self.clock.at = at
        await self.meter.tick(at)

    async def after(self, seconds: float) -> None:
        await self.to(self.clock.at + round(seconds * SECOND))

    async def arrives(self, id: str) -> str | None:
        """A caller calls; why the call is refused, or None."""
        now = self.clock.at
        self.calls[id] = caller = Caller(id)
        asking = asyncio.ensure_future(self.meter.admit(self.account, id, NUMBER, now))
        await asyncio.sleep(0)
        await self.meter.tick(now)
        try:
            caller.refused = await asking
        except OSError:
            caller.refused = "meter_unavailable"
        if caller.refused is None:
            self.step(id, CallArrived(now, NUMBER, "+819055550123", "v"))
        else:
            self.over(id)
        return caller.refused

    def step(self, id: str, event: Event, *said: Command) -> None:
        self.calls[id].events.append((event, said))
        self.meter.step(self.account, id, event, said)

    def answers(self, id: str, leg: str = CALLER) -> None:
        self.step(id, LegAnswered(self.clock.at, leg))

    def dials(self, id: str, leg: str = "leg-1", number: str = OUTSIDE) -> None:
        """The call rings a number out in the world."""
        ringing = LegAnswered(self.clock.at, "leg-0")
        self.step(id, ringing, Dial(leg, f"PJSIP/{number}@carrier", NUMBER, 30.0))

    def hangs_up(self, id: str, leg: str = CALLER) -> None:
        self.step(id, LegHungUp(self.clock.at, leg, 16))

    def end(self, id: str) -> None:
        """Every leg hangs up, and the call is over."""
        tab = self.meter._calls.get(id)
        for leg in list(tab.legs) if tab else []:
            self.hangs_up(id, leg)
        self.over(id)

    def over(self, id: str) -> None:
        self.calls[id].is_over = True
        self.meter.over(self.account, id, self.clock.at)

    async def calls_for(self, id: str, seconds: float) -> None:
        """A whole call: answered at once, and hung up by the caller."""
        assert await self.arrives(id) is None
        self.answers(id)
        await self.after(seconds)
        self.end(id)
        await self.meter.tick(self.clock.at)

    async def buys(self, amount: int) -> None:
        self.purchases += 1
        entry = Entry(
            self.account, f"purchase:{self.purchases}", "purchase", PURCHASES, CREDITS, amount, self.clock.at
        )

        async def work(perform: Perform) -> None:
            await perform([entry])

        await self.ledger.ledger.transact([self.account], work)


def cutting() -> Terms:
    when: WhenRunningOut = "cut"
    return Terms(when_running_out=when)
