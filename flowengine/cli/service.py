"""Commands about the running engine: serve, dial, doctor and db."""

import asyncio
import errno
from typing import Annotated, Any

import typer

from flowengine.cli.flows import AsJson
from flowengine.cli.screen import MISSING, fail, say, say_json


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(serve)
    app.command()(dial)
    app.command()(doctor)
    database = typer.Typer(help="Look after the database.", no_args_is_help=True)
    database.command("upgrade")(db_upgrade)
    app.add_typer(database, name="db")


def serve(
    switch: Annotated[str | None, typer.Option(help="embedded (simulated telephones) or asterisk.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Set up the demo account and let a caller call.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="With --demo: end when the demo calls are over.")
    ] = False,
) -> None:
    """Run the engine until SIGTERM or Ctrl-C, which let running calls end first.

    Exit 0: told to stop. 2: the settings are wrong. 3: something is missing, or another engine is in the way.
    """
    from flowengine import log
    from flowengine.ari.node_settings import NodeError
    from flowengine.config import BadConfig, load
    from flowengine.serving import serve_demo, serve_plain
    from flowengine.store.errors import StoreError
    from recordings.errors import SoundError

    if once and not demo:
        fail("--once ends the demo calls, so it goes with --demo: add it, or leave --once out")
    given: dict[str, Any] = {} if switch is None else {"switch": switch}
    try:
        settings = load(**given)
        quiet = demo and settings.log_level == "info"  # the demo tells its calls itself
        log.configure("warning" if quiet else settings.log_level, settings.log_format)
        asyncio.run(serve_demo(settings, once=once) if demo else serve_plain(settings))
    except BadConfig as error:
        fail(str(error))
    except (StoreError, SoundError, NodeError, ValueError) as error:
        fail(str(error), MISSING)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        hint = ": is another engine running?" if error.errno == errno.EADDRINUSE else ""
        fail(f"{where}{error.strerror or error}{hint}", MISSING)


def dial(
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The number to call, such as +815055550100.")
    ],
    press: Annotated[
        list[str] | None, typer.Option(help="Keys to press so many seconds after the answer: 1@2 or 12@3.5.")
    ] = None,
    speak: Annotated[
        list[str] | None, typer.Option(help="Talk for so long, from then on: 4@8 is 4 s at 8 s.")
    ] = None,
    hang_up: Annotated[float | None, typer.Option(help="Hang up so many seconds after the answer.")] = None,
    caller: Annotated[str, typer.Option("--from", help="The caller's number.")] = "+819012345678",
    as_json: AsJson = False,
) -> None:
    """Call a number on the embedded switch that `serve` runs.

    Without --press, --speak and --hang-up, type keys and Enter; h and Enter hangs up. Exit 0: the call is over.
    2: the script cannot be read. 3: no embedded switch runs.
    """
    from flowengine.config import BadConfig, load
    from flowengine.dialling import BadScript, NoSwitch, place_call, script

    by_hand = not press and not speak and hang_up is None
    try:
        steps = None if by_hand else script(press or [], speak or [], 60.0 if hang_up is None else hang_up)
        outcome = asyncio.run(place_call(load(), number, caller, steps, None if as_json else say))
    except (BadConfig, BadScript) as error:
        fail(str(error))
    except NoSwitch as error:
        fail(str(error), MISSING)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    if as_json:
        say_json(outcome)


def doctor(as_json: AsJson = False) -> None:
    """Look at everything this machine needs for running calls, and say what to mend.

    Exit 0: nothing to mend. 2: the settings are wrong. 3: something is missing or does not work.
    """
    from dataclasses import asdict

    from flowengine.config import BadConfig, load
    from flowengine.doctor import examine

    try:
        found = asyncio.run(examine(load()))
    except BadConfig as error:
        fail(str(error))
    if as_json:
        say_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            say(
                f"{'ok ' if finding.ok else 'BAD'}  {finding.thing}: {finding.state}",
                "ok" if finding.ok else "error",
            )
            if finding.mend:
                say(f"     {finding.mend}")
    raise typer.Exit(0 if all(finding.ok for finding in found) else MISSING)


def db_upgrade() -> None:
    """Bring the tables of the database to the newest revision. Harmless when they are there already.

    Exit 0: they are. 2: the settings are wrong. 3: the database cannot be used.
    """
    from flowengine.config import BadConfig, Settings, load
    from flowengine.store.database import open_database
    from flowengine.store.errors import StoreError
    from flowengine.store.migrate import newest, upgrade

    async def run(settings: Settings) -> None:
        async with open_database(settings.database) as database:
            await upgrade(database)

    try:
        settings = load()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        asyncio.run(run(settings))
    except BadConfig as error:
        fail(str(error))
    except StoreError as error:
        fail(str(error), MISSING)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", MISSING)
    say(f"the database is at revision {newest()}", "ok")
