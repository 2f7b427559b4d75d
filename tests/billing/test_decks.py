"""A rate deck comes in whole or not at all, and whoever sent it learns every problem at once."""

import csv
import io
import tracemalloc
from datetime import date
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.csv_table import BadCsv, CsvProblem
from flowengine.billing.decks import COLUMNS, read_deck, write_deck
from flowengine.billing.periods import start_of_day
from flowengine.billing.rates import DEAREST, LONGEST_INCREMENT_S, NUMBER_TYPES, Deck, Rate, inbound_key
from flowengine.call.events import SECOND
from tests.billing.pricing import DAY, inbound, outbound

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
TOKYO, UTC = ZoneInfo("Asia/Tokyo"), ZoneInfo("UTC")
HEADER = "prefix,name,per_minute,connect_fee,first_s,following_s,valid_from,valid_until\n"


def read(text: str, zone: ZoneInfo = UTC) -> list[Rate]:
    """Read a deck given as text."""
    return read_deck(io.StringIO(text, newline=""), zone)


def written(rates: list[Rate], zone: ZoneInfo = UTC) -> str:
    """Write a deck as text."""
    stream = io.StringIO(newline="")
    write_deck(rates, stream, zone)
    return stream.getvalue()


def refused(text: str) -> list[str]:
    """The problems of a deck that must have some."""
    with pytest.raises(BadCsv) as refusal:
        read(text)
    return [str(problem) for problem in refusal.value.problems]


def problem_of(cells: str) -> str:
    """The one problem of an outbound deck of one row."""
    (problem,) = refused(HEADER + cells)
    return problem


DECEMBER = 1_796_083_200 * SECOND
"""1 December 2026 in UTC."""


def test_an_outbound_deck() -> None:
    rows = (
        "8190,Japan mobile,0.12,0.01,30,6,2026-12-01,2027-01-01\n"
        "81,,0.03,,,,2026-12-01T00:00:00.000001+09:00,\n"
    )
    assert read(HEADER + rows) == [
        outbound(
            "8190",
            120_000,
            connect_fee=10_000,
            first_s=30,
            following_s=6,
            valid_from=DECEMBER,
            valid_until=DECEMBER + 31 * DAY,
            name="Japan mobile",
        ),
        outbound("81", 30_000, valid_from=DECEMBER - 9 * 3_600 * SECOND + 1),
    ]


def test_an_inbound_deck_needs_few_columns_in_any_order() -> None:
    deck = "valid_from;Type;COUNTRY;per_minute\r\n2026-12-01;toll_free;JP;0.05\r\n;;;\r\n2026-12-01;local;001;0\r\n"
    assert read(deck, TOKYO) == [
        inbound("JP/toll_free", 50_000, valid_from=DECEMBER - 9 * 3_600 * SECOND),
        inbound("001/local", 0, valid_from=DECEMBER - 9 * 3_600 * SECOND),
    ]


def test_a_byte_order_mark_quotes_and_empty_lines_are_no_matter() -> None:
    deck = '\ufeff\n\nprefix,name,per_minute,valid_from\n"81","Japan, ""all""", 0.03 ,2026-12-01\n\n'
    assert read(deck) == [outbound("81", 30_000, valid_from=DECEMBER, name='Japan, "all"')]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ("8.1E+01,,1,,,,2026-12-01,", "turned the prefix into a number and lost digits"),
        ('"8,1E+11",,1,,,,2026-12-01,', "turned the prefix into a number and lost digits"),
        ("+81,,1,,,,2026-12-01,", "leave the + out"),
        ("0081,,1,,,,2026-12-01,", "leave out the 00"),
        ("090,,1,,,,2026-12-01,", "not with a national 0"),
        ('"8,190",,1,,,,2026-12-01,', "separators between thousands"),
        ("8 190,,1,,,,2026-12-01,", "separators between thousands"),
        ("81.0,,1,,,,2026-12-01,", "a number with decimals"),
        ("'81,,1,,,,2026-12-01,", "mark for text has stayed"),
        ('"=""81""",,1,,,,2026-12-01,', "mark for text has stayed"),
        ("８１,,1,,,,2026-12-01,", "another script or width"),
        ("8181818181818181,,1,,,,2026-12-01,", "longer than the 15 digits"),
        ("81-90,,1,,,,2026-12-01,", "is no prefix: write digits only"),
        (",Japan,1,,,,2026-12-01,", "no prefix"),
    ],
)
def test_a_damaged_prefix_is_recognised(cells: str, says: str) -> None:
    problem = problem_of(cells)
    assert problem.startswith("line 2, column 1 (prefix): ")
    assert says in problem


