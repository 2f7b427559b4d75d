"""Rate decks imported beside running engines: no lock while one is read, and checked against what holds then."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from flowengine.billing.csv_table import BadCsv
from flowengine.billing.decks import read_deck
from flowengine.billing.increments import charge
from flowengine.billing.rates import Rate
from flowengine.call.events import SECOND
from flowengine.store import ledger, rates
from flowengine.store.database import Database
from flowengine.store.debits import BilledTo, open_credits, unpaid
from flowengine.store.errors import DecksChanged
from flowengine.store.flows import bump_epoch
from tests.store.seed import NOON, seed

READ = "flowengine.store.rates.read_deck"
UTC = ZoneInfo("UTC")
HEAD = "prefix,name,per_minute,valid_from\n"
JAPAN = f"{HEAD}81,Japan,0.02,2020-01-01\n"
Meanwhile = Callable[[Callable[[int], Awaitable[Any]]], None]


async def _import(database: Database, name: str, text: str) -> int:
    return await rates.import_deck(database, name, io.StringIO(text), UTC, NOON + SECOND)


async def _exported(database: Database, name: str) -> dict[str, tuple[int, str]]:
    async with database.reading() as session:
        return {rate.key: (rate.per_minute, rate.name) for rate in await rates.export_deck(session, name)}


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Let something happen to the database after a deck was read, with the number of the reading, from 1 on."""

    def arrange(work: Callable[[int], Awaitable[Any]]) -> None:
        loop, times = asyncio.get_running_loop(), [0]

        async def happen(nth: int) -> None:
            monkeypatch.setattr(READ, read_deck)
            await work(nth)
            monkeypatch.setattr(READ, reading)

        def reading(*of: Any) -> list[Rate]:
            found = read_deck(*of)
            times[0] += 1
            asyncio.run_coroutine_threadsafe(happen(times[0]), loop).result(20)
            return found

        monkeypatch.setattr(READ, reading)

    return arrange


async def test_everybody_may_write_while_a_deck_is_read(database: Database, meanwhile: Meanwhile) -> None:
    seen = []

    async def write(nth: int) -> None:
        async with asyncio.timeout(5), database.writing() as session:
            await bump_epoch(session)
        seen.append(nth)

    meanwhile(write)
    assert await _import(database, "outbound", JAPAN) == 1
    assert seen == [1], "and other changes than those of rates do not make it begin again"
    assert await _exported(database, "outbound") == {"81": (20_000, "Japan")}


async def test_only_what_came_and_went_is_written(database: Database) -> None:
    rows = "".join(f"{prefix},x,0.01,2020-01-01\n" for prefix in range(5_000, 7_500))
    await _import(database, "outbound", HEAD + rows)
    written: list[tuple[str, int]] = []

    def executed(_c: Any, _cursor: Any, statement: str, of: Any, _context: Any, is_many: bool) -> None:
        verb = statement.split(maxsplit=1)[0]
        if statement.startswith(("INSERT INTO rates", "DELETE FROM rates")):
            written.append((verb, len(of) if is_many else 1))

    event.listen(database.writer.sync_engine, "before_cursor_execute", executed)
    assert await _import(database, "outbound", HEAD + rows) == 2_500
    assert written == []
    assert await _import(database, "outbound", HEAD + rows.replace("5001,x,", "5001,y,")) == 2_500
    assert written == [("DELETE", 1), ("INSERT", 1)]
    event.remove(database.writer.sync_engine, "before_cursor_execute", executed)
    exported = await _exported(database, "outbound")
    assert (len(exported), exported["5000"], exported["5001"]) == (2_500, (10_000, "x"), (10_000, "y"))


async def test_a_deck_of_the_same_name_that_comes_first_is_replaced(
    database: Database, meanwhile: Meanwhile
) -> None:
    await _import(database, "outbound", JAPAN)

    async def other(nth: int) -> None:
        if nth == 1:
            await _import(
                database, "outbound", f"{HEAD}81,Nippon,0.02,2020-01-01\n44,Britain,0.03,2020-01-01\n"
            )

    meanwhile(other)
    assert await _import(database, "outbound", JAPAN) == 1
    assert await _exported(database, "outbound") == {"81": (20_000, "Japan")}


async def test_a_deck_is_checked_against_another_that_comes_first(
    database: Database, meanwhile: Meanwhile
) -> None:
    async def other(nth: int) -> None:
        if nth == 1:
            await _import(database, "promotion", f"{HEAD}81,Japan,0.03,2020-01-01\n")

    meanwhile(other)
    with pytest.raises(BadCsv, match="another deck has a rate for 81") as refused:
        await _import(database, "outbound", JAPAN)
    assert [problem.line for problem in refused.value.problems] == [2]
    async with database.reading() as session:
        assert await rates.decks(session) == {"promotion": 1}


async def test_a_deck_is_checked_against_the_first_debit(database: Database, meanwhile: Meanwhile) -> None:
    await _import(database, "outbound", JAPAN)
    of = await seed(database)

    async def debit(nth: int) -> None:
        if nth == 1:
            rate = Rate(direction="outbound", key="81", per_minute=20_000, valid_from=0)
            async with database.writing() as session:
                await open_credits(session, of.account)
                entry = unpaid(BilledTo(of.account, "cal_1", "leg-1", "+8190"), rate, charge(0, NOON, rate))
                await ledger.perform(session, [entry])

    meanwhile(debit)
    with pytest.raises(BadCsv, match="may have been charged already"):
        await _import(database, "outbound", f"{HEAD}81,Japan,0.03,2020-01-01\n")
    assert await _exported(database, "outbound") == {"81": (20_000, "Japan")}


async def test_decks_that_change_all_the_time_end_the_import(
    database: Database, meanwhile: Meanwhile
) -> None:
    async def other(nth: int) -> None:
        await _import(database, "other", f"{HEAD}44,Britain,0.0{nth},2020-01-01\n")

    meanwhile(other)
    with pytest.raises(DecksChanged, match="changed by others 3 times while outbound was read"):
        await _import(database, "outbound", JAPAN)
    async with database.reading() as session:
        assert await rates.decks(session) == {"other": 1}
