"""Commands that move credits: buy, book and give up what is pending, refund, adjust. Every one of them once per key."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowengine.cli.flows import AsJson
from flowengine.cli.prepaid import (
    OPERATOR,
    By,
    Key,
    Payer,
    Yes,
    checked_key,
    confirm,
    credits,
    exact,
    exchange,
    named,
    now,
    number_fees,
    payer,
    stamp,
    with_books,
    written,
)
from flowengine.cli.screen import say, say_json
from flowengine.cli.stored import AccountKey, Company, Opened

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from flowengine.shop.checkout import Checkout
    from flowengine.store.credit_reports import Standing
    from flowengine.store.purchases import Bought, CreditQuote

Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Credits, such as 25 or 12.50.")]
Signed = Annotated[
    str, typer.Argument(metavar="AMOUNT", help="Credits to add, or with a minus to take away.")
]
PurchaseId = Annotated[str, typer.Argument(metavar="PURCHASE", help="The id of a purchase, pur_...")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the entry for good.")]
Reference = Annotated[
    str, typer.Option(help="What was paid: the number of the invoice or of the bank transfer.")
]


def add_to(group: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (buy, book, refund):
        group.command()(command)
    group.command("give-up")(give_up)
    group.command(context_settings={"ignore_unknown_options": True})(adjust)


def buy(
    account: AccountKey,
    amount: Amount,
    reference: Reference,
    key: Key = None,
    by: By = OPERATOR,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Sell an account credits that were paid outside, at the exchange rate of now. The price is shown and confirmed.

    The same reference again is the same purchase, and buys nothing more; with --key the key counts instead. What is
    owed is paid from it at once. Exit 0: bought, now or before. 1: no such account, it is refused, or you said no. 2:
    no such amount, --yes is missing, or the settings are wrong. 3: no usable database.
    """
    wanted = credits(amount)
    told, who = named("--reference", reference), named("--by", by)
    chosen = f"reference:{told}" if key is None else checked_key(key)

    async def quote(here: Opened) -> "tuple[Payer, CreditQuote]":
        of = await payer(here, account)
        of.must_have_rate()
        return of, await _checkout(here).quote(of.company.id, wanted)

    of, price = with_books(quote)
    confirm(f"sell {of.company.key} {price}", yes=yes)

    async def work(here: Opened) -> "tuple[Bought, bool, Standing]":
        checkout = _checkout(here)
        begun = await checkout.buy(of.company.id, wanted, price.price, chosen, who, told)
        is_new = begun.state != "paid"
        done = await checkout.book(begun.id, told, who) if is_new else begun
        return done, is_new, await _standing(here, of.company)

    done, is_new, standing = with_books(work)
    _say_bought(of, done, standing, is_new=is_new, as_json=as_json)


def book(purchase: PurchaseId, reference: Reference, by: By = OPERATOR, as_json: AsJson = False) -> None:
    """Book a pending purchase as paid, such as that of an auto-recharge whose bank transfer has come in.

    Exit 0: paid, now or before. 1: no such purchase. 2: the settings are wrong. 3: no usable database.
    """
    told, who = named("--reference", reference), named("--by", by)

    async def work(here: Opened) -> "tuple[Payer, Bought, bool, Standing]":
        found = await _purchase(here, purchase)
        is_new = found.state != "paid"
        done = await _checkout(here).book(found.id, told, who) if is_new else found
        of = await payer(here, found.account)
        return of, done, is_new, await _standing(here, of.company)

    of, done, is_new, standing = with_books(work)
    _say_bought(of, done, standing, is_new=is_new, as_json=as_json)


def give_up(purchase: PurchaseId, reason: Reason, by: By = OPERATOR, as_json: AsJson = False) -> None:
    """Do not wait for the money of a pending purchase any more. If it comes in after all, book it.

    Exit 0: given up. 1: no such purchase, or it is paid. 2: the settings are wrong. 3: no usable database.
    """
    told, who = named("--reason", reason), named("--by", by)

    async def work(here: Opened) -> "tuple[Company, Bought]":
        done = await _checkout(here).give_up(purchase, told, who)
        return await here.company(done.account), done

    of, done = with_books(work)
    if as_json:
        say_json(bought_as_dict(of, done))
    else:
        say(f"{of.key}: {done.quote}: {done.state}", "ok")


