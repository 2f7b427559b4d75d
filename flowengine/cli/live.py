"""Commands that look into the running engine, and tell it something: top, agent, pause, resume, hang-up."""

import asyncio
import signal
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Final, Literal, NoReturn

import typer

from flowengine.cli.flows import AsJson
from flowengine.cli.screen import MISSING, PROBLEMS, fail, say, say_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowengine.config import Settings
    from flowengine.live.views import AgentView, Snapshot

CallId = Annotated[
    str, typer.Argument(metavar="CALL", help="The call's id, or its last characters, as `top` shows them.")
]
LEAST: Final = 4
"""Characters of an id that may be enough."""
TOLD: Final = {
    "pause": "what is said now is left out of the recording",
    "resume": "recording goes on",
    "hang_up": "hanging up",
}
LOOK_S: Final = 1.0
PLAIN_WIDTH: Final = 140
"""Columns where nobody says how many there are."""


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(top)
    app.command()(agent)
    app.command()(pause)
    app.command()(resume)
    app.command("hang-up")(hang_up)


def top(
    once: Annotated[bool, typer.Option("--once", help="Print the picture once, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the calls, agents and waiting lines of the running engine, until Ctrl-C.

    Without a terminal, and with --json, it is shown once. Exit 0: shown. 2: the settings are wrong. 3: no engine runs.
    """
    import msgspec

    from flowengine.live.client import look

    settings = _settings()
    try:
        if as_json:
            say_json(msgspec.to_builtins(asyncio.run(look(settings))))
        elif once or not sys.stdout.isatty():
            _print(asyncio.run(look(settings)))
        else:
            # Started in the background of a script, Ctrl-C would be ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            asyncio.run(_follow(settings))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except Exception as error:
        _give_up(error)


def agent(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user's name in the account.")],
    wish: Annotated[
        Literal["work", "pause", "leave"],
        typer.Argument(metavar="WISH", help="work (sign in, or go on), pause, or leave (sign out)."),
    ],
    account: Annotated[
        str | None, typer.Option(help="The key of the account, if several have such a user.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign an agent in or out by hand, or pause them. Who is in a call finishes it first.

    Exit 0: told. 1: there is no such agent. 2: the settings are wrong. 3: no engine runs.
    """
    import msgspec

    from flowengine.cli.picture import told
    from flowengine.live.client import look, tell_agent

    async def tell() -> "AgentView":
        known = (await look(settings)).agents
        return await tell_agent(settings, await _account_of(settings, known, name, account), name, wish)

    settings = _settings()
    try:
        then = asyncio.run(tell())
    except Exception as error:
        _give_up(error)
    if as_json:
        say_json(msgspec.to_builtins(then))
    else:
        say(told(then), "ok")


def pause(call: CallId, as_json: AsJson = False) -> None:
    """Leave what is said from now on out of the recording of a talk, such as the number of a card.

    It ends with `resume`, or with the state of the flow that the call is in. Messages are never paused. Exit 0: told.
    1: there is no such call. 2: the settings are wrong. 3: no engine runs.
    """
    from flowengine.live.client import tell_recording

    _tell(call, "pause", lambda settings, id: tell_recording(settings, id, paused=True), as_json)


def resume(call: CallId, as_json: AsJson = False) -> None:
    """Go on with the recording of a talk that was paused.

    Exit 0: told. 1: there is no such call. 2: the settings are wrong. 3: no engine runs.
    """
    from flowengine.live.client import tell_recording

    _tell(call, "resume", lambda settings, id: tell_recording(settings, id, paused=False), as_json)


def hang_up(call: CallId, as_json: AsJson = False) -> None:
    """End a running call, for everybody in it. What was recorded is kept.

    Exit 0: told. 1: there is no such call. 2: the settings are wrong. 3: no engine runs.
    """
    from flowengine.live import client

    _tell(call, "hang_up", client.hang_up, as_json)


def _tell(call: str, what: str, doing: "Callable[[Settings, str], Awaitable[None]]", as_json: bool) -> None:
    """Find the call that is meant, and tell it."""
    from flowengine.live.client import look

    async def tell() -> str:
        id = _call_of([each.call for each in (await look(settings)).calls], call)
        await doing(settings, id)
        return id

    settings = _settings()
    try:
        id = asyncio.run(tell())
    except Exception as error:
        _give_up(error)
    if as_json:
        say_json({"call": id, "told": what})
    else:
        say(f"{id}: {TOLD[what]}", "ok")


def _call_of(running: list[str], called: str) -> str:
    """The id of the one running call that this is, or that ends like this. Raises `_NotFound`."""
    if called in running:
        return called
    found = [id for id in running if len(called) >= LEAST and id.endswith(called)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _NotFound(f"{len(found)} calls end in {called}: write more of the id")
    raise _NotFound(f"no call {called[:80]} is running: `flowengine top` shows those that are")


def _settings() -> "Settings":
    from flowengine.config import BadConfig, load

    try:
        return load()
    except BadConfig as error:
        fail(str(error))


def _give_up(error: Exception) -> NoReturn:
    """End with the exit code of what went wrong; what nobody expected is raised again."""
    from flowengine.live.client import NoEngine, Refused
    from flowengine.store.errors import StoreError

    if isinstance(error, Refused | _NotFound):
        fail(str(error), PROBLEMS)
    if isinstance(error, NoEngine | StoreError):
        fail(str(error), MISSING)
    raise error


class _NotFound(Exception):
    """Nobody, or not one alone, is meant; the message says what to do."""


async def _account_of(
    settings: "Settings", known: "tuple[AgentView, ...]", name: str, account: str | None
) -> str:
    """The id of the account whose user this is. Raises `_NotFound`."""
    accounts = sorted({each.account for each in known if each.user == name})
    if account is not None:
        is_id = any(each.account == account for each in known)
        found = account if is_id else await _account_id(settings, account)
        if found is None:
            raise _NotFound(f'there is no account "{account}"')
        if found not in accounts:
            raise _NotFound(_unknown(name, [each.user for each in known if each.account == found]))
        return found
    if not accounts:
        raise _NotFound(_unknown(name, [each.user for each in known]))
    if len(accounts) > 1:
        raise _NotFound(f"{len(accounts)} accounts have a user {name}: name one with --account")
    return accounts[0]


def _unknown(name: str, users: list[str]) -> str:
    near = get_close_matches(name, users, n=1)
    return f"there is no user {name}" + (f", perhaps {near[0]}" if near else "")


async def _account_id(settings: "Settings", key: str) -> str | None:
    from flowengine.store.account_rows import find_account
    from flowengine.store.database import open_database

    async with open_database(settings.database) as database, database.reading() as session:
        return await find_account(session, key)


def _print(snapshot: "Snapshot") -> None:
    from rich.console import Console

    from flowengine.cli.picture import shown

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(shown(snapshot))


async def _follow(settings: "Settings") -> None:
    """Show the picture anew every second."""
    from rich.console import Console
    from rich.live import Live

    from flowengine.cli.picture import shown
    from flowengine.live.client import look

    console = Console()
    snapshot = await look(settings)
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            others = len(snapshot.agents) + len(snapshot.lines) + 8
            screen.update(shown(snapshot, max(5, console.height - others)), refresh=True)
            await asyncio.sleep(LOOK_S)
            snapshot = await look(settings)
