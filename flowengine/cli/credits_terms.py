"""Commands about what happens when credits run out: auto-recharge, refusal of new calls, the end of running ones."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import (
    OPERATOR,
    By,
    account_row,
    credits,
    exact,
    named,
    now,
    payer,
    stamp,
    with_books,
    written,
)
from flowengine.cli.screen import fail, say, say_json
from flowengine.cli.stored import AccountKey, Company, Opened

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from flowengine.store.recharge import RechargeView
    from flowengine.store.tables import Account


def add_to(group: typer.Typer) -> None:
    """Register the commands of this file."""
    group.command()(recharge)
    group.command()(policy)


def recharge(
    account: AccountKey,
    below: Annotated[
        str | None, typer.Option(metavar="CREDITS", help="Buy when the balance falls below this.")
    ] = None,
    amount: Annotated[str | None, typer.Option(metavar="CREDITS", help="Buy so much each time.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Do not recharge any more.")] = False,
    by: By = OPERATOR,
    as_json: AsJson = False,
) -> None:
    """Show or set auto-recharge: below a threshold, an amount of credits is bought. Not for partner accounts.

    Setting it again lets a recharge that was declined too often try anew. Exit 0: shown or set. 1: no such account, or
    it is refused. 2: no such amount, one option without the other, or the settings are wrong. 3: no usable database.
    """
    if off and (below is not None or amount is not None):
        fail("--off with --below or --amount: choose one")
    if (below is None) != (amount is None):
        fail("--below and --amount belong together: give both")
    threshold = None if below is None else credits(below)
    each_time = None if amount is None else credits(amount)
    who = named("--by", by)

    async def work(here: Opened) -> "tuple[Company, RechargeView]":
        from flowengine.store import recharge as settings
        from flowengine.store.ledger import transact

        of = (await payer(here, account)).company
        at = now()

        async def configure(session: "AsyncSession") -> "RechargeView":
            if off or threshold is not None:
                await settings.configure(session, of.id, threshold, each_time, who, at)
            return await settings.view(session, of.id)

        return of, await transact(here.database, configure)

    of, seen = with_books(work)
    if as_json:
        say_json(
            {
                "account": of.key,
                "below": None if seen.below is None else exact(seen.below),
                "amount": None if seen.amount is None else exact(seen.amount),
                "on": seen.is_on,
                "partner": seen.is_partner,
                "declined_in_a_row": seen.in_a_row,
                "tries_at": stamp(seen.tries_at, of.zone),
            }
        )
        return
    say(f"{of.key}: {_recharge(seen.below, seen.amount, is_partner=seen.is_partner)}", "ok")
    if seen.in_a_row:
        again = f"tried again {written(seen.tries_at, of.zone)}" if seen.tries_at else "not tried any more"
        say(f"{seen.in_a_row} did not go through: {again}", "warning")


def policy(
    account: AccountKey,
    refuse_when_empty: Annotated[
        bool | None,
        typer.Option(
            "--refuse-when-empty/--no-refuse-when-empty", help="Refuse new calls that no credit can pay."
        ),
    ] = None,
    when_running_out: Annotated[
        Literal["finish", "cut"] | None,
        typer.Option(
            help="finish: running calls go on; cut: they are warned and ended where their money ends."
        ),
    ] = None,
    partner: Annotated[
        bool | None,
        typer.Option("--partner/--no-partner", help="A partner, or attached to one: auto-recharge is off."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show or set what an account does when its credits are used up. Running engines follow within seconds.

    A partner's auto-recharge is switched off, and stays off after --no-partner until it is set again.

    Exit 0: shown or set. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """
    is_shown = refuse_when_empty is None and when_running_out is None and partner is None

    async def work(here: Opened) -> "tuple[Company, Account]":
        from flowengine.store import credit_terms
        from flowengine.store.ledger import transact

        of = await here.company(account)

        async def write(session: "AsyncSession") -> None:
            await credit_terms.set_policy(
                session,
                of.id,
                refuse_when_empty=refuse_when_empty,
                when_running_out=when_running_out,
                is_partner=partner,
            )

        if not is_shown:
            await transact(here.database, write)
        return of, await account_row(here, of)

    of, row = with_books(work)
    if as_json:
        say_json({"account": of.key, **terms_as_dict(row)})
        return
    for line in words(row):
        say(f"{of.key}: {line}", "ok")


def terms_as_dict(row: "Account") -> dict[str, Any]:
    """What an account does without credits, for programs."""
    below, amount = row.recharge_below, row.recharge_amount
    return {
        "refuse_when_empty": row.refuse_when_empty,
        "when_running_out": row.when_running_out,
        "partner": row.is_partner,
        "recharge_below": None if below is None else exact(below),
        "recharge_amount": None if amount is None else exact(amount),
    }


def words(row: "Account") -> list[str]:
    """What an account does without credits, for people."""
    cut = "are warned 60 s before, and cut where their money ends"
    return [
        f"without credits: new calls are {'refused' if row.refuse_when_empty else 'taken, and owed'}",
        f"without credits: running calls {cut if row.when_running_out == 'cut' else 'go on, and are owed'}",
        _recharge(row.recharge_below, row.recharge_amount, is_partner=row.is_partner),
    ]


def _recharge(below: int | None, amount: int | None, *, is_partner: bool) -> str:
    if is_partner:
        return "no auto-recharge: a partner, or attached to one"
    if below is None or amount is None:
        return "no auto-recharge"
    return f"auto-recharge of {exact(amount)} credits below {exact(below)}"
