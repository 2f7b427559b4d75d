"""Any sequence of operations on the ledger, against a model of a few lines, on both databases."""

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from flowengine.store import ledger, tables
from flowengine.store.books import Capture, Entry, Extend, Held, Hold, Operation, Posted, Release, Result
from flowengine.store.database import Database, open_database
from flowengine.store.errors import KeyReused, NotEnough
from flowengine.store.ids import new_id
from tests.store.seed import NOON

FLOORS = {"world": None, "credit": 0, "credit.spent": 0, "reserve": -50}
NAMES = st.sampled_from(sorted(FLOORS))
KEYS = st.sampled_from("abcde")
AMOUNTS = st.integers(1, 120)


@dataclass
class Model:
    """What the books must be."""

    balance: dict[str, int]
    held: dict[tuple[str, str], int]
    entries: dict[str, tuple[str, str, str, int]]

    def free(self, name: str) -> int:
        held = sum(amount for (of, _), amount in self.held.items() if of == name)
        return self.balance[name] - held - (FLOORS[name] or 0)

    def post(self, entry: Entry, releasing: int = 0) -> str:
        what = (entry.kind, entry.from_name, entry.to_name, entry.amount)
        if entry.key in self.entries:
            return "again" if self.entries[entry.key] == what else "reused"
        if FLOORS[entry.from_name] is not None and entry.amount > self.free(entry.from_name) + releasing:
            return "not enough"
        self.entries[entry.key] = what
        self.balance[entry.from_name] -= entry.amount
        self.balance[entry.to_name] += entry.amount
        return "new"

    def do(self, each: Operation) -> object:
        match each:
            case Entry():
                return self.post(each)
            case Hold(_, name, key, amount):
                missing = amount - self.held.get((name, key), 0)
                if missing > max(0, self.free(name)):
                    return "not enough"
                self.held[name, key] = max(amount, self.held.get((name, key), 0))
                return self.held[name, key]
            case Extend(_, name, key, amount):
                if (name, key) not in self.held:
                    return None
                more = max(0, min(amount - self.held[name, key], self.free(name)))
                self.held[name, key] += more
                return self.held[name, key]
            case Release(_, name, key):
                return self.held.pop((name, key), None)
            case Capture(key, entry):
                place = entry.from_name, key
                done = self.post(entry, self.held.get(place, 0))
                if done in ("new", "again"):
                    self.held.pop(place, None)
                return done


def _told(result: Result) -> object:
    match result:
        case Posted(_, new):
            return "new" if new else "again"
        case Held(amount):
            return amount
        case NotEnough():
            return "not enough"
        case KeyReused():
            return "reused"
        case None:
            return None


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """One operation of an account that is not known yet."""
    name, key, amount = draw(NAMES), draw(KEYS), draw(AMOUNTS)
    target = draw(NAMES.filter(lambda each: each != name))
    entry = Entry("", draw(KEYS), draw(st.sampled_from(["minute", "refund"])), name, target, amount, NOON)
    match draw(st.integers(0, 4)):
        case 0:
            return Hold("", name, key, amount, "engine", NOON)
        case 1:
            return Extend("", name, key, amount)
        case 2:
            return Release("", name, key)
        case 3:
            return Capture(key, entry)
        case _:
            return entry


def _of(account: str, each: Operation) -> Operation:
    if isinstance(each, Capture):
        return each._replace(entry=each.entry._replace(account=account))
    return each._replace(account=account)


def _machine(runner: asyncio.Runner, database: Database) -> type[RuleBasedStateMachine]:
    class AnyLedger(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.account = new_id("acc")
            self.model = Model(dict.fromkeys(FLOORS, 0), {}, {})
            runner.run(self.open())

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
                await session.flush()
                for name, floor in FLOORS.items():
                    await ledger.open_account(session, self.account, name, "credit", floor)

        @rule(batch=st.lists(operations(), min_size=1, max_size=6))
        def perform(self, batch: list[Operation]) -> None:
            mine = [_of(self.account, each) for each in batch]
            expected = [self.model.do(each) for each in mine]
            assert [_told(each) for each in runner.run(self.done(mine))] == expected

        async def done(self, batch: list[Operation]) -> list[Result]:
            async with database.writing() as session:
                return await ledger.perform(session, batch)

        @rule(batch=st.lists(operations(), min_size=1, max_size=6))
        def perform_and_fail(self, batch: list[Operation]) -> None:
            """A transaction that is broken off has changed nothing."""

            async def fail() -> None:
                async with database.writing() as session:
                    await ledger.perform(session, [_of(self.account, each) for each in batch])
                    raise ZeroDivisionError

            try:
                runner.run(fail())
            except ZeroDivisionError:
                return
            raise AssertionError

        @invariant()
        def the_books_are_those_of_the_model(self) -> None:
            runner.run(self.compare())

        async def compare(self) -> None:
            async with database.reading() as session:
                found = await ledger.balances(session, self.account)
                assert await ledger.derive(session, self.account) == []
            assert {name: each.balance for name, each in found.items()} == self.model.balance
            assert sum(each.balance for each in found.values()) == 0
            held = self.model.held
            for name, each in found.items():
                assert each.held == sum(amount for (of, _), amount in held.items() if of == name)
                assert each.floor is None or each.balance - each.held >= each.floor

    return AnyLedger


def test_any_operations(url: str) -> None:
    with asyncio.Runner() as runner:
        opened = open_database(url)
        database = runner.run(opened.__aenter__())
        try:
            run_state_machine_as_test(
                _machine(runner, database),
                settings=settings(
                    max_examples=max(10, settings().max_examples // 4),
                    stateful_step_count=12,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
