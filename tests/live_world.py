"""The engine on the simulated world, with asyncio and all, in virtual time.

`in_virtual_time` runs a coroutine on an event loop whose clock jumps to whatever is due next, so an hour of telephoning
takes a moment and no test waits. `LiveWorld` connects an `Engine` to a `World` through the switch in process, and keeps
a log of who did what in which order.
"""

import asyncio
import gc
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from flowengine.alarms import Alarms
from flowengine.call.commands import Command, DeskCommand, KeepRecording, SwitchCommand
from flowengine.call.events import SECOND, Event, Instant
from flowengine.call.machine import CallMachine
from flowengine.call.record import CallRecord
from flowengine.flow.document import Flow
from flowengine.intake import Expected, Intake
from flowengine.ports import Arrival
from flowengine.routing.desk import MemoryDesk
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.runtime import Engine
from simulator.phones import AgentPhone, Behaviour, Caller, Step
from simulator.sounds import Sounds
from simulator.switch import WorldSwitch
from simulator.world import MONDAY_MORNING, World

ACCOUNT = "acc_test"
NUMBER = "+815055550100"
CALLER = "+819055550123"

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Instead of sleeping it turns the clock of its loop."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing is due: a deadlock")
        self.loop.virtual_s += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without waiting. It has no threads and no network."""

    def __init__(self) -> None:
        self.virtual_s = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual_s


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run it; anything the loop complains about (a lost exception, a destroyed task) fails the test."""
    complaints: list[dict[str, Any]] = []

    async def listening() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await main

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(listening())
        gc.collect()
    assert not complaints, complaints
    return result


class LoopClock:
    """The Clock port over the virtual loop."""

    def now(self) -> Instant:
        return MONDAY_MORNING + round(asyncio.get_running_loop().time() * SECOND)


class Journal:
    """The Journal port over lists. `slow_s` delays every row; a test may replace any method."""

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        self.log = log
        self.slow_s = 0.0
        self.opened: dict[str, tuple[str, str, str]] = {}
        self.rows: dict[str, list[tuple[int, Event, str]]] = {}
        self.records: dict[str, CallRecord] = {}

    async def open(
        self, call: str, account: str, flow: str, version: str, at: Instant, channel: str = ""
    ) -> None:
        await asyncio.sleep(self.slow_s)
        assert call not in self.opened
        self.opened[call] = (account, flow, version)
        self.rows[call] = []

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:
        assert call in self.opened
        assert call not in self.records
        await asyncio.sleep(self.slow_s)
        self.rows[call].append((seq, event, digest))
        self.log.append(("journaled", call, digest))

    async def close(self, call: str, record: CallRecord) -> None:
        await asyncio.sleep(self.slow_s)
        assert call not in self.records
        self.records[call] = record

    def events(self, call: str) -> list[Event]:
        return [event for _, event, _ in self.rows[call]]


