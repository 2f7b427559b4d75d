"""The runner in virtual time: the engine's machine and desk on the simulated world, event by event.

It is the runtime without asyncio, database and network: event, journal, step, commands to whom they concern. Many
calls run at once in one world, and one seed gives one result, to the byte.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from flowengine.call import commands
from flowengine.call.events import CallArrived, Event, Instant, RoomRanOut, RoomReserved, TimerFired
from flowengine.call.machine import CallMachine, digest
from flowengine.call.record import CallRecord
from flowengine.call.trace import Entry, Trace
from flowengine.flow.document import Flow
from flowengine.ports import Arrival
from flowengine.routing.desk import MemoryDesk, Outlets
from flowengine.routing.directory import Catalog, Rejection
from simulator.switch import Line, WorldSwitch
from simulator.world import World

NEVER: Final = 1 << 62
"""An instant that does not come."""


class RunningCall(Line):
    """A call between its arrival and its end, with its timers and, if wanted, its journal."""

    __slots__ = ("account", "journal", "machine", "record", "timers")

    def __init__(self, id: str, account: str, channel: str, flow: Flow) -> None:
        super().__init__(id, channel)
        self.account = account
        self.machine = CallMachine(flow)
        self.timers: dict[str, None] = {}
        self.journal: list[Entry] = []
        self.record: CallRecord | None = None

    @property
    def id(self) -> str:
        """The call's id, in the order of arrival: `call-1`."""
        return self.call

    def trace(self) -> Trace:
        """The journal in the form that is written to files and replayed."""
        return Trace(self.id, self.machine.flow, tuple(self.journal))


class Refusal(NamedTuple):
    """A call that was refused before it was answered."""

    at: int
    channel: str
    number: str
    rejection: Rejection


