"""Everything one call has open, and what events do to it: the bookkeeping under the port that states see.

Things are opened here, closed here when a state is left, and noted as gone when the switch says so. Nobody but
`Call` and the machine uses this.
"""

from collections import deque
from collections.abc import Callable, Generator
from types import coroutine
from typing import Any, Final, Literal, TypeVar

from flowengine.call import causes, commands, events
from flowengine.call.causes import Outcome
from flowengine.call.events import CALLER, SECOND, AgentsOffered, Event, Instant
from flowengine.call.things import Bridge, Leg, Playback, Recording, Request, Thing, Timer

T = TypeVar("T", bound=Thing)

MAX_EARLY_KEYS: Final = 32
DIAL_BACKSTOP_S: Final = 5.0
SHORTEST_MESSAGE_MS: Final = 1_000


@coroutine
def next_event() -> Generator[None, None, None]:
    """Give control back to the machine until it has fed one more event."""
    yield


class Holding:
    """The open things of one call, by id, and the facts of the call that events bring."""

    def __init__(self) -> None:
        self.now: Instant = 0
        self.number = ""
        self.caller = ""
        self.language = ""
        self.state = ""
        self.answered_at: Instant | None = None
        self.caller_left_at: Instant | None = None
        self.talked_to: list[str] = []
        self.kept: list[commands.KeepRecording] = []
        self.faults: list[str] = []
        self.out: list[commands.Command] = []
        self.caller_leg = Leg(CALLER)
        self._answering = False
        self._ringing = False
        self._caller_name = ""
        self._keys: deque[str] = deque()
        self._things: dict[str, Thing] = {CALLER: self.caller_leg}
        self._agents: dict[str, bool] = {}
        """Agents reserved for this call, and whether they have answered."""
        self._answers_heard: set[str] = set()
        """Requests the desk has answered with agents: a repeated answer must not give them back."""
        self._counter = 0

    # What the machine does

    def begin(self, event: events.CallArrived) -> None:
        """Take the first event of the journal."""
        self.now = event.at
        self.number, self.caller, self._caller_name = event.number, event.caller, event.caller_name

    def absorb(self, event: Event) -> None:
        """Take note of an event: open things change here, before the state (which may be gone) is woken."""
        _ABSORB[type(event)](self, event)

    def close_open(self) -> None:
        """Close whatever a state left open, the newest first. The caller's leg stays."""
        for thing in reversed(list(self._things.values())):
            if thing is not self.caller_leg:
                self._close(thing)
        self._stop_ringing()
        for user, answered in list(self._agents.items()):
            self._release(user, "answered" if answered else "cancelled")

    def hang_up(self, cause: int) -> None:
        """End the caller's leg, unless it is gone."""
        if self.caller_leg.open:
            self._hang_up(self.caller_leg, cause)

    async def settled(self, within_s: float) -> None:
        """Wait until the switch has confirmed the end of everything, `within_s` seconds at most.

        What is still there then is asked to end once more, and the call is over for us. A recording is kept, its
        length unknown: the event of its end may be all that is lost.
        """
        if not self._things:
            return
        timer = self._timer(within_s)
        while timer.open and len(self._things) > 1:
            await next_event()
        self._close(timer)
        for thing in list(self._things.values()):
            self.faults.append(f"{thing.id}: end not confirmed")
            if isinstance(thing, Leg):
                self.out.append(commands.HangUp(thing.id, causes.NORMAL))
            elif isinstance(thing, Recording):
                self._keep(thing, 0)
        self._things.clear()

    @property
    def open_things(self) -> tuple[str, ...]:
        """Ids of everything open, for tests and for the live picture."""
        return tuple(self._things)

    # Opening and closing

    def _id(self, kind: str) -> str:
        self._counter += 1
        return f"{kind}-{self._counter}"

    def _own(self, thing: T) -> T:
        self._things[thing.id] = thing
        return thing

    def _drop(self, thing: Thing) -> None:
        thing.open = False
        self._things.pop(thing.id, None)

    def _play(self, sound: str) -> Playback:
        playback = self._own(Playback(self._id("play")))
        self.out.append(commands.Play(playback.id, CALLER, sound))
        return playback

    def _timer(self, within_s: float) -> Timer:
        timer = self._own(Timer(self._id("timer")))
        self.out.append(commands.SetTimer(timer.id, self.now + int(within_s * SECOND)))
        return timer

    def _recording(
        self,
        purpose: Literal["voicemail", "talk"],
        on: str,
        *,
        limit_s: float = 0.0,
        silence_s: float = 0.0,
        end_on: str = "",
        user: str = "",
    ) -> Recording:
        recording = self._own(Recording(self._id("rec"), purpose, self.state))
        recording.limit_s, recording.user = limit_s, user
        self.out.append(commands.Record(recording.id, on, limit_s, silence_s, end_on))
        return recording

    def _dial(self, user: str, endpoint: str, within_s: float) -> Leg:
        leg = self._own(Leg(self._id("leg"), user))
        self.out.append(
            commands.Dial(leg.id, endpoint, self.caller, within_s + DIAL_BACKSTOP_S, self._caller_name)
        )
        return leg

    def _ring_caller(self) -> None:
        if not self._ringing:
            self._ringing = True
            self.out.append(commands.Ring(CALLER))

    def _stop_ringing(self) -> None:
        if self._ringing and self._answering and self.caller_leg.open:
            self._ringing = False
            self.out.append(commands.StopRing(CALLER))

    def _hang_up(self, leg: Leg, cause: int) -> None:
        if leg.open and not leg.ours:
            leg.ours = True
            leg.cause = cause
            self.out.append(commands.HangUp(leg.id, cause))

    def _settle(self, user: str, devices: list[Leg], winner: Leg | None) -> Outcome:
        """Tell the desk how ringing this agent ended."""
        if winner is not None and winner.user == user:
            self._agents[user] = True
            self.out.append(commands.AgentTaken(user))
            return "answered"
        ended = causes.strongest([leg.outcome for leg in devices])
        self._release(user, ended)
        return ended

    def _release(self, user: str, ended: Outcome) -> None:
        if self._agents.pop(user, None) is not None:
            self.out.append(commands.AgentReleased(user, ended))

    def _leave_line(self, request: Request, reason: Literal["timeout", "abandoned"]) -> None:
        self._drop(request)
        self.out.append(commands.LeaveLine(request.id, reason))

    def _close(self, thing: Thing) -> None:
        """Ask for the end of a thing. Legs and recordings stay ours until the switch confirms theirs."""
        if not thing.open:
            return
        match thing:
            case Leg():
                self._hang_up(thing, causes.NORMAL)
            case Recording():
                if not thing.stopping:
                    thing.stopping = True
                    self.out.append(commands.StopRecord(thing.id))
            case Playback():
                self._drop(thing)
                self.out.append(commands.StopPlay(thing.id))
            case Timer():
                self._drop(thing)
                self.out.append(commands.CancelTimer(thing.id))
            case Bridge():
                self._drop(thing)
                self.out.append(commands.CloseBridge(thing.id))
            case Request(for_place=True):
                self._leave_line(thing, "abandoned")
            case Request():
                thing.abandoned = True

    # What events do to open things

    def _pressed(self, event: events.DigitPressed) -> None:
        if event.leg == CALLER and len(self._keys) < MAX_EARLY_KEYS:
            self._keys.append(event.digit)

    def _played(self, event: events.PlaybackEnded) -> None:
        if self._ended(event.playback, Playback) and not event.ok:
            self.faults.append(f"{self.state}: sound not played")

    def _fired(self, event: events.TimerFired) -> None:
        self._ended(event.timer, Timer)

    def _rings(self, event: events.LegRinging) -> None:
        if isinstance(leg := self._things.get(event.leg), Leg):
            leg.rang = True

    def _placed(self, event: events.LineJoined | events.LineMoved) -> None:
        request = self._things.get(event.request)
        if isinstance(request, Request) and (request.joined or isinstance(event, events.LineJoined)):
            request.joined = True
            request.position, request.wait_s = event.position, event.wait_s

    def _full(self, event: events.LineFull) -> None:
        request = self._things.get(event.request)
        if isinstance(request, Request) and request.for_place and not request.joined:
            request.answer = "full"
            self._drop(request)

    def _killed(self, event: events.CallKilled) -> None:
        if event.reason == "switch_lost":
            self._lost()

    def _ended(self, id: str, kind: type[Thing]) -> bool:
        thing = self._things.get(id)
        if not isinstance(thing, kind):
            return False
        self._drop(thing)
        return True

    def _answered(self, event: events.LegAnswered) -> None:
        id = event.leg
        leg = self._things.get(id)
        if not isinstance(leg, Leg) or leg.ours:
            return
        leg.up = True
        if id == CALLER and self.answered_at is None:
            self.answered_at = self.now

    def _hung_up(self, event: events.LegHungUp) -> None:
        id, cause = event.leg, event.cause
        leg = self._things.get(id)
        if isinstance(leg, Leg):
            if not leg.ours:
                leg.cause = cause
            self._drop(leg)
            if id == CALLER:
                self.caller_left_at = self.now

    def _recorded(self, event: events.RecordingEnded) -> None:
        recording = self._things.get(event.recording)
        if not isinstance(recording, Recording):
            return
        self._drop(recording)
        recording.duration_ms = event.duration_ms
        heard_ms = event.duration_ms if event.talking_ms is None else event.talking_ms
        if not event.ok:
            self.faults.append(f"{recording.state}: recording failed")
        elif recording.purpose == "voicemail" and heard_ms < SHORTEST_MESSAGE_MS:
            self.out.append(commands.DiscardRecording(recording.id))
        else:
            self._keep(recording, event.duration_ms)

    def _keep(self, recording: Recording, duration_ms: int) -> None:
        keep = commands.KeepRecording(
            recording.id, recording.purpose, recording.state, duration_ms, recording.limit_s, recording.user
        )
        self.kept.append(keep)
        self.out.append(keep)

    def _offered(self, event: AgentsOffered) -> None:
        """Reserve whom we asked for; give back whom we do not want any more. The first answer counts."""
        if event.request in self._answers_heard:
            return
        self._answers_heard.add(event.request)
        request = self._things.get(event.request)
        wanted = isinstance(request, Request) and not request.abandoned
        for agent in event.agents:
            if agent.user in self._agents:
                continue
            if wanted:
                self._agents[agent.user] = False
            else:
                self.out.append(commands.AgentReleased(agent.user, "cancelled"))
        if isinstance(request, Request):
            request.answer = event
            self._drop(request)

    def _failed(self, event: events.CommandFailed) -> None:
        id, reason = event.id, event.reason
        thing = self._things.get(id)
        if thing is None:
            return
        self.faults.append(f"{self.state}: {id}: {reason}")
        match thing:
            case Bridge():
                self._close(thing)
            case Recording() | Playback():
                self._drop(thing)
            case Request():
                thing.answer = AgentsOffered(self.now, id)
                self._drop(thing)

    def _lost(self) -> None:
        """The switch is gone and with it everything on it: nothing left to close there."""
        if self.caller_leg.open:
            self.caller_left_at = self.now
        for thing in list(self._things.values()):
            if isinstance(thing, Leg | Playback | Recording | Bridge):
                self._drop(thing)


_ABSORB: Final[dict[type, Callable[[Holding, Any], None]]] = {
    events.CallArrived: lambda _call, _event: None,
    events.LegRinging: Holding._rings,
    events.LegAnswered: Holding._answered,
    events.LegHungUp: Holding._hung_up,
    events.DigitPressed: Holding._pressed,
    events.PlaybackEnded: Holding._played,
    events.RecordingEnded: Holding._recorded,
    events.TimerFired: Holding._fired,
    events.AgentsOffered: Holding._offered,
    events.LineJoined: Holding._placed,
    events.LineMoved: Holding._placed,
    events.LineFull: Holding._full,
    events.CommandFailed: Holding._failed,
    events.CallKilled: Holding._killed,
}
"""By type: a `match` over msgspec Structs asks `__instancecheck__` for every pattern that does not match."""
assert set(_ABSORB) == set(Event.__args__)
