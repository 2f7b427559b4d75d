"""Statements and reports: their edges, their languages, and texts that would like to be formulas or scripts."""

import csv
import io
from datetime import date

import pytest
from sqlalchemy import select

from flowengine.billing.exchange import exchange_rates
from flowengine.billing.increments import charges_due
from flowengine.billing.money import CREDIT
from flowengine.billing.periods import time_zone
from flowengine.billing.rates import Rate
from flowengine.billing.spans import BadSpan, days_span
from flowengine.billing.statements import CallLine, FeeLine, Line, Statement, safe_cell, write_csv, write_rows
from flowengine.call.events import SECOND
from flowengine.shop.statement_html import statement_html
from flowengine.shop.words import money_words
from flowengine.store import credit_reports, ledger, tables
from flowengine.store.credit_reports import Day, Standing
from flowengine.store.debits import BilledTo, minute, unpaid
from flowengine.store.errors import NotStored
from flowengine.store.statements import statement
from tests.shop.world import BEGIN, Shop, at
from tests.store.kept import add_call
from tests.store.seed import Seed

YEN = exchange_rates("JPY=150")["JPY"]
TOKYO = time_zone("Asia/Tokyo")
EVIL = "=HYPERLINK(\"http://x\")<script>alert('x')</script>"


def made(**more: object) -> Statement:
    known = {
        "account": "demo",
        "name": EVIL,
        "language": "en-US",
        "zone": "Asia/Tokyo",
        "first": date(2027, 2, 1),
        "last": date(2027, 2, 28),
        "opening": 5 * CREDIT,
        "lines": (Line("minute", 3, -1_500_000), Line("purchase", 1, CREDIT), Line("new_kind", 1, 7)),
        "calls": (CallLine("inbound", "JP/local", 3, -1_500_000),),
        "fees": (FeeLine("number_fee", "+81312345678", 1, -2 * CREDIT), FeeLine("plan_fee", EVIL, 1, -1)),
        "owed": 0,
        "is_final": True,
    }
    return Statement(**{**known, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["=1+1", "+81312345678", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert safe_cell(f"x{text}") == f"x{text}"


def test_a_statement_as_csv_has_safe_texts_and_plain_numbers() -> None:
    out = io.StringIO()
    write_csv(made(), YEN, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["detail"] for row in rows if row["section"] == "fees"] == ["'+81312345678", f"'{EVIL}"]
    (minutes,) = [row for row in rows if row["item"] == "minute"]
    assert (minutes["count"], minutes["credits"], minutes["amount"], minutes["currency"]) == (
        "3",
        "-1.50",
        "-225",
        "JPY",
    )
    assert [row["credits"] for row in rows if row["item"] == "closing"] == ["4.500007"]


def test_lists_are_written_with_safe_texts() -> None:
    out = io.StringIO()
    write_rows(["day", "user", "credits"], [["2027-02-01", "=x", -5]], out)
    assert out.getvalue() == "day,user,credits\n2027-02-01,'=x,-5\n"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en-US", ["Statement 2027-02", "Balance at the end", "Inbound JP/local", 'lang="en"']),
        ("ja", ["ご利用明細 2027-02", "月末の残高", "着信 JP/local", 'lang="ja"']),
        ("ja-JP", ["ご利用明細"]),
        ("de-DE", ["Statement"]),
    ],
)
def test_the_page_speaks_the_accounts_language_and_trusts_no_text(language: str, words: list[str]) -> None:
    page = statement_html(made(language=language), YEN)
    for word in words:
        assert word in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "new_kind" in page, "a kind without a word is shown by its name, not left out"
    assert "http" not in page.replace("http://x", ""), "nothing is fetched from elsewhere"


def test_an_empty_month_and_one_that_is_not_final_say_so() -> None:
    page = statement_html(made(lines=(), calls=(), fees=(), owed=3 * CREDIT, is_final=False), YEN)
    for word in ("Nothing in this month.", "not final", "could not be paid yet", "-3.00"):
        assert word in page


async def _use(shop: Shop, began_at: int) -> None:
    """One minute that was paid and one that could not be, on a call of the seed's number."""
    rate = Rate(direction="inbound", key="JP/local", per_minute=CREDIT, valid_from=0)
    of = BilledTo(shop.account, "cal_1", "caller", "+815055550100")
    first, second = charges_due(began_at, began_at + 61 * SECOND, rate)
    async with shop.database.writing() as session:
        await ledger.perform(session, [minute(of, rate, first), unpaid(of, rate, second)])


async def _seed_of(shop: Shop) -> Seed:
    async with shop.database.reading() as session:
        flow, version = (await session.execute(select(tables.Flow.id, tables.Flow.published_version))).one()
    return Seed(shop.account, flow, str(version))


async def test_reports_see_what_is_used_and_owed(shop: Shop) -> None:
    await add_call(shop.database, await _seed_of(shop))
    await shop.fund(10 * CREDIT)
    await _use(shop, BEGIN + 3_600 * SECOND)
    await shop.checkout.buy(shop.account, CREDIT, 150, "k1", "hanako")
    span = days_span(date(2027, 1, 1), date(2027, 1, 31), TOKYO)
    async with shop.database.reading() as session:
        found = await credit_reports.used(session, shop.account, span)
        assert (found.bought, found.used, found.calls, found.fees) == (CREDIT, 2 * CREDIT, 2 * CREDIT, 0)
        assert found.adjusted == 10 * CREDIT
        assert await credit_reports.standing(session, shop.account) == Standing(9 * CREDIT, 0, 0)
        days = await credit_reports.used_by_day(
            session, shop.account, date(2027, 1, 29), date(2027, 2, 1), TOKYO
        )
        assert days == [
            Day(date(2027, 1, 29), 0, 0),
            Day(date(2027, 1, 30), 0, 0),
            Day(date(2027, 1, 31), CREDIT, 2 * CREDIT),
            Day(date(2027, 2, 1), 0, 0),
        ]
        (number,) = await credit_reports.used_by(session, shop.account, span, "number")
        assert (number.key, number.calls, number.used) == ("+815055550100", 1, 2 * CREDIT)
        (user,) = await credit_reports.used_by(session, shop.account, span, "user")
        assert (user.key, user.used) == ("", 2 * CREDIT)
        (flow,) = await credit_reports.used_by(session, shop.account, span, "flow")
        assert (flow.name, flow.used) == ("Message line", 2 * CREDIT)
        with pytest.raises(ValueError, match="too many"):
            await credit_reports.used_by_day(session, shop.account, date(2020, 1, 1), date(2027, 1, 1), TOKYO)


async def test_a_month_knows_what_is_owed_at_its_end(shop: Shop) -> None:
    await add_call(shop.database, await _seed_of(shop))
    await shop.fund(10 * CREDIT)
    await _use(shop, at("2027-01-31T23:59:30+09:00"))
    now = at("2027-02-15T00:00:00+09:00")
    async with shop.database.reading() as session:
        january = await statement(session, shop.account, 2027, 1, now)
        february = await statement(session, shop.account, 2027, 2, now)
    assert (january.opening, january.closing, january.owed) == (0, 9 * CREDIT, 0)
    assert (february.opening, february.closing, february.owed) == (9 * CREDIT, 9 * CREDIT, CREDIT)
    assert (january.is_final, february.is_final) == (True, False)
    assert [call.many for call in (*january.calls, *february.calls)] == [1, 1]
    await shop.checkout.buy(shop.account, CREDIT, 150, "k1", "hanako")


@pytest.mark.parametrize(("year", "month"), [(2027, 13), (2027, 0), (1600, 1), (2027, 3)])
async def test_months_that_are_none_or_not_yet_are_refused(shop: Shop, year: int, month: int) -> None:
    async with shop.database.reading() as session:
        with pytest.raises(BadSpan):
            await statement(session, shop.account, year, month, at("2027-02-28T23:59:59+09:00"))
        with pytest.raises(NotStored):
            await statement(session, "acc_nobody", 2027, 2, BEGIN)


async def test_before_the_first_sale_there_is_nothing(shop: Shop) -> None:
    async with shop.database.reading() as session:
        assert await credit_reports.standing(session, shop.account) == Standing(0, 0, 0)
        assert (await statement(session, shop.account, 2027, 1, BEGIN)).closing == 0


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("number_arrears", {"number": "+81", "fee": CREDIT, "days": 3, "grace_days": 7}, "1.00 credits"),
        ("number_arrears", {"number": "+81", "fee": CREDIT, "days": 0, "grace_days": 7}, "not be paid. Buy"),
        ("number_arrears", {"number": "+81", "fee": CREDIT, "days": 14, "grace_days": 7}, "takes no calls"),
        ("number_suspended", {"number": "+81"}, "kept"),
        ("number_resumed", {"number": "+81"}, "calls again"),
        ("plan_arrears", {"plan": "50k", "fee": CREDIT, "days": 0, "grace_days": 7}, "free plan"),
        ("plan_ended", {"plan": "50k"}, "Nothing is deleted"),
        ("recharged", {"amount": CREDIT, "price": 150, "currency": "JPY"}, "for 150 JPY"),
        (
            "recharge_declined",
            {"amount": CREDIT, "price": 99, "currency": "EUR", "problem": "no"},
            "0.99 EUR",
        ),
        ("recharge_stopped", {"amount": CREDIT, "price": 1, "currency": "EUR", "problem": "no"}, "settings"),
        ("recharge_set", {"below": CREDIT, "amount": 2 * CREDIT, "by": "hanako"}, "2.00 are bought"),
        ("recharge_set", {"below": None, "amount": None, "by": "hanako"}, "off"),
    ],
)
def test_admins_are_told_in_words(kind: str, data: dict[str, object], said: str) -> None:
    assert said in (money_words(kind, data) or "")


def test_what_is_not_of_the_shop_has_no_words_here() -> None:
    assert money_words("storage_80", {}) is None
