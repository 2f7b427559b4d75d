"""Commands about rate decks: import, export, list, and which rate a call has."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from flowengine.cli.bar import Bar
from flowengine.cli.columns import columns, plain
from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import Zone, exact, instant_of, now, plain_lines, stamp, with_books, written
from flowengine.cli.screen import PROBLEMS, fail, read_bytes, say, say_json
from flowengine.cli.stored import BadWord, Opened, Unknown, near

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from flowengine.billing.csv_table import BadCsv
    from flowengine.billing.rates import NoRate, Rate

DeckName = Annotated[str, typer.Argument(metavar="DECK", help="The name of a deck, such as inbound.")]
DECK: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
UTC: Final = "UTC"
STEP: Final = 1_000
"""Lines after which the bar moves."""


class DeckRow(NamedTuple):
    """A deck as a whole: how many rates it has, and when the first one begins."""

    name: str
    direction: str
    rates: int
    first: int


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(help="What calls cost: rate decks, and which rate a call has.", no_args_is_help=True)
    group.command("import")(import_deck)
    group.command("export")(export_deck)
    group.command("list")(list_decks)
    group.command()(find)
    app.add_typer(group, name="rates")


def import_deck(
    deck: DeckName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The deck as CSV; - reads standard input.")],
    zone: Zone = UTC,
    as_json: AsJson = False,
) -> None:
    """Put a rate deck in the place of the one of that name, as a whole: one problem, and nothing is imported.

    A running engine has the new prices within seconds. Exit 0: imported. 1: it cannot be used, with every problem by
    line. 2: no such file, no such time zone, or the settings are wrong. 3: no usable database.
    """
    if not DECK.fullmatch(deck):
        fail(f"{deck[:80]!r} is no name of a deck: use 1 to 63 small letters, digits, - and _")
    data = read_bytes(file)

    async def work(here: Opened) -> "int | BadCsv":
        from flowengine.billing.csv_table import BadCsv
        from flowengine.billing.periods import time_zone
        from flowengine.store import rates

        clocks = time_zone(zone)
        shown = Bar("rates")
        try:
            return await rates.import_deck(here.database, deck, _Counted(data, shown), clocks, now())
        except BadCsv as bad:
            return bad
        finally:
            shown.close()

    done = with_books(work)
    if isinstance(done, int):
        if as_json:
            say_json({"deck": deck, "rates": done, "problems": []})
        else:
            say(f"{deck}: {done:,} rates", "ok")
        return
    if as_json:
        problems = [each._asdict() for each in done.problems]
        say_json({"deck": deck, "rates": None, "problems": problems, "more": done.more})
        raise typer.Exit(PROBLEMS)
    fail(f"{file}: {plain_lines(str(done))}", PROBLEMS)


def export_deck(deck: DeckName, zone: Zone = UTC, as_json: AsJson = False) -> None:
    """Write a rate deck as CSV to standard output; imported with the same zone it is the same deck again.

    Exit 0: written. 1: no such deck. 2: no such time zone, or the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[list[Rate], ZoneInfo]":
        from flowengine.billing.periods import time_zone
        from flowengine.store import rates

        clocks = time_zone(zone)
        names = [each.name for each in await _decks(here)]
        if deck not in names:
            known = f": there are {', '.join(names)}" if names else ": none was imported yet"
            raise Unknown(f'there is no rate deck "{deck[:80]}"{near(deck, names)}{known}')
        async with here.database.reading() as session:
            return await rates.export_deck(session, deck), clocks

    from flowengine.billing.decks import write_deck

    found, clocks = with_books(work)
    if as_json:
        say_json([_as_dict(each, clocks) for each in found])
        return
    text = io.StringIO()
    write_deck(found, text, clocks)
    typer.echo(text.getvalue(), nl=False)


def list_decks(as_json: AsJson = False) -> None:
    """List the rate decks.

    Exit 0: listed, though there may be none. 2: the settings are wrong. 3: no usable database.
    """
    from zoneinfo import ZoneInfo

    found = with_books(_decks)
    clocks = ZoneInfo(UTC)
    if as_json:
        say_json([{**each._asdict(), "first": stamp(each.first, clocks)} for each in found])
        return
    rows = [(each.name, each.direction, f"{each.rates:,}", written(each.first, clocks)) for each in found]
    for line in columns(("deck", "calls", "rates", "from (UTC)"), rows, right=["rates"]):
        say(line)
    if not found:
        say("no rate decks: `flowengine rates import DECK FILE`")


