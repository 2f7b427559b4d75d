"""What events do to the open things of a call: noted as ringing, answered, ended or gone, whatever state it is in."""

from collections.abc import Callable
from typing import Any, Final

from flowengine.call import commands, events
from flowengine.call.events import CALLER, AgentsOffered, Event
from flowengine.call.holding import MAX_EARLY_KEYS, SHORTEST_MESSAGE_MS, Holding
from flowengine.call.things import Bridge, Leg, Playback, Recording, Request, Thing, Timer


class Absorbing(Holding):
    """The open things of one call, kept true by what is told of them."""

    def absorb(self, event: Event) -> None:
        """Take note of an event: open things change here, before the state (which may be gone) is woken."""
        _ABSORB[type(event)](self, event)

    def _pressed(self, event: events.DigitPressed) -> None:
        if event.leg == CALLER and len(self._keys) < MAX_EARLY_KEYS:
            self._keys.append(event.digit)

    def _played(self, event: events.PlaybackEnded) -> None:
        playback = self._things.get(event.playback)
        if isinstance(playback, Playback):
            self._drop(playback)
            if not event.ok:
                playback.ok = False
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
        if not isinstance(recording, Recording) or not recording.begun:
            return
        self._drop(recording)
        recording.duration_ms = event.duration_ms
        heard_ms = event.duration_ms if event.talking_ms is None else event.talking_ms
        if not event.ok:
            self.faults.append(f"{recording.state}: recording failed")
            self.out.append(commands.DiscardRecording(recording.id))
        elif recording.purpose == "voicemail" and heard_ms < SHORTEST_MESSAGE_MS:
            self.out.append(commands.DiscardRecording(recording.id))
        else:
            self._keep(recording, event.duration_ms)

    def _room_answered(self, event: events.RoomReserved) -> None:
        recording = self._things.get(event.recording)
        if not isinstance(recording, Recording) or recording.granted:
            return
        recording.granted = event.granted
        if not event.granted:
            self.faults.append(f"{recording.state}: not recorded, the storage plan is used up")
            self._drop(recording)

    def _ran_out(self, event: events.RoomRanOut) -> None:
        recording = self._things.get(event.recording)
        if isinstance(recording, Recording) and recording.begun and not recording.stopping:
            recording.ran_out = True
            self.faults.append(f"{recording.state}: recording cut, the storage plan is used up")
            self._close(recording)

    def _pause(self, event: events.PauseAsked) -> None:
        """Pause or resume what is recorded of a talk; a message is the caller's own."""
        if self._paused == event.paused:
            return
        self._paused = event.paused
        change = commands.PauseRecord if event.paused else commands.ResumeRecord
        for thing in self._things.values():
            if (
                isinstance(thing, Recording)
                and thing.begun
                and not thing.stopping
                and thing.purpose == "talk"
            ):
                self.out.append(change(thing.id))

    def _warn(self, _event: events.CreditRunsOut) -> None:
        """Tell the caller at once, whatever is going on; who was never answered pays nothing and hears nothing.

        Nor does who leaves a message: a leg that is recorded plays nothing, and after it would be too late.
        """
        heard_already = self._warning is not None and self._warning.open
        leaving = self.caller_leg.ours or not self.caller_leg.open
        speaking = any(
            isinstance(thing, Recording) and thing.begun and thing.purpose == "voicemail"
            for thing in self._things.values()
        )
        if self.answered_at is not None and not (leaving or heard_already or speaking):
            self._warning = self._play_first(self.manner.phrase("minute-left"))

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
            case Recording(begun=False):
                self._close(thing)
            case Recording():
                self._drop(thing)
                self.out.append(commands.DiscardRecording(thing.id))
            case Playback():
                thing.ok = False
                self._drop(thing)
            case Request():
                thing.answer = AgentsOffered(self.now, id)
                self._drop(thing)

    def _lost(self) -> None:
        """The switch is gone and with it everything on it but the files of its recordings."""
        if self.caller_leg.open:
            self.caller_left_at = self.now
        for thing in list(self._things.values()):
            match thing:
                case Recording(begun=False):
                    self._close(thing)
                case Recording():
                    self._drop(thing)
                    self._keep(thing, 0)
                case Leg() | Playback() | Bridge():
                    self._drop(thing)


_ABSORB: Final[dict[type, Callable[[Absorbing, Any], None]]] = {
    events.CallArrived: lambda _call, _event: None,
    events.LegRinging: Absorbing._rings,
    events.LegAnswered: Absorbing._answered,
    events.LegHungUp: Absorbing._hung_up,
    events.DigitPressed: Absorbing._pressed,
    events.PlaybackEnded: Absorbing._played,
    events.RecordingEnded: Absorbing._recorded,
    events.TimerFired: Absorbing._fired,
    events.AgentsOffered: Absorbing._offered,
    events.LineJoined: Absorbing._placed,
    events.LineMoved: Absorbing._placed,
    events.LineFull: Absorbing._full,
    events.RoomReserved: Absorbing._room_answered,
    events.RoomRanOut: Absorbing._ran_out,
    events.PauseAsked: Absorbing._pause,
    events.CreditRunsOut: Absorbing._warn,
    events.CommandFailed: Absorbing._failed,
    events.CallKilled: Absorbing._killed,
}
"""By type: a `match` over msgspec Structs asks `__instancecheck__` for every pattern that does not match."""
assert set(_ABSORB) == set(Event.__args__)
