"""Commands about the numbers for sale: a carrier's list offered, and searched."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flowengine.cli.columns import columns
from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import exact, now, number_fees, plain_lines, with_books
from flowengine.cli.screen import PROBLEMS, fail, read_bytes, say, say_json
from flowengine.cli.stored import Opened

if TYPE_CHECKING:
    from flowengine.billing.csv_table import BadCsv
    from flowengine.shop.numbers import NumberShop
    from flowengine.store.offered import Kind, Offer, Price

NumberType = Literal["local", "mobile", "toll_free"]


def add_to(group: typer.Typer) -> None:
    """Register the commands of this file."""
    group.command()(offer)
    group.command()(search)


def offer(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A carrier's numbers as CSV; - reads standard input.")
    ],
    as_json: AsJson = False,
) -> None:
    """Offer the numbers of a list in the place of those offered before; what is sold stays sold.

    One problem, and nothing is changed. Exit 0: offered. 1: the list cannot be used, with every problem by line. 2: no
    such file, or the settings are wrong. 3: no usable database.
    """
    data = read_bytes(file)

    async def work(here: Opened) -> "int | BadCsv":
        from flowengine.billing.csv_table import BadCsv

        stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        try:
            return await number_shop(here).import_list(stream)
        except BadCsv as bad:
            return bad

    done = with_books(work)
    if isinstance(done, int):
        if as_json:
            say_json({"for_sale": done, "problems": []})
        else:
            say(f"{done:,} numbers for sale", "ok")
        return
    if as_json:
        problems = [each._asdict() for each in done.problems]
        say_json({"for_sale": None, "problems": problems, "more": done.more})
        raise typer.Exit(PROBLEMS)
    fail(f"{file}: {plain_lines(str(done))}", PROBLEMS)


def search(
    country: Annotated[
        str | None, typer.Option(help="ISO 3166 in capitals, or 001; without it, what there is is counted.")
    ] = None,
    type_: Annotated[
        NumberType | None, typer.Option("--type", help="Only local, mobile or toll_free ones.")
    ] = None,
    region: Annotated[str, typer.Option(help="Only of this region, as the carrier calls it.")] = "",
    digits: Annotated[str, typer.Option(help="Only with these digits somewhere in them.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Show so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Search the numbers for sale, with their prices; without a country, count them by country, type and region.

    Exit 0: shown, though there may be none. 2: an option or the settings are wrong. 3: no usable database.
    """
    if country is None and (type_ or region or digits):
        fail("--type, --region and --digits need --country: choose one")

    async def work(here: Opened) -> "list[Kind] | list[tuple[Offer, Price]]":
        from flowengine.store import offered

        fees, at = number_fees(here.settings), now()
        async with here.database.reading() as session:
            if country is None:
                return await offered.kinds(session)
            found = await offered.search(
                session, country=country, type=type_, region=region, digits=digits, many=limit
            )
        return [(each, offered.price_of(each, fees, at)) for each in found]

    _say_offers(with_books(work), limit, as_json=as_json)


def number_shop(here: Opened) -> "NumberShop":
    """The operator's own list of numbers. Raises `BadWord`."""
    from flowengine.clock import SystemClock
    from flowengine.shop.carrier import Inventory
    from flowengine.shop.numbers import NumberShop

    return NumberShop(here.database, Inventory(), SystemClock(), number_fees(here.settings))


def _say_offers(found: "list[Kind] | list[tuple[Offer, Price]]", limit: int, *, as_json: bool) -> None:
    from flowengine.store.offered import Kind

    if not found:
        say_json([]) if as_json else say("no such numbers are for sale")
        return
    rows: list[dict[str, Any]] = [
        each._asdict()
        if isinstance(each, Kind)
        else {
            "number": each[0].e164,
            "country": each[0].country,
            "type": each[0].type,
            "region": each[0].region,
            "setup": exact(each[1].setup),
            "monthly": exact(each[1].monthly),
        }
        for each in found
    ]
    if as_json:
        say_json(rows)
        return
    titles = list(rows[0])
    for line in columns(
        titles, [[str(cell) for cell in row.values()] for row in rows], right=["setup", "monthly", "many"]
    ):
        say(line)
    if "number" in titles and len(rows) == limit:
        say(f"the first {limit}: --limit shows more")
