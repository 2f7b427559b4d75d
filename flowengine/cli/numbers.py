"""Commands about the telephone numbers of an account: bought, attached to a flow, given up, and what they cost.

Those for sale are in `numbers_offered`.
"""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from flowengine.cli import numbers_offered
from flowengine.cli.columns import columns
from flowengine.cli.flows import AsJson
from flowengine.cli.numbers_offered import number_shop
from flowengine.cli.prepaid import (
    OPERATOR,
    By,
    Key,
    Payer,
    Yes,
    checked_key,
    confirm,
    exact,
    named,
    payer,
    stamp,
    telephone,
    with_books,
    written,
)
from flowengine.cli.screen import PROBLEMS, fail, say, say_json
from flowengine.cli.stored import AccountKey, Company, Opened, Unknown, near

if TYPE_CHECKING:
    from flowengine.store.number_orders import Order
    from flowengine.store.numbers import NumberView
    from flowengine.store.offered import Price

OneNumber = Annotated[
    str,
    typer.Argument(metavar="NUMBER", help="A number: +81..., or as it is dialled in the account's country."),
]


class _Flow(NamedTuple):
    """A flow by its key. `takes_calls`: it is published and enabled."""

    key: str
    takes_calls: bool


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(
        help="Telephone numbers: buy, attach, give up, and what they cost.", no_args_is_help=True
    )
    numbers_offered.add_to(group)
    for command in (buy, attach, detach, release):
        group.command()(command)
    group.command("list")(list_numbers)
    app.add_typer(group, name="numbers")


def buy(
    account: AccountKey,
    number: OneNumber,
    key: Key = None,
    by: By = OPERATOR,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Buy a number for an account: its setup and its first month are paid at once. The price is shown and confirmed.

    Exit 0: bought, or ordered and the carrier has yet to answer. 1: no such account, it is refused, or you said no.
    2: no such number, --yes is missing, or the settings are wrong. 3: no usable database.
    """
    chosen, who = checked_key(key), named("--by", by)

    async def quote(here: Opened) -> "tuple[Payer, str, Price | None]":
        of = await payer(here, account)
        e164 = telephone(number, of.country)
        if any(each.e164 == e164 for each in await _numbers(here, of.company)):
            return of, e164, None
        return of, e164, (await number_shop(here).quote(e164))[1]

    of, e164, price = with_books(quote)
    if price is None and key is None:
        fail(f"{of.company.key} has {e164} already: nothing was bought", PROBLEMS)
    if price is not None:
        confirm(f"buy {e164} for {of.company.key} at {price}, {of.both(price.now)} now", yes=yes)

    async def work(here: Opened) -> "Order":
        from flowengine.store.offered import Price

        return await number_shop(here).buy(of.company.id, e164, price or Price(0, 0), chosen, who)

    order = with_books(work)
    if as_json:
        say_json(
            {
                "account": of.company.key,
                "number": e164,
                "state": order.state,
                "new": price is not None,
                "setup": None if price is None else exact(price.setup),
                "monthly": None if price is None else exact(price.monthly),
            }
        )
    elif price is None:
        say(f"{of.company.key} had bought {e164} with this key: nothing was bought now", "warning")
    elif order.state == "owned":
        say(f"{of.company.key} has {e164}: attach it to a flow", "ok")
    else:
        say(
            f"{e164} is ordered, and the carrier has yet to answer: it is in the list when it has",
            "warning",
        )


def attach(
    account: AccountKey,
    number: OneNumber,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The key or the id of a flow of the account.")],
    as_json: AsJson = False,
) -> None:
    """Let calls to a number run a flow. New calls do so within seconds.

    Exit 0: attached. 1: no such account, number or flow, or the number was given up. 2: no such number at all, or the
    settings are wrong. 3: no usable database.
    """
    _attach(account, number, flow, as_json=as_json)


def detach(account: AccountKey, number: OneNumber, as_json: AsJson = False) -> None:
    """Reject calls to a number. It is kept, and its fee goes on.

    Exit 0: detached. 1: no such account or number, or the number was given up. 2: no such number at all, or the
    settings are wrong. 3: no usable database.
    """
    _attach(account, number, None, as_json=as_json)


def release(account: AccountKey, number: OneNumber, yes: Yes = False, as_json: AsJson = False) -> None:
    """Give a number up: its calls are rejected at once, no month of it begins, and the one that runs is not given back.

    Exit 0: given up, though the carrier may have yet to agree. 1: no such account or number, or you said no. 2: --yes
    is missing, no such number at all, or the settings are wrong. 3: no usable database.
    """

    async def look(here: Opened) -> "tuple[Payer, NumberView]":
        of = await payer(here, account)
        return of, await _number(here, of, number)

    of, seen = with_books(look)
    name = of.company.key
    confirm(f"give {seen.e164} of {name} up for good", yes=yes)
    is_back = with_books(lambda here: number_shop(here).release(of.company.id, seen.e164))
    if as_json:
        say_json({"account": name, "number": seen.e164, "released": is_back})
    elif is_back:
        say(f"{name} does not have {seen.e164} any more", "ok")
    else:
        say(f"{seen.e164} is given up; the carrier has yet to take it back", "warning")


def list_numbers(account: AccountKey, as_json: AsJson = False) -> None:
    """List the numbers of an account: the flow, the fee a month, when it is due next, and what is in arrears.

    Exit 0: listed, though there may be none. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Payer, list[NumberView], dict[str, _Flow]]":
        of = await payer(here, account)
        return of, await _numbers(here, of.company), await _flows(here, of.company)

    of, found, flows = with_books(work)
    zone = of.company.zone
    if as_json:
        say_json([_as_dict(of.company, each, flows) for each in found])
        return
    rows = [
        (
            each.e164,
            f"{each.country}/{each.type}",
            exact(each.fee),
            "" if each.next_due_at is None else written(each.next_due_at, zone),
            each.state
            if each.arrears_since is None
            else f"{each.state} since {written(each.arrears_since, zone)}",
            _flow(each, flows) or "(none: calls are rejected)",
        )
        for each in found
    ]
    for line in columns(("number", "kind", "a month", "due next", "state", "flow"), rows, right=["a month"]):
        say(line)
    if not found:
        say("no numbers: `flowengine numbers search` shows those for sale")


