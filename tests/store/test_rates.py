"""Rate decks in the database: replaced as a whole, refused as a whole, and never changed behind a debit."""

import io
from zoneinfo import ZoneInfo

import pytest

from flowengine.billing.csv_table import BadCsv
from flowengine.billing.decks import write_deck
from flowengine.billing.increments import charge
from flowengine.billing.rates import NoRate, Rate
from flowengine.call.events import SECOND, Instant
from flowengine.store import catalog, ledger, rates
from flowengine.store.database import Database
from flowengine.store.debits import BilledTo, minute, open_credits, unpaid
from flowengine.store.errors import NotStored
from tests.store.seed import NOON, seed

TOKYO = ZoneInfo("Asia/Tokyo")
OUTBOUND = "prefix,per_minute,valid_from,valid_until\n"
INBOUND = "country,type,per_minute,valid_from,valid_until\n"
LONG_AGO = "2020-01-01"
"""NOON is in September 2026."""


async def _import(database: Database, name: str, text: str, at: Instant = NOON) -> int:
    return await rates.import_deck(database, name, io.StringIO(text), TOKYO, at)


async def _charge(database: Database, at: Instant) -> None:
    """Somebody is charged for a call at an instant."""
    of = await seed(database, key=f"k{at}", number=f"+8150555{at // SECOND % 100_000:05}")
    rate = Rate(direction="outbound", key="81", per_minute=1, valid_from=0)
    async with database.writing() as session:
        await open_credits(session, of.account)
        entry = unpaid(BilledTo(of.account, "cal_1", "leg-1", "+8190"), rate, charge(0, at, rate))
        await ledger.perform(session, [entry])


async def test_a_deck_is_read_back_as_it_was_imported(database: Database) -> None:
    text = (
        "prefix,name,per_minute,connect_fee,first_s,following_s,valid_from,valid_until\n"
        "81,Japan,0.02,0.01,60,60,2026-01-01,2026-07-01\n"
        "81,Japan,0.025,0.00,30,6,2026-07-01,\n"
        "8190,Japan mobile,0.10,0.00,60,60,2026-01-01,\n"
    )
    assert await _import(database, "outbound", text) == 3
    async with database.reading() as session:
        out = io.StringIO()
        write_deck(await rates.export_deck(session, "outbound"), out, TOKYO)
        assert out.getvalue() == text
        assert await rates.decks(session) == {"outbound": 3}
        deck = await rates.load_deck(session)
    found = deck.outbound("+819011112222", NOON)
    assert isinstance(found, Rate)
    assert (found.key, found.per_minute, found.name) == ("8190", 100_000, "Japan mobile")


async def test_an_import_takes_the_place_of_the_deck_of_its_name(database: Database) -> None:
    async with database.reading() as session:
        before = await catalog.read_epoch(session)
    await _import(database, "outbound", f"{OUTBOUND}81,0.02,{LONG_AGO},\n44,0.03,{LONG_AGO},\n")
    await _import(database, "inbound", f"{INBOUND}JP,local,0.01,{LONG_AGO},\n")
    await _import(database, "outbound", f"{OUTBOUND}81,0.05,{LONG_AGO},\n")
    async with database.reading() as session:
        assert await rates.decks(session) == {"inbound": 1, "outbound": 1}
        deck = await rates.load_deck(session)
        assert await catalog.read_epoch(session) == before + 3
    assert isinstance(deck.outbound("+442071838750", NOON), NoRate)
    assert isinstance(deck.inbound("JP", "local", NOON), Rate)


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (f"81,-0.02,{LONG_AGO},\n", [2]),
        (f"81,0.02,{LONG_AGO},\n0081,0.02,{LONG_AGO},\n82,1,x,\n", [3, 4]),
        (f"81,0.02,{LONG_AGO},2021-01-01\n82,1,{LONG_AGO},\n81,0.02,2022-01-01,\n", [4]),
        (f"81,0.02,{LONG_AGO},\n81,0.03,2021-01-01,\n", [3]),
        (f"81,99999999999999999999,{LONG_AGO},\n", [2]),
        (f"81,0.02,{LONG_AGO},\n\n44,0.5,2021-01-01,\n", [4]),
    ],
    ids=["negative", "two rows", "gap", "overlap", "overflow", "other deck"],
)
async def test_a_bad_deck_is_refused_as_a_whole(database: Database, rows: str, lines: list[int]) -> None:
    await _import(database, "old", f"{OUTBOUND}44,0.03,2021-01-01,\n")
    await _import(database, "outbound", f"{OUTBOUND}1,0.01,{LONG_AGO},\n")
    with pytest.raises(BadCsv) as refused:
        await _import(database, "outbound", OUTBOUND + rows)
    assert [problem.line for problem in refused.value.problems] == lines
    async with database.reading() as session:
        assert [rate.key for rate in await rates.export_deck(session, "outbound")] == ["1"]