@pytest.mark.parametrize(
    ("cells", "where", "says"),
    [
        ('81,,"0,03",,,,2026-12-01,', "column 3 (per_minute)", "write a point before the decimals"),
        ("81,,1E-05,,,,2026-12-01,", "column 3 (per_minute)", "a spreadsheet has shortened it"),
        ("81,,-1,,,,2026-12-01,", "column 3 (per_minute)", "is negative"),
        ("81,,,,,,2026-12-01,", "column 3 (per_minute)", "no credits given"),
        ("81,,0.0000001,,,,2026-12-01,", "column 3 (per_minute)", "more than 6 decimal places"),
        ("81,,1001,,,,2026-12-01,", "column 3 (per_minute)", "give 0 to 1000.00 credits"),
        ("81,,1,2000,,,2026-12-01,", "column 4 (connect_fee)", "give 0 to 1000.00 credits"),
        ("81,,1,,0,,2026-12-01,", "column 5 (first_s)", "give 1 to 3600 seconds"),
        ("81,,1,,60s,,2026-12-01,", "column 5 (first_s)", "write whole seconds"),
        ("81,,1,,,1.5,2026-12-01,", "column 6 (following_s)", "write whole seconds"),
        ("81,,1,,,,,", "column 7 (valid_from)", "write year, month and day"),
        ("81,,1,,,,12/01/2026,", "column 7 (valid_from)", "write year, month and day"),
        ("81,,1,,,,46357,", "column 7 (valid_from)", "a spreadsheet shows it as a number"),
        ("81,,1,,,,2026-12-01T09:00,", "column 7 (valid_from)", "needs its offset"),
        ("81,,1,,,,2026-12-01 09:00,", "column 7 (valid_from)", "needs its offset"),
        ("81,,1,,,,2026-02-30,", "column 7 (valid_from)", "there is no such day"),
        ("81,,1,,,,2026-02-28T25:00Z,", "column 7 (valid_from)", "there is no such day"),
        ("81,,1,,,,2026-02-28T23:00+99:00,", "column 7 (valid_from)", "there is no such day"),
        ("81,,1,,,,0001-01-01,", "column 7 (valid_from)", "the year must be 1970 to 2199"),
        ("81,,1,,,,9999-12-31T23:59-12:00,", "column 7 (valid_from)", "the year must be 1970 to 2199"),
        ("81,,1,,,,2026-12-01,2026-12-01", "column 8 (valid_until)", "would never hold"),
        ("81,,1,,,,2026-12-01,never", "column 8 (valid_until)", "write year, month and day"),
        ('81,"=1+1",1,,,,2026-12-01,', "column 2 (name)", "take it for a formula"),
        ('81,"two\nlines",1,,,,2026-12-01,', "column 2 (name)", "on one line"),
        (f"81,{'x' * 101},1,,,,2026-12-01,", "column 2 (name)", "longer than 100 characters"),
        ("81,Japan, all,1,,,,2026-12-01,", "", "9 cells, but the header has 8"),
        ("81,1", "", "2 cells, but the header has 8"),
    ],
)
def test_a_wrong_cell_is_named_with_the_mend(cells: str, where: str, says: str) -> None:
    problem = problem_of(cells)
    assert problem.startswith(f"line 2, {where}: " if where else "line 2: ")
    assert says in problem


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            "UK,local,1,2026-12-01",
            "column 1 (country): 'UK' is no country code: the code of the United Kingdom is GB",
        ),
        ("jp,local,1,2026-12-01", "column 1 (country): 'jp' is no country: write two capital letters"),
        (",local,1,2026-12-01", "column 1 (country): '' is no country"),
        (
            "JP,toll-free,1,2026-12-01",
            "column 2 (type): 'toll-free' is no type of number: write local, mobile",
        ),
    ],
)
def test_a_wrong_kind_of_number_is_named(row: str, says: str) -> None:
    (problem,) = refused(f"country,type,per_minute,valid_from\n{row}\n")
    assert says in problem