def refund(
    account: AccountKey,
    purchase: PurchaseId,
    amount: Amount,
    reason: Reason,
    key: Key = None,
    by: By = OPERATOR,
    as_json: AsJson = False,
) -> None:
    """Take credits of a purchase back, whose money was given back outside: at most what was bought and is free.

    Exit 0: taken back, now or before. 1: no such account or purchase, or it is refused. 2: no such amount, or the
    settings are wrong. 3: no usable database.
    """
    wanted, chosen = credits(amount), checked_key(key)
    told, who = named("--reason", reason), named("--by", by)

    async def work(here: Opened) -> "tuple[Payer, bool, Standing]":
        from flowengine.store import corrections
        from flowengine.store.ledger import transact

        of = await payer(here, account)
        at = now()

        async def entry(session: "AsyncSession") -> bool:
            return await corrections.refund(session, of.company.id, purchase, chosen, wanted, told, who, at)

        is_new = await transact(here.database, entry)
        return of, is_new, await _standing(here, of.company)

    of, is_new, standing = with_books(work)
    _say_corrected(of, -wanted, chosen, standing, is_new=is_new, as_json=as_json)


def adjust(
    account: AccountKey,
    amount: Signed,
    reason: Reason,
    key: Key = None,
    by: By = OPERATOR,
    as_json: AsJson = False,
) -> None:
    """Correct a balance: add credits, or take some of the free ones away. It is no purchase and no use.

    Exit 0: corrected, now or before. 1: no such account, or it is refused. 2: no such amount, or the settings are
    wrong. 3: no usable database.
    """
    wanted, chosen = credits(amount, signed=True), checked_key(key)
    told, who = named("--reason", reason), named("--by", by)

    async def work(here: Opened) -> "tuple[Payer, bool, Standing]":
        from flowengine.store import corrections
        from flowengine.store.ledger import transact

        of = await payer(here, account)
        at, fees = now(), number_fees(here.settings)

        async def entry(session: "AsyncSession") -> bool:
            return await corrections.adjust(session, of.company.id, chosen, wanted, told, who, at, fees)

        is_new = await transact(here.database, entry)
        return of, is_new, await _standing(here, of.company)

    of, is_new, standing = with_books(work)
    _say_corrected(of, wanted, chosen, standing, is_new=is_new, as_json=as_json)


def bought_as_dict(of: Company, each: "Bought") -> dict[str, Any]:
    """A purchase for programs. The price is in the currency, as people write it."""
    from flowengine.billing.currencies import written as coins

    return {
        "id": each.id,
        "account": of.key,
        "key": each.key,
        "credits": exact(each.quote.credits),
        "price": coins(each.quote.price, each.quote.currency),
        "currency": each.quote.currency,
        "by": each.bought_by,
        "auto_recharge": each.is_recharge,
        "provider": each.provider,
        "reference": each.reference,
        "state": each.state,
        "problem": each.problem,
        "at": stamp(each.at, of.zone),
        "settled_at": stamp(each.settled_at, of.zone),
    }


def _checkout(here: Opened) -> "Checkout":
    """Credits paid outside, booked by hand. Raises `BadWord`."""
    from flowengine.clock import SystemClock
    from flowengine.shop.checkout import Checkout
    from flowengine.shop.payment import ManualPayment

    rates, fees = exchange(here.settings), number_fees(here.settings)
    return Checkout(here.database, ManualPayment(), SystemClock(), rates, fees)


async def _purchase(here: Opened, id: str) -> "Bought":
    from flowengine.store import purchases

    async with here.database.reading() as session:
        return await purchases.find(session, id)


async def _standing(here: Opened, of: Company) -> "Standing":
    from flowengine.store import credit_reports

    async with here.database.reading() as session:
        return await credit_reports.standing(session, of.id)


def _say_bought(of: Payer, done: "Bought", after: "Standing", *, is_new: bool, as_json: bool) -> None:
    if as_json:
        say_json({**bought_as_dict(of.company, done), "new": is_new, "available": exact(after.available)})
        return
    name, zone = of.company.key, of.company.zone
    if is_new:
        say(f"{name} has bought {done.quote}: {done.id}", "ok")
    else:
        say(f"{name} had bought {done.quote} on {written(done.at, zone)}: nothing was bought now", "warning")
    say(f"{of.both(after.available)} available")


def _say_corrected(
    of: Payer, amount: int, key: str, after: "Standing", *, is_new: bool, as_json: bool
) -> None:
    if as_json:
        say_json(
            {
                "account": of.company.key,
                "amount": exact(amount),
                "key": key,
                "new": is_new,
                "available": exact(after.available),
            }
        )
        return
    if is_new:
        say(f"{of.company.key}: {exact(amount)} credits", "ok")
    else:
        say(f"{of.company.key}: this was done before with the key {key}: nothing was changed", "warning")
    say(f"{of.both(after.available)} available")
