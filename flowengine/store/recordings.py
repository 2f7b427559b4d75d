"""Rows of the recordings which the library holds; the sound itself is a file (`recordings`)."""

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.commands import KeepRecording
from flowengine.store.errors import NotStored
from flowengine.store.ids import new_id
from flowengine.store.tables import Recording


async def save_recording(
    session: AsyncSession,
    account: str,
    call: str,
    kept: KeepRecording,
    *,
    path: str,
    size_bytes: int,
    sha256: str,
    duration_ms: int,
) -> str:
    """Store the row of a recording and give its id (`rec_...`). Saving the same one again gives the same id.

    Args:
        kept: what the call says of it; its `recording` is the call's own id ("rec-1").
        path: of the file, below the folder of the library.
        duration_ms: as measured in the file, which is what the storage plan counts.
    """
    values = {
        "id": new_id("rec"),
        "account_id": account,
        "call_id": call,
        "short_id": kept.recording,
        "purpose": kept.purpose,
        "state": kept.state,
        "user_name": kept.user,
        "duration_ms": duration_ms,
        "size_bytes": size_bytes,
        "sha256": sha256,
        "path": path,
        "heard": False,
    }
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(Recording).values(values)
    await session.execute(insert.on_conflict_do_nothing(index_elements=["call_id", "short_id"]))
    stored = await session.scalar(
        select(Recording.id).where(
            Recording.account_id == account, Recording.call_id == call, Recording.short_id == kept.recording
        )
    )
    assert stored is not None, "it was just inserted, or was there"
    return stored


async def mark_heard(session: AsyncSession, account: str, recording: str, *, heard: bool = True) -> None:
    """Note whether somebody listened to a recording; raises `NotStored`."""
    where = (Recording.account_id == account, Recording.id == recording)
    marked = await session.scalar(update(Recording).where(*where).values(heard=heard).returning(Recording.id))
    if marked is None:
        raise NotStored(f"there is no recording {recording} in this account")
