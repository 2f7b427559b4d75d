"""Commands about prepaid credits: what an account has, what it bought and used, and by whom.

Buying and correcting is in `credits_sold`, what happens when credits run out in `credits_terms`.
"""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import typer

from flowengine.cli import credits_sold, credits_terms
from flowengine.cli.columns import columns, plain
from flowengine.cli.credits_sold import bought_as_dict
from flowengine.cli.credits_terms import terms_as_dict
from flowengine.cli.flows import AsJson
from flowengine.cli.kept import Limit, say_end
from flowengine.cli.prepaid import Payer, account_row, exact, now, payer, with_books, written
from flowengine.cli.screen import say, say_json
from flowengine.cli.stored import AccountKey, BadWord, Opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowengine.store.credit_reports import Day, Share, Standing, Used
    from flowengine.store.purchases import Bought
    from flowengine.store.tables import Account

    Shown = tuple[Payer, Account, Standing, dict[str, Used], bool]

SpanWord = Literal["this-week", "last-week", "this-month", "last-month", "this-quarter", "last-quarter"]
By = Literal["day", "number", "user", "flow"]
Day_ = Annotated[str | None, typer.Option(metavar="DAY", help="From this day on: 2026-11-21.")]
LastDay = Annotated[str | None, typer.Option(metavar="DAY", help="Up to this day; without it, today.")]
MONEY: Final = ("bought", "used", "calls", "fees", "adjusted")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file, and of those about selling and terms."""
    group = typer.Typer(help="Prepaid credits: balance, use, purchases, corrections.", no_args_is_help=True)
    for command in (show, usage, history):
        group.command()(command)
    credits_sold.add_to(group)
    credits_terms.add_to(group)
    app.add_typer(group, name="credits")


def show(account: AccountKey, as_json: AsJson = False) -> None:
    """Show what an account has, and what it bought and used in this and the last week, month and quarter.

    Exit 0: shown. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "Shown":
        from flowengine.billing.spans import SPAN_NAMES, named_span
        from flowengine.store import credit_reports

        of = await payer(here, account)
        row = await account_row(here, of.company)
        at = now()
        async with here.database.reading() as session:
            standing = await credit_reports.standing(session, of.company.id)
            spans: dict[str, Used] = {
                name: await credit_reports.used(session, of.company.id, named_span(name, at, of.company.zone))
                for name in SPAN_NAMES
            }
        return of, row, standing, spans, here.settings.billing == "prepaid"

    of, row, standing, spans, is_prepaid = with_books(work)
    if as_json:
        say_json(
            {
                "account": of.company.key,
                "balance": exact(standing.balance),
                "held": exact(standing.held),
                "available": exact(standing.available),
                "owed": exact(standing.owed),
                "currency": of.currency,
                "shown": {
                    "balance": of.shown(standing.balance),
                    "held": of.shown(standing.held),
                    "available": of.shown(standing.available),
                    "owed": of.shown(standing.owed),
                },
                **terms_as_dict(row),
                "spans": {name: _used(each) for name, each in spans.items()},
            }
        )
        return
    say(f"{of.both(standing.available)} available", "ok" if standing.available > 0 else "warning")
    say(f"{of.both(standing.balance)} balance, {exact(standing.held)} held by running calls and orders")
    if standing.owed:
        say(f"{of.both(standing.owed)} owed for calls: paid first from what is bought next", "warning")
    if of.rate is None:
        say(f"no exchange rate for {of.currency}: set FLOWENGINE_EXCHANGE_RATES", "warning")
    if not is_prepaid:
        say("calls are not charged: FLOWENGINE_BILLING=prepaid charges them", "warning")
    for line in credits_terms.words(row):
        say(line)
    say("")
    rows = [(name.replace("_", " "), *_used(each).values()) for name, each in spans.items()]
    for line in columns(("", *MONEY), rows, right=MONEY):
        say(line)


