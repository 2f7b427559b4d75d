"""The shell around the machines: one inbox a call; take an event, journal it, then do what the machine says.

Nothing is done on the switch before the event that caused it is safe in the journal. The switch's reader only ever
puts events into inboxes, so it never waits for the database. Timers live here, by their deadline.

A caller never suffers from what is behind us: without a journal a call is refused, and whatever fails later is logged
while the call goes on. Only a failure of the engine's own code ends a call, and that one alone.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from flowengine.call import causes
from flowengine.call.commands import Command
from flowengine.call.events import CallArrived, CallKilled, Event, Instant, PauseAsked
from flowengine.call.machine import CallMachine
from flowengine.live_call import LiveCall
from flowengine.ports import Arrival, Clock, Desk, Journal, Meter, Storage, Switch, Unmetered
from flowengine.routing.directory import Catalog, PublishedFlow, Rejection
from flowengine.routing.numbers import e164, masked

log = structlog.get_logger(__name__)

Watch = Callable[[str, CallMachine, Event, list[Command]], None]
"""Sees every step of every call: the live picture, the demo, and tests."""


def several(*watches: Watch | None) -> Watch:
    """One watch made of several. One that fails keeps none of the others from seeing."""

    def watch(call: str, machine: CallMachine, event: Event, said: list[Command]) -> None:
        for each in watches:
            if each is not None:
                try:
                    each(call, machine, event, said)
                except Exception:
                    log.exception("a watcher failed", call=call)

    return watch


LAST_S: Final = 10.0
"""How long `drain` lets last rows be written and recordings come home, in seconds, after it has left the calls."""


class Engine:
    """Runs every call of this process. It is the listener of its switch and the sink of its desk.

    Args:
        journal, clock: ports to the world; `switch`, `desk` and `storage` are set before the first call.
        new_call_id: gives prefixed, time-ordered ids.
        country: how national numbers of the trunk are read (two letters), or None.
        watch: sees every step; make one of `several` if there are more.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        new_call_id: Callable[[], str],
        country: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.country = country
        self.watch = watch
        self.catalog = Catalog()
        self.draining = False
        self.journal_failed_at: Instant | None = None
        """When the journal last failed, unless it has succeeded since."""
        self.switch: Switch
        self.desk: Desk
        self.storage: Storage
        self.meter: Meter = Unmetered()
        self.on_reachable: Callable[[str, bool], None] = lambda _endpoint, _is_reachable: None
        self.on_refused: Callable[[str], None] = lambda _reason: None
        """Told why a call was not taken."""
        self.on_over: Callable[[str], None] = lambda _call: None
        """Told when nothing is left of a call, however it ended."""
        self._new_call_id = new_call_id
        self._calls: dict[str, LiveCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def calls(self) -> dict[str, CallMachine]:
        """The machines of the calls running now, by call id."""
        return {id: live.machine for id, live in self._calls.items()}

    def published(self, call: str) -> PublishedFlow | None:
        """The flow a running call runs, and so its account."""
        live = self._calls.get(call)
        return None if live is None else live.published

    def running_flows(self) -> list[PublishedFlow]:
        """The flow of each running call, in the version it runs."""
        return [live.published for live in self._calls.values()]

    def arrived(self, arrival: Arrival) -> None:
        """Start a call, or refuse it before it is answered with the cause that tells the carrier why."""
        number = e164(arrival.number, self.country) or arrival.number
        found: PublishedFlow | Rejection = self.catalog.route(number)
        if self.draining:
            found = Rejection("shutting_down", causes.CONGESTION)
        if isinstance(found, Rejection):
            log.info("call refused", number=masked(number), reason=found.reason, cause=found.cause)
            self.switch.reject(arrival, found.cause)
            self.on_refused(found.reason)
            return
        call = self._new_call_id()
        caller = e164(arrival.caller, self.country) or arrival.caller
        first = CallArrived(self.clock.now(), number, caller, found.version, arrival.caller_name)
        live = self._add(LiveCall(self, call, found))
        live.inbox.put_nowait(first)
        self.switch.adopt(arrival, call)
        live.task = self.background(live.run(first, arrival.channel), name=call)

    def take_back(self, call: str, published: PublishedFlow, machine: CallMachine, seq: int) -> None:
        """Know a call of an earlier life of this engine, whose journal has `seq` events: what happens to it now waits
        in its inbox until it is told to go on."""
        self._add(LiveCall(self, call, published, machine, seq))

    def go_on(
        self, call: str, steps: Iterable[tuple[Event, Sequence[Command]]], again: Sequence[Command]
    ) -> None:
        """Let a call that was taken back go on: see `LiveCall.go_on`."""
        live = self._calls[call]
        live.task = self.background(live.go_on(steps, again), name=call)

    def outlast_talk(
        self, call: str, steps: Iterable[tuple[Event, Sequence[Command]]], bridge: str, leg: str
    ) -> None:
        """Let two go on talking in a call that was taken back: see `LiveCall.outlast_talk`."""
        live = self._calls[call]
        live.task = self.background(live.outlast_talk(steps, bridge, leg), name=call)

    def _add(self, live: LiveCall) -> LiveCall:
        self._calls[live.call] = live
        self._empty.clear()
        return live

    def happened(self, call: str, event: Event) -> None:
        """Put an event into the inbox of its call; events of calls that are over fall away."""
        live = self._calls.get(call)
        if live is not None:
            live.inbox.put_nowait(event)

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """Pass the news of a device on to the desk."""
        self.on_reachable(endpoint, is_reachable)

    def pause_recording(self, call: str, *, paused: bool) -> bool:
        """Leave what is said now out of a call's recording, or go on with it; False when there is no such call."""
        if call not in self._calls:
            return False
        self.happened(call, PauseAsked(self.clock.now(), paused))
        return True

    def kill(self, call: str) -> bool:
        """End a call by an operator's decision; False when there is no such call."""
        live = self._calls.get(call)
        if live is None:
            return False
        live.inbox.put_nowait(CallKilled(self.clock.now(), "operator"))
        return True

    async def drain(self, within_s: float) -> int:
        """Take no new calls and wait for the running ones, for `within_s` seconds at most.

        Calls that still run then are handed over: each does what it was told of so far, and stays on the switch as it
        is, its journal open, for the next engine. What is being written or fetched has `LAST_S` more; a recording that
        is not home by then stays on the switch, too.

        Returns:
            How many calls are left for a successor.
        """
        self.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        for live in self._calls.values():
            live.inbox.put_nowait(None)
        deadline = asyncio.get_running_loop().time() + LAST_S
        while self._tasks and (left_s := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        late = list(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(self._calls)

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something of this engine beside the calls; `drain` waits for it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self, call: str) -> None:
        """A call is done."""
        if self._calls.pop(call, None) is not None:
            self.on_over(call)
        if not self._calls:
            self._empty.set()
