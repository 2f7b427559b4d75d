"""Any calls, purchases and faults on both databases: what is booked is a function of when legs were up.

The engine is left out here (`test_engine` has it): calls are answered and hung up by hand, so that a database can take
part in every example.
"""

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import select
from structlog.testing import capture_logs

from flowengine.billing.increments import charges_due
from flowengine.call.events import SECOND
from flowengine.metering.books import DatabaseLedger
from flowengine.store import ledger, tables
from flowengine.store.database import Database, open_database
from flowengine.store.debits import BACK, CALLS, CREDITS, UNPAID
from flowengine.store.ids import new_id
from flowengine.store.tables import Hold, Transfer
from flowengine.store.tariffs import Terms
from tests.metering.world import CREDIT, Metered, rate, tariffs

TERMS = st.builds(Terms, st.booleans(), st.sampled_from(["finish", "cut"]))
RATES = st.tuples(
    st.builds(rate, connect_fee=st.sampled_from([0, 7]), following_s=st.sampled_from([6, 60])),
    st.builds(rate, st.just("outbound"), st.just("81"), first_s=st.sampled_from([1, 30])),
)


def _machine(runner: asyncio.Runner, database: Database) -> type[RuleBasedStateMachine]:
    class AnyCalls(RuleBasedStateMachine):
        @initialize(terms=TERMS, rates=RATES, credit=st.integers(1, 8 * CREDIT))
        def begin(self, terms: Terms, rates: Any, credit: int) -> None:
            self.account = new_id("acc")
            runner.run(self.open())
            self.here = Metered(
                DatabaseLedger(database), self.account, tariffs(*rates, account=self.account, terms=terms)
            )
            self.rates = {"inbound": rates[0], "outbound": rates[1]}
            runner.run(self.here.buys(credit))

        async def open(self) -> None:
            async with database.writing() as session:
                session.add(
                    tables.Account(
                        id=self.account,
                        key=self.account[-20:],
                        name="Any",
                        country="JP",
                        language="en-US",
                        time_zone="Asia/Tokyo",
                        currency="JPY",
                    )
                )

        def running(self, n: int) -> str | None:
            ids = [id for id, call in self.here.calls.items() if not call.is_over]
            return ids[n % len(ids)] if ids else None

        @rule()
        def somebody_calls(self) -> None:
            runner.run(self.here.arrives(new_id("cal")))

        @rule(n=st.integers(0, 9))
        def is_answered(self, n: int) -> None:
            if id := self.running(n):
                self.here.answers(id)

        @rule(n=st.integers(0, 9))
        def dials_out(self, n: int) -> None:
            if id := self.running(n):
                self.here.dials(id)

        @rule(n=st.integers(0, 9))
        def outside_answers(self, n: int) -> None:
            if (id := self.running(n)) and "leg-1" in self.here.meter._calls[id].legs:
                self.here.answers(id, "leg-1")

        @rule(n=st.integers(0, 9), late=st.booleans())
        def hangs_up(self, n: int, late: bool) -> None:
            """At once, or so that its meter ticks a moment before it hears of it."""
            if id := self.running(n):
                if late:
                    runner.run(self.here.meter.tick(self.here.clock.at + 1))
                self.here.end(id)

        @rule(
            seconds=st.sampled_from([0, 0.000001, 1, 5.999999, 6, 30, 59.9, 60, 61, 200]), ticks=st.booleans()
        )
        def time_passes(self, seconds: float, ticks: bool) -> None:
            """With a tick whenever one is due, or without any: the process was stopped."""
            if ticks:
                runner.run(self.here.after(seconds))
            else:
                self.here.clock.at += round(seconds * SECOND)

        @rule(amount=st.integers(1, 3 * CREDIT))
        def buys(self, amount: int) -> None:
            runner.run(self.here.buys(amount))

        @rule(what=st.sampled_from(["is_away", "loses_answers"]), value=st.booleans())
        def fails(self, what: str, value: bool) -> None:
            setattr(self.here.ledger, what, value)

        def teardown(self) -> None:
            if hasattr(self, "here"):
                runner.run(self.settle())

        async def settle(self) -> None:
            here = self.here
            here.ledger.is_away = here.ledger.loses_answers = False
            await here.after(0)
            for id, call in here.calls.items():
                if not call.is_over:
                    here.end(id)
            await here.after(2)
            assert here.meter._calls == {}
            async with database.reading() as session:
                rows = await session.execute(
                    select(Transfer.key, Transfer.kind, Transfer.amount).where(
                        Transfer.account_id == self.account, Transfer.call_id.is_not(None)
                    )
                )
                booked: dict[str, int] = {}
                for key, kind, amount in rows:
                    minute = key.replace("back:", "minute:")
                    booked[minute] = booked.get(minute, 0) + (-amount if kind == BACK else amount)
                found = await ledger.balances(session, self.account)
                holds = list(await session.scalars(select(Hold.key).where(Hold.account_id == self.account)))
                assert await ledger.derive(session, self.account) == []
            assert {key: amount for key, amount in booked.items() if amount} == self.wanted()
            assert holds == []
            assert found[CREDITS].balance >= 0
            assert found[CALLS].balance == sum(self.wanted().values())
            assert found[UNPAID].balance <= 0

        def wanted(self) -> dict[str, int]:
            """What the calls owe, from their events alone."""
            wanted = {}
            for id, call in self.here.calls.items():
                for leg in call.legs():
                    assert leg.ended_at is not None
                    for charge in charges_due(leg.answered_at, leg.ended_at, self.rates[leg.direction]):
                        wanted[f"minute:{id}:{leg.id}:{charge.number}"] = charge.amount
            return wanted

    return AnyCalls


def test_any_calls(url: str) -> None:
    with asyncio.Runner() as runner, capture_logs():
        opened = open_database(url)
        database = runner.run(opened.__aenter__())
        try:
            run_state_machine_as_test(
                _machine(runner, database),
                settings=settings(
                    max_examples=max(10, settings().max_examples // 3),
                    stateful_step_count=20,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