def usage(
    account: AccountKey,
    by: Annotated[By, typer.Option(help="day, number, user or flow.")] = "day",
    span: Annotated[
        SpanWord,
        typer.Option(help="this-week, last-week, this-month, last-month, this-quarter or last-quarter."),
    ] = "this-month",
    first: Day_ = None,
    last: LastDay = None,
    as_json: AsJson = False,
) -> None:
    """Show what an account used in a span of days, by day, by number, by user or by flow.

    Up to today at most. Weeks begin on Monday; days are those of the account's time zone. Exit 0: shown. 1: no such
    account. 2: the days are no span, or the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Payer, date, date, Sequence[Day], Sequence[Share]]":
        from flowengine.billing.spans import days_span
        from flowengine.store import credit_reports

        of = await payer(here, account)
        begins, ends = _days(span, first, last, of.company.zone)
        days, shares = [], []
        async with here.database.reading() as session:
            if by == "day":
                try:
                    days = await credit_reports.used_by_day(
                        session, of.company.id, begins, ends, of.company.zone
                    )
                except ValueError as bad:
                    raise BadWord(str(bad)) from None
            else:
                within = days_span(begins, ends, of.company.zone)
                shares = await credit_reports.used_by(session, of.company.id, within, by)
        return of, begins, ends, days, shares

    of, begins, ends, days, shares = with_books(work)
    if as_json:
        by_day = [
            {"day": each.day.isoformat(), "bought": exact(each.bought), "used": exact(each.used)}
            for each in days
        ]
        by_share = [
            {"key": each.key, "name": each.name, "calls": each.calls, "used": exact(each.used)}
            for each in shares
        ]
        say_json(
            {
                "account": of.company.key,
                "first": begins.isoformat(),
                "last": ends.isoformat(),
                "by": by,
                "rows": by_day or by_share,
            }
        )
        return
    say(f"{of.company.key}, {begins} to {ends}, in credits")
    if by == "day":
        rows = [(each.day.isoformat(), exact(each.bought), exact(each.used)) for each in days]
        lines = columns(("day", "bought", "used"), rows, right=["bought", "used"])
    else:
        rows = [(str(each.calls), exact(each.used), _named(each)) for each in shares]
        lines = columns(("calls", "used", by), rows, right=["calls", "used"])
    for line in lines:
        say(line)
    total = sum(each.used for each in days) + sum(each.used for each in shares)
    say(f"{of.both(total)} used")


def history(
    account: AccountKey,
    state: Annotated[
        Literal["pending", "paid", "declined", "failed"] | None,
        typer.Option(help="Only pending, paid, declined or failed ones."),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the purchases of credits of an account, the newest first: when, who, how much, and what became of it.

    Exit 0: listed, though there may be none. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Payer, list[Bought]]":
        from flowengine.store import purchases

        of = await payer(here, account)
        async with here.database.reading() as session:
            return of, await purchases.history(session, of.company.id, many=limit, state=state)

    of, found = with_books(work)
    if as_json:
        say_json([bought_as_dict(of.company, each) for each in found])
        return
    rows = [
        (
            written(each.at, of.company.zone),
            plain(each.bought_by),
            exact(each.quote.credits),
            bought_as_dict(of.company, each)["price"],
            each.quote.currency,
            each.state,
            each.id,
            plain(each.problem or each.reference),
        )
        for each in found
    ]
    titles = ("when", "who", "credits", "price", "", "state", "id", "reference or problem")
    for line in columns(titles, rows, right=["credits", "price"]):
        say(line)
    say_end(len(found), limit, "purchases")


def _days(span: str, first: str | None, last: str | None, zone: ZoneInfo) -> tuple[date, date]:
    """The first and the last day. Raises `BadWord`, `BadSpan`."""
    from flowengine.billing.periods import local_time
    from flowengine.billing.spans import SPAN_NAMES, days_span, named_span

    today = datetime.now(UTC).astimezone(zone).date()
    if first is None and last is None:
        [name] = [each for each in SPAN_NAMES if each.replace("_", "-") == span]
        found = named_span(name, now(), zone)
        ends = min(local_time(found.ends_at - 1, zone).date(), today)
        return local_time(found.begins_at, zone).date(), ends
    if first is None:
        raise BadWord("--last without --first: give both, or --span")
    begins, ends = _day(first), today if last is None else _day(last)
    days_span(begins, ends, zone)
    return begins, ends


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadWord(f"{text[:40]!r} is no day: write it like 2026-11-21") from None


def _used(of: "Used") -> dict[str, Any]:
    parts = (of.bought, of.used, of.calls, of.fees, of.adjusted)
    return dict(zip(MONEY, map(exact, parts), strict=True))


def _named(share: "Share") -> str:
    name = plain(share.name)
    return f"{name} ({share.key})" if name and name != share.key else plain(share.key) or "(nobody)"
