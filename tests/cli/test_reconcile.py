"""`flowengine reconcile`: books that agree, books that do not, and what is told of each difference."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from flowengine.billing.increments import charges_due
from flowengine.call.events import CALLER, SECOND, CallArrived, Event, LegAnswered, LegHungUp
from flowengine.call.machine import CallMachine, digest
from flowengine.cli import reconcile
from flowengine.store import debits, ledger, rates
from flowengine.store.corrections import adjust
from flowengine.store.database import Database
from flowengine.store.debits import CREDITS, BilledTo
from flowengine.store.journal import DatabaseJournal
from flowengine.store.tables import Call, JournalRow, LedgerAccount, Transfer
from tests.cli.office import Office
from tests.cli.terminal import run
from tests.store.seed import NOON, Seed, flow

NUMBER = "+815055550100"
DECK = "country,type,per_minute,valid_from\nJP,local,0.012,2020-01-01\n"
DAY = 86_400 * SECOND


@pytest.fixture
def billed(office: Office, tmp_path: Path) -> Office:
    """An office whose calls cost 0.012 credits a minute, and that has ten credits."""
    deck = tmp_path / "inbound.csv"
    deck.write_text(DECK)
    assert run("rates", "import", "inbound", deck).code == 0
    assert run("credits", "adjust", "demo", "10", "--reason", "test").code == 0
    return office


def carry(office: Office, id: str, seconds: int, at: int = NOON, *, debited: int | None = None) -> None:
    """A call to the office that was answered for so long; `debited` increments are in the ledger, all unless told."""

    async def work(database: Database) -> None:
        of: Seed = office.of
        machine = CallMachine(flow())
        events: list[Event] = [
            CallArrived(at, NUMBER, "+819055550123", of.version),
            LegAnswered(at, CALLER),
            LegHungUp(at + seconds * SECOND, CALLER, 16),
        ]
        async with DatabaseJournal(database) as journal:
            await journal.open(id, of.account, of.flow, of.version, at)
            for seq, event in enumerate(events):
                await journal.append(id, seq, event, digest(machine.step(event)))
            assert machine.done
            await journal.close(id, machine.record())
        async with database.writing() as session:
            [rate] = await rates.read_rates(session)
            due = charges_due(at, at + seconds * SECOND, rate)
            billed = BilledTo(of.account, id, CALLER, NUMBER)
            made = [debits.minute(billed, rate, each) for each in due[:debited]]
            await ledger.perform(session, made)

    office.do(work)


def test_books_that_agree(billed: Office) -> None:
    carry(billed, "cal_a", 61)
    carry(billed, "cal_b", 60, NOON + DAY)
    ran = run("reconcile")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "2 calls, 3 increments: owed 0.036, booked 0.036 credits",
        "no difference",
    ]
    told = run("reconcile", "demo", "--json")
    assert (told.code, told.json) == (
        0,
        {
            "differences": [],
            "calls": 2,
            "increments": 3,
            "owed": "0.036",
            "booked": "0.036",
            "unsettled": 0,
            "found": 0,
        },
    )
    assert run("reconcile", "other", "--json").json["calls"] == 0


def test_an_increment_that_was_never_debited(billed: Office) -> None:
    carry(billed, "cal_a", 121, debited=2)
    ran = run("reconcile")
    assert (ran.code, ran.err) == (1, "")
    first, *rest = ran.out.splitlines()
    assert first == ("demo: missing: call cal_a leg caller increment 2: owed 12000, booked 0 micro-credits")
    assert rest == ["1 calls, 3 increments: owed 0.036, booked 0.024 credits", "1 differences"]
    told = run("reconcile", "--json")
    assert (told.code, told.json["found"]) == (1, 1)
    assert told.json["differences"] == [
        {
            "kind": "missing",
            "account": "demo",
            "call": "cal_a",
            "leg": "caller",
            "increment": 2,
            "owed": "0.012",
            "booked": "0.00",
            "detail": "",
        }
    ]


def test_every_kind_of_difference_is_named_at_once(billed: Office) -> None:
    for n, id in enumerate(("cal_a", "cal_b", "cal_c", "cal_d")):
        carry(billed, id, 61, NOON + n * DAY)

    async def spoil(database: Database) -> None:
        async with database.writing() as session:
            dearer = update(Transfer).where(Transfer.key == "minute:cal_a:caller:1").values(amount=13_000)
            await session.execute(dearer)
            first = (JournalRow.call_id == "cal_b", JournalRow.seq == 0)
            await session.execute(delete(JournalRow).where(*first))
            await session.execute(delete(JournalRow).where(JournalRow.call_id == "cal_c"))
            await session.execute(delete(Call).where(Call.id == "cal_c"))
            await ledger.hold(
                session, billed.of.account, CREDITS, "minute:cal_d:caller", 5, "dead", NOON, "cal_d"
            )
            row = await session.get_one(LedgerAccount, (billed.other.account, CREDITS))
            row.balance += 7

    assert run("credits", "adjust", "other", "1", "--reason", "test").code == 0
    billed.do(spoil)
    told = run("reconcile", "--json")
    assert told.code == 1
    kinds = [(each["kind"], each["account"], each.get("call", "")) for each in told.json["differences"]]
    assert sorted(kinds) == [
        ("balance", "demo", ""),
        ("balance", "demo", ""),
        ("balance", "other", ""),
        ("no_call", "demo", "cal_c"),
        ("no_call", "demo", "cal_c"),
        ("not_reckoned", "demo", "cal_b"),
        ("still_held", "demo", "cal_d"),
        ("too_many", "demo", "cal_b"),
        ("too_many", "demo", "cal_b"),
        ("wrong_amount", "demo", "cal_a"),
    ]
    [other] = [each for each in told.json["differences"] if each["account"] == "other"]
    assert (other["name"], other["balance"], other["derived"]) == ("credits", "1.000007", "1.00")
    lines = run("reconcile", "demo").out.splitlines()
    assert len(lines) == 9 + 2
    assert any(line.startswith("demo: balance: credits is 9.904 (0.000005 held), its") for line in lines)


def test_only_calls_of_the_span_are_reckoned(billed: Office) -> None:
    for n in range(3):
        carry(billed, f"cal_{n}", 1, NOON + n * DAY)

    # NOON is 2026-09-21T14:13:20Z; a day alone begins at midnight of the account, which is nine hours earlier.
    def of(*words: str) -> int:
        return int(run("reconcile", *words, "--json").json["calls"])

    assert of("--since", "2026-09-22") == 2
    assert of("--until", "2026-09-22") == 1
    assert of("--since", "2026-09-22", "--until", "2026-09-23") == 1
    assert of("demo", "--until", "2026-09-21T23:13:20") == 0
    assert of("demo", "--until", "2026-09-21T23:13:21") == 1
    assert of("--since", "2026-09-23T14:13:20Z") == 1
    wrong = run("reconcile", "--since", "yesterday")
    assert (wrong.code, wrong.out) == (2, "")
    assert "'yesterday' is no time" in wrong.err


def test_an_account_that_is_none(billed: Office) -> None:
    ran = run("reconcile", "demmo", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert 'there is no account "demmo", perhaps demo' in ran.err


def test_differences_are_written_as_they_are_found(billed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database goes away half way, what was found is there, and the document is visibly not whole."""
    carry(billed, "cal_a", 61, debited=1)

    async def gone(*_: object) -> None:
        from flowengine.store.errors import DatabaseRefused

        raise DatabaseRefused("the database has gone away")

    monkeypatch.setattr(reconcile, "_balances", gone)
    ran = run("reconcile", "--json")
    assert ran.code == 3
    assert '"missing"' in ran.out
    with pytest.raises(json.JSONDecodeError):
        json.loads(ran.out)


def test_money_that_was_adjusted_is_in_the_balance(billed: Office) -> None:
    async def take(database: Database) -> None:
        async with database.writing() as session:
            await adjust(session, billed.of.account, "k", -1, "test", "test", NOON)

    billed.do(take)
    assert run("reconcile").code == 0
    assert Decimal(run("credits", "show", "demo", "--json").json["balance"]) == Decimal("9.999999")
