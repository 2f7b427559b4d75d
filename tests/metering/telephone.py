"""A whole engine with its meter on the simulated world, in virtual time, and the proof of its books.

Each number of the company rings one person, at a telephone of the company or at one out in the world. What the ledger
holds in the end is compared with what the journals say, reckoned without the meter.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from flowengine.billing.rates import Deck, Rate
from flowengine.billing.reckoning import owed, replay
from flowengine.flow.document import Flow, UserTransfer
from flowengine.metering.meter import CallMeter
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.store.books import Entry
from flowengine.store.debits import CALLS, CREDITS, PURCHASES, UNPAID
from flowengine.store.tariffs import Kind, Tariffs, Terms
from simulator.phones import AgentPhone, Answered, Behaviour, Caller, HangUp, Step, Wait, seconds
from tests.call.driving import flow
from tests.live_world import ACCOUNT, LiveWorld, settle
from tests.metering.world import Faulty, MemoryLedger, rate

ANSWERS = Behaviour(answers_after_us=seconds(2))


def _flow(user: str) -> Flow:
    return flow(ring=UserTransfer(user=user))


def number_of(n: int) -> str:
    return f"+8150555501{n:02}"


class Telephone:
    """So many numbers, of which those of `outside` ring a telephone out in the world."""

    def __init__(
        self,
        many: int,
        outside: frozenset[int] = frozenset(),
        *,
        terms: Terms | None = None,
        rates: tuple[Rate, ...] | None = None,
        does: Behaviour = ANSWERS,
    ) -> None:
        flows = {n: _flow(f"user-{n}") for n in range(many)}
        self.live = live = LiveWorld(flows[0])
        numbers = {
            number_of(n): PublishedFlow(f"flw_{n}", ACCOUNT, of.sha256(), of) for n, of in flows.items()
        }
        self.flows = {f"flw_{n}": of for n, of in flows.items()}
        endpoints = {
            n: f"PJSIP/+8190111122{n:02}@carrier" if n in outside else f"PJSIP/user-{n}" for n in flows
        }
        users = {f"user-{n}": User(f"user-{n}", (end,)) for n, end in endpoints.items()}
        catalog = Catalog(numbers=dict(numbers), users={ACCOUNT: users})
        live.engine.catalog = catalog
        live.desk.renew(catalog, live.clock.now())
        for n, end in endpoints.items():
            AgentPhone(live.world, end, (does,))
            if n not in outside:
                live.desk.reachable(end, True, live.clock.now())
        self.memory = MemoryLedger()
        self.memory.open(ACCOUNT)
        self.ledger = Faulty(self.memory)
        self.tariffs = Tariffs(
            deck=Deck(rates or (rate(), rate("outbound", "81"))),
            numbers={number: Kind("JP", "local") for number in numbers},
            terms={ACCOUNT: terms or Terms()},
        )
        self.refused: list[str] = []
        live.engine.on_refused = self.refused.append
        self.meter = self._meter()
        self._bought = 0

    def _meter(self) -> CallMeter:
        async def load(_: Tariffs) -> Tariffs:
            return self.tariffs

        live = self.live
        meter = CallMeter(self.ledger, load, "engine-1", live.clock, live.engine.happened, live.alarms)
        meter.tariffs = self.tariffs
        live.engine.meter = meter
        return meter

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let the meter work."""
        task = asyncio.create_task(self.meter.run())
        try:
            yield
        finally:
            await asyncio.sleep(5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await self.meter.settle() == 0

    def buys(self, amount: int) -> None:
        self._bought += 1
        now = self.live.clock.now()
        self.memory.books.do(
            Entry(ACCOUNT, f"purchase:{self._bought}", "purchase", PURCHASES, CREDITS, amount, now)
        )

    def call(self, n: int, *script: Step) -> Caller:
        return self.live.call(*script, number=number_of(n))

    def talk(self, n: int, for_us: int) -> Caller:
        """Somebody calls, is answered, and hangs up after so many microseconds."""
        return self.call(n, Answered(), Wait(for_us), HangUp())

    def balance(self, name: str = CREDITS) -> int:
        return self.memory.books.balances[ACCOUNT, name].balance

    def prove(self) -> tuple[int, int]:
        """See that the books are right, to the increment; how many increments were paid, and how many not."""
        entries = self.memory.books.entries
        wanted: dict[str, int] = {}
        for call, rows in self.live.journal.rows.items():
            _, of, _ = self.live.journal.opened[call]
            replayed = replay(self.flows[of], [(event, digest) for _, event, digest in rows])
            assert replayed.diverged_at is None
            for leg in owed(replayed.legs, self.tariffs):
                for charge in leg.charges:
                    if charge.amount:
                        wanted[f"minute:{call}:{leg.leg.id}:{charge.number}"] = charge.amount
        net: dict[str, int] = {}
        paid = unpaid = 0
        for (_, key), entry in entries.items():
            if entry.to_name == CALLS:
                net[key] = net.get(key, 0) + entry.amount
                paid += entry.from_name == CREDITS
                unpaid += entry.from_name == UNPAID
            elif entry.from_name == CALLS:
                minute = key.replace("back:", "minute:")
                net[minute] = net.get(minute, 0) - entry.amount
                paid -= entry.to_name == CREDITS
                unpaid -= entry.to_name == UNPAID
        assert {key: amount for key, amount in net.items() if amount} == wanted
        credits = self.memory.books.balances[ACCOUNT, CREDITS]
        assert credits.held == 0
        assert self.memory.books.holds == {}
        assert credits.balance >= 0
        assert sum(each.balance for each in self.memory.books.balances.values()) == 0
        assert self.meter._calls == {}
        return paid, unpaid


async def over(telephone: Telephone) -> None:
    """Wait until nobody talks any more."""
    await settle()
    await telephone.live.over()
