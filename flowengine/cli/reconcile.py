"""`flowengine reconcile`: every debit of calls reckoned anew from the journals, every balance from its transfers.

Made for a nightly job: what differs is written as it is found and never gathered, so a year takes no more memory than
a day.
"""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO
from zoneinfo import ZoneInfo

import typer

from flowengine.cli.bar import Bar
from flowengine.cli.columns import plain
from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import exact, now, with_books
from flowengine.cli.screen import PROBLEMS, say
from flowengine.cli.stored import Company, Opened, moment

if TYPE_CHECKING:
    from flowengine.store import ledger
    from flowengine.store.reconcile import Difference, Reconciliation

EVER: Final = 0
"""The first instant of all: 1970."""


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(reconcile)


def reconcile(
    account: Annotated[
        str | None, typer.Argument(metavar="ACCOUNT", help="The key of an account; without it, all of them.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Calls that arrived then or later: 2026-11-21, 2026-11-21T09:30, 2d.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Calls that arrived before then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Reckon every debit of calls anew from the journals, and every balance from its transfers: nothing may differ.

    Times are those of the account, or UTC for all accounts. Exit 0: nothing differs. 1: something does, each named, or
    there is no such account. 2: a time or the settings are wrong. 3: no usable database.
    """
    told = _Told(sys.stdout, as_json=as_json)

    async def work(here: Opened) -> "Reconciliation":
        from flowengine.store.reconcile import Reconciliation

        companies = await here.companies(account)
        zone = ZoneInfo("UTC") if account is None else companies[0].zone
        at = datetime.now(UTC)
        first, after = moment(since, zone, at), moment(until, zone, at)
        one = None if account is None else companies[0].id
        run = Reconciliation(
            here.database,
            first=EVER if first is None else first,
            after=now() if after is None else after,
            now=now(),
            account=one,
        )
        keys = {each.id: each.key for each in companies}
        told.begin()
        await _calls(here, run, told, keys)
        for each in companies:
            await _balances(here, each, told)
        return run

    run = with_books(work)
    told.end(run)
    raise typer.Exit(PROBLEMS if told.many else 0)


@dataclass
class _Told:
    """Writes differences as they are found. Standard output is kept from before: what services print goes elsewhere."""

    out: TextIO
    as_json: bool
    many: int = 0

    def begin(self) -> None:
        """Before the first one."""
        if self.as_json:
            self.out.write('{"differences": [')

    def difference(self, words: str, fields: dict[str, Any]) -> None:
        """One of them."""
        if self.as_json:
            self.out.write(f"{',' if self.many else ''}\n  {json.dumps(fields, ensure_ascii=False)}")
        else:
            typer.secho(plain(words), file=self.out, fg=typer.colors.RED if self.out.isatty() else None)
        self.many += 1

    def end(self, run: "Reconciliation") -> None:
        """What was looked at, and how many differ."""
        if self.as_json:
            counts = {
                "calls": run.calls,
                "increments": run.charges,
                "owed": exact(run.owed),
                "booked": exact(run.booked),
                "unsettled": run.unsettled,
                "found": self.many,
            }
            rest = json.dumps(counts, ensure_ascii=False)[1:]
            self.out.write(f"{chr(10) if self.many else ''}], {rest}\n")
            self.out.flush()
            return
        sums = f"owed {exact(run.owed)}, booked {exact(run.booked)} credits"
        looked = f"{run.calls:,} calls, {run.charges:,} increments: {sums}"
        if run.unsettled:
            looked += f"; {run.unsettled:,} calls ended just now, left to the next time"
        say(looked)
        say(f"{self.many:,} differences" if self.many else "no difference", "error" if self.many else "ok")


async def _calls(here: Opened, run: "Reconciliation", told: _Told, keys: dict[str, str]) -> None:
    """Reckon the calls, and show how far it is."""
    total = await _many(here, run)
    shown = Bar("calls")
    try:
        async for found in run.run():
            told.difference(f"{keys.get(found.account, found.account)}: {found}", _as_dict(found, keys))
            shown(min(run.calls, total), total)
    finally:
        shown.close()


async def _balances(here: Opened, of: Company, told: _Told) -> None:
    """Reckon the balances of an account in credits from their transfers and holds."""
    from flowengine.store import ledger
    from flowengine.store.debits import CREDITS

    async with here.database.reading() as session:
        differences = await ledger.derive(session, of.id)
    for each in differences:
        if each.name.partition(".")[0] == CREDITS:
            told.difference(_words(of, each), _balance(of, each))


async def _many(here: Opened, run: "Reconciliation") -> int:
    from sqlalchemy import func, select

    from flowengine.store.tables import Call

    where = [Call.arrived_at >= run.first, Call.arrived_at < run.after, Call.disposition.is_not(None)]
    if run.account is not None:
        where.append(Call.account_id == run.account)
    async with here.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Call).where(*where)) or 0


def _as_dict(found: "Difference", keys: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "account": keys.get(found.account, found.account),
        "call": found.call,
        "leg": found.leg,
        "increment": None if found.number < 0 else found.number,
        "owed": exact(found.owed),
        "booked": exact(found.booked),
        "detail": found.detail,
    }


def _words(of: Company, each: "ledger.Difference") -> str:
    return (
        f"{of.key}: balance: {each.name} is {exact(each.balance)} ({exact(each.held)} held),"
        f" its transfers say {exact(each.derived)} ({exact(each.derived_held)})"
    )


def _balance(of: Company, each: "ledger.Difference") -> dict[str, Any]:
    return {
        "kind": "balance",
        "account": of.key,
        "name": each.name,
        "balance": exact(each.balance),
        "derived": exact(each.derived),
        "held": exact(each.held),
        "derived_held": exact(each.derived_held),
    }
