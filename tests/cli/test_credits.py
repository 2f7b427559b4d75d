"""`flowengine credits`: what is sold, booked, refunded and corrected, each once, and what is refused."""

import os
import re
from decimal import Decimal
from typing import Any

import pytest

from flowengine.shop.checkout import Checkout
from flowengine.store import recharge
from flowengine.store.database import Database
from flowengine.store.errors import DatabaseRefused
from flowengine.store.purchases import Bought
from tests.cli.office import Office
from tests.cli.terminal import run, start


@pytest.fixture
def shop(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office whose yen have a price."""
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=151.20")
    return office


def shown(account: str = "demo") -> Any:
    return run("credits", "show", account, "--json").json


def available(account: str = "demo") -> Decimal:
    return Decimal(shown(account)["available"])


def buy(*words: object) -> Any:
    return run("credits", "buy", "demo", *words, "--yes")


def pending_recharge(office: Office) -> str:
    """Auto-recharge of 50 below 10 has begun a purchase; its id."""
    assert run("credits", "recharge", "demo", "--below", "10", "--amount", "50").code == 0

    async def begin(database: Database) -> str:
        from flowengine.billing.exchange import exchange_rates
        from flowengine.clock import SystemClock

        async with database.writing() as session:
            rates, at = exchange_rates("JPY=151.20"), SystemClock().now()
            begun = await recharge.begin_recharge(session, office.of.account, rates, "manual", at)
        assert isinstance(begun, Bought)
        return begun.id

    return str(office.do(begin))


# Selling


def test_credits_are_sold_at_the_rate_of_now(shop: Office) -> None:
    ran = buy("25", "--reference", "INV-1")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(
        r"demo has bought 25\.00 credits for 3780 JPY: pur_\w+\n25\.00 credits \(3780 JPY\) available\n",
        ran.out,
    )
    assert available() == 25
    assert available("other") == 0


def test_the_price_is_shown_and_nothing_is_sold_without_yes(shop: Office) -> None:
    ran = run("credits", "buy", "demo", "12.5", "--reference", "INV-1")
    assert (ran.code, ran.out) == (2, "")
    assert "sell demo 12.50 credits for 1890 JPY? add --yes if that is meant" in ran.err
    assert available() == 0


def test_who_says_no_sells_nothing(shop: Office) -> None:
    controller, terminal = os.openpty()
    try:
        os.write(controller, b"n\n")
        said = start("credits", "buy", "demo", "1", "--reference", "a", given=None, stdin=terminal)
        assert (said.code, said.out.strip()) == (1, "")
        assert "sell demo 1.00 credits for 151 JPY? [y/N]" in said.err
        assert available() == 0
        os.write(controller, b"y\n")
        said = start("credits", "buy", "demo", "1", "--reference", "a", "--json", given=None, stdin=terminal)
        assert (said.code, said.json["state"]) == (0, "paid")
    finally:
        os.close(controller)
        os.close(terminal)


def test_the_same_reference_is_the_same_purchase(shop: Office) -> None:
    first = buy("25", "--reference", "INV-1", "--json").json
    again = buy("25", "--reference", "INV-1", "--json").json
    assert (first["new"], again["new"]) == (True, False)
    assert {**again, "new": True} == first
    ran = buy("25", "--reference", "INV-1")
    assert (ran.code, ran.out.splitlines()[0].endswith(": nothing was bought now")) == (0, True)
    assert available() == 25
    other = buy("26", "--reference", "INV-1")
    assert (other.code, other.out) == (1, "")
    assert "the key stands for 25.00 credits for 3780 JPY: choose another key [key_reused]" in other.err
    assert buy("26", "--reference", "INV-1", "--key", "second").code == 0
    assert available() == 51


def test_a_sale_that_died_half_way_is_finished_by_typing_it_again(
    shop: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object) -> None:
        raise DatabaseRefused("the database has gone away")

    with monkeypatch.context() as broken:
        broken.setattr(Checkout, "book", dies)
        assert buy("25", "--reference", "INV-1").code == 3
    [waits] = run("credits", "history", "demo", "--json").json
    assert waits["state"] == "pending"
    assert available() == 0
    again = buy("25", "--reference", "INV-1", "--json").json
    assert (again["id"], again["state"], again["new"]) == (waits["id"], "paid", True)
    assert available() == 25


def test_a_purchase_says_all_of_itself(shop: Office) -> None:
    made = buy("0.000001", "--reference", " INV 7 ", "--by", "mari").err
    assert "0.000001 credits are worth no coin" in made
    told = buy("0.01", "--reference", " INV 7 ", "--by", "mari", "--json").json
    assert (told["credits"], told["price"], told["currency"], told["state"]) == ("0.01", "2", "JPY", "paid")
    assert (told["by"], told["reference"], told["key"]) == ("mari", "INV 7 (mari)", "reference:INV 7")
    assert (told["provider"], told["auto_recharge"], told["problem"]) == ("manual", False, "")
    assert told["at"].endswith("+09:00")
    assert told["available"] == "0.01"


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("1,000", "write a point before the decimals"),
        ("1e3", "a spreadsheet has shortened it"),
        ("$5", "leave units and currency signs out"),
        ("0.0000001", "more than 6 decimal places"),
        ("99999999999999999999", "out of bounds"),
        ("", "no credits given"),
        ("nan", "is no number of credits"),
    ],
)
def test_amounts_that_are_none(shop: Office, amount: str, said: str) -> None:
    for words in (
        ["buy", "--reference", "a", "--yes"],
        ["adjust", "--reason", "a"],
        ["refund", "pur_x", "--reason", "a"],
    ):
        name, *rest = words
        at = 1 if name == "refund" else 0
        ran = run("credits", name, "demo", *rest[:at], amount, *rest[at:])
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
    ran = run("credits", "recharge", "demo", "--below", amount, "--amount", "1")
    assert (ran.code, said in ran.err) == (2, True)


def test_amounts_that_cannot_be_sold(shop: Office) -> None:
    assert run("credits", "buy", "demo", "--reference", "a", "--yes", "--", "-5").code == 2
    zero = buy("0", "--reference", "a")
    assert (zero.code, "choose an amount above 0 [wrong_amount]" in zero.err) == (1, True)
    assert available() == 0


def test_words_that_must_be_there_and_not_too_long(shop: Office) -> None:
    for words in (
        ["buy", "demo", "1", "--reference", " ", "--yes"],
        ["buy", "demo", "1", "--reference", "x" * 101, "--yes"],
        ["buy", "demo", "1", "--reference", "a", "--by", "", "--yes"],
        ["buy", "demo", "1", "--reference", "a", "--key", "x" * 101, "--yes"],
        ["adjust", "demo", "1", "--reason", ""],
        ["refund", "demo", "pur_x", "1", "--reason", ""],
        ["book", "pur_x", "--reference", ""],
        ["give-up", "pur_x", "--reason", ""],
    ):
        ran = run("credits", *words)
        assert (ran.code, ran.out) == (2, "")
        assert re.search(r"--(reference|reason|by|key): give 1 to 100 characters", ran.err)
    assert run("credits", "buy", "demo", "1", "--yes").code == 2
    assert available() == 0


def test_a_currency_without_a_rate(office: Office) -> None:
    ran = buy("1", "--reference", "a")
    assert (ran.code, ran.out) == (2, "")
    assert (
        "there is no exchange rate for JPY: add what one credit costs to FLOWENGINE_EXCHANGE_RATES" in ran.err
    )
    assert "no exchange rate for JPY" in run("credits", "show", "demo").out
    assert shown()["shown"] == {"balance": None, "held": None, "available": None, "owed": None}


# What waits for money


def test_a_recharge_is_booked_when_its_money_has_come(shop: Office) -> None:
    id = pending_recharge(shop)
    [waits] = run("credits", "history", "demo", "--state", "pending", "--json").json
    assert (waits["id"], waits["auto_recharge"], waits["by"]) == (id, True, "auto-recharge")
    ran = run("credits", "book", id, "--reference", "BANK-1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"demo has bought 50.00 credits for 7560 JPY: {id}\n")
    again = run("credits", "book", id, "--reference", "BANK-2", "--json").json
    assert (again["new"], again["reference"]) == (False, "BANK-1 (operator)")
    assert available() == 50
    given_up = run("credits", "give-up", id, "--reason", "never came")
    assert (given_up.code, "it is paid" in given_up.err or "is paid: refund it" in given_up.err) == (1, True)


def test_what_was_given_up_and_then_paid_after_all(shop: Office) -> None:
    id = pending_recharge(shop)
    ran = run("credits", "give-up", id, "--reason", "never came")
    assert (ran.code, ran.out) == (0, "demo: 50.00 credits for 7560 JPY: failed\n")
    assert available() == 0
    [failed] = run("credits", "history", "demo", "--json").json
    assert (failed["state"], failed["problem"]) == ("failed", "never came (operator)")
    assert run("credits", "recharge", "demo", "--json").json["declined_in_a_row"] == 1
    assert "1 did not go through: tried again 20" in run("credits", "recharge", "demo").out
    assert run("credits", "book", id, "--reference", "BANK-1").code == 0
    assert available() == 50


def test_purchases_that_are_none(shop: Office) -> None:
    for words in (["book", "pur_x", "--reference", "a"], ["give-up", "pur_x", "--reason", "a"]):
        ran = run("credits", *words)
        assert (ran.code, ran.out) == (1, "")
        assert "there is no purchase pur_x" in ran.err


# Corrections


def test_a_refund_takes_back_no_more_than_was_bought(shop: Office) -> None:
    id = buy("25", "--reference", "a", "--json").json["id"]
    assert buy("100", "--reference", "b").code == 0
    ran = run("credits", "refund", "demo", id, "10", "--reason", "unused")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == ["demo: -10.00 credits", "115.00 credits (17388 JPY) available"]
    more = run("credits", "refund", "demo", id, "15.000001", "--reason", "unused")
    assert (more.code, more.out) == (1, "")
    assert "at most 15.00 credits of this purchase are left to refund [too_much]" in more.err
    others = run("credits", "refund", "other", id, "1", "--reason", "unused")
    assert (others.code, "there is no purchase" in others.err) == (1, True)
    for _ in range(2):
        told = run("credits", "refund", "demo", id, "15", "--reason", "rest", "--key", "k", "--json")
        assert told.code == 0
    assert (told.json["new"], told.json["amount"], told.json["available"]) == (False, "-15.00", "100.00")


def test_a_balance_is_corrected_up_and_down(shop: Office) -> None:
    assert run("credits", "adjust", "demo", "5.5", "--reason", "goodwill").code == 0
    ran = run("credits", "adjust", "demo", "-0.000001", "--reason", "slip")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == ["demo: -0.000001 credits", "5.499999 credits (832 JPY) available"]
    more = run("credits", "adjust", "demo", "-6", "--reason", "slip")
    assert (more.code, "only 5.499999 credits are free" in more.err) == (1, True)
    assert run("credits", "adjust", "demo", "0", "--reason", "slip").code == 1
    week = shown()["spans"]["this_week"]
    assert week == {"bought": "0.00", "used": "0.00", "calls": "0.00", "fees": "0.00", "adjusted": "5.499999"}
    assert run("credits", "history", "demo").out.splitlines()[-1] == "no purchases"


def test_a_correction_is_made_once_for_its_key(shop: Office) -> None:
    for is_new in (True, False):
        ran = run("credits", "adjust", "demo", "1", "--reason", "gift", "--key", "k", "--json")
        assert (ran.code, ran.json["new"], ran.json["key"]) == (0, is_new, "k")
    assert (
        "nothing was changed" in run("credits", "adjust", "demo", "1", "--reason", "gift", "--key", "k").out
    )
    other = run("credits", "adjust", "demo", "2", "--reason", "gift", "--key", "k")
    assert (other.code, "choose another key" in other.err) == (1, True)
    assert available() == 1
    assert run("credits", "adjust", "demo", "1", "--reson", "typo").code == 2
