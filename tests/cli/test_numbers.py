"""`flowengine numbers` and `plan`: what is offered, bought, attached and given up, with prices that were confirmed."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flowengine.call.events import SECOND
from flowengine.store import flows, subscriptions
from flowengine.store.database import Database
from tests.cli.office import Office
from tests.cli.terminal import EXAMPLES, run
from tests.store.seed import flow

OFFERED = EXAMPLES / "numbers.csv"
FEES = EXAMPLES / "number-fees.csv"
ONE, TWO = "+815055550110", "+815055550111"
DAY = 86_400 * SECOND


@pytest.fixture
def shop(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office with fifty credits, and four numbers for sale."""
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=151.20")
    monkeypatch.setenv("FLOWENGINE_NUMBER_FEES_FILE", str(FEES))
    assert run("credits", "adjust", "demo", "50", "--reason", "test").code == 0
    assert run("numbers", "offer", OFFERED, "--json").json == {"for_sale": 4, "problems": []}
    return office


def available() -> str:
    return str(run("credits", "show", "demo", "--json").json["available"])


def mine(account: str = "demo") -> dict[str, Any]:
    return {each["number"]: each for each in run("numbers", "list", account, "--json").json}


# For sale


def test_what_is_for_sale_by_kind_and_by_digits(shop: Office) -> None:
    rows = [line.split() for line in run("numbers", "search").out.splitlines()]
    assert rows == [
        ["country", "type", "region", "many"],
        ["JP", "local", "Osaka", "1"],
        ["JP", "local", "Tokyo", "2"],
        ["JP", "toll_free", "1"],
    ]
    assert run("numbers", "search", "--json").json[0] == {
        "country": "JP",
        "type": "local",
        "region": "Osaka",
        "many": 1,
    }
    found = run(
        "numbers", "search", "--country", "JP", "--region", "Tokyo", "--digits", "0111", "--json"
    ).json
    assert found == [
        {
            "number": TWO,
            "country": "JP",
            "type": "local",
            "region": "Tokyo",
            "setup": "0.00",
            "monthly": "4.50",
        }
    ]
    free = run("numbers", "search", "--country", "JP", "--type", "toll_free").out.splitlines()
    assert free[1].split() == ["+81120555110", "JP", "toll_free", "10.00", "25.00"]
    assert run("numbers", "search", "--country", "JP", "--limit", "2").out.endswith("--limit shows more\n")
    assert run("numbers", "search", "--country", "DE").out == "no such numbers are for sale\n"
    assert run("numbers", "search", "--country", "DE", "--json").json == []
    assert run("numbers", "search", "--type", "local").code == 2
    assert run("numbers", "search", "--country", "JP", "--type", "tollfree").code == 2


def test_a_list_with_one_problem_changes_nothing(shop: Office, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("number,per_month\n+815055550120,1\n5055550121,1\n+815055550122,-1\n+815055550120,2\n")
    ran = run("numbers", "offer", wrong)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        f"flowengine: {wrong}: the list of numbers has 3 problems, nothing was imported"
    )
    told = run("numbers", "offer", wrong, "--json")
    assert (told.code, told.json["for_sale"]) == (1, None)
    assert [each["line"] for each in told.json["problems"]] == [3, 4, 5]
    assert len(run("numbers", "search", "--country", "JP", "--json").json) == 4
    assert run("numbers", "offer", tmp_path / "none.csv").code == 2


