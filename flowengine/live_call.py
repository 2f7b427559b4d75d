"""One running call: its machine, its inbox, its timers, and who does what the machine says.

Every event goes the same way: out of the inbox, through the machine, into the journal, and only then are its commands
carried out. What fails on the way is judged here (see `flowengine.runtime`).

A call may begin here (`run`), or have begun in an earlier life of the engine (`go_on`, see `flowengine.resuming`).
"""

import asyncio
import re
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Final, assert_never

import msgspec
import structlog

from flowengine.call import causes, commands
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, CallArrived, CallKilled, Event, LegHungUp, TimerFired
from flowengine.call.machine import CallMachine, digest
from flowengine.call.record import CallRecord
from flowengine.routing.directory import PublishedFlow
from flowengine.routing.numbers import masked

if TYPE_CHECKING:
    from flowengine.runtime import Engine

log = structlog.get_logger(__name__)

_SWITCH: Final = frozenset(commands.SwitchCommand.__args__)
_DESK: Final = frozenset(commands.DeskCommand.__args__)
_LIBRARY: Final = frozenset(commands.LibraryCommand.__args__)


class LiveCall:
    """One running call: its machine, its inbox and its timers.

    Args:
        machine, seq: of a call that began earlier: as its journal left it, and how many events that has.
    """

    def __init__(
        self,
        engine: "Engine",
        call: str,
        published: PublishedFlow,
        machine: CallMachine | None = None,
        seq: int = 0,
    ) -> None:
        self.engine = engine
        self.call = call
        self.published = published
        self.machine = machine or CallMachine(published.flow)
        self.inbox: asyncio.Queue[Event | None] = asyncio.Queue()
        """What happened, in order. None: leave the call as it is, for a successor."""
        self.task: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._seq = seq
        self._log = log.bind(call=call, flow=published.id, version=published.version[:12])

    async def run(self, first: CallArrived, channel: str) -> None:
        """Live the whole call; `first` waits in the inbox, before whatever the switch tells while it is adopted.

        Left by cancellation, or on request, the call stays on the switch, its journal open.
        """
        await self._live(self._begin(first, channel))

    async def go_on(self, steps: Iterable[tuple[Event, Sequence[Command]]], again: Sequence[Command]) -> None:
        """Live the rest of a call that began in an earlier life of the engine.

        Args:
            steps: what it went through so far, for those who watch and charge it.
            again: what must be done (once more), for nobody knows whether it was.
        """
        await self._live(self._go_on(steps, again))

    async def outlast_talk(
        self, steps: Iterable[tuple[Event, Sequence[Command]]], bridge: str, leg: str
    ) -> None:
        """Leave caller and agent to a talk that the machine knows nothing of, and end the call when one hangs up."""
        await self._live(self._outlast_talk(steps, bridge, leg))

    async def _live(self, begin: Coroutine[None, None, bool]) -> None:
        try:
            if await begin:
                while not self.machine.done:
                    event = await self.inbox.get()
                    if event is None:
                        return
                    await self._take(event)
                await self._finish()
        except Exception:
            self._log.exception("call given up: the engine failed it")
            await self._give_up()
        finally:
            for timer in self._timers.values():
                timer.cancel()
        self._over()

    def _over(self) -> None:
        """Nothing of this call is left: let everybody forget it."""
        engine = self.engine
        engine.forget(self.call)
        engine.desk.call_ended(self.published.account, self.call, engine.clock.now())
        engine.meter.over(self.published.account, self.call, engine.clock.now())
        engine.switch.release(self.call)

    async def _go_on(
        self, steps: Iterable[tuple[Event, Sequence[Command]]], again: Sequence[Command]
    ) -> bool:
        for event, said in steps:
            self._show(event, list(said))
            self._charge(event, said)
        self._perform(again)
        self._log.info("call goes on", state=self.machine.call.state, events=self._seq)
        return True

    async def _outlast_talk(
        self, steps: Iterable[tuple[Event, Sequence[Command]]], bridge: str, leg: str
    ) -> bool:
        for event, said in steps:
            self._show(event, list(said))
            self._charge(event, said)
        self._log.warning("call goes on without its machine: two are talking")
        while (happened := await self.inbox.get()) is not None:
            if isinstance(happened, LegHungUp) and happened.leg in (CALLER, leg):
                hang_up = [commands.HangUp(each, causes.NORMAL) for each in (CALLER, leg)]
                self.engine.switch.perform(self.call, [*hang_up, commands.CloseBridge(bridge)])
                happened = CallKilled(happened.at, "switch_lost")
                break
        self.inbox.put_nowait(happened)
        return True

    async def _begin(self, first: CallArrived, channel: str) -> bool:
        """Open the journal; a call that cannot be journaled is not taken (the carrier hears 503)."""
        published = self.published
        if not await self._can_be_paid(first.number):
            return False
        try:
            await self.engine.journal.open(
                self.call,
                published.account,
                published.id,
                published.version,
                self.engine.clock.now(),
                channel,
            )
        except asyncio.CancelledError:
            self._refuse()
            self._over()
            raise
        except Exception:
            self._journal_failed("call refused: no journal")
            self._refuse()
            return False
        self._log.info("call began")
        return True

    async def _can_be_paid(self, number: str) -> bool:
        """Ask the meter; a call that cannot be paid for, or that nobody can say of, is refused."""
        engine = self.engine
        try:
            reason = await engine.meter.admit(self.published.account, self.call, number, engine.clock.now())
        except asyncio.CancelledError:
            self._refuse()
            self._over()
            raise
        except Exception:
            self._log.exception("call refused: the meter cannot be asked")
            reason = "meter_unavailable"
        if reason is None:
            return True
        self._log.info("call refused", reason=reason, number=masked(number))
        engine.on_refused(reason)
        self._refuse(causes.CONGESTION if reason == "meter_unavailable" else causes.CALL_REJECTED)
        return False

    def _refuse(self, cause: int = causes.CONGESTION) -> None:
        self.engine.switch.perform(self.call, [commands.HangUp(CALLER, cause)])

    async def _take(self, event: Event) -> None:
        said = self.machine.step(event)
        seq, self._seq = self._seq, self._seq + 1
        try:
            await self.engine.journal.append(self.call, seq, event, digest(said))
            self.engine.journal_failed_at = None
        except Exception:
            # A caller must not suffer from our database; the gap shows at the next replay.
            self._journal_failed("event not journaled", seq=seq, kind=type(event).__name__)
        self._show(event, said)
        self._charge(event, said)
        self._perform(said)

    def _show(self, event: Event, said: list[Command]) -> None:
        if self.engine.watch is not None:
            try:
                self.engine.watch(self.call, self.machine, event, said)
            except Exception:
                self._log.exception("a watcher failed")

    def _charge(self, event: Event, said: Sequence[Command]) -> None:
        try:
            self.engine.meter.step(self.published.account, self.call, event, said)
        except Exception:
            self._log.exception("the meter failed at a step")

    def _perform(self, said: Sequence[Command]) -> None:
        engine = self.engine
        for_switch: list[commands.SwitchCommand] = []
        for command in said:
            kind = type(command)
            if kind in _SWITCH:
                for_switch.append(command)  # type: ignore[arg-type]
            elif kind in _DESK:
                engine.desk.perform(self.published.account, self.call, command, engine.clock.now())  # type: ignore[arg-type]
            elif kind in _LIBRARY:
                engine.storage.perform(self.published.account, self.call, command)  # type: ignore[arg-type]
            else:
                self._keep_time(command)  # type: ignore[arg-type]
        if for_switch:
            engine.switch.perform(self.call, for_switch)

    def _keep_time(self, command: commands.ClockCommand) -> None:
        match command:
            case commands.SetTimer(timer=timer, due=due):
                delay_s = max(0, due - self.engine.clock.now()) / 1_000_000
                self._timers[timer] = asyncio.get_running_loop().call_later(delay_s, self._fire, timer)
            case commands.CancelTimer(timer=timer):
                if (handle := self._timers.pop(timer, None)) is not None:
                    handle.cancel()
            case _:
                assert_never(command)

    def _fire(self, timer: str) -> None:
        self._timers.pop(timer, None)
        self.inbox.put_nowait(TimerFired(self.engine.clock.now(), timer))

    async def _finish(self) -> None:
        record = self.machine.record()
        if self.machine.crash:
            self._log.error(
                "a state crashed", state=self.machine.call.state, crash=_places(self.machine.crash)
            )
        await self._close(record)
        self._log.info(
            "call ended",
            disposition=record.disposition,
            reason=record.end_reason,
            path=[f"{visit.state}:{visit.outcome}" for visit in record.path if visit.kind != "ivr"],
            seconds=round(record.duration_s, 1),
            faults=len(record.faults),
        )

    async def _give_up(self) -> None:
        """End a call whose machine or desk raised, which cannot be asked any more what to close."""
        legs = [id for id in self.machine.call.open_things if id == CALLER or id.startswith("leg-")]
        self.engine.switch.perform(
            self.call, [commands.HangUp(leg, causes.TEMPORARY_FAILURE) for leg in legs]
        )
        if self.machine.arrived is not None:
            record = self.machine.record()
            await self._close(
                msgspec.structs.replace(
                    record, ended_at=self.engine.clock.now(), disposition="failed", end_reason="crashed"
                )
            )

    async def _close(self, record: CallRecord) -> None:
        try:
            await self.engine.journal.close(self.call, record)
        except Exception:
            self._journal_failed("call record not written")

    def _journal_failed(self, what: str, **more: object) -> None:
        self.engine.journal_failed_at = self.engine.clock.now()
        self._log.exception(what, **more)


def _places(crash: str) -> list[str]:
    """Where a traceback leads and the kind of its error, without its words: those may hold keys and numbers."""
    lines = crash.splitlines()
    places = [line.strip() for line in lines if line.startswith('  File "')]
    kinds = [found[0] for line in lines if (found := re.match(r"[A-Za-z_][\w.]*(?=:|$)", line))]
    return places + kinds[:1]
