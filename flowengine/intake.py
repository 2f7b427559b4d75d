"""Recordings on their way from the switch to the library: room asked for, kept, tried again, given back.

Nothing here may harm a call: questions are answered with events, and whatever fails later is tried again while the
recording waits on the switch, which deletes nothing by itself. A recording that is expected is noted in the database
first, so that a restarted engine goes on fetching it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

import structlog

from flowengine.alarms import Alarms
from flowengine.call.commands import (
    DiscardRecording,
    KeepRecording,
    LibraryCommand,
    ReleaseRoom,
    ReserveRoom,
)
from flowengine.call.events import RoomReserved
from flowengine.ports import RecordingMissing
from flowengine.runtime import Engine

log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
ALARM: Final = "recordings_not_kept"
UNUSABLE_TRIES: Final = 10
"""So often a file that cannot be used is fetched, over some two minutes; then it is lost, but left on the switch."""


class Rooms(Protocol):
    """The storage plans of the accounts."""

    async def reserve(self, account: str, call: str, recording: str, limit_s: float) -> bool:
        """Find room for a recording of up to `limit_s` seconds (0: unknown); False when the plan is used up."""
        ...

    async def release(self, account: str, call: str, recording: str) -> None:
        """Give room back; a second time is harmless."""
        ...


class Unlimited:
    """Room without end, for engines without a storage plan: tests and the demo."""

    async def reserve(self, *_: object) -> bool:
        """There is always room."""
        return True

    async def release(self, *_: object) -> None:
        """Nothing was taken."""

    def finished(self, *_: object) -> None:
        """Nothing grows."""

    async def stored(self, *_: object) -> None:
        """Nothing is counted."""


class Keeper(Protocol):
    """Where finished recordings go."""

    async def expect(self, account: str, call: str, command: KeepRecording) -> None:
        """Note durably that this recording is on the switch and shall be kept."""
        ...

    async def keep(
        self, account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        """Take a finished recording; when this returns it is safe here and may be deleted on the switch."""
        ...

    async def lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        """Note durably that this recording can never be kept."""
        ...

    async def expected(self) -> list["Expected"]:
        """What was expected and is neither kept nor lost."""
        ...


class Lost(Exception):
    """What came from the switch is no recording and will not become one, such as a file without a sample."""


class Unusable(Exception):
    """What came from the switch cannot be used as it is. Fetched again it may be whole; if not, a person must look."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A recording that waits on the switch."""

    account: str
    call: str
    command: KeepRecording


class Intake:
    """The `Storage` of an engine. Its work is the engine's, so `Engine.drain` waits for it."""

    def __init__(self, engine: Engine, rooms: Rooms, keeper: Keeper, alarms: Alarms) -> None:
        self._engine = engine
        self._rooms = rooms
        self._keeper = keeper
        self._alarms = alarms
        self._last: dict[tuple[str, str], asyncio.Task[None]] = {}
        """The last thing asked for each recording: what is asked next waits for it."""
        self._failing: set[tuple[str, str]] = set()

    def perform(self, account: str, call: str, command: LibraryCommand) -> None:
        """See `Storage.perform`."""
        work = self._work(account, call, command)
        key = call, command.recording
        before = self._last.get(key)

        async def in_turn() -> None:
            if before is not None:
                await asyncio.wait((before,))
            try:
                await work()
            except Exception:
                log.exception("recording not looked after", call=call, recording=command.recording)

        task = self._engine.background(in_turn(), name=f"{call}-{command.recording}")
        self._last[key] = task
        task.add_done_callback(lambda done: self._last.pop(key) if self._last.get(key) is done else None)

    async def resume(self) -> int:
        """Go on with what an earlier engine expected; how many recordings. Call it when the switch is set."""
        waiting = await self._keeper.expected()
        for each in waiting:
            self.perform(each.account, each.call, each.command)
        return len(waiting)

    def _work(self, account: str, call: str, command: LibraryCommand) -> Callable[[], Awaitable[None]]:
        match command:
            case ReserveRoom():
                return lambda: self._reserve(account, call, command)
            case ReleaseRoom(recording=recording):
                return lambda: self._rooms.release(account, call, recording)
            case KeepRecording():
                return lambda: self._keep(account, call, command)
            case DiscardRecording(recording=recording):
                return lambda: self._discard(account, call, recording)
            case _:
                assert_never(command)

    async def _reserve(self, account: str, call: str, command: ReserveRoom) -> None:
        """A plan that cannot be asked is no reason to lose a message: it is counted when it is kept."""
        granted = True
        try:
            granted = await self._rooms.reserve(account, call, command.recording, command.limit_s)
        except Exception:
            log.exception("no room reserved, recording without", call=call, recording=command.recording)
        event = RoomReserved(self._engine.clock.now(), command.recording, granted)
        self._engine.happened(call, event)

    async def _keep(self, account: str, call: str, command: KeepRecording) -> None:
        """Move a recording home, and if that fails, again; until then it stays on the switch."""
        noted, pause_s, unusable = False, FIRST_PAUSE_S, 0
        while True:
            try:
                if not noted:
                    await self._keeper.expect(account, call, command)
                    noted = True
                await self._fetch(account, call, command)
            except (RecordingMissing, Lost) as gone:
                await self._lose(account, call, command, str(gone))
                await self._delete(call, command.recording)
                return
            except Exception as error:
                unusable += isinstance(error, Unusable)
                if unusable >= UNUSABLE_TRIES:
                    await self._lose(account, call, command, f"{error}; its file stays on the switch")
                    return
                self._fails(call, command.recording, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._succeeds(call, command.recording)
                await self._delete(call, command.recording)
                return

    async def _fetch(self, account: str, call: str, command: KeepRecording) -> None:
        sound = self._engine.switch.fetch(call, command.recording)
        await self._keeper.keep(account, call, command, sound)

    async def _lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        log.error("recording lost", call=call, recording=command.recording, reason=reason)
        self._succeeds(call, command.recording)
        await self._keeper.lose(account, call, command, reason)
        await self._rooms.release(account, call, command.recording)

    async def _discard(self, account: str, call: str, recording: str) -> None:
        await self._delete(call, recording)
        await self._rooms.release(account, call, recording)

    async def _delete(self, call: str, recording: str) -> None:
        try:
            await self._engine.switch.discard(call, recording)
        except Exception:
            log.exception("recording not deleted on the switch", call=call, recording=recording)

    def _fails(self, call: str, recording: str, error: Exception) -> None:
        if (call, recording) not in self._failing:
            self._failing.add((call, recording))
            log.warning(
                "recording not kept yet, it stays on the switch",
                call=call,
                recording=recording,
                error=type(error).__name__,
                problem=str(error),
            )
        many = len(self._failing)
        what = "1 recording waits" if many == 1 else f"{many} recordings wait"
        self._alarms.raise_(ALARM, f"{what} on the switch and cannot be kept: {error}")

    def _succeeds(self, call: str, recording: str) -> None:
        self._failing.discard((call, recording))
        if not self._failing:
            self._alarms.clear(ALARM)
