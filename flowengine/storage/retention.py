"""Recordings deleted: by a person, or because they are older than their account keeps them.

The row is marked deleted and its room given back in one transaction; then the sound goes. A crash in between leaves a
deleted row that still names a sound, and the next run deletes it. The row stays for ever: it proves what was deleted,
when, and by whom.

An account that keeps recordings for 3 or 6 months means months of its calendar and its clocks: what was made on 31
August at 9 is deleted on the last day of November at 9.
"""

import asyncio
from datetime import timedelta
from typing import Final, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.periods import anniversary, instant, time_zone
from flowengine.call.events import Instant
from flowengine.ports import Clock
from flowengine.store import recordings as rows
from flowengine.store.database import Database
from flowengine.store.ids import new_id
from flowengine.store.ledger import transact
from flowengine.store.notifications import notify
from recordings.errors import LibraryUnavailable, RecordingRefused

log = structlog.get_logger(__name__)

EVERY_S: Final = 3_600.0
BATCH: Final = 100
"""Recordings of one transaction."""


class Sounds(Protocol):
    """The library, as far as it is needed here."""

    async def delete(self, recording_id: str) -> bool:
        """Delete a sound; False when there was none."""


class Retention:
    """Deletes recordings of an installation."""

    def __init__(self, database: Database, sounds: Sounds, clock: Clock) -> None:
        self._database = database
        self._sounds = sounds
        self._clock = clock

    async def delete(self, account: str, recordings: list[str], by: str) -> int:
        """Delete recordings on behalf of a user; how many were not deleted before.

        All of them or none are marked. A sound that cannot be deleted now is deleted by the next `run`.

        Raises:
            NotStored: one of them is not in this account.
            NotDeletable: one is still on its way from the switch, or was lost on it.
            ValueError: nobody is named.
        """
        if not by or by == rows.RETENTION:
            raise ValueError("say by whom: the name of a user")
        deleted = await self._mark(account, recordings, by, self._clock.now())
        await self._delete_sounds(deleted)
        return len(deleted)

    async def run(self) -> int:
        """Delete what is older than its account keeps it, and sounds that an earlier run has left; how many recordings.

        One account that fails is told in the log and keeps no other from its turn. Several engines may run at once.
        """
        await self.delete_sounds_left()
        async with self._database.reading() as session:
            accounts = await rows.keeping_accounts(session)
        total = 0
        for each in accounts:
            try:
                total += await self._run_account(each)
            except Exception:
                log.exception("recordings not deleted, the next run tries again", account=each.account)
        return total

    async def delete_sounds_left(self) -> int:
        """Delete the sounds of recordings that are marked deleted and may still have one; how many."""
        total = 0
        while True:
            async with self._database.reading() as session:
                left = await rows.sounds_left(session, BATCH)
            done = await self._delete_sounds(left)
            total += done
            if done < BATCH:
                return total

    async def run_hourly(self) -> None:
        """Run for ever."""
        while True:
            try:
                await self.run()
            except Exception:
                log.exception("retention failed, the next run tries again")
            await asyncio.sleep(EVERY_S)

    async def _run_account(self, keeping: rows.Keeping) -> int:
        now = self._clock.now()
        zone = time_zone(keeping.zone)
        until = rows.moment(now) - timedelta(days=30 * keeping.months - 3)  # none younger can be due
        total, last = 0, None
        while True:
            async with self._database.reading() as session:
                batch = await rows.kept_until(session, keeping.account, until, last, BATCH)
            old = [each.id for each in batch if anniversary(instant(each.made), keeping.months, zone) <= now]
            if old:
                deleted = await self._mark(keeping.account, old, rows.RETENTION, now)
                total += len(deleted)
                await self._delete_sounds(deleted)
            if len(batch) < BATCH:
                break
            last = batch[-1]
        if total:
            log.info("old recordings deleted", account=keeping.account, many=total, months=keeping.months)
            await self._tell(keeping, total, now)
        return total

    async def _mark(self, account: str, ids: list[str], by: str, at: Instant) -> list[rows.Sound]:
        async def work(session: AsyncSession) -> list[rows.Sound]:
            return await rows.delete_recordings(session, account, ids, by, at)

        return await transact(self._database, work)

    async def _delete_sounds(self, sounds: list[rows.Sound]) -> int:
        """Delete sounds of rows that are marked; what cannot be deleted now is left for the next run."""
        gone = []
        for each in sounds:
            try:
                await self._sounds.delete(each.library_id)
            except LibraryUnavailable as error:
                log.warning("sounds of deleted recordings left for later", problem=str(error))
                break
            except RecordingRefused as error:
                log.error("sound of a deleted recording left", recording=each.id, problem=str(error))
            else:
                gone.append(each.id)
        if gone:
            async with self._database.writing() as session:
                await rows.forget_sounds(session, gone)
        return len(gone)

    async def _tell(self, keeping: rows.Keeping, total: int, now: Instant) -> None:
        key = f"retention_deleted:{new_id('ntf')}"
        data = {"many": total, "months": keeping.months}
        async with self._database.writing() as session:
            await notify(session, keeping.account, key, "retention_deleted", now, data)