def find(
    asked: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER", help="A number that is called out (+81...), or COUNTRY/TYPE of ours."
        ),
    ],
    at: Annotated[
        str | None, typer.Option(help="When: 2026-11-21, 2026-11-21T09:30, 7d ago; without it, now.")
    ] = None,
    zone: Zone = UTC,
    as_json: AsJson = False,
) -> None:
    """Show the rate that a call answered at that time has: by longest prefix, or by country and type of our number.

    Exit 0: shown. 1: no rate holds, and why. 2: no such number, type or time, or the settings are wrong. 3: no usable
    database.
    """

    async def work(here: Opened) -> "tuple[Rate | NoRate, str, ZoneInfo]":
        from flowengine.billing.periods import time_zone

        clocks = time_zone(zone)
        when = now() if at is None else instant_of(at, clocks)
        return *await _find(here, asked, when), clocks

    from flowengine.billing.rates import NoRate

    rate, deck, clocks = with_books(work)
    if isinstance(rate, NoRate):
        if as_json:
            say_json({"rate": None, "reason": rate.reason, "message": str(rate)})
            raise typer.Exit(PROBLEMS)
        fail(str(rate), PROBLEMS)
    if as_json:
        say_json({"rate": _as_dict(rate, clocks), "deck": deck})
        return
    until = "" if rate.valid_until is None else f" until {written(rate.valid_until, clocks)}"
    called = f" ({plain(rate.name)})" if rate.name else ""
    say(f"{rate.direction} {rate.key}{called}: {exact(rate.per_minute)} credits a minute", "ok")
    say(f"first increment {rate.first_s} s: {exact(rate.connect_fee + rate.price_of(rate.first_s))} credits")
    if rate.connect_fee:
        say(f"  of which connect fee: {exact(rate.connect_fee)} credits")
    say(f"each following {rate.following_s} s: {exact(rate.price_of(rate.following_s))} credits")
    say(f"holds from {written(rate.valid_from, clocks)}{until}, in the deck {deck}, {rate.id}")


class _Counted(io.TextIOWrapper):
    """A file that shows on a bar how much of it was read."""

    def __init__(self, data: bytes, shown: Bar) -> None:
        self._of = io.BytesIO(data)
        super().__init__(self._of, encoding="utf-8", newline="")
        self._total, self._shown, self._lines = len(data), shown, 0

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        self._lines += 1
        if self._lines % STEP == 0:
            self._shown(self._of.tell(), self._total)
        return super().readline(-1 if size is None else size)


async def _decks(here: Opened) -> list[DeckRow]:
    from sqlalchemy import func, select

    from flowengine.store.tables import RateRow

    async with here.database.reading() as session:
        rows = await session.execute(
            select(RateRow.deck, RateRow.direction, func.count(), func.min(RateRow.valid_from))
            .group_by(RateRow.deck, RateRow.direction)
            .order_by(RateRow.deck)
        )
        return [DeckRow(*row) for row in rows]


async def _find(here: Opened, asked: str, at: int) -> "tuple[Rate | NoRate, str]":
    """The rate, and its deck. Only what may hold is read, so a large deck costs nothing. Raises `BadWord`."""
    from sqlalchemy import select

    from flowengine.billing.rates import NUMBER_TYPES, Deck, NoRate
    from flowengine.store import rates
    from flowengine.store.tables import RateRow

    country, slash, kind = asked.partition("/")
    type_ = next((each for each in NUMBER_TYPES if each == kind), None)
    keys = [asked] if slash else _prefixes(asked)
    if slash and (type_ is None or not re.fullmatch(r"[A-Z]{2}|001", country)):
        types = ", ".join(NUMBER_TYPES)
        raise BadWord(
            f"{asked[:40]!r}: write COUNTRY/TYPE such as JP/local{near(kind, NUMBER_TYPES)};"
            f" a country is ISO 3166 in capitals or 001, a type one of {types}"
        )
    direction = "inbound" if slash else "outbound"
    async with here.database.reading() as session:
        found = await rates.read_rates(session, RateRow.direction == direction, RateRow.key.in_(keys))
        deck = Deck(found)
        rate = deck.outbound(f"+{keys[0]}", at) if type_ is None else deck.inbound(country, type_, at)
        if isinstance(rate, NoRate):
            return rate, ""
        names = await session.scalars(
            select(RateRow.deck).where(RateRow.id == rate.id).order_by(RateRow.deck)
        )
        return rate, ", ".join(names)


def _prefixes(number: str) -> Sequence[str]:
    """The digits of a number, and each shorter beginning of them. Raises `BadWord`."""
    digits = re.sub(r"[\s().-]", "", number)
    if not re.fullmatch(r"\+[1-9][0-9]{0,14}", digits):
        raise BadWord(
            f"{number[:40]!r} is no number: write it with + and the country code, such as +815055550100"
        )
    return [digits[1:end] for end in range(len(digits), 1, -1)]


def _as_dict(rate: "Rate", zone: "ZoneInfo") -> dict[str, Any]:
    return {
        "id": rate.id,
        "direction": rate.direction,
        "key": rate.key,
        "name": rate.name,
        "per_minute": exact(rate.per_minute),
        "connect_fee": exact(rate.connect_fee),
        "first_s": rate.first_s,
        "following_s": rate.following_s,
        "valid_from": stamp(rate.valid_from, zone),
        "valid_until": stamp(rate.valid_until, zone),
    }
