"""The shell around the machines: one inbox a call; take an event, journal it, then do what the machine says.

Nothing is done on the switch before the event that caused it is safe in the journal. The switch's reader only ever
puts events into inboxes, so it never waits for the database. Timers live here, by their deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final, Protocol, assert_never

import structlog

from flowengine.call import causes, commands
from flowengine.call.commands import Command
from flowengine.call.events import CallArrived, CallKilled, Event, TimerFired
from flowengine.call.machine import CallMachine, digest
from flowengine.ports import Arrival, Clock, Desk, Journal, Switch
from flowengine.routing.directory import Catalog, PublishedFlow, Rejection
from flowengine.routing.numbers import e164, masked

log = structlog.get_logger(__name__)

Watch = Callable[[str, CallMachine, Event, list[Command]], None]
"""Sees every step of every call: the live picture, the demo, and tests."""

_SWITCH: Final = frozenset(commands.SwitchCommand.__args__)
_DESK: Final = frozenset(commands.DeskCommand.__args__)


class Keeper(Protocol):
    """Where finished recordings go."""

    async def keep(
        self, account: str, call: str, command: commands.KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        """Take a finished recording; when this returns it is safe here and may be deleted on the switch."""


class Engine:
    """Runs every call of this process. It is the listener of its switch and the sink of its desk.

    Args:
        journal, clock, keeper: the ports to the world.
        new_call_id: gives prefixed, time-ordered ids.
        country: how national numbers of the trunk are read (two letters), or None.
        watch: sees every step.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        keeper: Keeper,
        new_call_id: Callable[[], str],
        country: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.keeper = keeper
        self.country = country
        self.watch = watch
        self.catalog = Catalog()
        self.draining = False
        self.switch: Switch
        self.desk: Desk
        self.on_reachable: Callable[[str, bool], None] = lambda _endpoint, _is_reachable: None
        self._new_call_id = new_call_id
        self._calls: dict[str, _LiveCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def calls(self) -> dict[str, CallMachine]:
        """The machines of the calls running now, by call id."""
        return {id: live.machine for id, live in self._calls.items()}

    def arrived(self, arrival: Arrival) -> None:
        """Start a call, or refuse it before it is answered with the cause that tells the carrier why."""
        number = e164(arrival.number, self.country) or arrival.number
        found: PublishedFlow | Rejection = self.catalog.route(number)
        if self.draining:
            found = Rejection("shutting_down", causes.CONGESTION)
        if isinstance(found, Rejection):
            log.info("call refused", number=masked(number), reason=found.reason, cause=found.cause)
            self.switch.reject(arrival, found.cause)
            return
        call = self._new_call_id()
        caller = e164(arrival.caller, self.country) or arrival.caller
        first = CallArrived(self.clock.now(), number, caller, found.version, arrival.caller_name)
        self._calls[call] = live = _LiveCall(self, call, found)
        self._empty.clear()
        self.switch.adopt(arrival, call)
        live.inbox.put_nowait(first)
        self.background(live.run(), name=call)

    def happened(self, call: str, event: Event) -> None:
        """Put an event into the inbox of its call; events of calls that are over fall away."""
        live = self._calls.get(call)
        if live is not None:
            live.inbox.put_nowait(event)

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """Pass the news of a device on to the desk."""
        self.on_reachable(endpoint, is_reachable)

    def kill(self, call: str) -> bool:
        """End a call by an operator's decision; False when there is no such call."""
        live = self._calls.get(call)
        if live is None:
            return False
        live.inbox.put_nowait(CallKilled(self.clock.now(), "operator"))
        return True

    async def drain(self, within_s: float) -> int:
        """Take no new calls and wait for the running ones; returns how many are left for a successor."""
        self.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        for call in list(self._tasks):
            if call.get_name() in self._calls:
                call.cancel()
        left = len(self._calls)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return left

    def background(self, work: "asyncio._CoroutineLike[None]", name: str) -> None:
        """Run something of this engine beside the calls; `drain` waits for it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, call: str) -> None:
        """A call is done."""
        self._calls.pop(call, None)
        if not self._calls:
            self._empty.set()


class _LiveCall:
    """One running call: its machine, its inbox and its timers."""

    def __init__(self, engine: Engine, call: str, published: PublishedFlow) -> None:
        self.engine = engine
        self.call = call
        self.published = published
        self.machine = CallMachine(published.flow)
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._seq = 0
        self._log = log.bind(call=call, flow=published.id, version=published.version[:12])

    async def run(self) -> None:
        """Live the whole call."""
        engine, account = self.engine, self.published.account
        try:
            if await self._begin():
                while not self.machine.done:
                    await self._take(await self.inbox.get())
                await self._finish()
        finally:
            for timer in self._timers.values():
                timer.cancel()
            if self.machine.done or self.machine.arrived is None:
                engine.desk.call_ended(account, self.call, engine.clock.now())
                engine.switch.release(self.call)
                engine.forget(self.call)

    async def _begin(self) -> bool:
        """Open the journal; a call that cannot be journaled is not taken (the carrier hears 503)."""
        published = self.published
        try:
            await self.engine.journal.open(
                self.call, published.account, published.id, published.version, self.engine.clock.now()
            )
        except Exception:
            self._log.exception("call refused: no journal")
            self.engine.switch.perform(self.call, [commands.HangUp("caller", causes.CONGESTION)])
            return False
        self._log.info("call began")
        return True

    async def _take(self, event: Event) -> None:
        said = self.machine.step(event)
        seq, self._seq = self._seq, self._seq + 1
        try:
            await self.engine.journal.append(self.call, seq, event, digest(said))
        except Exception:
            # A caller must not suffer from our database; the gap shows at the next replay.
            self._log.exception("event not journaled", seq=seq, event=type(event).__name__)
        if self.engine.watch is not None:
            self.engine.watch(self.call, self.machine, event, said)
        self._perform(said)

    def _perform(self, said: list[Command]) -> None:
        engine = self.engine
        for_switch: list[commands.SwitchCommand] = []
        for command in said:
            kind = type(command)
            if kind in _SWITCH:
                for_switch.append(command)  # type: ignore[arg-type]
            elif kind in _DESK:
                engine.desk.perform(self.published.account, self.call, command, engine.clock.now())  # type: ignore[arg-type]
            else:
                self._perform_here(command)  # type: ignore[arg-type]
        if for_switch:
            engine.switch.perform(self.call, for_switch)

    def _perform_here(self, command: commands.ClockCommand | commands.LibraryCommand) -> None:
        match command:
            case commands.SetTimer(timer=timer, due=due):
                delay_s = max(0, due - self.engine.clock.now()) / 1_000_000
                self._timers[timer] = asyncio.get_running_loop().call_later(delay_s, self._fire, timer)
            case commands.CancelTimer(timer=timer):
                if (handle := self._timers.pop(timer, None)) is not None:
                    handle.cancel()
            case commands.KeepRecording():
                self.engine.background(self._keep(command), name=f"{self.call}-{command.recording}")
            case commands.DiscardRecording(recording=recording):
                self.engine.background(self._discard(recording), name=f"{self.call}-{recording}")
            case _:
                assert_never(command)

    def _fire(self, timer: str) -> None:
        self._timers.pop(timer, None)
        self.inbox.put_nowait(TimerFired(self.engine.clock.now(), timer))

    async def _keep(self, command: commands.KeepRecording) -> None:
        """Move a recording home; if that fails it stays on the switch, and nothing is lost."""
        engine = self.engine
        try:
            sound = engine.switch.fetch(self.call, command.recording)
            await engine.keeper.keep(self.published.account, self.call, command, sound)
            await engine.switch.discard(self.call, command.recording)
        except Exception:
            self._log.exception("recording not kept, it stays on the switch", recording=command.recording)

    async def _discard(self, recording: str) -> None:
        try:
            await self.engine.switch.discard(self.call, recording)
        except Exception:
            self._log.exception("recording not discarded", recording=recording)

    async def _finish(self) -> None:
        record = self.machine.record()
        if self.machine.crash:
            self._log.error("a state crashed", state=self.machine.call.state, crash=self.machine.crash)
        try:
            await self.engine.journal.close(self.call, record)
        except Exception:
            self._log.exception("call record not written")
        self._log.info(
            "call ended",
            disposition=record.disposition,
            reason=record.end_reason,
            path=[f"{visit.state}:{visit.outcome}" for visit in record.path if visit.kind != "ivr"],
            seconds=round(record.duration_s, 1),
            faults=len(record.faults),
        )
