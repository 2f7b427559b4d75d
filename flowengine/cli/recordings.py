"""Commands about what is kept of calls: list, show, save, play, delete; `verify` has a file of its own."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from flowengine.cli.columns import clock, columns, local, plain
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
from flowengine.cli.player import play_file
from flowengine.cli.screen import fail, say, say_json
from flowengine.cli.stored import AccountKey, BadWord, Company, OfAccount, Opened, Unknown, with_database
from flowengine.cli.verifying import verify

if TYPE_CHECKING:
    from flowengine.store.recording_lists import Listed

Status = Literal["kept", "expected", "lost", "deleted", "all"]
STATUSES: Final = ("expected", "kept", "lost", "deleted")
BATCH: Final = 100


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(help="What is kept of calls: list, save, play, delete, verify.", no_args_is_help=True)
    group.command("list")(list_recordings)
    for command in (show, save, play, delete, verify):
        group.command()(command)
    app.add_typer(group, name="recordings")


def list_recordings(
    account: AccountKey,
    purpose: Annotated[
        Literal["voicemail", "talk"] | None, typer.Option(help="Only messages, or only talks.")
    ] = None,
    user: OfUser = None,
    since: Since = None,
    until: Until = None,
    unheard: Annotated[bool, typer.Option("--unheard", help="Only what nobody has listened to.")] = False,
    status: Annotated[
        Status, typer.Option(help="kept, expected (still on the switch), lost, deleted, or all.")
    ] = "kept",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the recordings of an account, the newest first; times are those of the account.

    Exit 0: listed, though there may be none. 1: no such account or user. 2: a word or the settings are wrong. 3: no
    usable database.
    """

    async def work(here: Opened) -> "tuple[Company, list[Listed]]":
        from flowengine.store.recording_lists import Wanted

        of = await here.company(account)
        begins, ends = period(since, until, of.zone)
        wanted = Wanted(
            purpose=purpose,
            user=user,
            heard=False if unheard else None,
            since=begins,
            until=ends,
            statuses=STATUSES if status == "all" else (status,),
        )
        return of, await newest(here, of, wanted, limit)

    of, found = with_database(work)
    if as_json:
        say_json([as_dict(of, each) for each in found])
        return
    rows = [
        (
            each.id,
            local(each.made, of.zone),
            each.purpose,
            each.user,
            each.caller,
            clock(each.duration_ms),
            "yes" if each.heard else "no",
            each.status if each.complete or each.status != "kept" else "kept, not complete",
        )
        for each in found
    ]
    titles = ("id", "made", "purpose", "user", "caller", "length", "heard", "status")
    for line in columns(titles, rows, right=["length"]):
        say(line)
    say_end(len(found), limit, "recordings")


def show(id: RecordingId, account: OfAccount = None, as_json: AsJson = False) -> None:
    """Show everything that is known of a recording.

    Exit 0: shown. 1: there is no such recording. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, Listed]":
        return await here.recording(id, account)

    told = as_dict(*with_database(work))
    if as_json:
        say_json(told)
        return
    for name, value in told.items():
        say(f"{name + ':':14}{plain(_words(value))}".rstrip())


def save(
    id: RecordingId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The WAV file to write.")],
    account: OfAccount = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the sound of a recording to a file; its checksum is compared on the way.

    Exit 0: written, every byte as it was kept. 1: no such recording, or its sound is damaged or gone; nothing is
    written. 2: the file is there already or cannot be written. 3: the database or the library cannot be used.
    """
    if file.is_dir():
        fail(f"{file}: is a folder: name a file in it")
    if file.exists() and not force:
        fail(f"{file}: is there already: choose another name, or --force")

    async def work(here: Opened) -> "Listed":
        found = await _kept(here, id, account)
        try:
            await _write(here, found, file)
        except OSError as error:
            raise BadWord(f"{file}: cannot be written ({error.strerror})") from None
        return found

    found = with_database(work)
    say(f"{file}: {clock(found.duration_ms)}, {found.size_bytes:,} bytes, checksum as kept", "ok")


