"""`flowengine plan`: the storage plan as an account pays for it. What an operator gives away is `storage plan`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import (
    OPERATOR,
    By,
    Payer,
    Yes,
    confirm,
    exact,
    named,
    now,
    number_fees,
    payer,
    stamp,
    with_books,
)
from flowengine.cli.prepaid import written as when
from flowengine.cli.screen import say, say_json
from flowengine.cli.stored import AccountKey, Opened

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from sqlalchemy.ext.asyncio import AsyncSession

    from flowengine.store.plan_sales import PlanQuote, PlanView


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(plan)


def plan(
    account: AccountKey,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="free, 50k, 200k or 1m; without it, the plan is shown."),
    ] = None,
    by: By = OPERATOR,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show the storage plan that an account pays for, or change it. The price of now is shown and confirmed.

    A larger plan holds at once, and the rest of the month is paid; a smaller one holds from the next anniversary on.
    The plan that holds takes a smaller one back that was chosen. Exit 0: shown or changed. 1: no such account, it is
    refused, or you said no. 2: no such plan, --yes is missing, or the settings are wrong. 3: no usable database.
    """
    who = named("--by", by)
    if name is None:
        of, seen = with_books(lambda here: _view(here, account))
        _say_plan(of, seen, as_json=as_json)
        return

    async def quote(here: Opened) -> "tuple[Payer, PlanQuote]":
        from flowengine.billing.plans import storage_plan
        from flowengine.store import plan_sales
        from flowengine.store.ledger import transact

        storage_plan(name)  # a plan that is none is told before the account is looked for
        of = await payer(here, account)
        at, fees = now(), number_fees(here.settings)
        return of, await transact(
            here.database, lambda session: plan_sales.quote_plan(session, of.company.id, name, at, fees)
        )

    of, offered = with_books(quote)
    confirm(_question(of, offered), yes=yes)

    async def work(here: Opened) -> "tuple[PlanQuote, PlanView]":
        from flowengine.store import plan_sales
        from flowengine.store.ledger import transact

        at, fees = now(), number_fees(here.settings)

        async def choose(session: "AsyncSession") -> "tuple[PlanQuote, PlanView]":
            done = await plan_sales.choose_plan(session, of.company.id, name, offered.to_pay, who, at, fees)
            return done, await plan_sales.view_plan(session, of.company.id, at)

        return await transact(here.database, choose)

    done, seen = with_books(work)
    if as_json:
        say_json({**_as_dict(of, seen), "paid": exact(done.to_pay)})
        return
    say(f"{of.both(done.to_pay)} paid", "ok")
    _say_plan(of, seen, as_json=False)


async def _view(here: Opened, account: str) -> "tuple[Payer, PlanView]":
    from flowengine.store import plan_sales
    from flowengine.store.ledger import transact

    of = await payer(here, account)
    at = now()
    return of, await transact(here.database, lambda session: plan_sales.view_plan(session, of.company.id, at))


def _question(of: Payer, offered: "PlanQuote") -> str:
    """The change, with what it costs."""
    name, new, zone = of.company.key, offered.new, of.company.zone
    if new == offered.old:
        return f"leave {name} on the plan {new.name}, at {exact(new.fee)} credits a month"
    change = f"put {name} from {offered.old.name} on {new.name}"
    monthly = f"{exact(new.fee)} credits a month"
    if offered.to_pay or new.fee >= offered.old.fee:
        parts = f"{exact(offered.charge)} for the rest of the month less {exact(offered.credit)} credited"
        return f"{change} now for {of.both(offered.to_pay)} ({parts}), then {monthly}"
    return f"{change} from {when(offered.holds_from, zone)} on, then {monthly}"


def _say_plan(of: Payer, seen: "PlanView", *, as_json: bool) -> None:
    if as_json:
        say_json(_as_dict(of, seen))
        return
    zone = of.company.zone
    granted = "" if seen.has_fee or not seen.plan.fee else ", given without a fee"
    say(f"{of.company.key}: {seen.plan.name}, {seen.plan.minutes:,} minutes, {_fee(seen)}{granted}")
    say(f"the month runs from {when(seen.month.begins_at, zone)} to {when(seen.month.ends_at, zone)}")
    if seen.next_plan is not None:
        say(f"{seen.next_plan.name} from {when(seen.month.ends_at, zone)} on", "warning")
    if seen.arrears_since is not None:
        say(f"not paid since {when(seen.arrears_since, zone)}: buy credits", "warning")


def _fee(seen: "PlanView") -> str:
    return f"{exact(seen.plan.fee)} credits a month"


def _as_dict(of: Payer, seen: "PlanView") -> dict[str, Any]:
    zone: ZoneInfo = of.company.zone
    return {
        "account": of.company.key,
        "plan": seen.plan.name,
        "minutes": seen.plan.minutes,
        "fee": exact(seen.plan.fee if seen.has_fee else 0),
        "next_plan": None if seen.next_plan is None else seen.next_plan.name,
        "month_begins": stamp(seen.month.begins_at, zone),
        "month_ends": stamp(seen.month.ends_at, zone),
        "arrears_since": stamp(seen.arrears_since, zone),
    }
