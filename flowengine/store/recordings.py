"""Rows of the recordings which the library holds; the sound itself is a file (`recordings`).

A row lives from the moment a call is done with its recording, and stays as the proof when the sound is deleted: how
long it was, its checksum, when it was made, when it was deleted and by whom. What changes a row and its room in the
storage plan at once locks the row first, then the ledger, whoever does it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.periods import local_time
from flowengine.call.commands import KeepRecording
from flowengine.call.events import Instant
from flowengine.store import rooms
from flowengine.store.errors import NotDeletable, NotStored
from flowengine.store.ids import new_id
from flowengine.store.tables import Account, Recording
from flowengine.store.upsert import inserting

RETENTION: Final = "retention"
"""Who deletes what is older than the account keeps it (`Recording.deleted_by`)."""
_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the library says of a recording it holds."""

    path: str
    """Of the file, below the folder of the library."""
    size_bytes: int
    sha256: str
    duration_ms: int
    """As measured in the file, which is what the storage plan counts."""
    complete: bool
    """Its switch did not die over it."""
    channels: int = 1


class Marked(NamedTuple):
    """A recording that was marked. `new`: it was expected until now."""

    id: str
    status: str
    purpose: str
    duration_ms: int
    new: bool


class Sound(NamedTuple):
    """Where the library has the sound of a recording."""

    id: str
    account: str
    call: str
    short_id: str

    @property
    def library_id(self) -> str:
        """Its id in the library."""
        return library_id(self.call, self.short_id)


def library_id(call: str, short_id: str) -> str:
    """The id in the library of what a call has recorded under its own short id."""
    return f"{call}-{short_id}"


async def expect_recording(
    session: AsyncSession, account: str, call: str, kept: KeepRecording, owner: str, at: Instant | None = None
) -> None:
    """Note that a recording is on the switch of the engine `owner` and shall be kept; twice is once.

    It is as old as this: `at`, or now.
    """
    values = {
        "id": new_id("rec"),
        "account_id": account,
        "call_id": call,
        "short_id": kept.recording,
        "status": "expected",
        "owner": owner,
        "purpose": kept.purpose,
        "state": kept.state,
        "user_name": kept.user,
        "duration_ms": kept.duration_ms,
        "limit_ms": int(kept.limit_s * 1_000),
        "ran_out": kept.ran_out,
        "size_bytes": 0,
        "sha256": "",
        "path": "",
        "heard": False,
    }
    if at is not None:
        values["created_at"] = moment(at)
    insert = inserting(session.get_bind().dialect.name, Recording).values(values)
    await session.execute(insert.on_conflict_do_nothing(index_elements=["call_id", "short_id"]))


async def mark_kept(
    session: AsyncSession, account: str, call: str, short_id: str, measured: Measured
) -> Marked:
    """Note that an expected recording is safe in the library; twice is once.

    Raises `NotStored` for a recording that was never expected.
    """
    where = (Recording.account_id == account, Recording.call_id == call, Recording.short_id == short_id)
    row = (await session.execute(select(Recording).where(*where).with_for_update())).scalar_one_or_none()
    if row is None:
        raise NotStored(f"recording {short_id} of {call} was never expected")
    new = row.status == "expected"
    if new:
        for name, value in asdict(measured).items():
            setattr(row, name, value)
        row.complete = measured.complete and not row.ran_out
        row.status = "kept"
        await session.flush()
    return Marked(row.id, row.status, row.purpose, row.duration_ms, new)


async def lose_recording(
    session: AsyncSession, account: str, call: str, short_id: str, problem: str
) -> str | None:
    """Note that an expected recording can never be kept, and why; its id, or None when it was not expected."""
    where = (Recording.account_id == account, Recording.call_id == call, Recording.short_id == short_id)
    lost = update(Recording).where(*where, Recording.status == "expected")
    return await session.scalar(
        lost.values(status="lost", problem=problem, complete=False).returning(Recording.id)
    )


async def expected_recordings(session: AsyncSession, owner: str) -> list[tuple[str, str, KeepRecording]]:
    """What the engine `owner` still has to fetch: (account, call, what to keep), the oldest first."""
    found = await session.scalars(
        select(Recording)
        .where(Recording.status == "expected", Recording.owner == owner)
        .order_by(Recording.created_at, Recording.id)
    )
    return [
        (
            row.account_id,
            row.call_id,
            KeepRecording(
                row.short_id,
                "voicemail" if row.purpose == "voicemail" else "talk",
                row.state,
                row.duration_ms,
                row.limit_ms / 1_000,
                row.user_name,
                row.ran_out,
            ),
        )
        for row in found
    ]


