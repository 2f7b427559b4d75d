"""A call told as a script: `drive(flow).arrives().answered().presses("1")`.

No mocks and no event loop: every word feeds one event (or a few) into a real machine, with time as a number. Each
step is audited, so every test that drives a call also tests that it keeps its books. With `responsive` (the default)
a switch stands behind the call which confirms at once whatever it was asked for; without, nothing is confirmed
until the test says so. A storage plan stands behind it, too, with `room` for every recording, with none, or (`None`)
without an answer until the test gives one.
"""

from typing import Self, TypeVar

from flowengine.call import commands, events
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, SECOND, Agent, Event, Instant
from flowengine.call.machine import CallMachine, digest
from flowengine.flow.document import Announcement, Flow, Say, State
from tests.call.audit import Audit

T0: Instant = 1_750_000_000_000_000
"""When every call of these tests arrives."""

C = TypeVar("C")


def say(text: str) -> Say:
    return Say(say=text)


def spoken(text: str, language: str = "en-US") -> str:
    """The sound key of `say(text)`."""
    return f"say:{language}::{text}"


def flow(**states: State) -> Flow:
    """A flow of these states; the first is the start."""
    return Flow(format="flowengine/1", name="Test", start=next(iter(states)), states=states)


def with_goodbye(of: Flow, text: str) -> Flow:
    return of.model_copy(update={"goodbye": say(text)})


def announcement(text: str, to: str | None = None) -> Announcement:
    return Announcement(prompt=say(text), connections={"next": to} if to else {})


def drive(of: Flow, *, responsive: bool = True, room: bool | None = True) -> "Driven":
    """A call of this flow that has not begun."""
    return Driven(of, responsive=responsive, room=room)


def agent(name: str, devices: int = 1) -> Agent:
    """A user with so many telephones, PJSIP/name and PJSIP/name-2 and so on."""
    return Agent(name, tuple(f"PJSIP/{name}" + (f"-{at}" if at > 1 else "") for at in range(1, devices + 1)))


