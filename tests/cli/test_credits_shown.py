"""`flowengine credits`: what is shown of balance and use, and what happens when credits run out."""

from typing import Any

import pytest

from flowengine.store.database import Database
from flowengine.store.tables import CatalogEpoch
from tests.cli.office import Office
from tests.cli.terminal import run


@pytest.fixture
def shop(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office whose yen have a price."""
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=151.20")
    return office


def shown() -> Any:
    return run("credits", "show", "demo", "--json").json


def buy(*words: object) -> Any:
    return run("credits", "buy", "demo", *words, "--yes")


# What is shown


def test_what_an_account_has(shop: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    buy("25", "--reference", "a")
    lines = run("credits", "show", "demo").out.splitlines()
    assert lines[:6] == [
        "25.00 credits (3780 JPY) available",
        "25.00 credits (3780 JPY) balance, 0.00 held by running calls and orders",
        "calls are not charged: FLOWENGINE_BILLING=prepaid charges them",
        "without credits: new calls are refused",
        "without credits: running calls go on, and are owed",
        "no auto-recharge",
    ]
    assert [line.split()[:3] for line in lines[8:]] == [
        ["this", "week", "25.00"],
        ["last", "week", "0.00"],
        ["this", "month", "25.00"],
        ["last", "month", "0.00"],
        ["this", "quarter", "25.00"],
        ["last", "quarter", "0.00"],
    ]
    monkeypatch.setenv("FLOWENGINE_BILLING", "prepaid")
    assert "calls are not charged" not in run("credits", "show", "demo").out
    told = shown()
    assert (told["balance"], told["held"], told["owed"], told["currency"]) == ("25.00", "0.00", "0.00", "JPY")
    assert told["shown"]["available"] == "3780"


def test_use_by_day_and_by_whom(shop: Office) -> None:
    buy("25", "--reference", "a")
    told = run("credits", "usage", "demo", "--json").json
    assert (told["by"], told["rows"][-1]["bought"], told["rows"][-1]["used"]) == ("day", "25.00", "0.00")
    assert told["rows"][-1]["day"] == told["last"]
    assert told["first"].endswith("-01")
    days = run("credits", "usage", "demo", "--first", "2026-09-01", "--last", "2026-09-03")
    assert days.out.splitlines() == [
        "demo, 2026-09-01 to 2026-09-03, in credits",
        "day         bought  used",
        "2026-09-01    0.00  0.00",
        "2026-09-02    0.00  0.00",
        "2026-09-03    0.00  0.00",
        "0.00 credits (0 JPY) used",
    ]
    for by in ("number", "user", "flow"):
        assert (
            run("credits", "usage", "demo", "--by", by, "--span", "last-quarter", "--json").json["rows"] == []
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--last", "2026-09-01"], "--last without --first"),
        (["--first", "2026-09-02", "--last", "2026-09-01"], "before it begins"),
        (["--first", "yesterday"], "'yesterday' is no day"),
        (["--first", "2020-01-01", "--last", "2026-01-01"], "too many to draw"),
        (["--span", "this-year"], "this-year"),
        (["--by", "caller"], "caller"),
    ],
)
def test_days_that_are_no_span(shop: Office, words: list[str], said: str) -> None:
    ran = run("credits", "usage", "demo", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_the_history_is_the_newest_first(shop: Office) -> None:
    for n in range(3):
        buy(str(n + 1), "--reference", f"INV-{n}")
    found = run("credits", "history", "demo", "--json").json
    assert [each["credits"] for each in found] == ["3.00", "2.00", "1.00"]
    lines = run("credits", "history", "demo", "--limit", "2").out.splitlines()
    assert [line.split()[2:4] for line in lines[1:3]] == [["operator", "3.00"], ["operator", "2.00"]]
    assert lines[-1] == "the newest 2: --limit shows more"
    assert run("credits", "history", "demo", "--state", "declined").out.splitlines()[-1] == "no purchases"
    assert run("credits", "history", "demo", "--state", "gone").code == 2


# Terms


def test_auto_recharge_is_set_shown_and_switched_off(shop: Office) -> None:
    ran = run("credits", "recharge", "demo", "--below", "10", "--amount", "50")
    assert (ran.code, ran.out) == (0, "demo: auto-recharge of 50.00 credits below 10.00\n")
    told = run("credits", "recharge", "demo", "--json").json
    assert told == {
        "account": "demo",
        "below": "10.00",
        "amount": "50.00",
        "on": True,
        "partner": False,
        "declined_in_a_row": 0,
        "tries_at": None,
    }
    assert run("credits", "recharge", "other").out == "other: no auto-recharge\n"
    assert run("credits", "recharge", "demo", "--off").out == "demo: no auto-recharge\n"
    for words in (["--below", "1"], ["--amount", "1"], ["--off", "--below", "1", "--amount", "1"]):
        assert run("credits", "recharge", "demo", *words).code == 2
    zero = run("credits", "recharge", "demo", "--below", "0", "--amount", "50")
    assert (zero.code, "must both be above 0 [wrong_amount]" in zero.err) == (1, True)


def test_a_partner_is_never_recharged(shop: Office) -> None:
    run("credits", "recharge", "demo", "--below", "10", "--amount", "50")
    assert "never" not in run("credits", "policy", "demo", "--partner").err
    ran = run("credits", "recharge", "demo", "--below", "10", "--amount", "50")
    assert (ran.code, ran.out) == (1, "")
    assert "auto-recharge is not for partners" in ran.err
    assert "[partner_account]" in ran.err
    assert run("credits", "recharge", "demo", "--json").json["on"] is False
    told = run("credits", "policy", "demo", "--no-partner", "--json").json
    assert (told["partner"], told["recharge_below"], told["recharge_amount"]) == (False, None, None)
    assert run("credits", "recharge", "demo").out == "demo: no auto-recharge\n"


def test_policies_are_set_one_by_one_and_engines_hear_of_it(shop: Office) -> None:
    async def epoch(database: Database) -> int:
        async with database.reading() as session:
            from sqlalchemy import select

            return await session.scalar(select(CatalogEpoch.epoch)) or 0

    before = shop.do(epoch)
    told = run("credits", "policy", "demo", "--json").json
    assert told == {
        "account": "demo",
        "refuse_when_empty": True,
        "when_running_out": "finish",
        "partner": False,
        "recharge_below": None,
        "recharge_amount": None,
    }
    assert shop.do(epoch) == before
    told = run("credits", "policy", "demo", "--when-running-out", "cut", "--json").json
    assert (told["refuse_when_empty"], told["when_running_out"]) == (True, "cut")
    assert shop.do(epoch) > before
    told = run("credits", "policy", "demo", "--no-refuse-when-empty", "--json").json
    assert (told["refuse_when_empty"], told["when_running_out"]) == (False, "cut")
    assert run("credits", "policy", "other", "--json").json["when_running_out"] == "finish"
    assert "where their money ends" in run("credits", "policy", "demo").out
    assert run("credits", "policy", "demo", "--when-running-out", "explode").code == 2
