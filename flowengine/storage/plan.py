"""The storage plan while calls run: room is held before a recording begins, and grows with it.

A message holds its whole limit at once. A talk may last for hours: it holds a first minute, and one ticker for all
talks lets each hold grow by another before it is used up. When the plan has no more, a talk goes on recording for as
long as its hold lasts and is then told `RoomRanOut`. So what is stored never exceeds the plan, however many record at
once, as long as the switch stops within `STOP_MS`.

What happens to the database harms no call and loses no recording: who cannot be asked refuses nothing, and what was
recorded meanwhile is counted when it is kept.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.events import SECOND, Event, Instant, RoomRanOut
from flowengine.ports import Clock
from flowengine.store import rooms
from flowengine.store.books import Held
from flowengine.store.database import Database
from flowengine.store.ledger import transact

log = structlog.get_logger(__name__)

SLICE_MS: Final = 60_000
"""What a talk holds at first, and what it gets at a time."""
AHEAD_MS: Final = 20_000
"""A hold grows when less than this is left of it; two ticks, so that one may fail."""
TICK_S: Final = 10.0
STOP_MS: Final = 500
"""A recording is told to stop so long before its hold is used up: switches need a moment."""
MILLISECOND: Final = SECOND // 1_000


@dataclass(slots=True)
class _Talk:
    """A recording without a limit, and what is held for it since it asked for room."""

    account: str
    since: Instant
    held_ms: int

    def used_ms(self, now: Instant) -> int:
        """The longest it can be by now."""
        return (now - self.since) // MILLISECOND

    def left_ms(self, now: Instant) -> int:
        return self.held_ms - self.used_ms(now)

    @property
    def stops_at(self) -> Instant:
        return self.since + (self.held_ms - STOP_MS) * MILLISECOND


class StoragePlan:
    """The `Rooms` of an engine, and the `Counted` of its library, over the ledger in the database.

    Args:
        owner: the name of this engine.
        happened: puts an event into the inbox of a call (`Engine.happened`).
        is_running: whether a call still runs here; a talk whose call vanished gets no more room.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        clock: Clock,
        happened: Callable[[str, Event], None],
        is_running: Callable[[str], bool] = lambda _call: True,
    ) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock
        self._happened = happened
        self._is_running = is_running
        self._talks: dict[tuple[str, str], _Talk] = {}

    async def reserve(self, account: str, call: str, recording: str, limit_s: float) -> bool:
        """See `Rooms.reserve`. Raises when the database fails: the recording is counted when it is kept, then."""
        ms = ceil(limit_s * 1_000) or SLICE_MS
        now = self._clock.now()

        async def work(session: AsyncSession) -> Held | None:
            return await rooms.hold_room(session, account, call, recording, ms, self._owner, now)

        held = await transact(self._database, work)
        if held is None:
            log.warning("not recorded, the storage plan is used up", account=account, call=call)
            return False
        if not limit_s:
            self._talks[call, recording] = _Talk(account, held.at, held.amount)
        return True

    async def release(self, account: str, call: str, recording: str) -> None:
        """See `Rooms.release`."""
        self.finished(call, recording)

        async def work(session: AsyncSession) -> int:
            return await rooms.release_rooms(session, [(account, call, recording)])

        await transact(self._database, work)

    def finished(self, call: str, recording: str) -> None:
        """A recording has ended: its hold grows no more, and stays until it is kept or lost."""
        self._talks.pop((call, recording), None)

    async def stored(
        self, session: AsyncSession, account: str, call: str, recording: str, id: str, duration_ms: int
    ) -> None:
        """See `Counted.stored`."""
        self.finished(call, recording)
        await rooms.settle_room(session, account, call, recording, id, duration_ms, self._clock.now())

    async def tick(self, now: Instant) -> Instant:
        """Let holds grow that are nearly used up, and stop talks whose plan gives no more; when to come again.

        Raises when the database fails: no talk is stopped then.
        """
        for call, recording in [key for key in self._talks if not self._is_running(key[0])]:
            self.finished(call, recording)
        due = {key: talk for key, talk in self._talks.items() if talk.left_ms(now) < AHEAD_MS}
        if due:
            await self._grow(due, now)
        over = {key: talk for key, talk in due.items() if key in self._talks and talk.stops_at <= now}
        for (call, recording), talk in over.items():
            self.finished(call, recording)
            log.warning("recording cut, the storage plan is used up", account=talk.account, call=call)
            self._happened(call, RoomRanOut(now, recording))
        if over:
            await self._tell(over, now)
        return min([now + int(TICK_S * SECOND), *(talk.stops_at for talk in self._talks.values())])

    async def run(self) -> None:
        """Tick for ever, exactly when a hold is used up and each `TICK_S` otherwise."""
        while True:
            try:
                again = await self.tick(self._clock.now())
            except Exception:
                log.exception("storage plan not asked, recordings go on")
                again = self._clock.now() + SECOND
            await asyncio.sleep(max(0.0, (again - self._clock.now()) / SECOND))

    async def give_back_left_over(self, over_before: Instant = 0) -> int:
        """Give back what was held for recordings that never came home; how many.

        At the start of an engine: what its predecessor held for calls that are over. With `over_before`, what other
        engines held for calls that were over then, too.
        """

        async def work(session: AsyncSession) -> int:
            left = await rooms.left_over(session, self._owner, over_before)
            return await rooms.release_rooms(session, left)

        return await transact(self._database, work)

    async def _grow(self, due: dict[tuple[str, str], _Talk], now: Instant) -> None:
        wanted = [
            (talk.account, call, recording, max(talk.held_ms, talk.used_ms(now) + AHEAD_MS) + SLICE_MS)
            for (call, recording), talk in due.items()
        ]

        async def work(session: AsyncSession) -> list[int]:
            return await rooms.extend_rooms(session, wanted)

        for (key, talk), held_ms in zip(due.items(), await transact(self._database, work), strict=True):
            if held_ms:
                talk.held_ms = held_ms
            elif self._talks.get(key) is talk:
                self.finished(*key)

    async def _tell(self, over: dict[tuple[str, str], _Talk], now: Instant) -> None:
        async def work(session: AsyncSession) -> None:
            for (call, recording), talk in sorted(over.items(), key=lambda each: each[1].account):
                await rooms.used_up(session, talk.account, call, recording, now)

        await transact(self._database, work)