class Driven:
    """One call, its auditor, and everything said in it.

    Attributes:
        said: what the machine said since the script's last word.
        all_said: everything it ever said.
        journal: the events fed so far; `digests`: what each led to.
    """

    def __init__(self, of: Flow, *, responsive: bool, room: bool | None) -> None:
        self.machine = CallMachine(of)
        self.audit = Audit()
        self.responsive = responsive
        self.room = room
        self.now: Instant = T0
        self.said: list[Command] = []
        self.all_said: list[Command] = []
        self.journal: list[Event] = []
        self.digests: list[str] = []
        self.sound: dict[str, str] = {}
        self.leg_of: dict[str, str] = {}
        """Endpoint -> the leg dialled last for it."""
        self.recording_since: dict[str, Instant] = {}

    # What happens to the call

    def feed(self, event: Event) -> list[Command]:
        """Feed one event, and whatever a responsive switch makes of the answer; returns the first answer."""
        was_done = self.machine.done
        said = self.machine.step(event)
        self.journal.append(event)
        self.digests.append(digest(said))
        if was_done:
            assert said == [], "a finished call spoke"
            return said
        self.now = max(self.now, event.at)
        self.audit.step(event, said, done=self.machine.done)
        if not self.machine.done:
            assert set(self.machine.call.open_things) == set(self.audit.open) - self.audit.left
        self.said += said
        self.all_said += said
        for command in said:
            self._note(command)
        for command in said:
            asks_plan = isinstance(command, commands.ReserveRoom)
            answers = self.room is not None if asks_plan else self.responsive
            if answers and (confirmed := self.confirmation(command)) is not None:
                self.feed(confirmed)
        return said

    def happens(self, event: Event) -> Self:
        """One event of the test's own."""
        self.said = []
        self.feed(event)
        return self

    def arrives(self, number: str = "+815055550100", caller: str = "+819055550123") -> Self:
        return self.happens(events.CallArrived(self.now, number, caller, "v1", "Taro"))

    def answered(self) -> Self:
        """The switch reports the caller's leg up."""
        return self.happens(events.LegAnswered(self.now, CALLER))

    def presses(self, digits: str) -> Self:
        """The caller presses keys, one after another in the same breath."""
        self.said = []
        for digit in digits:
            self.feed(events.DigitPressed(self.now, CALLER, digit))
        return self

    def prompt_ends(self, *, ok: bool = True) -> Self:
        """The sound being played comes to its end; a warning of the end of the credit goes on."""
        [playing] = set(self.audit.of_kind("play")) - {self.audit.warning}
        return self.happens(events.PlaybackEnded(self.now, playing, ok))

    def waits(self, seconds: float) -> Self:
        """Time passes; timers that come due fire at their deadline."""
        self.said = []
        until = self.now + round(seconds * SECOND)
        while due := [id for id in self.audit.of_kind("timer") if self.audit.due[id] <= until]:
            first = min(due, key=self.audit.due.__getitem__)
            self.now = max(self.now, self.audit.due[first])
            self.feed(events.TimerFired(self.now, first))
        self.now = until
        return self

    def offered(self, *agents: Agent, busy: int = 0, unreachable: int = 0) -> Self:
        """The desk answers the open question (or tells the waiting caller that it is their turn)."""
        [request] = self.audit.of_kind("ask") or self.audit.of_kind("line")
        return self.happens(events.AgentsOffered(self.now, request, agents, busy, unreachable))

    def has_place(self, position: int) -> Self:
        [line] = self.audit.of_kind("line")
        return self.happens(events.LineJoined(self.now, line, position))

    def line_is_full(self) -> Self:
        [line] = self.audit.of_kind("line")
        return self.happens(events.LineFull(self.now, line))

    def rings(self, *phones: str) -> Self:
        """These telephones (names as of `agent`) ring."""
        self.said = []
        for phone in phones:
            self.feed(events.LegRinging(self.now, self.leg(phone)))
        return self

    def picks_up(self, phone: str) -> Self:
        return self.happens(events.LegAnswered(self.now, self.leg(phone)))

    def ends(self, phone: str, cause: int) -> Self:
        """A telephone is gone: declined, busy, hung up."""
        return self.happens(events.LegHungUp(self.now, self.leg(phone), cause))

    def hangs_up(self, cause: int = 16) -> Self:
        """The caller hangs up."""
        return self.happens(events.LegHungUp(self.now, CALLER, cause))

    def recorded(self, duration_ms: int, *, ok: bool = True, talking_ms: int | None = None) -> Self:
        """The switch ends the recording by itself: a key, silence, its own limit."""
        [recording] = self.audit.of_kind("record")
        return self.happens(events.RecordingEnded(self.now, recording, duration_ms, ok, talking_ms))

    def room_is(self, granted: bool) -> Self:
        """The storage plan answers the open question for room."""
        [recording] = self.audit.of_kind("room")
        return self.happens(events.RoomReserved(self.now, recording, granted))

    def room_runs_out(self) -> Self:
        """The storage plan is used up while this is recorded."""
        [recording] = self.audit.of_kind("record")
        return self.happens(events.RoomRanOut(self.now, recording))

    def pause(self, paused: bool = True) -> Self:
        """Somebody wants the recording paused, or not any more."""
        return self.happens(events.PauseAsked(self.now, paused))

    def credit_runs_out(self, left_s: int = 60) -> Self:
        return self.happens(events.CreditRunsOut(self.now, left_s))

    def fails(self, id: str) -> Self:
        return self.happens(events.CommandFailed(self.now, id, "no such thing"))

    # What a switch that does as it is told would report

    def confirmation(self, command: Command) -> Event | None:
        """The event a good switch follows this command with, if that is still to come."""
        match command:
            case commands.Answer(leg=leg) if leg in self.audit.open:
                return events.LegAnswered(self.now, leg)
            case commands.HangUp(leg=leg, cause=cause) if leg in self.audit.open:
                return events.LegHungUp(self.now, leg, cause)
            case commands.StopRecord(recording=id) if id in self.audit.open:
                lasted = (self.now - self.recording_since[id]) // 1000
                return events.RecordingEnded(self.now, id, lasted)
            case commands.ReserveRoom(recording=id) if self.audit.room[id] == "asked":
                return events.RoomReserved(self.now, id, self.room is not False)
            case _:
                return None

    # What the test may look at

    def is_over(self) -> bool:
        """Everything of the call is gone."""
        return self.machine.done

    def leg(self, phone: str) -> str:
        return self.leg_of[f"PJSIP/{phone}"]

    @property
    def playing(self) -> str | None:
        """The sound key the caller hears now, besides a warning of the end of the credit."""
        return next((self.sound[id] for id in self.audit.of_kind("play") if id != self.audit.warning), None)

    @property
    def warned(self) -> bool:
        """The caller is being told that the credit ends."""
        return self.audit.warning in self.audit.open

    @property
    def phones(self) -> list[str]:
        """Endpoints dialled and not yet told to stop."""
        legs = [leg for leg in self.audit.of_kind("leg") if leg not in self.audit.told]
        return [endpoint for endpoint, leg in self.leg_of.items() if leg in legs]

    def all_of(self, kind: type[C]) -> list[C]:
        """Every command of a kind ever said."""
        return [command for command in self.all_said if isinstance(command, kind)]

    def just(self, kind: type[C]) -> list[C]:
        """The commands of a kind said since the script's last word."""
        return [command for command in self.said if isinstance(command, kind)]

    @property
    def path(self) -> list[tuple[str, str]]:
        return [(visit.state, visit.outcome) for visit in self.machine.visits]

    @property
    def ended_with(self) -> int | None:
        """The cause the caller's leg was told to end with."""
        causes = [each.cause for each in self.all_of(commands.HangUp) if each.leg == CALLER]
        return causes[0] if causes else None

    def _note(self, command: Command) -> None:
        match command:
            case commands.Play(playback=id, sound=sound):
                self.sound[id] = sound
            case commands.Dial(leg=leg, endpoint=endpoint):
                self.leg_of[endpoint] = leg
            case commands.Record(recording=id):
                self.recording_since[id] = self.now
            case _:
                pass
