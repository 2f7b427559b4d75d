"""An auditor beside a call: it believes nothing the call says about itself and keeps its own books.

It is shown every event and what the machine said to it. It knows what was opened, what the world reported gone and
what may still be asked for, and fails at the step that breaks a rule: a thing opened twice, a command about something
never opened or already gone, two sounds at once, an agent dialled who was not reserved or released twice, a recording
without room. At the end of the call it wants to see everything closed, and all room used or given back.
"""

from collections.abc import Sequence
from typing import assert_never

from flowengine.call import commands, events
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, Event


class Audit:
    """The books of one call."""

    def __init__(self) -> None:
        self.kind: dict[str, str] = {}
        """Everything ever opened, by id: leg, play, room (of a recording to come), record, bridge, timer, ask, line."""
        self.open: dict[str, str] = {}
        """What the world has not reported gone and we have not closed."""
        self.told: set[str] = set()
        """Legs told to hang up and recordings told to stop, whose end is not confirmed yet."""
        self.due: dict[str, int] = {}
        self.reserved: dict[str, bool] = {}
        """Agents the desk holds for this call, and whether they answered."""
        self.room: dict[str, str] = {}
        """Recordings room was asked for, and what came of it: asked, granted, refused, released, kept, discarded."""
        self.talks: dict[str, bool] = {}
        """Running recordings of talks, and whether they are paused."""
        self.warning = ""
        """The sound that tells the caller of the end of the credit; another may wait for its end."""
        self.to_settle: set[str] = set()
        """Recordings that ended and must be kept or discarded in the same step."""
        self.owed: list[str] = []
        """Agents offered too late, to be released in the same step."""
        self.devices: set[str] = set()
        """Endpoints of everybody ever offered to this call."""
        self.answered: set[str] = set()
        self.joined: set[str] = set()
        self.left: set[str] = set()
        """Waiting lines we joined, and those we gave up (a turn may be on its way)."""
        self.ringing = self.answering = False
        self.now = 0

    def of_kind(self, kind: str) -> list[str]:
        """Open things of a kind, the oldest first."""
        return [id for id, each in self.open.items() if each == kind]

    def step(self, event: Event, said: Sequence[Command], *, done: bool) -> None:
        """Enter one step into the books; `done`: the machine says that nothing will follow."""
        self.now = max(self.now, event.at)
        self.happened(event)
        for command in said:
            self.asked(command, event, done=done)
        assert not self.to_settle, f"recordings neither kept nor discarded: {self.to_settle}"
        assert not self.owed, f"offered too late and not released: {self.owed}"
        if done:
            self.closed()

    def closed(self) -> None:
        """The call is over: nothing may be open but what was told to end, and questions nobody answered."""
        asks = self.of_kind("ask")
        unclosed = [id for id in self.open if id not in self.told and id not in self.left and id not in asks]
        assert not unclosed, f"left open: {unclosed}"
        assert not self.reserved, f"agents not released: {sorted(self.reserved)}"
        held = [id for id, became in self.room.items() if became in ("asked", "granted")]
        assert not held, f"room neither used nor given back: {held}"

    def happened(self, event: Event) -> None:
        match event:
            case events.CallArrived():
                if not self.kind:
                    self._opens(CALLER, "leg")
            case events.LegHungUp(leg=id):
                self._gone(id, "leg")
            case events.PlaybackEnded(playback=id):
                self._gone(id, "play")
            case events.TimerFired(timer=id):
                self._gone(id, "timer")
            case events.RecordingEnded(recording=id):
                self._record_ends(id)
            case events.RoomReserved(recording=id, granted=granted):
                if self.room.get(id) == "asked":
                    self.room[id] = "granted" if granted else "refused"
                    if not granted:
                        self._gone(id, "room")
            case events.AgentsOffered(request=id):
                self._offered(event)
            case events.LineFull(request=id):
                if id not in self.left and id not in self.joined:
                    self._gone(id, "line")
            case events.LineJoined(request=id):
                if self.open.get(id) == "line":
                    self.joined.add(id)
            case events.CommandFailed(id=id):
                self._record_ends(id)
                if self.open.get(id) in ("play", "ask", "line") and id not in self.left:
                    self._gone(id, self.open[id])
            case events.CallKilled(reason="switch_lost"):
                for id, kind in list(self.open.items()):
                    if kind in ("leg", "play", "bridge"):
                        self._gone(id, kind)
                    self._record_ends(id)
            case (
                events.LegRinging()
                | events.LegAnswered()
                | events.DigitPressed()
                | events.LineMoved()
                | events.RoomRanOut()
                | events.PauseAsked()
                | events.CreditRunsOut()
                | events.CallKilled()
            ):
                pass
            case _:
                assert_never(event)

    def asked(self, command: Command, event: Event, *, done: bool) -> None:
        match command:
            case commands.Answer(leg=leg):
                assert leg == CALLER
                assert not self.answering, "answered twice"
                self._is_open(CALLER, "leg")
                self.answering, self.ringing = True, False
            case commands.Ring(leg=leg):
                assert leg == CALLER
                assert not self.ringing, "rung while ringing"
                self._is_open(CALLER, "leg")
                self.ringing = True
            case commands.StopRing(leg=leg):
                assert leg == CALLER
                assert self.ringing, "ringing stopped that was not there"
                self._is_open(CALLER, "leg")
                self.ringing = False
            case commands.HangUp(leg=leg, cause=cause):
                self._is_open(leg, "leg")
                assert leg not in self.told or done, f"{leg} hung up twice"
                assert 0 < cause < 128
                self.told.add(leg)
            case commands.Dial(leg=leg, endpoint=endpoint):
                self._opens(leg, "leg")
                self._is_open(CALLER, "leg")
                assert self.reserved, f"{endpoint} dialled, but nobody is reserved"
                assert endpoint in self.devices, f"{endpoint} was never offered"
            case commands.Play(playback=id, leg=leg, sound=sound):
                assert leg == CALLER
                self._is_open(CALLER, "leg")
                if sound.startswith("builtin:minute-left:"):
                    assert not self.of_kind("play"), "a warning that waits for its turn"
                    assert isinstance(event, events.CreditRunsOut)
                    assert self.warning not in self.open, "warned twice at once"
                    assert CALLER not in self.told, "warned into the hang-up"
                    self.warning = id
                else:
                    assert not set(self.of_kind("play")) - {self.warning}, "two sounds at once"
                self._opens(id, "play")
            case commands.StopPlay(playback=id):
                self._closes(id, "play")
            case commands.ReserveRoom(recording=id):
                self._opens(id, "room")
                self.room[id] = "asked"
            case commands.ReleaseRoom(recording=id):
                self._closes(id, "room")
                assert self.room[id] in ("asked", "granted")
                self.room[id] = "released"
            case commands.Record(recording=id, on=on, sides=sides):
                assert on in self.open, f"recording of {on}, which is not there"
                assert self.open[on] in ("leg", "bridge")
                assert not set(sides) - set(self.of_kind("leg")), f"sides {sides} are not there"
                self._is_open(id, "room")
                assert self.room[id] == "granted", f"{id} begun, and its room is {self.room[id]}"
                self.kind[id] = self.open[id] = "record"
                if self.open[on] == "bridge":
                    self.talks[id] = False
            case commands.PauseRecord(recording=id):
                self._is_open(id, "record")
                assert self.talks[id] is False, f"{id} paused twice"
                assert id not in self.told, f"{id} paused after its stop"
                self.talks[id] = True
            case commands.ResumeRecord(recording=id):
                self._is_open(id, "record")
                assert self.talks[id] is True, f"{id} resumed without a pause"
                assert id not in self.told, f"{id} resumed after its stop"
                self.talks[id] = False
            case commands.StopRecord(recording=id):
                self._is_open(id, "record")
                assert id not in self.told, f"{id} stopped twice"
                self.told.add(id)
            case commands.OpenBridge(bridge=id):
                self._opens(id, "bridge")
            case commands.Join(bridge=bridge, leg=leg):
                self._is_open(bridge, "bridge")
                self._is_open(leg, "leg")
                assert leg not in self.told, f"{leg} joined after its hang-up"
            case commands.CloseBridge(bridge=id):
                self._closes(id, "bridge")
            case commands.SetTimer(timer=id, due=due):
                assert due >= self.now
                self._opens(id, "timer")
                self.due[id] = due
            case commands.CancelTimer(timer=id):
                self._closes(id, "timer")
            case commands.OfferAgents(request=id):
                self._opens(id, "ask")
            case commands.JoinLine(request=id):
                self._opens(id, "line")
            case commands.LeaveLine(request=id):
                self._is_open(id, "line")
                assert id not in self.left, f"{id} left twice"
                self.left.add(id)
            case commands.AgentRings(user=user):
                assert self.reserved.get(user) is False, f"{user} rung without being reserved"
            case commands.AgentTaken(user=user):
                assert self.reserved.get(user) is False, f"{user} taken without being reserved"
                self.reserved[user] = True
            case commands.AgentReleased(user=user, outcome=outcome):
                self._released(user, outcome)
            case commands.KeepRecording(recording=id):
                assert id in self.to_settle or (done and id in self.told), f"{id} kept out of turn"
                assert self.room[id] == "granted"
                self.to_settle.discard(id)
                self.room[id] = "kept"
            case commands.DiscardRecording(recording=id):
                assert id in self.to_settle, f"{id} discarded, but it did not end now"
                assert self.room[id] == "granted"
                self.to_settle.remove(id)
                self.room[id] = "discarded"
            case _:
                assert_never(command)

    def _record_ends(self, id: str) -> None:
        if self._gone(id, "record"):
            self.to_settle.add(id)

    def _offered(self, event: events.AgentsOffered) -> None:
        """Only the first answer counts; whom we did not ask for any more, we must give back."""
        id = event.request
        if id in self.answered:
            return
        self.answered.add(id)
        new = [agent for agent in event.agents if agent.user not in self.reserved]
        kind = self.open.get(id, "")
        wanted = (kind == "ask" and self._walking) or (kind == "line" and id not in self.left)
        if wanted:
            self.reserved |= dict.fromkeys([agent.user for agent in new], False)
            self.devices.update(endpoint for agent in new for endpoint in agent.endpoints)
        else:
            self.owed = [agent.user for agent in new]
        if kind in ("ask", "line"):
            self._gone(id, kind)

    @property
    def _walking(self) -> bool:
        """Nobody has asked for the end of the caller's leg, and it is there."""
        return CALLER in self.open and CALLER not in self.told

    def _released(self, user: str, outcome: str) -> None:
        if user in self.owed:
            assert outcome == "cancelled"
            self.owed.remove(user)
            return
        assert user in self.reserved, f"{user} released without being reserved"
        assert (outcome == "answered") == self.reserved.pop(user), f"{user} released as {outcome}"

    def _opens(self, id: str, kind: str) -> None:
        assert id not in self.kind, f"{id} opened twice"
        self.kind[id] = self.open[id] = kind

    def _is_open(self, id: str, kind: str) -> None:
        assert self.kind.get(id) == kind, f"{id} is no {kind} of this call"
        assert id in self.open, f"{kind} {id} is gone already"

    def _closes(self, id: str, kind: str) -> None:
        self._is_open(id, kind)
        del self.open[id]

    def _gone(self, id: str, kind: str) -> bool:
        if self.open.get(id) != kind:
            return False
        del self.open[id]
        self.told.discard(id)
        self.left.discard(id)
        return True