def test_every_problem_is_told_at_once_and_nothing_comes_in() -> None:
    rows = "+81,,x,,,,2026-12-01,\n82,,1,,,,2026-12-01,\n83,,1,,,,today,\n\n84,,1\n"
    assert [problem.split(":")[0] for problem in refused(HEADER + rows)] == [
        "line 2, column 1 (prefix)",
        "line 2, column 3 (per_minute)",
        "line 4, column 7 (valid_from)",
        "line 6",
    ]


def test_a_hundred_problems_are_enough() -> None:
    with pytest.raises(BadCsv) as refusal:
        read(HEADER + "x\n" * 100)
    assert (len(refusal.value.problems), refusal.value.more) == (100, False)
    with pytest.raises(BadCsv, match="more than 100 problems, nothing was imported") as refusal:
        read(HEADER + "x\n" * 101)
    assert (len(refusal.value.problems), refusal.value.more) == (100, True)


def test_the_message_of_a_refusal_lists_the_problems() -> None:
    with pytest.raises(BadCsv) as refusal:
        read(HEADER + "+81,,1,,,,2026-12-01,\n")
    assert str(refusal.value) == (
        "the outbound rate deck has 1 problem, nothing was imported\n"
        "  line 2, column 1 (prefix): '+81': leave the + out, such as 8190"
    )
    assert refusal.value.problems[0][:3] == (2, 1, "prefix")
    assert isinstance(refusal.value.problems[0], CsvProblem)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("2026-12-01,", "2026-12-01,", "two outbound rates for 81 begin together, the other in line 2"),
        ("2026-12-01,2026-12-02", "2026-12-01,", "begin together"),
        ("2026-12-01,", "2027-01-01,", "overlap: give line 2 the valid_until where this one begins"),
        ("2026-12-01,2027-01-02", "2027-01-01,", "overlap: line 2 must end where this one begins"),
        ("2026-12-01,2026-12-31", "2027-01-01,", "a gap between outbound rates for 81: line 2 ends before"),
    ],
)
def test_rates_of_one_key_follow_each_other(first: str, second: str, says: str) -> None:
    (problem,) = refused(f"{HEADER}81,,1,,,,{first}\n82,,1,,,,2026-12-01,\n81,,2,,,,{second}\n")
    assert problem.startswith("line 4: ")
    assert says in problem


def test_a_change_of_price_in_one_deck() -> None:
    rates = read(f"{HEADER}81,,2,,,,2027-01-01,\n81,,1,,,,2026-12-01,2027-01-01\n")
    deck = Deck(rates)
    assert deck.outbound("+81", DECEMBER + 31 * DAY - 1) == rates[1]
    assert deck.outbound("+81", DECEMBER + 31 * DAY) == rates[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: the file is empty"),
        ("\n \n", "line 1: the file is empty"),
        ("\ufeff", "line 1: the file is empty"),
        (HEADER, "line 1: there is a header and nothing below it"),
        ("prefix,price,valid_from\n", "column 2 (price): 'price' is no column of the outbound rate deck"),
        ("prefix,per_minute,valid_from,prefix\n", "column 4 (prefix): the column is there twice"),
        (
            "prefix,per_minute,valid_from,country\n",
            "column 4 (country): 'country' is no column of the outbound rate deck",
        ),
        ("prefix,per_minute,valid_from,currency\n", "prices are credits, which are US dollars"),
        ("prefix,per_minute\n", "line 1: the outbound rate deck lacks valid_from"),
        ("country,per_minute,valid_from\n", "line 1: the inbound rate deck lacks type"),
        ("81,0.03,2026-12-01\n", "column 1 (81): '81' is no column of the inbound rate deck"),
        (HEADER + '81,"Japan,1,,,,2026-12-01,\n82,,1,,,,2026-12-01,\n', "line 2: not readable as CSV"),
        (HEADER + "8\0001,,1,,,,2026-12-01,\n", "line 2"),
        (HEADER + "8" * 20_000, "line 2: longer than 10,000 characters"),
    ],
)
def test_what_is_no_deck_is_refused(text: str, says: str) -> None:
    assert any(says in problem for problem in refused(text))


def test_a_file_in_another_encoding_is_refused() -> None:
    for data, line in [("日本".encode("shift_jis"), 1), (HEADER.encode() + "81,日本".encode("shift_jis"), 1)]:
        stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        with pytest.raises(BadCsv, match="is not UTF-8: save the file as CSV UTF-8") as refusal:
            read_deck(stream, UTC)
        assert refusal.value.problems[0].line == line