def play(id: RecordingId, account: OfAccount = None) -> None:
    """Play a recording to the loudspeaker of this machine. It does not count as heard.

    Exit 0: played. 1: no such recording, or its sound is damaged or gone. 2: the settings are wrong. 3: no player, or
    the database or the library cannot be used.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="flowengine-play-") as folder:
        file = Path(folder) / "recording.wav"

        async def work(here: Opened) -> "Listed":
            found = await _kept(here, id, account)
            await _write(here, found, file)
            return found

        found = with_database(work)
        play_file(file, found.duration_ms / 1_000)


def delete(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of recordings.")],
    account: OfAccount = None,
    by: Annotated[str, typer.Option(help="Who deletes, for the proof that stays.")] = "operator",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete recordings for good, and give their room back. What stays is the proof: when and by whom.

    All of them are deleted, or none when one is not there. Exit 0: deleted, though some may have been before. 1: one is
    not there or cannot be deleted, or you said no. 2: --yes is missing, or the settings are wrong. 3: the database or
    the library cannot be used.
    """
    import sys

    from flowengine.store.recordings import RETENTION

    if not by.strip() or by == RETENTION:
        fail(f"--by {by!r}: name a person or a part of the company")
    wanted = list(dict.fromkeys(ids))
    if not yes:
        if not sys.stdin.isatty():
            fail(f"{len(wanted)} recordings would be deleted for good: add --yes if that is meant")
        typer.confirm(f"Delete {len(wanted)} recordings for good?", abort=True)

    deleted = with_database(lambda here: _delete(here, wanted, account, by))
    if as_json:
        say_json({"asked": len(wanted), "deleted": deleted})
    else:
        before = len(wanted) - deleted
        say(f"{deleted} deleted{f', {before} had been deleted before' if before else ''}", "ok")


def _words(value: object) -> str:
    """A value for people."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


async def _kept(here: Opened, id: str, account: str | None) -> "Listed":
    """A recording that has a sound. Raises `Unknown`."""
    _, found = await here.recording(id, account)
    if found.status != "kept":
        why = {
            "expected": "is still on its way from the switch: try again when it has arrived",
            "lost": f"was lost on the switch: {found.problem}",
            "deleted": f"was deleted by {found.deleted_by}, and has no sound any more",
        }[found.status]
        raise Unknown(f"recording {id} {why}")
    return found


async def _write(here: Opened, found: "Listed", file: Path) -> None:
    """Write a sound, whole and as it was kept, or leave nothing. Raises `RecordingRefused`, `OSError`."""
    from recordings.errors import RecordingDamaged
    from recordings.files import replacing

    digest = hashlib.sha256()
    with replacing(file) as part:
        with part.open("xb") as target:
            async for piece in await here.library().read(found.library_id):
                digest.update(piece)
                await asyncio.to_thread(target.write, piece)
        if digest.hexdigest() != found.sha256:
            mend = "restore it from a backup; nothing was written"
            raise RecordingDamaged(found.id, "its bytes are not those that were kept", mend)


async def _delete(here: Opened, ids: Sequence[str], account: str | None, by: str) -> int:
    from flowengine.clock import SystemClock
    from flowengine.storage.retention import Retention
    from flowengine.store.errors import NotDeletable

    wanted: dict[str, list[str]] = {}
    for id in ids:
        of, found = await here.recording(id, account)
        if found.status in ("expected", "lost"):
            raise NotDeletable(f"recording {id} is {found.status}: there is no sound here to delete")
        wanted.setdefault(of.id, []).append(id)
    retention = Retention(here.database, here.library(), SystemClock())
    deleted = 0
    for owner, several in wanted.items():
        for at in range(0, len(several), BATCH):
            deleted += await retention.delete(owner, several[at : at + BATCH], by)
    return deleted
