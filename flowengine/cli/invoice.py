"""`flowengine invoice`: the statement of a month, on the terminal, as CSV or as a page of HTML."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowengine.cli.columns import columns
from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import Payer, exact, now, payer, with_books
from flowengine.cli.screen import fail, say, say_json
from flowengine.cli.stored import AccountKey, Opened

if TYPE_CHECKING:
    from flowengine.billing.statements import Statement


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(invoice)


def invoice(
    account: AccountKey,
    month: Annotated[str, typer.Argument(metavar="MONTH", help="A month of the calendar: 2026-11.")],
    csv: Annotated[Path | None, typer.Option(help="Write it as a table to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page to this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """State a month of an account: what was there, what came and went, and what was left; shown, or written to files.

    Months are those of the account's time zone; a day after its end one is final. Exit 0: shown or written. 1: no such
    account. 2: no such month, a file is there already or cannot be written, or the settings are wrong. 3: no usable
    database.
    """
    read = re.fullmatch(r"([0-9]{4})-([0-9]{2})", month)
    if read is None:
        fail(f"{month[:40]!r} is no month: write it like 2026-11")
    files = [each for each in (csv, html) if each is not None]
    for file in files:
        if file.is_dir():
            fail(f"{file}: is a folder: name a file in it")
        if file.exists() and not force:
            fail(f"{file}: is there already: choose another name, or --force")

    async def work(here: Opened) -> "tuple[Payer, Statement]":
        from flowengine.store import statements

        of = await payer(here, account)
        if files:
            of.must_have_rate()
        async with here.database.reading() as session:
            return of, await statements.statement(session, of.company.id, int(read[1]), int(read[2]), now())

    of, found = with_books(work)
    for file in files:
        _write(file, _csv(of, found) if file is csv else _html(of, found))
    if as_json:
        say_json(_as_dict(of, found))
    elif files:
        for file in files:
            say(f"{file}: {month} of {of.company.key}, {exact(found.closing)} credits at the end", "ok")
        _say_draft(found)
    else:
        _show(of, found)


def _csv(of: Payer, found: "Statement") -> str:
    from flowengine.billing.statements import write_csv

    assert of.rate is not None, "looked at before"
    text = io.StringIO()
    write_csv(found, of.rate, text)
    return text.getvalue()


def _html(of: Payer, found: "Statement") -> str:
    from flowengine.shop.statement_html import statement_html

    assert of.rate is not None, "looked at before"
    return statement_html(found, of.rate)


def _write(file: Path, text: str) -> None:
    """The whole file, or none. Ends with exit code 2."""
    from recordings.files import replacing

    try:
        with replacing(file) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be written ({error.strerror})")


def _show(of: Payer, found: "Statement") -> None:
    say(f"{of.company.key}, {found.first} to {found.last}, in credits")
    rows = [("balance at the beginning", "", exact(found.opening))]
    rows += [(each.kind, str(each.many), exact(each.amount)) for each in found.lines]
    rows += [("balance at the end", "", exact(found.closing))]
    rows += [
        (f"calls {each.direction} {each.key}", str(each.many), exact(each.amount)) for each in found.calls
    ]
    rows += [(f"{each.kind} {each.subject}", str(each.many), exact(each.amount)) for each in found.fees]
    for line in columns(("item", "entries", "credits"), rows, right=["entries", "credits"]):
        say(line)
    if found.owed:
        say(f"{of.both(found.owed)} owed for calls at the end", "warning")
    _say_draft(found)


def _say_draft(found: "Statement") -> None:
    if not found.is_final:
        say("not final: entries may still be added", "warning")


def _as_dict(of: Payer, found: "Statement") -> dict[str, Any]:
    return {
        "account": found.account,
        "first": found.first.isoformat(),
        "last": found.last.isoformat(),
        "zone": found.zone,
        "final": found.is_final,
        "opening": exact(found.opening),
        "lines": [{**each._asdict(), "amount": exact(each.amount)} for each in found.lines],
        "closing": exact(found.closing),
        "calls": [{**each._asdict(), "amount": exact(each.amount)} for each in found.calls],
        "fees": [{**each._asdict(), "amount": exact(each.amount)} for each in found.fees],
        "owed": exact(found.owed),
        "currency": of.currency,
        "shown": {"opening": of.shown(found.opening), "closing": of.shown(found.closing)},
    }
