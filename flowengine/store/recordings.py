"""Rows of the recordings which the library holds; the sound itself is a file (`recordings`)."""

from dataclasses import asdict, dataclass

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.commands import KeepRecording
from flowengine.store.errors import NotStored
from flowengine.store.ids import new_id
from flowengine.store.tables import Recording


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


async def expect_recording(
    session: AsyncSession, account: str, call: str, kept: KeepRecording, owner: str
) -> None:
    """Note that a recording is on the switch of the engine `owner` and shall be kept; twice is once."""
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
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(Recording).values(values)
    await session.execute(insert.on_conflict_do_nothing(index_elements=["call_id", "short_id"]))


async def mark_kept(session: AsyncSession, account: str, call: str, short_id: str, measured: Measured) -> str:
    """Note that an expected recording is safe in the library, and give its id (`rec_...`); twice is once.

    Raises `NotStored` for a recording that was never expected.
    """
    where = (Recording.account_id == account, Recording.call_id == call, Recording.short_id == short_id)
    row = (await session.execute(select(Recording).where(*where).with_for_update())).scalar_one_or_none()
    if row is None:
        raise NotStored(f"recording {short_id} of {call} was never expected")
    if row.status == "expected":
        for name, value in asdict(measured).items():
            setattr(row, name, value)
        row.complete = measured.complete and not row.ran_out
        row.status = "kept"
    return row.id


async def lose_recording(session: AsyncSession, account: str, call: str, short_id: str, problem: str) -> None:
    """Note that an expected recording can never be kept, and why."""
    where = (Recording.account_id == account, Recording.call_id == call, Recording.short_id == short_id)
    expected = Recording.status == "expected"
    await session.execute(
        update(Recording).where(*where, expected).values(status="lost", problem=problem, complete=False)
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