async def test_two_decks_may_hold_the_same_rate(database: Database) -> None:
    for name in ("a", "b"):
        await _import(database, name, f"{OUTBOUND}44,0.03,{LONG_AGO},\n")
    async with database.reading() as session:
        assert len(await rates.load_deck(session)) == 1


CHARGED = f"{OUTBOUND}81,0.02,{LONG_AGO},\n8190,0.1,{LONG_AGO},2026-09-01\n"


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (f"81,0.03,{LONG_AGO},\n8190,0.1,{LONG_AGO},2026-09-01\n", 2),
        (f"8190,0.1,{LONG_AGO},2026-09-01\n", 1),
        (f"81,0.02,{LONG_AGO},\n8190,0.1,{LONG_AGO},2026-09-02\n", 3),
        (f"81,0.02,{LONG_AGO},\n8190,0.1,{LONG_AGO},2026-09-01\n819011,0.1,{LONG_AGO},\n", 4),
        (f"81,0.02,{LONG_AGO},2026-09-20\n81,0.03,2026-09-20,\n8190,0.1,{LONG_AGO},2026-09-01\n", 2),
    ],
    ids=["changed", "left out", "longer", "a longer prefix", "a moment ago"],
)
async def test_a_price_that_may_have_been_charged_stays(database: Database, rows: str, line: int) -> None:
    await _import(database, "outbound", CHARGED)
    await _charge(database, NOON)
    with pytest.raises(BadCsv, match="may have been charged already") as refused:
        await _import(database, "outbound", OUTBOUND + rows, NOON + SECOND)
    assert {problem.line for problem in refused.value.problems} == {line}


@pytest.mark.parametrize(
    "rows",
    [
        f"81,0.02,{LONG_AGO},2026-12-01\n81,0.03,2026-12-01,\n8190,0.1,{LONG_AGO},2026-09-01\n",
        f"81,0.02,{LONG_AGO},2026-12-01\n8190,0.1,{LONG_AGO},2026-09-01\n",
        f"81,0.02,{LONG_AGO},\n8190,0.1,{LONG_AGO},2026-09-01\n44,0.1,{LONG_AGO},\n",
        f"81,0.02,{LONG_AGO},\n8190,0.1,{LONG_AGO},2026-09-01\n819011,0.5,2027-01-01,\n",
    ],
    ids=["a new price", "an end", "a new country", "a longer prefix"],
)
async def test_a_price_may_change_from_a_minute_from_now_on(database: Database, rows: str) -> None:
    await _import(database, "outbound", CHARGED)
    await _charge(database, NOON)
    assert await _import(database, "outbound", OUTBOUND + rows, NOON + SECOND)


async def test_before_anything_is_charged_a_mistake_can_be_mended(database: Database) -> None:
    await _import(database, "outbound", f"{OUTBOUND}81,20,{LONG_AGO},\n")
    assert await _import(database, "outbound", f"{OUTBOUND}81,0.2,{LONG_AGO},\n")


async def test_the_fingerprint_changes_with_any_rate(database: Database) -> None:
    seen = set()
    for rows in ("", "81,1,{},\n", "81,2,{},\n", "81,2,{},\n82,1,{},\n", "81,1,{},\n82,2,{},\n"):
        if rows:
            await _import(database, "outbound", OUTBOUND + rows.replace("{}", LONG_AGO))
        async with database.reading() as session:
            seen.add(await rates.fingerprint(session))
            assert await rates.fingerprint(session) in seen
    assert len(seen) == 5


async def test_a_deck_that_is_not_there_is_named(database: Database) -> None:
    await _import(database, "outbound", f"{OUTBOUND}81,20,{LONG_AGO},\n")
    async with database.reading() as session:
        with pytest.raises(NotStored, match="no rate deck nothing: there are outbound"):
            await rates.export_deck(session, "nothing")


async def test_a_large_deck_is_imported_and_read(database: Database) -> None:
    rows = "".join(f"{prefix},0.01,{LONG_AGO},\n" for prefix in range(100_000, 110_000))
    assert await _import(database, "outbound", OUTBOUND + rows) == 10_000
    async with database.reading() as session:
        assert len(await rates.load_deck(session)) == 10_000


def test_a_minute_is_told_apart_from_its_debt() -> None:
    rate = Rate(direction="outbound", key="81", per_minute=1, valid_from=0)
    of = BilledTo("acc_1", "cal_1", "leg-1", "+8190")
    paid, owed = (make(of, rate, charge(2, NOON, rate)) for make in (minute, unpaid))
    assert paid.key == owed.key == "minute:cal_1:leg-1:2"
    assert (paid.from_name, owed.from_name, paid.to_name) == ("credits", "credits.unpaid", "credits.calls")
    assert paid.details["rate"] == rate.id