async def mark_heard(session: AsyncSession, account: str, recording: str, *, heard: bool = True) -> None:
    """Note whether somebody listened to a recording; raises `NotStored`."""
    where = (Recording.account_id == account, Recording.id == recording)
    marked = await session.scalar(update(Recording).where(*where).values(heard=heard).returning(Recording.id))
    if marked is None:
        raise NotStored(f"there is no recording {recording} in this account")


async def delete_recordings(
    session: AsyncSession, account: str, ids: Sequence[str], by: str, at: Instant
) -> list[Sound]:
    """Mark kept recordings deleted and give their room back: all of them, or none when one cannot be deleted.

    The sounds are still in the library: delete what is returned there, then `forget_sounds`. What was deleted before
    is left as it is and left out.

    Raises:
        NotStored: one of them is not in this account.
        NotDeletable: one is still on its way from the switch, or was lost on it.
    """
    where = (Recording.account_id == account, Recording.id.in_(ids))
    found = await session.scalars(select(Recording).where(*where).order_by(Recording.id).with_for_update())
    rows = {row.id: row for row in found}
    for id in ids:
        if id not in rows:
            raise NotStored(f"there is no recording {id} in this account")
        _check_deletable(rows[id])
    deleted = [row for row in rows.values() if row.status == "kept"]
    await rooms.open_rooms(session, account, at)
    for row in deleted:
        row.status, row.deleted_at, row.deleted_by = "deleted", moment(at), by[:100]
        row.transcript = None  # what was said goes with its sound
    await session.flush()
    room = [(row.id, row.call_id, row.duration_ms) for row in deleted]
    await rooms.free_rooms(session, account, room, by, at)
    return [Sound(row.id, row.account_id, row.call_id, row.short_id) for row in deleted]


async def sounds_left(session: AsyncSession, many: int) -> list[Sound]:
    """Sounds of deleted recordings that may still be in the library, the longest deleted first."""
    rows = await session.execute(
        select(Recording.id, Recording.account_id, Recording.call_id, Recording.short_id)
        .where(Recording.status == "deleted", Recording.path != "")
        .order_by(Recording.deleted_at, Recording.id)
        .limit(many)
    )
    return [Sound(*row) for row in rows]


async def forget_sounds(session: AsyncSession, ids: Sequence[str]) -> None:
    """Note that the library does not have these sounds of deleted recordings any more."""
    where = (Recording.id.in_(ids), Recording.status == "deleted")
    await session.execute(update(Recording).where(*where).values(path=""))


class Keeping(NamedTuple):
    """An account that deletes its recordings so many months after they were made, by its own calendar."""

    account: str
    months: int
    zone: str


async def keeping_accounts(session: AsyncSession) -> list[Keeping]:
    """The accounts that do not keep recordings for ever."""
    where = Account.keep_months > 0
    found = select(Account.id, Account.keep_months, Account.time_zone).where(where).order_by(Account.id)
    return [Keeping(*row) for row in await session.execute(found)]


async def set_keep_months(session: AsyncSession, account: str, months: int) -> None:
    """Let an account keep its recordings for 3 or 6 months, or for ever (0).

    Raises:
        ValueError: any other number (product rules, section 1).
        NotStored: there is no such account.
    """
    if months not in (0, 3, 6):
        raise ValueError(f"{months} months: choose 3, 6, or 0 to keep recordings for ever")
    row = update(Account).where(Account.id == account).values(keep_months=months).returning(Account.id)
    if await session.scalar(row) is None:
        raise NotStored(f"there is no account {account}")


class Aged(NamedTuple):
    """A kept recording, and when it was made."""

    made: datetime
    id: str


async def kept_until(
    session: AsyncSession, account: str, until: datetime, after: Aged | None, many: int
) -> list[Aged]:
    """Kept recordings made at `until` or before, the oldest first; go on `after` the last one of the batch before."""
    where = [Recording.account_id == account, Recording.status == "kept", Recording.created_at <= until]
    if after is not None:
        where.append(tuple_(Recording.created_at, Recording.id) > after)
    rows = await session.execute(
        select(Recording.created_at, Recording.id)
        .where(*where)
        .order_by(Recording.created_at, Recording.id)
        .limit(many)
    )
    return [Aged(*row) for row in rows]


def moment(at: Instant) -> datetime:
    """An instant as columns for people have it."""
    return local_time(at, _UTC)


def _check_deletable(row: Recording) -> None:
    match row.status:
        case "expected":
            reason = "it is still on its way from the switch: delete it when it has arrived"
        case "lost":
            reason = "it was lost on the switch, and there is no sound to delete"
        case _:
            return
    raise NotDeletable(f"recording {row.id} cannot be deleted: {reason}")
