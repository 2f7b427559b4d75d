"""What the commands about recordings share: which are meant, what is told of each."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from flowengine.cli.columns import iso
from flowengine.cli.screen import say
from flowengine.cli.stored import Company, Opened, Unknown, moment, near

if TYPE_CHECKING:
    from flowengine.store.recording_lists import Listed, Wanted

RecordingId = Annotated[str, typer.Argument(metavar="ID", help="The id of a recording, rec_...")]
Since = Annotated[str | None, typer.Option(help="Made then or later: 2026-11-21, 2026-11-21T09:30, 7d, 12h.")]
Until = Annotated[str | None, typer.Option(help="Made before then.")]
OfUser = Annotated[str | None, typer.Option(help="Only of this user.")]
Limit = Annotated[int, typer.Option(min=1, help="Show so many, the newest.")]
PAGE: Final = 200


async def newest(here: Opened, of: Company, wanted: "Wanted", limit: int) -> "list[Listed]":
    """Up to so many recordings. Raises `Unknown` when nothing is found of a user whom the account has not."""
    from sqlalchemy import select

    from flowengine.store import recording_lists
    from flowengine.store.tables import User

    found: list[Listed] = []
    cursor = None
    async with here.database.reading() as session:
        while len(found) < limit:
            many = min(PAGE, limit - len(found))
            page = await recording_lists.page(session, of.id, wanted, cursor, many)
            found += page.found
            cursor = page.following
            if cursor is None:
                break
        if not found and wanted.user is not None:
            users = list(await session.scalars(select(User.name).where(User.account_id == of.id)))
            if wanted.user not in users:
                raise Unknown(
                    f"the account {of.key} has no user {wanted.user[:80]}{near(wanted.user, users)}"
                )
    return found


def as_dict(of: Company, each: "Listed") -> dict[str, Any]:
    """A recording for programs. Instants have the offset of the account's zone."""
    return {
        "id": each.id,
        "account": of.key,
        "call": each.call,
        "status": each.status,
        "purpose": each.purpose,
        "state": each.state,
        "user": each.user,
        "number": each.number,
        "caller": each.caller,
        "made": iso(each.made, of.zone),
        "duration_ms": each.duration_ms,
        "complete": each.complete,
        "ran_out": each.ran_out,
        "problem": each.problem,
        "size_bytes": each.size_bytes,
        "sha256": each.sha256,
        "heard": each.heard,
        "transcript": each.transcript,
        "deleted_at": iso(each.deleted_at, of.zone),
        "deleted_by": each.deleted_by,
    }


def say_end(found: int, limit: int, what: str) -> None:
    """Say that there is nothing, or that there may be more."""
    if not found:
        say(f"no {what}")
    elif found == limit:
        say(f"the newest {limit}: --limit shows more")


def period(since: str | None, until: str | None, zone: ZoneInfo) -> tuple[int | None, int | None]:
    """The time between two words, for a `Wanted`. Raises `BadWord`."""
    now = datetime.now(UTC)
    return moment(since, zone, now), moment(until, zone, now)
