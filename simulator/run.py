"""The runner in virtual time: the engine's machine and desk on the simulated world, event by event.

It is the runtime without asyncio, database and network: event, journal, step, commands to whom they concern. Many
calls run at once in one world, and one seed gives one result, to the byte.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from flowengine.call import commands
from flowengine.call.commands import Command, SwitchCommand
from flowengine.call.events import CallArrived, Event, TimerFired
from flowengine.call.machine import CallMachine, digest
from flowengine.call.record import CallRecord
from flowengine.call.trace import Entry, Trace
from flowengine.flow.document import Flow
from flowengine.ports import Arrival
from flowengine.routing.desk import MemoryDesk
from flowengine.routing.directory import Catalog, Rejection
from simulator.switch import WorldSwitch
from simulator.world import World


class RunningCall:
    """A call between its arrival and its end, with its timers and, if wanted, its journal."""

    __slots__ = ("account", "channel", "id", "journal", "machine", "record", "timers")

    def __init__(self, id: str, account: str, channel: str, flow: Flow) -> None:
        self.id = id
        self.account = account
        self.channel = channel
        """The inbound leg in the world."""
        self.machine = CallMachine(flow)
        self.timers: dict[str, None] = {}
        self.journal: list[Entry] = []
        self.record: CallRecord | None = None

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
        self.desk = MemoryDesk(self._answer_of_desk, catalog)
        self.running: dict[str, RunningCall] = {}
        self.done: list[RunningCall] = []
        self.refused: list[Refusal] = []
        self.kept: list[tuple[str, commands.KeepRecording]] = []
        """What the library holds: (call, recording)."""
        self._journaling = journaling
        self._on_done = on_done or self.done.append
        self._calls = 0
        self._elsewhere: dict[type, Callable[[RunningCall, Any], None]] = {
            commands.SetTimer: self._set_timer,
            commands.CancelTimer: self._cancel_timer,
            commands.KeepRecording: self._keep,
            commands.DiscardRecording: self._discard,
        }
        for kind in commands.DeskCommand.__args__:
            self._elsewhere[kind] = self._ask_desk
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
        self.running[call.id] = call
        self.switch.adopt(arrival, call.id)
        self._feed(call, CallArrived(now, arrival.number, arrival.caller, route.version, arrival.caller_name))

    def happened(self, call: str, event: Event) -> None:
        """Feed an event to its call, if that is still there."""
        running = self.running.get(call)
        if running is not None:
            self._feed(running, event)

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """Tell the desk of a telephone in or out of reach."""
        self.desk.reachable(endpoint, is_reachable, self.world.now)

    # The engine's loop

    def _feed(self, call: RunningCall, event: Event) -> None:
        machine = call.machine
        said = machine.step(event)
        if self._journaling:
            call.journal.append(Entry(event, digest(said), tuple(said)))
        if said:
            self._perform(call, said)
        if machine.done:
            self._finish(call)

    def _perform(self, call: RunningCall, said: list[Command]) -> None:
        elsewhere = self._elsewhere
        for_switch: list[SwitchCommand] = []
        for command in said:
            do = elsewhere.get(type(command))
            if do is None:
                for_switch.append(command)  # type: ignore[arg-type]  # what nobody else does
            else:
                do(call, command)
        if for_switch:
            self.switch.perform(call.id, for_switch)

    def _finish(self, call: RunningCall) -> None:
        del self.running[call.id]
        self.switch.release(call.id)
        self.desk.call_ended(call.account, call.id, self.world.now)
        call.record = call.machine.record()
        self._on_done(call)

    def _ask_desk(self, call: RunningCall, command: commands.DeskCommand) -> None:
        self.desk.perform(call.account, call.id, command, self.world.now)

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
            self.happened(call.id, TimerFired(self.world.now, timer))

    def _keep(self, call: RunningCall, command: commands.KeepRecording) -> None:
        self.kept.append((call.id, command))
        self.world.stored.pop(f"{call.id}.{command.recording}", None)

    def _discard(self, call: RunningCall, command: commands.DiscardRecording) -> None:
        self.world.stored.pop(f"{call.id}.{command.recording}", None)
