"""Commands about room for recordings: how full it is, the plan, how long they are kept, and whether it adds up."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flowengine.cli.columns import bar, columns, local, plain
from flowengine.cli.flows import AsJson
from flowengine.cli.kept import Limit, say_end
from flowengine.cli.screen import PROBLEMS, say, say_json
from flowengine.cli.stored import AccountKey, Company, Opened, Unknown, with_database

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from flowengine.store.notifications import Notice
    from flowengine.store.room_reports import Audit, Day
    from flowengine.store.rooms import Usage

DAYS: Final = 30
BAR: Final = 40
CHART: Final = 30


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(help="Room for recordings: how full, the plan, how long kept.", no_args_is_help=True)
    for command in (show, plan, keep, audit):
        group.command()(command)
    app.add_typer(group, name="storage")
    app.command()(notifications)


def show(
    account: AccountKey,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Days of the chart, up to today.")] = DAYS,
    as_json: AsJson = False,
) -> None:
    """Show the storage plan of an account, how full it is, and what was stored at the end of each day.

    Exit 0: shown. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, str, int, Usage, list[Day]]":
        from flowengine.store import room_reports, rooms
        from flowengine.store.tables import Account

        of = await here.company(account)
        last = datetime.now(of.zone).date()
        first = last - timedelta(days=days - 1)
        async with here.database.reading() as session:
            row = await session.get_one(Account, of.id)
            found = await rooms.usage(session, of.id)
            chart = await room_reports.usage_by_day(session, of.id, first, last, of.zone)
        return of, row.storage_plan, row.keep_months, found, chart

    of, code, months, found, chart = with_database(work)
    if as_json:
        by_day = [{**day._asdict(), "day": day.day.isoformat()} for day in chart]
        say_json(_usage(of, code, found) | {"keep_months": months, "days": by_day})
        return
    minutes = f"{_minutes(found.stored_ms)} of {_minutes(found.plan_ms)} minutes"
    say(f"plan {code}: {minutes} used, {found.percent} %", _tone(found))
    say(f"[{bar(found.stored_ms, found.plan_ms, BAR)}]", _tone(found))
    say(f"{_minutes(found.held_ms)} held by recordings in the making, {_minutes(found.left_ms)} left")
    say(f"kept for {months} months, then deleted" if months else "kept until somebody deletes them")
    most = max(day.stored_ms for day in chart)
    rows = [
        (
            day.day.isoformat(),
            _minutes(day.stored_ms),
            f"+{_minutes(day.kept_ms)}" if day.kept_ms else "",
            f"-{_minutes(day.deleted_ms)}" if day.deleted_ms else "",
            bar(day.stored_ms, most, CHART).rstrip("."),
        )
        for day in chart
    ]
    say("")
    for line in columns(
        ("day", "minutes", "kept", "deleted", ""), rows, right=["minutes", "kept", "deleted"]
    ):
        say(line)


def plan(
    account: AccountKey,
    name: Annotated[str, typer.Argument(metavar="NAME", help="free, 50k, 200k or 1m.")],
    as_json: AsJson = False,
) -> None:
    """Give an account another storage plan at once, as the operator, without any fee. Not while it pays for one.

    A paid plan is changed by `flowengine plan`. A smaller plan keeps every recording, and leaves no room until enough
    of them are deleted. Exit 0: it is on that plan. 1: no such account, or it pays for its plan. 2: no such plan, or
    the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, Usage]":
        from flowengine.billing.plans import storage_plan
        from flowengine.clock import SystemClock
        from flowengine.store import rooms
        from flowengine.store.ledger import transact
        from flowengine.store.subscriptions import of_plan
        from flowengine.store.till import open_till

        storage_plan(name)  # a plan that is none is told before the account is looked for
        of = await here.company(account)
        at = SystemClock().now()

        async def give(session: "AsyncSession") -> "Usage":
            await open_till(session, of.id)
            paid = await of_plan(session, of.id)
            if paid is not None:
                raise Unknown(
                    f"{of.key} pays for the plan {paid.plan}: change it with `flowengine plan {of.key} {name}`,"
                    f" or end it first with `flowengine plan {of.key} free`"
                )
            return await rooms.set_plan(session, of.id, name, at)

        return of, await transact(here.database, give)

    of, found = with_database(work)
    if as_json:
        say_json(_usage(of, name, found))
    else:
        say(f"{of.key} is on the plan {name}: {_minutes(found.left_ms)} minutes left", "ok")


def keep(
    account: AccountKey,
    months: Annotated[int, typer.Argument(metavar="MONTHS", help="3 or 6; 0 keeps them for ever.")],
    as_json: AsJson = False,
) -> None:
    """Let an account keep its recordings for 3 or 6 months, or until somebody deletes them.

    A running engine deletes what is older within the hour. Exit 0: set. 1: no such account. 2: no such number of
    months, or the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> Company:
        from flowengine.cli.stored import BadWord
        from flowengine.store import recordings

        of = await here.company(account)
        async with here.database.writing() as session:
            try:
                await recordings.set_keep_months(session, of.id, months)
            except ValueError as error:
                raise BadWord(str(error)) from None
        return of

    of = with_database(work)
    if as_json:
        say_json({"account": of.key, "keep_months": months})
    elif months:
        say(f"{of.key}: recordings older than {months} months are deleted from now on", "ok")
    else:
        say(f"{of.key}: recordings are kept until somebody deletes them", "ok")


