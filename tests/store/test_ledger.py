"""The ledger: what one operation does, and what it refuses, on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store import ledger
from flowengine.store.books import LARGEST, Capture, Entry, Hold, Posted, Release
from flowengine.store.database import Database
from flowengine.store.errors import KeyReused, NotEnough, NotStored
from flowengine.store.ledger_rows import _entries, _held, _locking
from tests.store.seed import NOON, seed

WORLD, CREDIT, SPENT = "world", "credit", "spent"


@pytest.fixture
async def account(database: Database) -> AsyncIterator[str]:
    """An account with 1,000 credits bought; they come from the world and may be spent."""
    of = await seed(database)
    async with database.writing() as session:
        for name, floor in ((WORLD, None), (CREDIT, 0), (SPENT, 0)):
            assert await ledger.open_account(session, of.account, name, "credit", floor)
        await ledger.transfer(session, of.account, "purchase:1", "purchase", WORLD, CREDIT, 1_000, NOON)
    yield of.account
    async with database.reading() as session:
        assert await ledger.derive(session, of.account) == []
        assert sum(b.balance for b in (await ledger.balances(session, of.account)).values()) == 0


async def _figures(database: Database, account: str, name: str = CREDIT) -> tuple[int, int]:
    async with database.reading() as session:
        found = await ledger.balance(session, account, name)
    return found.balance, found.held


async def test_a_key_is_paid_once(database: Database, account: str) -> None:
    for attempt in range(3):
        async with database.writing() as session:
            done = await ledger.transfer(
                session, account, "minute:1", "minute", CREDIT, SPENT, 30, NOON, "cal_1", {"rate": attempt}
            )
        assert done.new is (attempt == 0)
        assert (done.entry.details, done.entry.call) == ({"rate": 0}, "cal_1")
    assert await _figures(database, account) == (970, 0)


@pytest.mark.parametrize(("amount", "kind"), [(31, "minute"), (30, "refund")])
async def test_a_key_stands_for_one_transfer(
    database: Database, account: str, amount: int, kind: str
) -> None:
    async with database.writing() as session:
        await ledger.transfer(session, account, "minute:1", "minute", CREDIT, SPENT, 30, NOON)
    with pytest.raises(KeyReused, match="minute:1 stands for minute of 30"):
        async with database.writing() as session:
            await ledger.transfer(session, account, "minute:1", kind, CREDIT, SPENT, amount, NOON)
    assert await _figures(database, account) == (970, 0)


async def test_no_balance_goes_below_its_floor(database: Database, account: str) -> None:
    with pytest.raises(NotEnough, match="has 1000 free, and 1001 were asked"):
        async with database.writing() as session:
            await ledger.transfer(session, account, "minute:1", "minute", CREDIT, SPENT, 1_001, NOON)
    async with database.writing() as session:
        await ledger.transfer(session, account, "minute:1", "minute", CREDIT, SPENT, 1_000, NOON)
        assert not await ledger.hold(session, account, CREDIT, "next", 1, "engine", NOON)
    assert await _figures(database, account) == (0, 0)
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            await session.execute(text("UPDATE ledger_accounts SET balance = -1 WHERE name = 'credit'"))


async def test_what_is_held_cannot_be_spent_by_others(database: Database, account: str) -> None:
    async with database.writing() as session:
        assert await ledger.hold(session, account, CREDIT, "call-1", 600, "engine", NOON, "cal_1")
        assert await ledger.hold(session, account, CREDIT, "call-1", 600, "engine", NOON, "cal_1")
        assert not await ledger.hold(session, account, CREDIT, "call-2", 401, "engine", NOON)
        with pytest.raises(NotEnough):
            await ledger.transfer(session, account, "number", "number_fee", CREDIT, SPENT, 401, NOON)
    assert await _figures(database, account) == (1_000, 600)


async def test_a_hold_grows_as_far_as_the_balance_goes(database: Database, account: str) -> None:
    async with database.writing() as session:
        await ledger.hold(session, account, CREDIT, "call-1", 600, "engine", NOON)
        assert await ledger.extend(session, account, CREDIT, "call-1", 700) == 700
        assert await ledger.extend(session, account, CREDIT, "call-1", 100) == 700
        assert await ledger.extend(session, account, CREDIT, "call-1", 2_000) == 1_000
        assert await ledger.extend(session, account, CREDIT, "no-call", 2_000) == 0
    assert await _figures(database, account) == (1_000, 1_000)


@pytest.mark.parametrize("amount", [1, 599, 600, 601, 1_000])
async def test_a_hold_is_settled_by_less_or_more(database: Database, account: str, amount: int) -> None:
    entry = Entry(account, "minute:1", "minute", CREDIT, SPENT, amount, NOON)
    async with database.writing() as session:
        await ledger.hold(session, account, CREDIT, "call-1", 600, "engine", NOON)
    for new in (True, False):
        async with database.writing() as session:
            assert (await ledger.capture(session, "call-1", entry)).new is new
            assert await ledger.release(session, account, CREDIT, "call-1") == 0
    assert await _figures(database, account) == (1_000 - amount, 0)


async def test_a_hold_stays_when_its_entry_is_refused(database: Database, account: str) -> None:
    async with database.writing() as session:
        await ledger.hold(session, account, CREDIT, "call-1", 600, "engine", NOON)
        await ledger.hold(session, account, CREDIT, "call-2", 300, "engine", NOON)
        with pytest.raises(NotEnough, match="has 700 free"):
            await ledger.capture(
                session, "call-1", Entry(account, "minute:1", "minute", CREDIT, SPENT, 701, NOON)
            )
    assert await _figures(database, account) == (1_000, 900)


async def test_an_open_balance_may_become_negative_by_entries_but_not_by_promises(
    database: Database, account: str
) -> None:
    async with database.writing() as session:
        assert not await ledger.hold(session, account, WORLD, "promise", 1, "engine", NOON)
        await ledger.transfer(session, account, "purchase:2", "purchase", WORLD, CREDIT, 5_000, NOON)
    assert await _figures(database, account, WORLD) == (-6_000, 0)


async def test_a_batch_is_done_in_its_order_and_leaves_out_what_is_refused(
    database: Database, account: str
) -> None:
    pay = [Entry(account, f"minute:{n}", "minute", CREDIT, SPENT, 400, NOON) for n in (1, 2, 3, 1)]
    async with database.writing() as session:
        results = await ledger.perform(
            session,
            [
                *pay,
                Hold(account, CREDIT, "a", 200, "engine", NOON),
                Hold(account, CREDIT, "b", 1, "engine", NOON),
                Release(account, CREDIT, "a"),
                Hold(account, CREDIT, "b", 1, "engine", NOON),
                Capture("b", Entry(account, "minute:4", "minute", CREDIT, SPENT, 200, NOON)),
            ],
        )
    kinds = [type(each).__name__ for each in results]
    assert " ".join(kinds) == "Posted Posted NotEnough Posted Held NotEnough Held Held Posted"
    assert [each.new for each in results if isinstance(each, Posted)] == [True, True, False, True]
    assert await _figures(database, account) == (0, 0)


async def test_an_operation_that_makes_no_sense_is_refused(database: Database, account: str) -> None:
    async with database.writing() as session:
        await ledger.open_account(session, account, "room", "ms", None)
    for amount in (0, -1, LARGEST + 1, True, 1.5):
        with pytest.raises(ValueError, match="is no amount"):
            async with database.writing() as session:
                await ledger.transfer(session, account, "k", "minute", CREDIT, SPENT, amount, NOON)  # type: ignore[arg-type]
    for target in (CREDIT, "room"):
        with pytest.raises(ValueError, match="no move within one unit"):
            async with database.writing() as session:
                await ledger.transfer(session, account, "k", "minute", CREDIT, target, 1, NOON)
    with pytest.raises(ValueError, match="more than a balance can hold"):
        async with database.writing() as session:
            await ledger.transfer(session, account, "k", "purchase", WORLD, CREDIT, LARGEST, NOON)
    with pytest.raises(NotStored, match="has no balance nowhere"):
        async with database.writing() as session:
            await ledger.transfer(session, account, "k", "minute", CREDIT, "nowhere", 1, NOON)
    assert await _figures(database, account) == (1_000, 0)


async def test_rows_are_found_by_index_however_large_the_ledger_is(database: Database, account: str) -> None:
    keys = json.dumps([[account, f"minute:{n}", "x"] for n in range(3)])
    async with database.writing() as session:
        entries = [Entry(account, f"minute:{n}", "minute", CREDIT, SPENT, 1, NOON) for n in range(500)]
        await ledger.perform(session, entries)
        if not database.is_sqlite:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        for statement in (_locking, _entries, _held):
            compiled = statement(session.get_bind().dialect.name).compile(dialect=session.get_bind().dialect)
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            connection = await session.connection()
            plan = str((await connection.exec_driver_sql(explain + str(compiled), (keys,))).all())
            assert "SCAN wanted" in plan or "Function Scan on jsonb_array_elements wanted" in plan
            assert "SEARCH ledger_" in plan or "Index Scan using" in plan, plan


async def test_a_balance_is_opened_once(database: Database, account: str) -> None:
    async with database.writing() as session:
        assert not await ledger.open_account(session, account, CREDIT, "credit", 0)
        with pytest.raises(ValueError, match="open with unit credit and floor 0"):
            await ledger.open_account(session, account, CREDIT, "credit", None)
    assert await _figures(database, account) == (1_000, 0)


async def test_a_balance_somebody_wrote_to_by_hand_is_found(database: Database, account: str) -> None:
    async with database.writing() as session:
        await ledger.hold(session, account, CREDIT, "call-1", 5, "engine", NOON)
        await session.execute(
            text("UPDATE ledger_accounts SET balance = 1007, held = 9 WHERE name = 'credit'")
        )
    async with database.reading() as session:
        (found,) = await ledger.derive(session, account)
    assert found == (CREDIT, 1_007, 1_000, 9, 5)
    async with database.writing() as session:
        await session.execute(
            text("UPDATE ledger_accounts SET balance = 1000, held = 5 WHERE name = 'credit'")
        )


async def test_transactions_that_lock_crosswise_are_done_again_until_both_are_done(
    database: Database, account: str
) -> None:
    """Nobody should perform twice in a transaction; whoever does may meet a deadlock, and `transact` ends it."""
    async with database.writing() as session:
        for name in ("a", "b"):
            await ledger.open_account(session, account, name, "credit", None)

    async def cross(first: str, second: str, round: int) -> None:
        async def work(session: AsyncSession) -> None:
            for step, name in enumerate((first, second)):
                key = f"{first}-{round}-{step}"
                await ledger.transfer(session, account, key, "minute", name, SPENT + name, 1, NOON)
                await asyncio.sleep(0.005)

        await ledger.transact(database, work)

    async with database.writing() as session:
        for name in ("a", "b"):
            await ledger.open_account(session, account, SPENT + name, "credit", None)
    async with asyncio.timeout(60):
        await asyncio.gather(*(cross(*pair, n) for n in range(2) for pair in (("a", "b"), ("b", "a"))))
    assert await _figures(database, account, "a") == (-4, 0)
    assert await _figures(database, account, "b") == (-4, 0)
