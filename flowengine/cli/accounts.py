"""Accounts as code: apply and export."""

from pathlib import Path
from typing import Annotated

import typer

from flowengine.cli.bar import Bar
from flowengine.cli.flows import AsJson
from flowengine.cli.screen import MISSING, PROBLEMS, fail, say, say_json


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(apply)
    app.command()(export)
    app.command()(device)


def apply(
    file: Annotated[Path, typer.Argument(help="An account file (YAML or JSON).")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Also remove what the file does not name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account what its file says: numbers, users, groups, flows. All of it, or nothing.

    Exit 0: done, or nothing to do. 1: the file cannot come true, with every reason. 2: no such file.
    3: no usable database.
    """
    import asyncio

    from flowengine.config import BadConfig, load
    from flowengine.publishing import apply_account
    from flowengine.store.errors import AccountRefused, StoreError
    from recordings.errors import SoundError, SoundsUnavailable

    if not file.is_file():
        fail(f"{file}: there is no such file")
    try:
        done = asyncio.run(
            apply_account(load(), file, prune=prune, dry_run=dry_run, progress=_progress(as_json))
        )
    except BadConfig as error:
        fail(str(error))
    except AccountRefused as error:
        if as_json:
            say_json({"problems": [problem.as_json() for problem in error.problems]})
            raise typer.Exit(PROBLEMS) from None
        fail(f"{file}: nothing was changed\n{error}", PROBLEMS)
    except SoundsUnavailable as error:
        reasons = "\n".join(str(failure) for failure in error.failures.values())
        fail(f"{file}: nothing was changed, some sounds cannot be made\n{reasons}", PROBLEMS)
    except (StoreError, SoundError) as error:
        fail(str(error), MISSING)
    except OSError as error:
        fail(f"{error.filename or 'the data folder'}: {error.strerror}", MISSING)
    if as_json:
        say_json(
            {
                "account": done.account,
                "changes": [str(change) for change in done.changes],
                "notes": [problem.as_json() for problem in done.notes],
                "applied": not dry_run,
            }
        )
        return
    for problem in done.notes:
        say(
            f"{problem.severity}: {problem.pointer or '/'}: {problem.message} [{problem.code}]",
            problem.severity,
        )
    for change in done.changes:
        say(str(change))
    if not done.changes:
        say("nothing to change", "ok")
    else:
        say(f"{len(done.changes)} changes {'would be made' if dry_run else 'made'}", "ok")


def export(
    account: Annotated[str, typer.Argument(help="The key of the account.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Write the file there, and the sounds beside it.")
    ] = None,
) -> None:
    """Write an account as a file which, applied, changes nothing."""
    import asyncio

    from flowengine.config import BadConfig, Settings, load
    from flowengine.publishing import export_account
    from flowengine.store.accounts import export as write_down
    from flowengine.store.database import open_database
    from flowengine.store.errors import NotStored, StoreError
    from recordings.errors import SoundsUnavailable

    async def run(settings: Settings) -> str:
        if folder is not None:
            return f"{await export_account(settings, account, folder)}\n"
        async with open_database(settings.database) as database, database.reading() as session:
            return await write_down(session, account)

    try:
        typer.echo(asyncio.run(run(load())), nl=False)
    except SoundsUnavailable as error:
        fail("\n".join(str(failure) for failure in error.failures.values()), PROBLEMS)
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror}")
    except BadConfig as error:
        fail(str(error))
    except NotStored as error:
        fail(str(error), PROBLEMS)
    except StoreError as error:
        fail(str(error), MISSING)


def device(
    user: Annotated[str, typer.Argument(help="The user whose telephone it is.")],
    account: Annotated[str, typer.Option(help="The key of the account.")],
    endpoint: Annotated[str, typer.Option(help="Which of the user's devices, if there are several.")] = "",
    browser: Annotated[bool, typer.Option("--browser", help="A browser (WebRTC), not a SIP phone.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the account away.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a device a new SIP account, and show its secret, this once. A running engine writes it into Asterisk.

    Exit 0: done. 1: no such user or device. 3: no usable database.
    """
    import asyncio

    from flowengine.ari.devices import BadDevice
    from flowengine.config import BadConfig, load
    from flowengine.publishing import renew_device
    from flowengine.store.errors import NotStored, StoreError

    try:
        done = asyncio.run(
            renew_device(load(), account, user, endpoint, kind="browser" if browser else "sip", remove=remove)
        )
    except BadConfig as error:
        fail(str(error))
    except (NotStored, BadDevice) as error:
        fail(str(error), PROBLEMS)
    except StoreError as error:
        fail(str(error), MISSING)
    name = done.endpoint.removeprefix("PJSIP/")
    if as_json:
        say_json({"endpoint": done.endpoint, "user": name, "secret": done.secret})
    elif done.secret is None:
        say(f"{done.endpoint} has no account any more", "ok")
    else:
        say(f"SIP user:   {name}")
        say(f"SIP secret: {done.secret}")
        say("Write it down: it is not shown again, and the old one is void.")


def _progress(as_json: bool) -> Bar | None:
    return None if as_json else Bar("sounds")
