"""The call machine: feed it events, it says commands. A call is a pure function of its journal.

The machine walks the flow, drives the coroutine of the state it is in, throws the end of the call at
whatever that coroutine awaits, and closes what a state left open, whichever way it was left. Hang-up, kick,
lack of credit, a lost switch and a bug in a state are handled here and nowhere else.
"""

import traceback
from collections.abc import Coroutine
from hashlib import blake2b
from typing import Any, Final

import msgspec

from flowengine.call import causes
from flowengine.call.call import BEEP, HOLD_MUSIC, Call, CallEnds
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, CallArrived, CallKilled, Event, Instant, LegHungUp
from flowengine.call.record import CallRecord, Visit, call_record
from flowengine.flow.document import Flow
from flowengine.states import STATES

SETTLE_S: Final = 10.0
"""How long the switch has to confirm that everything is gone, in seconds."""

SILENT_ENDINGS: Final = frozenset({"answered", "next"})
"""Outcomes after which the call ends without another word: a talk, and an announcement that said it all."""

_UNANSWERED_CAUSE: Final = {
    "timeout": causes.NO_ANSWER,
    "busy": causes.USER_BUSY,
    "unavailable": causes.SUBSCRIBER_ABSENT,
}

_encode = msgspec.json.Encoder().encode


def digest(commands: list[Command]) -> str:
    """Eight bytes of hex that stand for what a step said; a replay compares them."""
    return blake2b(_encode(commands), digest_size=8).hexdigest()


def standard_sounds(flow: Flow) -> tuple[str, ...]:
    """Sounds the machine may play in any call of this flow, besides the flow's own."""
    told = tuple(flow.manner.phrase(name) for name in ("mailbox-full", "minute-left"))
    return (BEEP, HOLD_MUSIC, _goodbye(flow), _apology(flow), *told)


def _goodbye(flow: Flow) -> str:
    return flow.goodbye.sound(flow.manner) if flow.goodbye else flow.manner.phrase("goodbye")


def _apology(flow: Flow) -> str:
    return flow.manner.phrase("apology")


class CallMachine:
    """One call in one version of a flow, from CallArrived until everything of it is gone.

    Attributes:
        done: nothing is open any more and no command will follow.
        crash: the traceback of a state that raised, or "".
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.call = Call()
        self.done = False
        self.crash = ""
        self.arrived: CallArrived | None = None
        self.ended_at: Instant | None = None
        self.end_reason = ""
        self.visits: list[Visit] = []
        self._walking = True
        self._life: Coroutine[Any, None, None]

    def step(self, event: Event) -> list[Command]:
        """Take one event and say what to do about it.

        The first event must be the CallArrived; a second one, events of things that are not ours, repeated or
        late ones change nothing. Time never runs backwards: an event older than the last counts as now.

        Raises:
            ValueError: the first event is not a CallArrived.
        """
        call = self.call
        if self.arrived is None:
            if not isinstance(event, CallArrived):
                raise ValueError(f"a journal begins with call_arrived, not with {type(event).__name__}")
            self.arrived = event
            self._life = self._live()
            call.begin(event)
        elif self.done:
            return []
        else:
            call.now = max(call.now, event.at)
            call.out = []
            call.absorb(event)
        self._wake(event)
        return call.out

    def record(self) -> CallRecord:
        """The call as its history shows it; complete when `done`."""
        return call_record(self)

    def _wake(self, event: Event) -> None:
        try:
            if self._walking and (reason := _end_of_call(event)):
                self._life.throw(CallEnds(reason))
            else:
                self._life.send(None)
        except StopIteration:
            self.done = True

    async def _live(self) -> None:
        """The whole life: walk, say farewell, hang up, and wait until nothing is left."""
        call = self.call
        call.manner = self.flow.manner
        cause = causes.NORMAL
        try:
            last = await self._walk()
            self.end_reason = "completed"
            if call.answered_at is None:
                cause = _UNANSWERED_CAUSE.get(last, causes.NORMAL)
            elif last not in SILENT_ENDINGS:
                await call.play(_goodbye(self.flow))
        except CallEnds as end:
            self.end_reason = end.reason
        except Exception:
            self.end_reason, cause = "crashed", causes.CONGESTION
            self.crash = traceback.format_exc()
            await self._apologise()
        self._walking = False
        call.close_open()
        call.hang_up(cause)
        await call.settled(SETTLE_S)
        self.ended_at = call.caller_left_at or call.now

    async def _walk(self) -> str:
        """Go from state to state until an exit leads nowhere; returns the last outcome."""
        call, flow = self.call, self.flow
        name, outcome = flow.start, "unavailable"
        while name is not None and (node := flow.states.get(name)) is not None:
            call.state = name
            visit = Visit(state=name, kind=node.type, entered_at=call.now)
            self.visits.append(visit)
            outcome = await STATES[node.type](call, node)
            visit.left_at, visit.outcome = call.now, outcome
            call.close_open()
            name = node.connections.get(outcome)
        return outcome

    async def _apologise(self) -> None:
        """After a bug in a state: close what it left, and tell the caller if there is one listening."""
        self.call.close_open()
        try:
            if self.call.answered_at is not None:
                await self.call.play(_apology(self.flow))
        except CallEnds:
            pass


def _end_of_call(event: Event) -> str:
    if isinstance(event, LegHungUp):
        return "caller_hung_up" if event.leg == CALLER else ""
    return event.reason if isinstance(event, CallKilled) else ""
