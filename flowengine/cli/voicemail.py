"""Commands about messages that callers have left: list them, and mark them heard."""

from typing import TYPE_CHECKING, Annotated

import typer

from flowengine.cli.columns import clock, columns, local
from flowengine.cli.flows import AsJson
from flowengine.cli.kept import (
    Limit,
    OfUser,
    RecordingId,
    Since,
    Until,
    as_dict,
    newest,
    period,
    say_end,
)
from flowengine.cli.screen import say, say_json
from flowengine.cli.stored import AccountKey, Company, OfAccount, Opened, Unknown, with_database

if TYPE_CHECKING:
    from flowengine.store.recording_lists import Listed


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(help="Messages that callers have left.", no_args_is_help=True)
    group.command("list")(messages)
    group.command()(heard)
    app.add_typer(group, name="voicemail")


def messages(
    account: AccountKey,
    user: OfUser = None,
    since: Since = None,
    until: Until = None,
    unheard: Annotated[bool, typer.Option("--unheard", help="Only what nobody has listened to.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the messages of an account, the newest first: who called, when, how long, heard or not, and what was said.

    Times are those of the account. Exit 0: listed, though there may be none. 1: no such account or user. 2: a word or
    the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, list[Listed]]":
        from flowengine.store.recording_lists import Wanted

        of = await here.company(account)
        begins, ends = period(since, until, of.zone)
        wanted = Wanted(
            purpose="voicemail",
            user=user,
            heard=False if unheard else None,
            since=begins,
            until=ends,
        )
        return of, await newest(here, of, wanted, limit)

    of, found = with_database(work)
    if as_json:
        say_json([as_dict(of, each) for each in found])
        return
    rows = [
        (
            " " if each.heard else "*",
            local(each.made, of.zone),
            each.caller,
            each.user,
            clock(each.duration_ms),
            each.id,
            each.transcript or "",
        )
        for each in found
    ]
    titles = ("", "made", "caller", "user", "length", "id", "text")
    for line in columns(titles, rows, right=["length"]):
        say(line)
    if any(not each.heard for each in found):
        say("* nobody has listened to it yet")
    say_end(len(found), limit, "messages")


def heard(
    id: RecordingId,
    account: OfAccount = None,
    unheard: Annotated[bool, typer.Option("--not", help="Mark it as not heard.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mark a message as heard, or as not heard.

    Exit 0: marked. 1: there is no such message. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> None:
        from flowengine.store import recordings

        of, found = await here.recording(id, account)
        if found.purpose != "voicemail":
            raise Unknown(f"recording {id} is a {found.purpose}, and no message: nobody keeps count of those")
        async with here.database.writing() as session:
            await recordings.mark_heard(session, of.id, id, heard=not unheard)

    with_database(work)
    if as_json:
        say_json({"id": id, "heard": not unheard})
    else:
        say(f"{id} is marked as {'not heard' if unheard else 'heard'}", "ok")
