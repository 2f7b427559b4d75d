"""Calls and recordings of the seeded account, for tests of what is kept."""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.commands import KeepRecording
from flowengine.call.events import SECOND, Instant
from flowengine.store import recordings, rooms, tables
from flowengine.store.database import Database
from tests.store.seed import NOON, Seed

ENGINE = "flowengine"
MINUTE_MS = 60_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


async def add_call(
    database: Database, of: Seed, call: str = "cal_1", at: Instant = NOON, *, over: bool = True
) -> str:
    """A call of the account, over a minute after it came or running still."""
    async with database.writing() as session:
        session.add(
            tables.Call(
                id=call,
                account_id=of.account,
                flow_id=of.flow,
                version=of.version,
                number="+815055550100",
                caller="+819055550199",
                arrived_at=at,
                ended_at=at + 60 * SECOND if over else None,
                disposition="answered" if over else None,
            )
        )
    return call


def measured(ms: int, *, complete: bool = True) -> recordings.Measured:
    return recordings.Measured("3f/a.wav", 44 + 16 * ms, "f" * 64, ms, complete)


async def keep(
    session: AsyncSession,
    of: Seed,
    ms: int,
    *,
    at: Instant = NOON,
    call: str = "cal_1",
    short_id: str = "rec-1",
    purpose: Literal["voicemail", "talk"] = "voicemail",
    user: str = "",
    ran_out: bool = False,
) -> str:
    """Expect a recording, mark it kept and count it, as a keeper does; its id."""
    command = KeepRecording(short_id, purpose, "message", ms, 0, user, ran_out)
    await recordings.expect_recording(session, of.account, call, command, ENGINE, at)
    marked = await recordings.mark_kept(session, of.account, call, short_id, measured(ms))
    await rooms.settle_room(session, of.account, call, short_id, marked.id, marked.duration_ms, at)
    return marked.id
