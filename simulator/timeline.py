"""A call told line by line, from its journal alone: what the caller did and heard, who was rung, where the flow went.

The journal is fed to a fresh machine and each step is put into words, so this tells simulated calls, traces of real
ones and golden histories alike.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from flowengine.call import causes, commands, events
from flowengine.call.causes import Outcome
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, SECOND, Event
from flowengine.call.machine import CallMachine
from flowengine.flow.document import Flow

Kind = Literal["call", "state", "caller", "sound", "agent", "line", "recording", "credit", "fault"]


class Line(NamedTuple):
    """One line: microseconds since the call arrived, what it is about, and the words."""

    at_us: int
    kind: Kind
    text: str

    def __str__(self) -> str:
        indent = "" if self.kind in ("call", "state") else "  "
        return f"{self.at_us / SECOND:9.3f}  {indent}{self.text}"


_ENDED: Final[dict[Outcome, str]] = {
    "answered": "is free again",
    "no_answer": "did not answer",
    "busy": "is busy",
    "rejected": "declined",
    "unreachable": "is not in reach",
    "cancelled": "is not needed any more",
}
LONGEST_TEXT: Final = 70


def narrate(flow: Flow, journal: Iterable[Event]) -> list[Line]:
    """Tell a call from the events of its journal; the first is its arrival."""
    return list(_Narrator(flow).tell(journal))


def shown(sound: str) -> str:
    """A sound key for people: the words of a spoken one, in quotes and not too long."""
    if not sound.startswith("say:"):
        return sound
    text = " ".join(sound.split(":", 3)[-1].split())
    return f'"{text}"' if len(text) <= LONGEST_TEXT else f'"{text[: LONGEST_TEXT - 3]}..."'


class _Narrator:
    """A machine that is watched at every step."""

    def __init__(self, flow: Flow) -> None:
        self.machine = CallMachine(flow)
        self.owners: dict[str, str] = {}
        """Endpoint -> user, of everybody offered so far."""
        self.endpoints: dict[str, str] = {}
        """Leg -> endpoint."""
        self.up: set[str] = set()
        self.told: set[str] = set()
        """Legs we asked to end."""
        self.sounds: dict[str, str] = {}

    def tell(self, journal: Iterable[Event]) -> Iterator[Line]:
        began = 0
        machine = self.machine
        for event in journal:
            visited = len(machine.visits)
            left = sum(1 for visit in machine.visits if visit.outcome)
            was_done = machine.done
            said = machine.step(event)
            if machine.arrived is event:
                began = event.at
            words = [
                *self._happened(event),
                *(line for command in said for line in self._closing(command, event)),
                *self._walked(visited, left),
                *(line for command in said for line in self._opening(command)),
            ]
            if machine.done and not was_done:
                words.append(self._ended())
            for kind, text in words:
                yield Line(machine.call.now - began, kind, text)

    def _happened(self, event: Event) -> Iterator[tuple[Kind, str]]:
        match event:
            case events.CallArrived():
                yield "call", f"{event.caller or 'an unknown caller'} calls {event.number}"
            case events.LegAnswered(leg=leg):
                self.up.add(leg)
                if leg == CALLER:
                    yield "caller", "the call is answered"
                else:
                    yield "agent", f"{self._who(leg)} answers"
            case events.LegRinging(leg=leg):
                yield "agent", f"{self._who(leg)} rings"
            case events.LegHungUp(leg=leg, cause=cause):
                yield from self._gone(leg, cause)
            case events.DigitPressed(leg=leg, digit=digit):
                if leg == CALLER:
                    yield "caller", f"key {digit}"
            case events.PlaybackEnded(playback=id, ok=False):
                yield "fault", f"not played to its end: {shown(self.sounds.get(id, id))}"
            case events.RecordingEnded(duration_ms=duration_ms, ok=ok):
                yield "recording", f"the recording ended after {duration_ms / 1000:.1f} s" + _unless(ok)
            case events.RoomReserved(granted=False):
                yield "recording", "no room to record: the storage plan is used up"
            case events.RoomRanOut():
                yield "recording", "no more room to record: the storage plan is used up"
            case events.PauseAsked(paused=paused):
                yield "recording", f"somebody asks to {'pause' if paused else 'go on with'} the recording"
            case events.CreditRunsOut(left_s=left_s):
                yield "credit", f"the credit pays for {left_s} s more"
            case events.AgentsOffered():
                yield "line", self._offered(event)
            case events.LineJoined(position=position):
                yield "line", f"waits in line at place {position}"
            case events.LineFull():
                yield "line", "the line is full"
            case events.CommandFailed(id=id, reason=reason):
                yield "fault", f"{id}: {reason}"
            case events.CallKilled(reason=reason):
                yield "call", f"the call is ended from outside: {reason}"
            case _:
                pass  # timers, the ends of sounds and room that is there show in what follows from them

    def _gone(self, leg: str, cause: int) -> Iterator[tuple[Kind, str]]:
        ours = leg in self.told
        if leg == CALLER:
            yield "caller", "the line is cleared" if ours else "the caller hangs up"
        elif not ours:
            how = "hangs up" if leg in self.up else _declined(cause)
            yield "agent", f"{self._who(leg)} {how}"
        elif leg not in self.up:
            yield "agent", f"{self._who(leg)} stops ringing"

    def _offered(self, event: events.AgentsOffered) -> str:
        for agent in event.agents:
            self.owners.update(dict.fromkeys(agent.endpoints, agent.user))
        others = [f"{event.busy} on a call"] if event.busy else []
        others += [f"{event.unreachable} not in reach"] if event.unreachable else []
        aside = f" ({', '.join(others)})" if others else ""
        return "to be rung: " + (", ".join(agent.user for agent in event.agents) or "nobody") + aside

    def _closing(self, command: Command, event: Event) -> Iterator[tuple[Kind, str]]:
        match command:
            case commands.HangUp(leg=leg):
                self.told.add(leg)
            case commands.AgentReleased(user=user, outcome=outcome):
                yield "agent", f"{user} {_ENDED[outcome]}"
            case commands.LeaveLine(reason=reason):
                yield "line", f"leaves the line: {reason}"
            case commands.KeepRecording():
                yield "recording", _kept(command)
            case commands.DiscardRecording():
                ended_well = isinstance(event, events.RecordingEnded) and event.ok
                yield "recording", "throws the recording away" + (": too short" if ended_well else "")
            case commands.PauseRecord():
                yield "recording", "pauses the recording"
            case _:
                pass

    def _opening(self, command: Command) -> Iterator[tuple[Kind, str]]:
        match command:
            case commands.Play(playback=id, sound=sound):
                self.sounds[id] = sound
                yield "sound", f"plays {shown(sound)}"
            case commands.Dial(leg=leg, endpoint=endpoint):
                self.endpoints[leg] = endpoint
                yield "agent", f"dials {self._who(leg)}"
            case commands.Join(leg=leg) if leg != CALLER:
                yield "agent", f"the caller talks to {self._who(leg)}"
            case commands.Record(on=on):
                apart = ", caller and agent apart" if command.sides else ""
                yield "recording", "records the caller" if on == CALLER else f"records the talk{apart}"
            case commands.ResumeRecord():
                yield "recording", "goes on recording"
            case commands.HangUp(leg=leg, cause=cause) if leg == CALLER:
                yield "caller", f"hangs up (cause {cause})"
            case _:
                pass

    def _walked(self, visited: int, left: int) -> Iterator[tuple[Kind, str]]:
        """The states left and entered in this step, in order."""
        visits = self.machine.visits
        for place in range(left, len(visits)):
            visit = visits[place]
            if place >= visited:
                label = self.machine.flow.states[visit.state].label
                yield "state", f"-> {visit.state} ({visit.kind})" + (f' "{label}"' if label else "")
            if visit.outcome:
                yield "state", f"<- {visit.state} by {visit.outcome}"

    def _ended(self) -> tuple[Kind, str]:
        record = self.machine.record()
        crash = f": {self.machine.crash.strip().splitlines()[-1]}" if self.machine.crash else ""
        return "call", f"over: {record.disposition} ({record.end_reason}{crash})"

    def _who(self, leg: str) -> str:
        endpoint = self.endpoints.get(leg, leg)
        user = self.owners.get(endpoint)
        return f"{user} at {endpoint}" if user else endpoint


def _kept(command: commands.KeepRecording) -> str:
    of = f" with {command.user}" if command.user else ""
    lasted = f"{command.duration_ms / 1000:.1f} s" if command.duration_ms else "of unknown length"
    return f"keeps the {command.purpose}{of}, {lasted}" + (
        ", cut for want of room" if command.ran_out else ""
    )


def _unless(ok: bool) -> str:
    return "" if ok else ", with an error"


def _declined(cause: int) -> str:
    match cause:
        case causes.USER_BUSY:
            return "is busy"
        case causes.CALL_REJECTED:
            return "declines"
        case causes.NO_ANSWER:
            return "is given up by the switch"
        case causes.SUBSCRIBER_ABSENT:
            return "is not in reach"
        case _:
            return f"is gone (cause {cause})"
