"""Recordings as people look for them: who called, when, how long, heard or not; page by page, the newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.periods import instant
from flowengine.call.events import Instant
from flowengine.store.errors import BadCursor, NotStored
from flowengine.store.recordings import library_id, moment
from flowengine.store.tables import Call, Recording

MOST: Final = 200
"""Rows of one page at most."""


class Listed(NamedTuple):
    """A recording and the call it is of. Numbers are E.164 where the call's were."""

    id: str
    call: str
    short_id: str
    status: str
    """expected, kept, lost or deleted; see `Recording.status`."""
    purpose: str
    """voicemail or talk."""
    state: str
    user: str
    number: str
    caller: str
    made: datetime
    duration_ms: int
    complete: bool
    ran_out: bool
    problem: str
    size_bytes: int
    sha256: str
    heard: bool
    transcript: str | None
    deleted_at: datetime | None
    deleted_by: str

    @property
    def library_id(self) -> str:
        """The id of its sound in the library."""
        return library_id(self.call, self.short_id)


class Wanted(NamedTuple):
    """Which recordings: all that fit everything that is given. `since` is included, `until` is not."""

    purpose: str | None = None
    user: str | None = None
    heard: bool | None = None
    since: Instant | None = None
    until: Instant | None = None
    statuses: Sequence[str] = ("kept",)
    call: str | None = None


class Page(NamedTuple):
    """Some recordings, and the cursor of the next page, None when there is none."""

    found: list[Listed]
    following: str | None


_COLUMNS = (
    Recording.id,
    Recording.call_id,
    Recording.short_id,
    Recording.status,
    Recording.purpose,
    Recording.state,
    Recording.user_name,
    Call.number,
    Call.caller,
    Recording.created_at,
    Recording.duration_ms,
    Recording.complete,
    Recording.ran_out,
    Recording.problem,
    Recording.size_bytes,
    Recording.sha256,
    Recording.heard,
    Recording.transcript,
    Recording.deleted_at,
    Recording.deleted_by,
)


async def find(session: AsyncSession, account: str, recording: str) -> Listed:
    """One recording of an account by id. Raises `NotStored`."""
    row = (await session.execute(_selected(account).where(Recording.id == recording))).one_or_none()
    if row is None:
        raise NotStored(f"there is no recording {recording} in this account")
    return Listed(*row)


async def page(
    session: AsyncSession,
    account: str,
    wanted: Wanted | None = None,
    cursor: str | None = None,
    many: int = 50,
) -> Page:
    """Recordings of an account, the newest first, `many` (up to `MOST`) at a time; go on with the last page's cursor.

    Recordings made meanwhile move nothing: a page goes on where the one before ended.

    Raises:
        BadCursor: it was not given out here.
        ValueError: `many` is below 1 or above `MOST`.
    """
    if not 1 <= many <= MOST:
        raise ValueError(f"{many} recordings a page: choose from 1 to {MOST}")
    query = _narrowed(_selected(account), wanted or Wanted())
    if cursor is not None:
        query = query.where(tuple_(Recording.created_at, Recording.id) < _place(cursor))
    rows = await session.execute(
        query.order_by(Recording.created_at.desc(), Recording.id.desc()).limit(many + 1)
    )
    found = [Listed(*row) for row in rows]
    if len(found) <= many:
        return Page(found, None)
    last = found[many - 1]
    return Page(found[:many], f"{instant(last.made)}-{last.id}")


def _selected(account: str) -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).join(Call, Call.id == Recording.call_id).where(Recording.account_id == account)


def _narrowed(query: Select[*tuple[Any, ...]], wanted: Wanted) -> Select[*tuple[Any, ...]]:
    query = query.where(Recording.status.in_(wanted.statuses))
    for column, value in (
        (Recording.purpose, wanted.purpose),
        (Recording.user_name, wanted.user),
        (Recording.heard, wanted.heard),
        (Recording.call_id, wanted.call),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(Recording.created_at >= moment(wanted.since))
    if wanted.until is not None:
        query = query.where(Recording.created_at < moment(wanted.until))
    return query


def _place(cursor: str) -> tuple[datetime, str]:
    at, dash, id = cursor.partition("-")
    try:
        made = moment(int(at))
    except (ValueError, OverflowError):
        made = None
    if made is None or not dash or not id:
        raise BadCursor(f"{cursor[:60]!r} is no cursor: use the one of the page before, or none to begin")
    return made, id
