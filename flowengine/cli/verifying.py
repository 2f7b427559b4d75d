"""`flowengine recordings verify`: every kept sound against the checksum taken when it was kept."""

from typing import TYPE_CHECKING, Annotated

import typer

from flowengine.cli.bar import Bar
from flowengine.cli.flows import AsJson
from flowengine.cli.kept import newest
from flowengine.cli.screen import PROBLEMS, say, say_json
from flowengine.cli.stored import Company, Opened, with_database

if TYPE_CHECKING:
    from flowengine.store.recording_lists import Listed
    from recordings.library import RecordingLibrary


def verify(
    account: Annotated[
        str | None, typer.Argument(metavar="ACCOUNT", help="The key of an account; without it, all of them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every kept recording and hold it against the checksum taken when it was kept.

    Exit 0: all are well. 1: some are damaged or gone, each named. 2: the settings are wrong. 3: the database or the
    library cannot be used.
    """
    many, bad = with_database(lambda here: _verify(here, account))
    if as_json:
        say_json({"verified": many, "bad": bad})
    else:
        for each in bad:
            say(f"{each['id']} ({each['account']}): {each['problem']}", "error")
        say(f"{many} recordings verified, {len(bad)} damaged or gone", "error" if bad else "ok")
    raise typer.Exit(PROBLEMS if bad else 0)


async def _verify(here: Opened, account: str | None) -> tuple[int, list[dict[str, str]]]:
    """How many were read, and what is wrong with whom."""
    from flowengine.store.recording_lists import Wanted

    library = here.library()
    await library.check()
    kept: list[tuple[Company, Listed]] = []
    for of in await here.companies(account):
        kept += [(of, each) for each in await newest(here, of, Wanted(), limit=10**9)]
    shown = Bar("recordings")
    bad: list[dict[str, str]] = []
    try:
        for done, (of, each) in enumerate(kept, 1):
            problem = await _problem(library, each)
            if problem:
                bad.append({"id": each.id, "account": of.key, "problem": problem})
            shown(done, len(kept))
    finally:
        shown.close()
    return len(kept), bad


async def _problem(library: "RecordingLibrary", each: "Listed") -> str:
    """What is wrong with a kept recording, or "". Raises `LibraryUnavailable`."""
    from recordings.errors import LibraryUnavailable, RecordingRefused

    try:
        kept = await library.verify(each.library_id)
    except LibraryUnavailable:
        raise
    except RecordingRefused as error:
        return f"{error.reason}; {error.mend}"
    if kept.sha256 != each.sha256:
        return "the library holds another sound than the database knows; restore it from a backup"
    return ""
