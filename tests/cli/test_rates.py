"""`flowengine rates`: decks that are imported, exported, listed and asked, and those that are refused."""

from pathlib import Path

import pytest

from flowengine.cli import rates
from tests.cli.office import Office
from tests.cli.terminal import EXAMPLES, run

INBOUND = EXAMPLES / "rates-inbound.csv"
OUTBOUND = EXAMPLES / "rates-outbound.csv"
HEAD = "prefix,name,per_minute,connect_fee,first_s,following_s,valid_from,valid_until\n"


@pytest.fixture
def priced(office: Office) -> Office:
    """An office with both example decks."""
    assert run("rates", "import", "inbound", INBOUND, "--zone", "Asia/Tokyo").code == 0
    assert run("rates", "import", "outbound", OUTBOUND).code == 0
    return office


def test_a_deck_is_imported_and_exported_as_it_was(office: Office) -> None:
    ran = run("rates", "import", "outbound", OUTBOUND, "--zone", "Asia/Tokyo")
    assert (ran.code, ran.out, ran.err) == (0, "outbound: 19 rates\n", "")
    out = run("rates", "export", "outbound", "--zone", "Asia/Tokyo")
    assert (out.code, out.err) == (0, "")
    again = run("rates", "import", "outbound", "-", "--zone", "Asia/Tokyo", "--json", given=out.out.encode())
    assert (again.code, again.json) == (0, {"deck": "outbound", "rates": 19, "problems": []})
    assert run("rates", "export", "outbound", "--zone", "Asia/Tokyo").out == out.out
    assert sorted(out.out.splitlines()) == sorted(OUTBOUND.read_text().splitlines())


def test_a_date_is_of_the_zone_that_is_told(office: Office) -> None:
    deck = f"{HEAD}81,Japan,0.02,0,60,60,2026-07-01,\n".encode()
    assert run("rates", "import", "a", "-", "--zone", "Asia/Tokyo", given=deck).code == 0
    [rate] = run("rates", "export", "a", "--json").json
    assert rate["valid_from"] == "2026-06-30T15:00:00+00:00"
    assert run("rates", "find", "+819012345678", "--at", "2026-06-30T14:59:59").code == 1
    assert run("rates", "find", "+819012345678", "--at", "2026-06-30T15:00:00").code == 0
    assert run("rates", "find", "+819012345678", "--at", "2026-07-01", "--zone", "Asia/Tokyo").code == 0


def test_every_problem_is_told_by_line_and_nothing_is_imported(priced: Office, tmp_path: Path) -> None:
    before = run("rates", "export", "outbound").out
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(
        f"{HEAD}81,Japan,-0.02,0,60,60,2026-01-01,\n"
        "+44,Britain,0.02,0,60,60,2026-01-01,\n"
        "1,America,1E-05,0,60,60,2026-02-30,\n"
        "49,Germany,0.02,0,60,60,2026-01-01,\n"
        "49,Germany,0.03,0,60,60,2026-03-01,\n"
    )
    ran = run("rates", "import", "outbound", wrong)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"flowengine: {wrong}: the outbound rate deck has 5 problems, nothing was imp")
    for where in (
        "line 2, column 3",
        "line 3, column 1",
        "line 4, column 3",
        "line 4, column 7",
        "line 6: two",
    ):
        assert f"  {where}" in ran.err
    told = run("rates", "import", "outbound", wrong, "--json")
    assert (told.code, told.json["rates"], told.json["more"]) == (1, None, False)
    assert [each["line"] for each in told.json["problems"]] == [2, 3, 4, 4, 6]
    assert run("rates", "export", "outbound").out == before


def test_what_is_no_table_at_all(office: Office, tmp_path: Path) -> None:
    missing = run("rates", "import", "a", tmp_path / "none.csv")
    assert (missing.code, "there is no such file" in missing.err) == (2, True)
    empty = run("rates", "import", "a", "-", given=b"")
    assert (empty.code, "begins with a header line" in empty.err) == (1, True)
    binary = run("rates", "import", "a", "-", given=b"prefix,\xff\xfe\x00\n1,2\n")
    assert (binary.code, "not UTF-8" in binary.err) == (1, True)
    dollars = f"{HEAD.strip()},currency\n81,Japan,0.02,0,60,60,2026-01-01,,USD\n".encode()
    assert "prices are credits" in run("rates", "import", "a", "-", given=dollars).err
    escape = b"prefix,per_minute,valid_from\n\x1b[31m,1,2026-01-01\n"
    assert "\x1b" not in run("rates", "import", "a", "-", given=escape).err
    assert run("rates", "list").out.splitlines()[-1].startswith("no rate decks")


@pytest.mark.parametrize("name", ["", "A", "../x", "a b", "x" * 64])
def test_names_that_a_deck_cannot_have(office: Office, name: str) -> None:
    ran = run("rates", "import", name, INBOUND)
    assert (ran.code, ran.out) == (2, "")
    assert "is no name of a deck: use 1 to 63 small letters" in ran.err