class Simulation:
    """A world with an engine in it.

    Args:
        catalog: numbers, flows, users and groups.
        world: where the telephones are.
        journaling: keep every call's journal and digests; without, a call leaves only its record.
        on_done: told of every call that is done, instead of keeping it in `done`.
    """

    def __init__(
        self,
        catalog: Catalog,
        world: World,
        *,
        journaling: bool = True,
        on_done: Callable[[RunningCall], None] | None = None,
    ) -> None:
        self.catalog = catalog
        self.world = world
        self.switch = WorldSwitch(world, self)
        self._alarm = NEVER
        self.desk = MemoryDesk(Outlets(self._answer_of_desk, self._wake_desk), catalog)
        self.running: dict[str, RunningCall] = {}
        self.done: list[RunningCall] = []
        self.refused: list[Refusal] = []
        self.kept: list[tuple[str, commands.KeepRecording]] = []
        """What the library holds: (call, recording)."""
        self.storage_full = False
        """The storage plan is used up: nothing new is recorded."""
        self.rooms: dict[tuple[str, str], None] = {}
        """Recordings that have room and are not kept yet: (call, recording)."""
        self._journaling = journaling
        self._on_done = on_done or self.done.append
        self._calls = 0
        self._do: dict[type, Callable[[RunningCall, Any], None]] = {
            **self.switch.handlers,
            **dict.fromkeys(commands.DeskCommand.__args__, self._ask_desk),
            commands.SetTimer: self._set_timer,
            commands.CancelTimer: self._cancel_timer,
            commands.ReserveRoom: self._reserve,
            commands.ReleaseRoom: self._release,
            commands.KeepRecording: self._keep,
            commands.DiscardRecording: self._discard,
        }
        for endpoint, phone in world.phones.items():
            if phone.registered:
                self.desk.reachable(endpoint, True, world.now)

    def leaks(self) -> tuple[str, ...]:
        """What is left when everything should be over: nothing, or there is a bug."""
        world = self.world
        found = [f"leg {id}" for id in world.legs]
        found += [f"playback {id}" for id in world.playbacks]
        found += [f"recording {id}" for id in world.recordings]
        found += [f"stored recording {id}" for id in world.stored]
        found += [f"bridge {id}" for id in world.bridges]
        found += [f"call {id}" for id in self.running]
        found += [f"timer {timer} of {call.id}" for call in self.done for timer in call.timers]
        found += [f"reservation of {user}" for user in self.desk.held]
        found += [f"room for {recording} of {call}" for call, recording in self.rooms]
        found += [f"place in line of {call}" for call in self.desk.waiting]
        return tuple(found)

    # What the switch reports

    def arrived(self, arrival: Arrival) -> None:
        """Route an inbound leg: refuse it, or begin its call."""
        now = self.world.now
        route = self.catalog.route(arrival.number)
        if isinstance(route, Rejection):
            self.refused.append(Refusal(now, arrival.channel, arrival.number, route))
            self.switch.reject(arrival, route.cause)
            return
        self._calls += 1
        call = RunningCall(f"call-{self._calls}", route.account, arrival.channel, route.flow)
        self.running[call.call] = call
        self.switch.take(call)
        self.happened(
            call.call, CallArrived(now, arrival.number, arrival.caller, route.version, arrival.caller_name)
        )

    def happened(self, call: str, event: Event) -> None:
        """Take one step of a call: event, journal, commands. Events of calls that are over fall away."""
        running = self.running.get(call)
        if running is None:
            return
        machine = running.machine
        said = machine.step(event)
        if self._journaling:
            running.journal.append(Entry(event, digest(said), tuple(said)))
        do = self._do
        for command in said:
            do[type(command)](running, command)
        if machine.done:
            self._finish(running)

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """Tell the desk of a telephone in or out of reach."""
        self.desk.reachable(endpoint, is_reachable, self.world.now)

    # What the rest of an engine does

    def _finish(self, call: RunningCall) -> None:
        del self.running[call.call]
        self.switch.release(call.call)
        self.desk.call_ended(call.account, call.call, self.world.now)
        call.record = call.machine.record()
        self._on_done(call)

    def _ask_desk(self, call: RunningCall, command: commands.DeskCommand) -> None:
        self.desk.perform(call.account, call.call, command, self.world.now)

    def _wake_desk(self, at: Instant) -> None:
        """One alarm is enough: the earliest. What is due after it is looked up when it rings."""
        if at < self._alarm:
            self._alarm = at
            self.world.at(at, self._desk_due, at)

    def _desk_due(self, at: Instant) -> None:
        if at == self._alarm:
            self._alarm = NEVER
            self.desk.tick(self.world.now)
            due = self.desk.next_due
            if due is not None:
                self._wake_desk(due)

    def _answer_of_desk(self, call: str, event: Event) -> None:
        self.world.soon(self.happened, call, event)

    def _set_timer(self, call: RunningCall, command: commands.SetTimer) -> None:
        call.timers[command.timer] = None
        self.world.at(command.due, self._timer_due, (call, command.timer))

    def _cancel_timer(self, call: RunningCall, command: commands.CancelTimer) -> None:
        call.timers.pop(command.timer, None)

    def _timer_due(self, of: tuple[RunningCall, str]) -> None:
        call, timer = of
        if timer in call.timers:
            del call.timers[timer]
            self.happened(call.call, TimerFired(self.world.now, timer))

    def _reserve(self, call: RunningCall, command: commands.ReserveRoom) -> None:
        granted = not self.storage_full
        self.world.soon(self.happened, call.call, RoomReserved(self.world.now, command.recording, granted))
        if granted:
            self.rooms[call.call, command.recording] = None

    def _release(self, call: RunningCall, command: commands.ReleaseRoom) -> None:
        self.rooms.pop((call.call, command.recording), None)

    def fill_storage(self) -> None:
        """The storage plan is used up from now on: what runs is cut, and nothing new is recorded."""
        self.storage_full = True
        for call, recording in list(self.rooms):
            self.world.soon(self.happened, call, RoomRanOut(self.world.now, recording))

    def _keep(self, call: RunningCall, command: commands.KeepRecording) -> None:
        self.rooms.pop((call.id, command.recording), None)
        self.kept.append((call.id, command))
        self.world.stored.pop(f"{call.id}.{command.recording}", None)

    def _discard(self, call: RunningCall, command: commands.DiscardRecording) -> None:
        self.rooms.pop((call.id, command.recording), None)
        self.world.stored.pop(f"{call.id}.{command.recording}", None)
