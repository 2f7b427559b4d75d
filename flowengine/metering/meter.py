"""The meter of an engine: who may call, what running calls are charged, and who is cut.

What a leg owes is a function of when it was answered and when it is now, so nothing here counts seconds. One loop looks
after all legs: a leg is due when its next increment begins, and what is due is booked together. Nobody waits for it
but a call that has not been answered yet. When the database fails, running calls go on and are charged later, exactly
once, and new ones are refused.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import structlog

from flowengine.alarms import Alarms
from flowengine.billing.rates import NoRate, Rate
from flowengine.billing.tab import BilledLeg, outside_number
from flowengine.call.commands import Command, Dial
from flowengine.call.events import CALLER, SECOND, CallArrived, Event, Instant, LegHungUp
from flowengine.metering.bell import Bell
from flowengine.metering.books import Asked, Ledger
from flowengine.metering.calls import MeteredCall
from flowengine.metering.cuts import GRACE, Cuts
from flowengine.metering.leg import MeteredLeg
from flowengine.metering.rounds import Rounds
from flowengine.ports import Clock
from flowengine.store.errors import NotStored
from flowengine.store.tariffs import Tariffs, Terms

log = structlog.get_logger(__name__)

ADMIT_S: Final = 5.0
"""How long a caller may wait for the meter before the call is refused, in seconds."""
GROUP: Final = SECOND // 20
"""What becomes due within this time is booked together, unless a caller waits for it."""
SETTLE_S: Final = 10.0
"""How long an engine that stops tries to book what its calls owe, in seconds."""
ALARM: Final = "metering"
NO_RATE: Final = "no_rate"
NO_CREDIT: Final = "no_credit"

Load = Callable[[Tariffs], Awaitable[Tariffs]]
"""Reads the tariffs anew, given those known."""


class CallMeter:
    """The `Meter` port over a ledger. `run` must run beside the calls, and `renew` comes first.

    Args:
        ledger: where debits are booked.
        load: reads the tariffs.
        owner: the name of this engine, under which credit is held.
        happened: puts an event into the inbox of a call (`Engine.happened`).
    """

    def __init__(
        self,
        ledger: Ledger,
        load: Load,
        owner: str,
        clock: Clock,
        happened: Callable[[str, Event], None],
        alarms: Alarms,
    ) -> None:
        self.on_spent: Callable[[Iterable[str]], None] = lambda _accounts: None
        """Told whose credits became less, after that is booked."""
        self.tariffs = Tariffs()
        self._load = load
        self._clock = clock
        self._alarms = alarms
        self._calls: dict[str, MeteredCall] = {}
        self._rounds = Rounds(ledger, owner, self._cut_from, self._booked, self._failed)
        self._cuts = Cuts(happened)
        self._bell, self._cut_bell = Bell(), Bell()
        self._is_urgent = False
        """Somebody waits to be admitted."""

    async def renew(self) -> None:
        """Take over new rates, numbers and terms of accounts. Raises when they cannot be read; the old ones stay."""
        self.tariffs = await self._load(self.tariffs)
        self._alarms.clear(NO_RATE)

    async def admit(self, account: str, call: str, number: str, at: Instant) -> str | None:
        """See `Meter.admit`. Reasons: `no_credit`, `no_rate`.

        Raises:
            TimeoutError, DBAPIError, OSError: the database cannot be asked.
            NotStored: there is no such account.
        """
        rate = await self._inbound(account, number, at)
        if isinstance(rate, NoRate):
            return self._no_rate(rate)
        self._calls[call] = metered = MeteredCall(call, account)
        metered.admitted = asyncio.get_running_loop().create_future()
        self._is_urgent = True
        self._ask(metered.ring(CALLER, rate, number))
        async with asyncio.timeout(ADMIT_S):
            return await metered.admitted

    def step(self, account: str, call: str, event: Event, said: Sequence[Command]) -> None:
        """See `Meter.step`. A call that arrives here without having been admitted goes on from an earlier life of the
        engine: it is told again from its beginning, and what was charged then is charged once."""
        metered = self._calls.get(call)
        if metered is None:
            if not isinstance(event, CallArrived):
                return
            metered = self._calls[call] = MeteredCall(call, account)
        for leg in metered.tab.step(event, said):
            if leg.ended_at is None:
                self._answer(metered, leg)
            else:
                self._end(metered, leg.id, leg.ended_at)
        if isinstance(event, LegHungUp) and event.leg not in metered.tab.legs:
            self._end(metered, event.leg, event.at)
        for command in said:
            if isinstance(command, Dial) and command.leg not in metered.legs:
                self._dial(metered, command, event.at)

    def over(self, account: str, call: str, at: Instant) -> None:  # noqa: ARG002
        """See `Meter.over`. A leg that nobody told the end of has ended with the last event of its call."""
        metered = self._calls.get(call)
        if metered is None:
            return
        metered.is_over = True
        for leg in metered.tab.close():
            self._end(metered, leg.id, leg.ended_at or at)
        for id in metered.legs:
            self._end(metered, id, at)
        self._cuts.forget(call)
        self._forget_if_settled(metered)

    async def tick(self, now: Instant) -> Instant | None:
        """Warn, cut and book whoever is due; gives when somebody will be due next, None: nobody by himself.

        A failure of the database is an alarm and no exception.
        """
        self._cut(now)
        while not await self._rounds.book(now) and not self._rounds.is_failing:
            pass
        self._cut(now)
        due = [each for each in (self._rounds.next_due, self._cuts.next_due) if each is not None]
        return min(due, default=None)

    async def run(self) -> None:
        """Tick for ever: at once when somebody waits, and otherwise together with others."""
        cutting = asyncio.create_task(self._cut_in_time(), name="metering-cuts")
        try:
            while True:
                self._is_urgent = False
                began = self._clock.now()
                await self.tick(began)
                await self._until_due(began + GROUP)
        finally:
            cutting.cancel()
            await asyncio.gather(cutting, return_exceptions=True)

    async def settle(self, within_s: float = SETTLE_S) -> int:
        """Book what calls that are over still owe, before the engine stops; how many calls could not be settled."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.tick(self._clock.now())
        return sum(metered.is_over for metered in self._calls.values())

    async def _inbound(self, account: str, number: str, at: Instant) -> Rate | NoRate:
        """The rate of a call; what is not known yet may have been bought a moment ago."""
        if account not in self.tariffs.terms or number not in self.tariffs.numbers:
            async with asyncio.timeout(ADMIT_S):
                await self.renew()
        if account not in self.tariffs.terms:
            raise NotStored(f"there is no account {account}: its calls cannot be charged")
        return self.tariffs.inbound(number, at)

    def _no_rate(self, missing: NoRate) -> str:
        self._alarms.raise_(NO_RATE, str(missing))
        return NO_RATE

    def _dial(self, metered: MeteredCall, command: Dial, at: Instant) -> None:
        """A number out in the world is rung; one without a rate is told now, for nobody can stop the call."""
        number = outside_number(command.endpoint)
        if number:
            rate = self.tariffs.outbound(number, at)
            if isinstance(rate, NoRate):
                self._no_rate(rate)
            else:
                user = self.tariffs.users.get(command.endpoint, "")
                self._ask(metered.ring(command.leg, rate, number, user))

    def _answer(self, metered: MeteredCall, billed: BilledLeg) -> None:
        """A leg costs from now on, by the rate of this very instant."""
        leg = metered.legs.get(billed.id)
        inbound = billed.direction == "inbound"
        find = self.tariffs.inbound if inbound else self.tariffs.outbound
        rate = find(billed.number, billed.answered_at)
        if isinstance(rate, NoRate):
            self._no_rate(rate)
            if leg is not None:
                self._end(metered, billed.id, billed.answered_at)
            return
        if leg is None:
            leg = metered.ring(billed.id, rate, billed.number)
        leg.rate, leg.answered_at = rate, billed.answered_at
        self._ask(leg)

    def _end(self, metered: MeteredCall, leg: str, at: Instant) -> None:
        ended = metered.end(leg, at)
        if ended is not None:
            self._ask(ended)

    def _ask(self, leg: MeteredLeg) -> None:
        self._rounds.ask(leg, self._clock.now())
        self._bell.ring()

    def _terms(self, account: str) -> Terms:
        return self.tariffs.terms.get(account, Terms())

    def _may_cut(self, account: str) -> bool:
        return self._terms(account).when_running_out == "cut"

    def _cut_from(self, leg: MeteredLeg, now: Instant) -> Instant | None:
        return now - GRACE if leg.is_talking and self._may_cut(leg.of.account) else None

    def _booked(self, asked: Sequence[Asked], now: Instant) -> None:
        """A round was booked: tell who waited, and see who is short."""
        self._alarms.clear(ALARM)
        for each in asked:
            leg = each.leg
            may_cut = self._may_cut(leg.of.account)
            leg.plan(now, waits_for_credit=may_cut)
            self._rounds.ask(leg, leg.due_at)
            metered = self._calls.get(leg.of.call)
            if metered is not None:
                if leg.of.leg == CALLER:
                    refuses = self._terms(metered.account).refuse_when_empty
                    metered.admit(NO_CREDIT if refuses and not leg.promised else None)
                self._cuts.look_at(metered.id, metered.legs.values(), may_cut=may_cut)
                self._forget_if_settled(metered)
        self._cut_bell.ring()
        if spent := {each.leg.of.account for each in asked if each.wishes.due}:
            self.on_spent(sorted(spent))

    def _failed(self, legs: Sequence[MeteredLeg], error: Exception) -> None:
        """A round failed: calls go on, and whoever waits to be admitted is told."""
        self._alarms.raise_(
            ALARM,
            f"calls cannot be charged now ({type(error).__name__}); they are charged when the database is back",
        )
        for leg in legs:
            metered = self._calls.get(leg.of.call)
            if metered is not None and leg.of.leg == CALLER:
                metered.fail(error)

    def _forget_if_settled(self, metered: MeteredCall) -> None:
        if metered.is_settled:
            self._calls.pop(metered.id, None)

    def _cut(self, now: Instant) -> None:
        """While the database fails nobody is cut: nobody knows whether credit has come."""
        if not self._rounds.is_failing:
            self._cuts.carry_out(now, lambda call: self._calls[call].legs.values())

    async def _until_due(self, grouped_until: Instant) -> None:
        while not self._is_urgent:
            due = self._rounds.next_due
            left = None if due is None else max(due, grouped_until) - self._clock.now()
            if left is not None and left <= 0:
                return
            await self._bell.sleep(left)

    async def _cut_in_time(self) -> None:
        """Cuts come to the moment, also while a round is being booked."""
        while True:
            now = self._clock.now()
            self._cut(now)
            due = None if self._rounds.is_failing else self._cuts.next_due
            await self._cut_bell.sleep(None if due is None else due - now)