names = st.text("abc 日本　携帯,;\"'()", max_size=20).map(str.strip)
times = st.integers(0, 7_000_000_000 * SECOND) | st.integers(0, 80_000).map(
    lambda days: start_of_day(date.fromordinal(719_200 + days), TOKYO)
)


@st.composite
def decks(draw: st.DrawFn) -> list[Rate]:
    """A deck that may be written and read: of each key one rate after the other."""
    outbound_keys = st.from_regex(r"[1-9][0-9]{0,14}", fullmatch=True)
    inbound_keys = st.builds(inbound_key, st.sampled_from(["JP", "US", "001"]), st.sampled_from(NUMBER_TYPES))
    make, keys = draw(st.sampled_from([(outbound, outbound_keys), (inbound, inbound_keys)]))
    rates = []
    for key in draw(st.lists(keys, unique=True, min_size=1, max_size=5)):
        begins = sorted(draw(st.sets(times, min_size=1, max_size=4)))
        last = draw(st.none() | st.just(begins[-1] + 1))
        for begin, end in [*pairwise(begins), (begins[-1], last)]:
            rates.append(
                make(
                    key,
                    draw(st.integers(0, DEAREST)),
                    connect_fee=draw(st.integers(0, DEAREST)),
                    first_s=draw(st.integers(1, LONGEST_INCREMENT_S)),
                    following_s=draw(st.integers(1, LONGEST_INCREMENT_S)),
                    valid_from=begin,
                    valid_until=end,
                    name=draw(names),
                )
            )
    return draw(st.permutations(rates))


@given(decks(), st.sampled_from([TOKYO, UTC, ZoneInfo("Africa/Cairo")]))
def test_what_is_written_is_read_back_and_written_the_same(rates: list[Rate], zone: ZoneInfo) -> None:
    text = written(rates, zone)
    assert read(text, zone) == rates
    assert written(read(text, zone), zone) == text
    assert read(text.replace("\n", "\r\n"), zone) == rates


@given(decks())
def test_separators_and_order_of_columns_do_not_matter(rates: list[Rate]) -> None:
    rows = [row[::-1] for row in csv.reader(io.StringIO(written(rates), newline=""))]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=";").writerows(rows)
    assert read(f"\ufeff{stream.getvalue()}") == rates


@given(st.text(max_size=200) | st.text('prefixcountrytypeper_minutevalid_from81,;"\n\r\0', max_size=300))
def test_any_text_is_a_deck_or_refused(text: str) -> None:
    for deck in (text, HEADER + text):
        with pytest.raises(BadCsv) as refusal:
            read(deck)
        assert 0 < len(refusal.value.problems) <= 100


@given(decks(), st.data())
def test_a_deck_with_one_bad_cell_is_refused_there(rates: list[Rate], data: st.DataObject) -> None:
    rows = list(csv.reader(io.StringIO(written(rates), newline="")))
    line = data.draw(st.integers(1, len(rows) - 1))
    column = data.draw(st.integers(0, len(rows[0]) - 1))
    rows[line][column] = "=bad"
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    with pytest.raises(BadCsv) as refusal:
        read(stream.getvalue())
    (problem,) = refusal.value.problems
    assert problem[:3] == (line + 1, column + 1, rows[0][column])


def test_inbound_and_outbound_are_not_written_into_one_deck() -> None:
    with pytest.raises(ValueError, match="inbound or outbound"):
        written([outbound("81"), inbound()])


@pytest.mark.parametrize("name", ["rates-inbound", "rates-outbound"])
def test_the_examples_are_as_we_write_them(name: str) -> None:
    text = (EXAMPLES / f"{name}.csv").read_text(encoding="utf-8")
    rates = read(text)
    assert written(rates) == text
    assert {rate.direction for rate in rates} == {name.removeprefix("rates-")}


def test_the_page_names_every_column() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "rates.md").read_text(encoding="utf-8")
    for column in {*COLUMNS["inbound"], *COLUMNS["outbound"]}:
        assert f"`{column}`" in page


def test_reading_keeps_nothing_but_the_rates() -> None:
    rows = 5_000
    text = HEADER + "".join(f"{1_000_000 + n},,0.0{n:05d},,,,2026-12-01,\n" for n in range(rows))
    stream = io.StringIO(text, newline="")
    read(HEADER + "81,,1,,,,2026-12-01,\n")
    tracemalloc.start()
    try:
        rates = read_deck(stream, UTC)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rates) == rows
    assert peak - kept < kept