def test_fees_that_the_settings_name_and_that_cannot_be_used(
    shop: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "fees.csv"
    wrong.write_text("country,type,per_month,valid_from\nJP,local,-1,2026-01-01\n")
    for file, said in ((wrong, "line 2, column 3"), (tmp_path / "none.csv", "cannot be read")):
        monkeypatch.setenv("FLOWENGINE_NUMBER_FEES_FILE", str(file))
        ran = run("numbers", "buy", "demo", ONE, "--yes")
        assert (ran.code, ran.out) == (2, "")
        assert f"FLOWENGINE_NUMBER_FEES_FILE: {file}: " in ran.err
        assert said in ran.err
    assert ONE not in mine()


# Bought and given up


def test_the_price_is_shown_before_a_number_is_bought(shop: Office) -> None:
    ran = run("numbers", "buy", "demo", ONE)
    assert (ran.code, ran.out) == (2, "")
    assert (
        f"buy {ONE} for demo at 0.00 once and 4.50 a month, 4.50 credits (680 JPY) now? add --yes" in ran.err
    )
    assert (available(), ONE in mine()) == ("50.00", False)


def test_a_number_is_bought_attached_and_given_up(shop: Office) -> None:
    ran = run("numbers", "buy", "demo", "050-5555-0110", "--yes")
    assert (ran.code, ran.out, ran.err) == (0, f"demo has {ONE}: attach it to a flow\n", "")
    assert available() == "45.50"
    bought = mine()[ONE]
    assert (bought["state"], bought["fee"], bought["flow"]) == ("paid", "4.50", None)
    assert datetime.fromisoformat(bought["due_next"]) > datetime.now(UTC)
    ran = run("numbers", "attach", "demo", ONE, "message-line")
    assert (ran.code, ran.out) == (0, f"{ONE} runs message-line\n")
    assert mine()[ONE]["flow"] == "message-line"
    told = run("numbers", "detach", "demo", ONE, "--json").json
    assert told == {"account": "demo", "number": ONE, "flow": None, "takes_calls": False}
    assert mine()[ONE]["flow"] is None
    asked = run("numbers", "release", "demo", ONE)
    assert (asked.code, f"give {ONE} of demo up for good? add --yes" in asked.err) == (2, True)
    told = run("numbers", "release", "demo", ONE, "--yes", "--json").json
    assert told == {"account": "demo", "number": ONE, "released": True}
    assert ONE not in mine()
    assert available() == "45.50"
    again = run("numbers", "release", "demo", ONE, "--yes")
    assert (again.code, f"the account demo has no number {ONE}" in again.err) == (1, True)
    assert len(run("numbers", "search", "--country", "JP", "--json").json) == 4


def test_a_number_is_bought_once_for_its_key(shop: Office) -> None:
    first = run("numbers", "buy", "demo", ONE, "--key", "k", "--yes", "--json").json
    assert first == {
        "account": "demo",
        "number": ONE,
        "state": "owned",
        "new": True,
        "setup": "0.00",
        "monthly": "4.50",
    }
    again = run("numbers", "buy", "demo", ONE, "--key", "k", "--yes", "--json")
    assert (again.code, again.json["new"], again.json["state"]) == (0, False, "owned")
    assert "nothing was bought now" in run("numbers", "buy", "demo", ONE, "--key", "k", "--yes").out
    plain = run("numbers", "buy", "demo", ONE, "--yes")
    assert (plain.code, plain.out, f"demo has {ONE} already" in plain.err) == (1, "", True)
    other = run("numbers", "buy", "demo", TWO, "--key", "k", "--yes")
    assert (other.code, "[key_reused]" in other.err) == (1, True)
    assert available() == "45.50"


def test_purchases_that_are_refused(shop: Office) -> None:
    for words, code, said in (
        (["demo", "+815055550119"], 1, "is not offered: search for the numbers that are [not_for_sale]"),
        (["other", ONE], 1, "costs 4.50 credits and 0.00 are free: buy credits first [not_enough_credit]"),
        (["demo", "+815055550199"], 1, "is not offered"),
        (["demo", "12"], 2, "does not exist in the numbering plan of its country"),
        (["demo", "abc"], 2, '"abc" is no telephone number'),
        (["dem", ONE], 1, 'there is no account "dem", perhaps demo'),
    ):
        ran = run("numbers", "buy", *words, "--yes")
        assert (ran.code, ran.out) == (code, "")
        assert said in ran.err
    run("numbers", "buy", "demo", ONE, "--yes")
    assert run("credits", "adjust", "other", "50", "--reason", "test").code == 0
    taken = run("numbers", "buy", "other", ONE, "--yes")
    assert (taken.code, "[number_taken]" in taken.err) == (1, True)
    assert (available(), ONE in mine("other")) == ("45.50", False)


def test_flows_and_numbers_that_an_account_does_not_have(shop: Office) -> None:
    own = "+815055550100"
    near = run("numbers", "attach", "demo", own, "mesage-line")
    assert (near.code, 'no flow "mesage-line", perhaps message-line' in near.err) == (1, True)
    strange = run("numbers", "attach", "demo", "+815055550199", "message-line")
    assert (strange.code, "the account demo has no number +815055550199, perhaps" in strange.err) == (1, True)
    theirs = run("numbers", "attach", "demo", own, shop.other.flow)
    assert (theirs.code, theirs.out) == (1, "")
    assert mine()[own]["flow"] == "message-line"
    assert mine()[own]["state"] == "brought"


def test_a_flow_that_takes_no_calls_is_told(shop: Office) -> None:
    async def draft(database: Database) -> None:
        async with database.writing() as session:
            await flows.create_flow(session, shop.of.account, "new-line", flow("New line"))

    shop.do(draft)
    ran = run("numbers", "attach", "demo", "+815055550100", "new-line")
    assert (ran.code, "until it is published and enabled, its calls are rejected" in ran.out) == (0, True)
    told = run("numbers", "attach", "demo", "+815055550100", "new-line", "--json").json
    assert (told["flow"], told["takes_calls"]) == ("new-line", False)


def test_arrears_are_in_the_list(shop: Office) -> None:
    run("numbers", "buy", "demo", ONE, "--yes")
    assert run("credits", "adjust", "demo", "-45.50", "--reason", "test").code == 0
    due = datetime.fromisoformat(mine()[ONE]["due_next"])

    async def a_month_later(database: Database) -> None:
        async with database.writing() as session:
            at = int(due.timestamp()) * SECOND + DAY
            await subscriptions.charge_due(session, shop.of.account, at)

    shop.do(a_month_later)
    listed = mine()[ONE]
    assert (listed["state"], listed["arrears_since"] is None) == ("arrears", False)
    [line] = [each for each in run("numbers", "list", "demo").out.splitlines() if each.startswith(ONE)]
    assert " arrears since 20" in line


# Storage plans


def test_a_larger_plan_holds_at_once_and_its_price_is_shown(shop: Office) -> None:
    shown = run("plan", "demo").out.splitlines()
    assert shown[0] == "demo: free, 1,000 minutes, 0.00 credits a month"
    assert shown[1].startswith("the month runs from ")
    asked = run("plan", "demo", "50k")
    assert (asked.code, asked.out) == (2, "")
    assert "put demo from free on 50k now for 2" in asked.err
    assert "then 25.00 credits a month? add --yes if that is meant" in asked.err
    told = run("plan", "demo", "50k", "--yes", "--json").json
    assert (told["plan"], told["minutes"], told["fee"], told["next_plan"]) == ("50k", 50_000, "25.00", None)
    assert Decimal(24) < Decimal(told["paid"]) <= 25
    left = run("credits", "show", "demo", "--json").json
    assert left["spans"]["this_month"]["fees"] == told["paid"]
    assert run("storage", "show", "demo", "--json").json["plan_ms"] == 3_000_000_000


def test_a_smaller_plan_waits_and_can_be_taken_back(shop: Office) -> None:
    assert run("plan", "demo", "50k", "--yes").code == 0
    before = available()
    ran = run("plan", "demo", "free", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "0.00 credits (0 JPY) paid"
    assert ran.out.splitlines()[-1].startswith("free from 20")
    assert run("plan", "demo", "--json").json["next_plan"] == "free"
    back = run("plan", "demo", "50k")
    assert "leave demo on the plan 50k, at 25.00 credits a month? add --yes" in back.err
    assert run("plan", "demo", "50k", "--yes", "--json").json["next_plan"] is None
    assert available() == before


def test_plans_that_are_refused(shop: Office) -> None:
    wrong = run("plan", "demo", "5k", "--yes")
    assert (wrong.code, wrong.out) == (2, "")
    assert "'5k' is no storage plan: choose from free, 50k, 200k, 1m" in wrong.err
    poor = run("plan", "other", "50k", "--yes")
    assert (poor.code, poor.out, "[not_enough_credit]" in poor.err) == (1, "", True)
    assert run("plan", "other", "--json").json["plan"] == "free"
    assert run("storage", "show", "other", "--json").json["plan"] == "free"


def test_a_plan_that_an_operator_gave_has_no_fee(shop: Office) -> None:
    assert run("storage", "plan", "demo", "200k").code == 0
    assert ", given without a fee" in run("plan", "demo").out
    assert run("plan", "demo", "--json").json["fee"] == "0.00"