def audit(
    account: Annotated[
        str | None, typer.Argument(metavar="ACCOUNT", help="The key of an account; without it, all of them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold the books of storage plans against the recordings that are kept: both must say the same.

    Exit 0: they agree. 1: they differ, each account named, or there is no such account. 2: the settings are wrong. 3:
    no usable database.
    """

    async def work(here: Opened) -> "list[tuple[Company, Audit]]":
        from flowengine.store import room_reports

        done = []
        for of in await here.companies(account):
            async with here.database.reading() as session:
                done.append((of, await room_reports.audit(session, of.id)))
        return done

    done = with_database(work)
    if as_json:
        say_json([_audit(of, found) for of, found in done])
    else:
        for of, found in done:
            minutes = f"{found.recordings} recordings, {_minutes(found.recorded_ms)} minutes"
            say(f"{of.key}: {minutes}{_differences(found)}", "ok" if found.agrees else "error")
    raise typer.Exit(0 if all(found.agrees for _, found in done) else PROBLEMS)


def notifications(account: AccountKey, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show what the admins of an account were told, the newest first, and whether it reached them.

    Exit 0: shown. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, list[Notice]]":
        from flowengine.store import notifications as rows

        of = await here.company(account)
        async with here.database.reading() as session:
            return of, await rows.notices(session, of.id, limit)

    from flowengine.storage.notices import message_of
    from flowengine.storage.words import words
    from flowengine.store.recordings import moment

    of, found = with_database(work)
    if as_json:
        say_json(
            [
                message_of(each)
                | {"tries": each.tries, "delivered": each.delivered_at is not None, "problem": each.problem}
                for each in found
            ]
        )
        return
    rows = [
        (local(moment(each.at), of.zone), _fate(each), plain(words(each.kind, each.data))) for each in found
    ]
    for line in columns(("told", "reached", "what"), rows):
        say(line)
    say_end(len(found), limit, "notifications")


def _fate(notice: "Notice") -> str:
    if notice.delivered_at is not None:
        return "yes"
    return f"not yet, {notice.tries} tries" if notice.tries else "waits"


def _usage(of: Company, code: str, found: "Usage") -> dict[str, Any]:
    return {
        "account": of.key,
        "plan": code,
        "plan_ms": found.plan_ms,
        "stored_ms": found.stored_ms,
        "held_ms": found.held_ms,
        "left_ms": found.left_ms,
        "percent": found.percent,
    }


def _audit(of: Company, found: "Audit") -> dict[str, Any]:
    differences = [each._asdict() for each in found.differences]
    return {
        "account": of.key,
        "agrees": found.agrees,
        **found._asdict(),
        "differences": differences,
    }


def _differences(found: "Audit") -> str:
    """What does not agree, for people; "" when all does."""
    told = []
    if found.recorded_ms != found.stored_ms:
        told.append(
            f"the books say {found.stored_ms:,} ms are stored, the recordings {found.recorded_ms:,} ms"
        )
    if found.plan_ms != found.given_ms:
        told.append(f"the plan is {found.plan_ms:,} ms, and {found.given_ms:,} ms were given")
    told += [
        f"{each.name} is {each.balance:,} ({each.held:,} held),"
        f" its transfers say {each.derived:,} ({each.derived_held:,})"
        for each in found.differences
    ]
    return f": {'; '.join(told)}" if told else ", the books agree"


def _tone(found: "Usage") -> str:
    return "error" if found.percent >= 95 else "warning" if found.percent >= 80 else "ok"


def _minutes(ms: int) -> str:
    """Minutes with one digit; what has been recorded for a second is not shown as nothing."""
    return f"{ms / 60_000:,.1f}"