def test_a_zone_that_is_none(office: Office) -> None:
    for words in (["import", "a", INBOUND], ["export", "a"], ["find", "JP/local"]):
        ran = run("rates", *words, "--zone", "Asia/Tokio")
        assert (ran.code, ran.out) == (2, "")
        assert "'Asia/Tokio' is no time zone" in ran.err


def test_decks_are_listed(priced: Office) -> None:
    rows = [line.split() for line in run("rates", "list").out.splitlines()]
    assert rows == [
        ["deck", "calls", "rates", "from", "(UTC)"],
        ["inbound", "inbound", "11", "2025-12-31", "15:00"],
        ["outbound", "outbound", "19", "2026-01-01", "00:00"],
    ]
    assert run("rates", "list", "--json").json[0] == {
        "name": "inbound",
        "direction": "inbound",
        "rates": 11,
        "first": "2025-12-31T15:00:00+00:00",
    }


def test_the_longest_prefix_that_holds_is_found(priced: Office) -> None:
    ran = run("rates", "find", "+81 90-1111-2222", "--at", "2026-09-21")
    assert (ran.code, ran.err) == (0, "")
    first, *rest = ran.out.splitlines()
    assert first == "outbound 8190 (Japan mobile): 0.18 credits a minute"
    assert rest[0] == "first increment 60 s: 0.18 credits"
    assert rest[-1].startswith("holds from 2026-01-01 00:00")
    told = run("rates", "find", "+16842345678", "--at", "2026-09-21", "--json").json
    assert (told["deck"], told["rate"]["key"], told["rate"]["per_minute"]) == ("outbound", "1684", "0.09")


def test_increments_and_connect_fee_are_shown_exactly(office: Office) -> None:
    deck = f"{HEAD}39,Italy,0.019999,0.000001,30,6,2026-01-01,\n".encode()
    assert run("rates", "import", "odd", "-", given=deck).code == 0
    lines = run("rates", "find", "+390612345678", "--at", "2026-09-21").out.splitlines()
    assert lines[:4] == [
        "outbound 39 (Italy): 0.019999 credits a minute",
        "first increment 30 s: 0.010001 credits",
        "  of which connect fee: 0.000001 credits",
        "each following 6 s: 0.002 credits",
    ]


def test_inbound_rates_are_found_by_country_and_type(priced: Office) -> None:
    ran = run("rates", "find", "JP/toll_free", "--at", "2026-09-21")
    assert ran.out.startswith("inbound JP/toll_free (Japan freephone): 0.085 credits a minute\n")
    ended = run("rates", "find", "US/local", "--at", "2026-12-31T14:59:59", "--json").json
    assert ended["rate"]["per_minute"] == "0.0085"
    begun = run("rates", "find", "US/local", "--at", "2026-12-31T15:00:00", "--json").json
    assert begun["rate"]["per_minute"] == "0.009"


def test_no_rate_is_an_answer_of_its_own(priced: Office) -> None:
    for asked, when, reason in (
        ("+99912345", "2026-09-21", "no_row"),
        ("+819011112222", "2020-01-01", "not_valid_then"),
        ("FR/local", "2026-09-21", "no_row"),
    ):
        ran = run("rates", "find", asked, "--at", when)
        assert (ran.code, ran.out) == (1, "")
        assert "no rate for" in ran.err
        told = run("rates", "find", asked, "--at", when, "--json")
        assert (told.code, told.json["rate"], told.json["reason"]) == (1, None, reason)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("0901112222", "is no number: write it with +"),
        ("+0901112222", "is no number: write it with +"),
        ("JP/tollfree", "perhaps toll_free"),
        ("jp/local", "a country is ISO 3166 in capitals"),
        ("Japan/", "write COUNTRY/TYPE"),
    ],
)
def test_what_is_no_number_and_no_kind(priced: Office, asked: str, said: str) -> None:
    ran = run("rates", "find", asked)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_deck_that_is_none_has_neighbours(priced: Office) -> None:
    ran = run("rates", "export", "outbond")
    assert (ran.code, ran.out) == (1, "")
    assert 'no rate deck "outbond", perhaps outbound: there are inbound, outbound' in ran.err


def test_the_bar_follows_the_reading_of_a_large_deck() -> None:
    rows = "".join(f"{n},x\n" for n in range(5_000))
    seen: list[tuple[int, int]] = []

    class Seen:
        def __call__(self, done: int, total: int) -> None:
            seen.append((done, total))

    stream = rates._Counted(rows.encode(), Seen())  # type: ignore[arg-type]
    lines = list(iter(lambda: stream.readline(10_001), ""))
    assert (len(lines), lines[-1]) == (5_000, "4999,x\n")
    assert len(seen) == 5
    assert sorted(seen) == seen
    assert {total for _, total in seen} == {len(rows)}
    assert 0 < seen[0][0] <= seen[-1][0] <= len(rows)