def _attach(account: str, number: str, flow: str | None, *, as_json: bool) -> None:
    async def work(here: Opened) -> "tuple[Payer, str, _Flow | None]":
        from flowengine.store import numbers

        of = await payer(here, account)
        e164 = (await _number(here, of, number)).e164
        id, wanted = None, None
        if flow is not None:
            known = await _flows(here, of.company)
            id = next((id for id, each in known.items() if flow in (id, each.key)), None)
            if id is None:
                keys = [each.key for each in known.values()]
                raise Unknown(f'the account {of.company.key} has no flow "{flow[:80]}"{near(flow, keys)}')
            wanted = known[id]
        async with here.database.writing() as session:
            await numbers.attach(session, of.company.id, e164, id)
        return of, e164, wanted

    of, e164, wanted = with_books(work)
    if as_json:
        takes_calls = wanted is not None and wanted.takes_calls
        key = None if wanted is None else wanted.key
        say_json({"account": of.company.key, "number": e164, "flow": key, "takes_calls": takes_calls})
    elif wanted is None:
        say(f"{e164} has no flow any more: its calls are rejected", "ok")
    elif wanted.takes_calls:
        say(f"{e164} runs {wanted.key}", "ok")
    else:
        say(
            f"{e164} will run {wanted.key}: until it is published and enabled, its calls are rejected",
            "warning",
        )


async def _numbers(here: Opened, of: Company) -> "list[NumberView]":
    from flowengine.store import numbers

    async with here.database.reading() as session:
        return await numbers.list_numbers(session, of.id)


async def _number(here: Opened, of: Payer, number: str) -> "NumberView":
    """A number of the account. Raises `Unknown`, `BadWord`."""
    e164 = telephone(number, of.country)
    found = {each.e164: each for each in await _numbers(here, of.company)}
    if e164 not in found:
        raise Unknown(f"the account {of.company.key} has no number {e164}{near(e164, found)}")
    return found[e164]


async def _flows(here: Opened, of: Company) -> dict[str, _Flow]:
    """The account's flows, by id."""
    from sqlalchemy import select

    from flowengine.store.tables import Flow

    async with here.database.reading() as session:
        rows = await session.execute(
            select(Flow.id, Flow.key, Flow.enabled, Flow.published_version).where(
                Flow.account_id == of.id, Flow.deleted_at.is_(None)
            )
        )
        return {id: _Flow(key, enabled and version is not None) for id, key, enabled, version in rows}


def _flow(each: "NumberView", flows: dict[str, _Flow]) -> str | None:
    """The key of a number's flow."""
    return None if each.flow is None else flows[each.flow].key if each.flow in flows else each.flow


def _as_dict(of: Company, each: "NumberView", flows: dict[str, _Flow]) -> dict[str, Any]:
    return {
        "number": each.e164,
        "country": each.country,
        "type": each.type,
        "flow": _flow(each, flows),
        "state": each.state,
        "fee": exact(each.fee),
        "due_next": stamp(each.next_due_at, of.zone),
        "arrears_since": stamp(each.arrears_since, of.zone),
    }
