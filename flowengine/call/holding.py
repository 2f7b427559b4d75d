"""Everything one call has open: the bookkeeping under the port that states see.

Things are opened here, and closed here when a state is left; what events do to them is in `absorbing`. Nobody but
`Call` and the machine uses this.
"""

from collections import deque
from collections.abc import Generator
from types import coroutine
from typing import Final, Literal, TypeVar

from flowengine.call import causes, commands, events
from flowengine.call.causes import Outcome
from flowengine.call.events import CALLER, SECOND, Instant
from flowengine.call.things import Bridge, Leg, Playback, Recording, Request, Thing, Timer
from flowengine.flow.prompts import Manner

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
        self.manner = Manner()
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
        self._paused = False
        self._untold = False
        """Words that tell of the recording could not be played: no talk is recorded until such words were."""
        self._warning: Playback | None = None
        """Tells of the end of the credit, over whatever else is heard and across states."""
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

    def close_open(self) -> None:
        """Close whatever a state left open, the newest first. The caller's leg and a warning it hears stay."""
        for thing in reversed(list(self._things.values())):
            if thing is not self.caller_leg and thing is not self._warning:
                self._close(thing)
        self._stop_ringing()
        self._paused = False
        for user, answered in list(self._agents.items()):
            self._release(user, "answered" if answered else "cancelled")

    def hang_up(self, cause: int) -> None:
        """End the caller's leg, unless it is gone, and a warning it hears."""
        if self._warning:
            self._close(self._warning)
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
        playback = self._own(Playback(self._id("play"), sound))
        self.out.append(commands.Play(playback.id, CALLER, sound))
        return playback

    def _play_first(self, sound: str) -> Playback:
        """Play a sound at once. What is being heard is cut, and is heard again after it as if nothing had been.

        A switch plays one sound after another, so this one would wait for the end of a prompt or of the music.
        """
        cut = [thing for thing in self._things.values() if isinstance(thing, Playback)]
        for playback in cut:
            self.out.append(commands.StopPlay(playback.id))
            del self._things[playback.id]
        first = self._play(sound)
        for playback in cut:
            playback.id = self._id("play")
            self._own(playback)
            self.out.append(commands.Play(playback.id, CALLER, playback.sound))
        return first

    def _timer(self, within_s: float) -> Timer:
        timer = self._own(Timer(self._id("timer")))
        self.out.append(commands.SetTimer(timer.id, self.now + int(within_s * SECOND)))
        return timer

    def _room(
        self, purpose: Literal["voicemail", "talk"], *, limit_s: float = 0.0, user: str = ""
    ) -> Recording:
        """Ask for room for a recording; it is `granted` then, or not open any more."""
        recording = self._own(Recording(self._id("rec"), purpose, self.state, limit_s, user))
        self.out.append(commands.ReserveRoom(recording.id, limit_s))
        return recording

    def _begin_recording(
        self,
        recording: Recording,
        on: str,
        *,
        silence_s: float = 0.0,
        end_on: str = "",
        sides: tuple[str, ...] = (),
    ) -> None:
        recording.begun = True
        self.out.append(commands.Record(recording.id, on, recording.limit_s, silence_s, end_on, sides))

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
            case Recording(begun=False):
                self._drop(thing)
                self.out.append(commands.ReleaseRoom(thing.id))
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

    def _keep(self, recording: Recording, duration_ms: int) -> None:
        keep = commands.KeepRecording(
            recording.id,
            recording.purpose,
            recording.state,
            duration_ms,
            recording.limit_s,
            recording.user,
            recording.ran_out,
        )
        self.kept.append(keep)
        self.out.append(keep)
