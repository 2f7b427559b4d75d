"""Commands about the sounds that an account owns: add, list, remove, rename."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowengine.cli.columns import clock, columns, iso, local
from flowengine.cli.flows import AsJson
from flowengine.cli.screen import fail, say, say_json
from flowengine.cli.stored import AccountKey, Company, Opened, Unknown, near, with_database

if TYPE_CHECKING:
    from flowengine.store.tables import Audio

Sound = Annotated[str, typer.Argument(metavar="SOUND", help="The name or the id of a sound.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(help="The sounds an account owns.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_sounds)
    group.command()(remove)
    group.command()(rename)
    app.add_typer(group, name="audio")


def add(
    account: AccountKey,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sound: WAV, FLAC, MP3, Ogg and others.")],
    name: Annotated[
        str | None, typer.Option(help="What flows call it, such as audio/welcome.wav; else as the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give an account a sound. Flows name it by its name or its id; nothing changes until one does.

    Exit 0: added. 1: no such account, the file is no sound, or the name is taken or none. 2: no such file, or the
    settings are wrong. 3: the database or the folder of sounds cannot be used.
    """
    if not file.is_file():
        fail(f"{file}: there is no such file")

    async def work(here: Opened) -> "tuple[Company, Audio]":
        from flowengine.store import audios
        from recordings.shelf import Shelf

        of = await here.company(account)
        called = file.name if name is None else name
        taken = await Shelf(here.settings.uploads_dir).add(file, str(file))
        sound = audios.Uploaded(taken.sha256, taken.size_bytes, taken.duration_ms)
        async with here.database.writing() as session:
            id_ = await audios.add_audio(session, of.id, called, sound)
        return of, await _find(here, of, id_)

    of, added = with_database(work)
    if as_json:
        say_json(_as_dict(of, added))
    else:
        say(f"{added.name}: {clock(added.duration_ms)}, {added.id}", "ok")


def list_sounds(account: AccountKey, as_json: AsJson = False) -> None:
    """List the sounds of an account by name.

    Exit 0: listed, though there may be none. 1: no such account. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, list[Audio]]":
        from flowengine.store import audios

        of = await here.company(account)
        async with here.database.reading() as session:
            return of, await audios.list_audios(session, of.id)

    of, found = with_database(work)
    if as_json:
        say_json([_as_dict(of, each) for each in found])
        return
    rows = [(each.name, clock(each.duration_ms), local(each.created_at, of.zone), each.id) for each in found]
    for line in columns(("name", "length", "added", "id"), rows, right=["length"]):
        say(line)
    if not found:
        say("no sounds")


def remove(account: AccountKey, sound: Sound, as_json: AsJson = False) -> None:
    """Take a sound from an account; refused while a flow names it, with every place.

    Exit 0: removed. 1: no such account or sound, or it is in use. 2: the settings are wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, Audio]":
        from flowengine.store import audios

        of = await here.company(account)
        found = await _find(here, of, sound)
        async with here.database.writing() as session:
            await audios.remove_audio(session, of.id, found.id)
        return of, found

    of, gone = with_database(work)
    if as_json:
        say_json(_as_dict(of, gone))
    else:
        say(f"{gone.name} is removed", "ok")


def rename(
    account: AccountKey,
    sound: Sound,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    as_json: AsJson = False,
) -> None:
    """Call a sound otherwise; refused while a flow knows it by its old name, with every place.

    Exit 0: renamed. 1: no such account or sound, it is in use, or the new name is taken or none. 2: the settings are
    wrong. 3: no usable database.
    """

    async def work(here: Opened) -> "tuple[Company, Audio]":
        from flowengine.store import audios

        of = await here.company(account)
        found = await _find(here, of, sound)
        async with here.database.writing() as session:
            await audios.rename_audio(session, of.id, found.id, name)
        return of, await _find(here, of, found.id)

    of, renamed = with_database(work)
    if as_json:
        say_json(_as_dict(of, renamed))
    else:
        say(f"{renamed.name}: renamed", "ok")


async def _find(here: Opened, of: Company, sound: str) -> "Audio":
    """A sound of an account, by name or id. Raises `Unknown`."""
    from flowengine.store import audios

    async with here.database.reading() as session:
        known = {each.name: each for each in await audios.list_audios(session, of.id)}
    found = known.get(sound) or next((each for each in known.values() if each.id == sound), None)
    if found is None:
        raise Unknown(f'the account {of.key} has no sound "{sound[:80]}"{near(sound, known)}')
    return found


def _as_dict(of: Company, each: "Audio") -> dict[str, Any]:
    return {
        "id": each.id,
        "account": of.key,
        "name": each.name,
        "sha256": each.sha256,
        "size_bytes": each.size_bytes,
        "duration_ms": each.duration_ms,
        "added": iso(each.created_at, of.zone),
    }
