"""`flowengine invoice`: a month stated on the terminal, as a table and as a page, to the micro-credit."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flowengine.billing.periods import instant
from flowengine.store.corrections import adjust
from flowengine.store.database import Database
from tests.cli.office import Office
from tests.cli.terminal import run

TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def shop(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office that got 10 credits at the last instant of May, lost 2.5 at the first of June, and got 1 in July."""
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=151.20")

    async def work(database: Database) -> None:
        for key, amount, moment in (
            ("a", 10_000_000, datetime(2026, 5, 31, 23, 59, 59, 999_999, tzinfo=TOKYO)),
            ("b", -2_500_001, datetime(2026, 6, 1, tzinfo=TOKYO)),
            ("c", 1_000_000, datetime(2026, 7, 1, tzinfo=TOKYO)),
        ):
            async with database.writing() as session:
                await adjust(session, office.of.account, key, amount, "test", "test", instant(moment))

    office.do(work)
    return office


def test_a_month_on_the_terminal(shop: Office) -> None:
    ran = run("invoice", "demo", "2026-06")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["demo,", "2026-06-01", "to", "2026-06-30,", "in", "credits"],
        ["item", "entries", "credits"],
        ["balance", "at", "the", "beginning", "10.00"],
        ["adjustment", "1", "-2.500001"],
        ["balance", "at", "the", "end", "7.499999"],
    ]


def test_months_follow_each_other(shop: Office) -> None:
    months = [run("invoice", "demo", f"2026-0{n}", "--json").json for n in (5, 6, 7)]
    assert [each["closing"] for each in months] == ["10.00", "7.499999", "8.499999"]
    assert [each["opening"] for each in months] == ["0.00", "10.00", "7.499999"]
    for each in months:
        moved = sum((Decimal(line["amount"]) for line in each["lines"]), Decimal(0))
        assert Decimal(each["opening"]) + moved == Decimal(each["closing"])
        assert each["final"] is True
    assert months[1]["shown"] == {"opening": "1512", "closing": "1134"}
    assert run("invoice", "other", "2026-06", "--json").json["closing"] == "0.00"


def test_a_month_that_runs_is_not_final(shop: Office) -> None:
    now = datetime.now(UTC).astimezone(TOKYO)
    ran = run("invoice", "demo", f"{now:%Y-%m}")
    assert ran.out.splitlines()[-1] == "not final: entries may still be added"


def test_the_table_and_the_page_are_written_together(shop: Office, tmp_path: Path) -> None:
    table, page = tmp_path / "june.csv", tmp_path / "june.html"
    ran = run("invoice", "demo", "2026-06", "--csv", table, "--html", page)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{table}: 2026-06 of demo, 7.499999 credits at the end",
        f"{page}: 2026-06 of demo, 7.499999 credits at the end",
    ]
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["item"], row["credits"], row["amount"], row["currency"]) for row in rows] == [
        ("opening", "10.00", "1512", "JPY"),
        ("adjustment", "-2.500001", "-378", "JPY"),
        ("closing", "7.499999", "1134", "JPY"),
        ("owed", "0.00", "0", "JPY"),
    ]
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert "7.499999" in html
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["june.csv", "june.html"]


def test_a_file_that_is_there_is_replaced_only_by_force(shop: Office, tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.html"
    old.write_text("keep me")
    ran = run("invoice", "demo", "2026-06", "--html", new, "--csv", old)
    assert (ran.code, ran.out) == (2, "")
    assert f"{old}: is there already: choose another name, or --force" in ran.err
    assert (old.read_text(), new.exists()) == ("keep me", False)
    assert run("invoice", "demo", "2026-06", "--csv", old, "--force").code == 0
    assert old.read_text().startswith("section,item")
    folder = run("invoice", "demo", "2026-06", "--csv", tmp_path, "--force")
    assert (folder.code, "is a folder: name a file in it" in folder.err) == (2, True)


def test_a_folder_that_cannot_be_written(shop: Office, tmp_path: Path) -> None:
    nowhere = run("invoice", "demo", "2026-06", "--csv", tmp_path / "none" / "june.csv")
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "june.csv: cannot be written (No such file or directory)" in nowhere.err


def test_a_currency_without_a_rate_can_be_shown_and_not_written(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "june.csv"
    ran = run("invoice", "demo", "2026-06", "--csv", file)
    assert (ran.code, file.exists()) == (2, False)
    assert "there is no exchange rate for JPY" in ran.err
    assert run("invoice", "demo", "2026-06", "--json").json["shown"] == {"opening": None, "closing": None}


@pytest.mark.parametrize(
    ("month", "said"),
    [
        ("2026-13", "2026-13 is no month"),
        ("2026-6", "'2026-6' is no month"),
        ("june", "'june' is no month"),
        ("9999-12", "9999-12 is no month"),
        ("2199-01", "2199-01 has not begun"),
        ("٢٠٢٦-٠٦", "is no month"),
    ],
)
def test_months_that_are_none(shop: Office, month: str, said: str) -> None:
    ran = run("invoice", "demo", month)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