class Keeper:
    """The Keeper port over dictionaries."""

    def __init__(self, rooms: "Rooms") -> None:
        self.rooms = rooms
        self.kept: dict[tuple[str, str], tuple[str, int]] = {}
        self.waiting: dict[tuple[str, str], Expected] = {}
        self.lost: dict[tuple[str, str], str] = {}

    async def expect(self, account: str, call: str, command: KeepRecording) -> None:
        self.waiting.setdefault((call, command.recording), Expected(account, call, command))

    async def lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        assert self.waiting.pop((call, command.recording)).account == account
        self.lost[call, command.recording] = reason

    async def expected(self) -> list[Expected]:
        return list(self.waiting.values())

    async def keep(
        self, account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        size = sum([len(piece) async for piece in sound])
        self.kept[call, command.recording] = (account, size)
        self.waiting.pop((call, command.recording), None)
        await self.rooms.release(account, call, command.recording)


class Rooms:
    """The Rooms port over a set."""

    def __init__(self) -> None:
        self.full = False
        self.taken: dict[tuple[str, str], float] = {}

    async def reserve(self, account: str, call: str, recording: str, limit_s: float) -> bool:
        assert account == ACCOUNT
        assert (call, recording) not in self.taken
        if not self.full:
            self.taken[call, recording] = limit_s
        return not self.full

    async def release(self, account: str, call: str, recording: str) -> None:
        assert account == ACCOUNT
        self.taken.pop((call, recording), None)


class PumpedSwitch(WorldSwitch):
    """The switch in process, whose world moves with the loop's clock."""

    def __init__(self, world: World, engine: Engine, clock: LoopClock, log: list[tuple[Any, ...]]) -> None:
        super().__init__(world, engine)
        self.log = log
        self.released: list[str] = []
        self._clock = clock
        self._due: asyncio.TimerHandle | asyncio.Handle | None = None
        self._pumping = False

    def adopt(self, arrival: Arrival, call: str) -> None:
        super().adopt(arrival, call)
        self.pump_soon()

    def reject(self, arrival: Arrival, cause: int) -> None:
        super().reject(arrival, cause)
        self.pump_soon()

    def perform(self, call: str, commands: Sequence[SwitchCommand]) -> None:
        self.log.append(("performed", call, tuple(commands)))
        self._pump()
        super().perform(call, commands)
        self.pump_soon()

    def release(self, call: str) -> None:
        super().release(call)
        self.released.append(call)

    def pump_soon(self) -> None:
        if not self._pumping:
            self._set(asyncio.get_running_loop().call_soon(self._pump))

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        self.world.run(until=self._clock.now())
        self._pumping = False
        if (due := self.world.next_due) is not None:
            delay_s = max(0, due - self._clock.now()) / SECOND
            self._set(asyncio.get_running_loop().call_later(delay_s, self._pump))

    def _set(self, due: asyncio.TimerHandle | asyncio.Handle) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = due


class LoggedDesk(MemoryDesk):
    """The desk in memory, which notes what it was told."""

    log: list[tuple[Any, ...]]

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        self.log.append(("performed", call, (command,)))
        super().perform(account, call, command, at)


class LiveWorld:
    """An engine, its world, and the log of both.

    Args:
        flow: what NUMBER runs; `others` are further numbers (None: no published flow).
        users: the behaviour of each one's telephone.
    """

    def __init__(
        self,
        flow: Flow,
        users: dict[str, Behaviour] | None = None,
        groups: dict[str, tuple[str, ...]] | None = None,
        others: dict[str, PublishedFlow | None] | None = None,
        missing: Sequence[str] = (),
        country: str | None = None,
    ) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.world = World(Sounds(missing=missing))
        self.journal = Journal(self.log)
        self.rooms = Rooms()
        self.keeper = Keeper(self.rooms)
        self.published = PublishedFlow("flw_test", ACCOUNT, flow.sha256(), flow)
        self.catalog = Catalog(
            numbers={NUMBER: self.published, **(others or {})},
            users={ACCOUNT: {name: User(name, (f"PJSIP/{name}",)) for name in users or {}}},
            groups={ACCOUNT: groups or {}},
        )
        self.clock = LoopClock()
        self._calls = 0
        self.engine = Engine(
            journal=self.journal,
            clock=self.clock,
            new_call_id=self._new_id,
            country=country,
            watch=self._watch,
        )
        self.alarms = Alarms()
        self.intake = Intake(self.engine, self.rooms, self.keeper, self.alarms)
        self.engine.storage = self.intake
        self.engine.catalog = self.catalog
        self.phones = {
            name: AgentPhone(self.world, f"PJSIP/{name}", (does,)) for name, does in (users or {}).items()
        }
        self.desk = LoggedDesk(self.engine.happened, self.catalog)
        self.desk.log = self.log
        for endpoint in self.world.phones:
            self.desk.reachable(endpoint, True, self.clock.now())
        self.engine.desk = self.desk
        self.switch = PumpedSwitch(self.world, self.engine, self.clock, self.log)
        self.engine.switch = self.switch

    def _new_id(self) -> str:
        self._calls += 1
        return f"cal_{self._calls}"

    def _watch(self, call: str, machine: CallMachine, event: Event, said: list[Command]) -> None:
        self.log.append(("watched", call, tuple(said)))

    def call(self, *script: Step, number: str = NUMBER, caller: str = CALLER) -> Caller:
        """Somebody calls now."""
        self.world.run(until=self.clock.now())
        phone = Caller(self.world, script)
        phone.call(number, caller, "Taro")
        self.switch.pump_soon()
        return phone

    async def over(self, *calls: str, within_s: float = 7_200) -> None:
        """Wait until these calls (all, if none is named) are over and their records are written."""
        await settle()
        await until(
            lambda: not (set(calls) & self.engine.calls.keys() if calls else self.engine.calls), within_s
        )

    def leaks(self) -> list[str]:
        """What is left on the switch, at the desk and in the engine."""
        world = self.world
        found = [
            *world.legs,
            *world.playbacks,
            *world.recordings,
            *world.stored,
            *world.bridges,
            *self.engine.calls,
        ]
        found += [f"room for {recording} of {call}" for call, recording in self.rooms.taken]
        return found + list(self.desk.held) + list(self.desk.waiting)


async def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait (in virtual time) for something nobody announces. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.1)


async def settle() -> None:
    """Let everything happen that is due now."""
    for _ in range(20):
        await asyncio.sleep(0)
