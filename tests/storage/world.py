"""The simulated telephone world with the storage plan of a real database: virtual time, real rows."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar, cast

from flowengine.call import commands
from flowengine.call.events import CallArrived, Event, Instant, RoomReserved
from flowengine.keeping import LibraryKeeper
from flowengine.routing.directory import Catalog
from flowengine.storage.plan import StoragePlan
from flowengine.store import rooms
from flowengine.store.database import Database
from flowengine.store.rooms import Usage
from flowengine.store.tables import Call
from recordings.kept import Kept
from recordings.library import RecordingLibrary
from simulator.run import RunningCall, Simulation
from simulator.world import World
from tests.store.kept import ENGINE
from tests.store.seed import Seed

T = TypeVar("T")


class WorldClock:
    """The world's time as a Clock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> Instant:
        return self._world.now


class Lengths:
    """A library that keeps no sound, only how long it was."""

    def __init__(self) -> None:
        self.coming: dict[str, int] = {}

    async def keep(self, recording_id: str, data: object, limit_ms: int | None = None) -> Kept:
        ms = self.coming[recording_id]
        ms = min(ms, limit_ms) if limit_ms else ms
        return Kept(f"00/{recording_id}.wav", ms, "f" * 64, 44 + 16 * ms, False, False)


async def no_sound() -> AsyncIterator[bytes]:
    yield b""


class PlannedSimulation(Simulation):
    """A simulation whose recordings ask a storage plan; database work takes no time in the world.

    Args:
        runner: carries the database.
        of: the account in it.
    """

    def __init__(
        self, catalog: Catalog, world: World, runner: asyncio.Runner, database: Database, of: Seed
    ) -> None:
        super().__init__(catalog, world)
        self._runner = runner
        self._database = database
        self._of = of
        self._lengths = Lengths()
        self.least_left_ms = 1 << 62
        clock = WorldClock(world)
        self.plan = StoragePlan(database, ENGINE, clock, self._soon, self.running.__contains__)
        self.keeper = LibraryKeeper(database, cast(RecordingLibrary, self._lengths), self.plan, ENGINE, clock)
        self._tick(None)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def usage(self) -> Usage:
        async def work() -> Usage:
            async with self._database.reading() as session:
                return await rooms.usage(session, self._of.account)

        return self.wait(work())

    def _soon(self, call: str, event: Event) -> None:
        self.world.soon(self.happened, call, event)

    def _tick(self, _: object) -> None:
        """Once calls have come, until they are over, or the world would never end."""
        again = self.wait(self.plan.tick(self.world.now))
        self.least_left_ms = min(self.least_left_ms, self.usage().left_ms)
        if self.running or not self.done:
            self.world.at(again, self._tick, None)

    def happened(self, call: str, event: Event) -> None:
        if isinstance(event, CallArrived):
            self.wait(self._open(call, event))
        super().happened(call, event)

    async def _open(self, call: str, event: CallArrived) -> None:
        async with self._database.writing() as session:
            of = self._of
            session.add(
                Call(
                    id=call,
                    account_id=of.account,
                    flow_id=of.flow,
                    version=of.version,
                    number=event.number,
                    caller=event.caller,
                    arrived_at=event.at,
                )
            )

    def _reserve(self, call: RunningCall, command: commands.ReserveRoom) -> None:
        granted = self.wait(self.plan.reserve(call.account, call.id, command.recording, command.limit_s))
        self._soon(call.id, RoomReserved(self.world.now, command.recording, granted))

    def _release(self, call: RunningCall, command: commands.ReleaseRoom) -> None:
        self.wait(self.plan.release(call.account, call.id, command.recording))

    def _keep(self, call: RunningCall, command: commands.KeepRecording) -> None:
        self._lengths.coming[f"{call.id}-{command.recording}"] = command.duration_ms
        self.wait(self.keeper.expect(call.account, call.id, command))
        self.wait(self.keeper.keep(call.account, call.id, command, no_sound()))
        super()._keep(call, command)

    def _discard(self, call: RunningCall, command: commands.DiscardRecording) -> None:
        self.wait(self.plan.release(call.account, call.id, command.recording))
        super()._discard(call, command)
