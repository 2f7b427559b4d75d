"""The port a state sees: one live call, told in the words of telephony.

`Call` owns every open thing (legs, sounds, timers, recordings, bridges, reserved agents). A state opens them
by awaiting these methods and never closes them: the machine calls `close_open` when the state is left, by
whatever way. There is no clock and no task in here; `await` means "until the machine feeds the next event".
"""

from collections import deque
from collections.abc import Generator, Sequence
from types import coroutine
from typing import Final, Literal, TypeVar, assert_never

from flowengine.call import causes, commands, events
from flowengine.call.causes import Outcome
from flowengine.call.events import CALLER, SECOND, Agent, AgentsOffered, Event, Instant
from flowengine.flow.document import WaitingLine

MAX_EARLY_KEYS: Final = 32
DIAL_BACKSTOP_S: Final = 5.0
HOLD_MUSIC: Final = "builtin:hold-music"
BEEP: Final = "tone:beep"
SHORTEST_MESSAGE_MS: Final = 1_000


class CallEnds(BaseException):
    """Thrown at the await of a state when the call is over: hang-up, kick, no credit. No state catches it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Thing:
    """Something open on the switch or at the desk, until it is closed or reported gone."""

    __slots__ = ("id", "open")

    def __init__(self, id: str) -> None:
        self.id = id
        self.open = True


T = TypeVar("T", bound=Thing)


class Leg(Thing):
    """One telephone in the call: the caller's, or a device of an agent."""

    __slots__ = ("cause", "ours", "rang", "up", "user")

    def __init__(self, id: str, user: str = "") -> None:
        super().__init__(id)
        self.user = user
        self.rang = False
        self.up = False
        self.ours = False
        """We asked for the end of this leg, with `cause`."""
        self.cause = 0

    @property
    def outcome(self) -> Outcome:
        """How the attempt to reach this device ended."""
        return "answered" if self.up else causes.outcome(self.cause, rang=self.rang)


class Playback(Thing):
    """A sound being played to the caller."""

    __slots__ = ()


class Timer(Thing):
    """A deadline; `open` until it fired or was cancelled."""

    __slots__ = ()


class Recording(Thing):
    """A recording being made. What becomes of it is settled at its begin, for its state may be gone then."""

    __slots__ = ("duration_ms", "limit_s", "purpose", "state", "stopping", "user")

    def __init__(self, id: str, purpose: Literal["voicemail", "talk"], state: str) -> None:
        super().__init__(id)
        self.purpose = purpose
        self.state = state
        self.limit_s = 0.0
        self.user = ""
        self.stopping = False
        self.duration_ms = 0


class Bridge(Thing):
    """Two legs that hear each other."""

    __slots__ = ()


class Request(Thing):
    """A question to the desk; `answer` is there when the desk has spoken."""

    __slots__ = ("abandoned", "answer", "for_place", "joined")

    def __init__(self, id: str, *, for_place: bool = False) -> None:
        super().__init__(id)
        self.answer: AgentsOffered | Literal["full"] | None = None
        self.for_place = for_place
        self.joined = False
        self.abandoned = False


@coroutine
def _next_event() -> Generator[None, None, None]:
    """Give control back to the machine until it has fed one more event."""
    yield


class Call:
    """One call and everything it has open. States use the public methods; the machine feeds and closes."""

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

    # What a state may do

    def answer(self) -> None:
        """Answer the caller, unless done already. Minutes are owed from the caller's LegAnswered on."""
        if not self._answering:
            self._answering = True
            self._ringing = False
            self.out.append(commands.Answer(CALLER))

    async def play(self, sound: str) -> None:
        """Play a sound key to the caller, to its end."""
        playback = self._play(sound)
        while playback.open:
            await _next_event()

    async def key_after(self, sound: str, within_s: float) -> str | None:
        """Play a prompt and take one key: pressed before it, into it (which cuts it), or soon after it.

        Returns:
            The key, or None when `within_s` seconds passed after the prompt ended without one.
        """
        if not self._keys:
            playback = self._play(sound)
            while playback.open and not self._keys:
                await _next_event()
            self._close(playback)
        if not self._keys:
            timer = self._timer(within_s)
            while timer.open and not self._keys:
                await _next_event()
            self._close(timer)
        return self._keys.popleft() if self._keys else None

    async def record_message(self, limit_s: float, silence_s: float) -> Literal["limit", "ended"]:
        """Record the caller until `#`, silence, or `limit_s` seconds; a hang-up ends and keeps it, too.

        The limit is set on the switch and here: the switch's own runs on received audio only, so a caller who
        sends none would never reach it. Keys pressed into the message are not for a later menu.
        """
        recording = self._recording("voicemail", CALLER, limit_s=limit_s, silence_s=silence_s, end_on="#")
        timer = self._timer(limit_s)
        while recording.open and timer.open:
            await _next_event()
        at_limit = not timer.open or recording.duration_ms >= limit_s * 1000
        self._close(timer)
        self._close(recording)
        while recording.open:
            await _next_event()
        self._keys.clear()
        return "limit" if at_limit else "ended"

    async def offer(
        self,
        kind: Literal["user", "group"],
        target: str,
        ringing: Literal["parallel", "sequential"] = "parallel",
        tried: tuple[str, ...] = (),
    ) -> AgentsOffered:
        """Ask the desk whom to ring. The agents offered are reserved for this call."""
        request = self._own(Request(self._id("ask")))
        self.out.append(commands.OfferAgents(request.id, kind, target, ringing, tried))
        while not isinstance(request.answer, AgentsOffered):
            await _next_event()
        return request.answer

    async def wait_in_line(
        self, kind: Literal["user", "group"], target: str, terms: WaitingLine
    ) -> AgentsOffered | Literal["full", "timeout"]:
        """Wait for a busy agent: notice once, then music as many times as `terms` says, then give up.

        The caller is answered (and so charged) only when the line has room. The turn may come as an offer of
        nobody: then the agent has gone out of reach while the caller waited.
        """
        request = self._own(Request(self._id("line"), for_place=True))
        self.out.append(commands.JoinLine(request.id, kind, target, terms.max_waiting))
        while request.answer is None and not request.joined:
            await _next_event()
        if request.answer is not None:
            return request.answer
        self.answer()
        notice = [terms.notice.sound(self.language)] if terms.notice else []
        music = terms.music.sound(self.language) if terms.music else HOLD_MUSIC
        turn = await self._hear_in_line(request, notice + [music] * terms.music_cycles)
        if turn is None:
            self._leave_line(request, "timeout")
        return turn or "timeout"

    async def _hear_in_line(self, request: Request, sounds: list[str]) -> AgentsOffered | None:
        for sound in sounds:
            playback = self._play(sound)
            while playback.open and request.open:
                await _next_event()
            self._close(playback)
            if isinstance(request.answer, AgentsOffered):
                return request.answer
        return None

    async def ring(self, agents: Sequence[Agent], within_s: float) -> tuple[Leg | None, list[Outcome]]:
        """Ring all devices of these agents at once, for `within_s` seconds; the first to answer wins.

        The others stop ringing as answered elsewhere. A device that declines speaks for its person: that
        agent's other devices stop too.

        Returns:
            The leg that answered (or None), and how each agent's attempt ended, in the order given.
        """
        self._ring_caller()
        devices = {
            agent.user: [self._dial(agent.user, at, within_s) for at in agent.endpoints] for agent in agents
        }
        legs = [leg for several in devices.values() for leg in several]
        timer = self._timer(within_s)
        winner: Leg | None = None
        while winner is None and timer.open and any(leg.open for leg in legs):
            await _next_event()
            winner = next((leg for leg in legs if leg.up), None)
            for several in devices.values():
                if any(leg.cause == causes.CALL_REJECTED for leg in several):
                    for leg in several:
                        self._hang_up(leg, causes.CALL_REJECTED)
        self._close(timer)
        for leg in legs:
            if leg is not winner:
                self._hang_up(leg, causes.ANSWERED_ELSEWHERE if winner else causes.NO_ANSWER)
        self._stop_ringing()
        return winner, [self._settle(user, several, winner) for user, several in devices.items()]

    async def talk(self, agent: Leg, *, record: bool) -> None:
        """Let caller and agent talk until the agent hangs up."""
        self.answer()
        self.talked_to.append(agent.user)
        bridge = self._own(Bridge(self._id("bridge")))
        self.out += (
            commands.OpenBridge(bridge.id),
            commands.Join(bridge.id, CALLER),
            commands.Join(bridge.id, agent.id),
        )
        if record:
            self._recording("talk", bridge.id, user=agent.user)
        while agent.open and bridge.open:
            await _next_event()

    # What the machine does

    def begin(self, event: events.CallArrived) -> None:
        """Take the first event of the journal."""
        self.now = event.at
        self.number, self.caller, self._caller_name = event.number, event.caller, event.caller_name

    def absorb(self, event: Event) -> None:
        """Take note of an event: open things change here, before the state (which may be gone) is woken."""
        match event:
            case events.DigitPressed(leg=leg, digit=digit):
                if leg == CALLER and len(self._keys) < MAX_EARLY_KEYS:
                    self._keys.append(digit)
            case events.PlaybackEnded(playback=id, ok=ok):
                if self._ended(id, Playback) and not ok:
                    self.faults.append(f"{self.state}: sound not played")
            case events.TimerFired(timer=id):
                self._ended(id, Timer)
            case events.LegRinging(leg=id):
                if isinstance(leg_thing := self._things.get(id), Leg):
                    leg_thing.rang = True
            case events.LegAnswered(leg=id):
                self._answered(id)
            case events.LegHungUp(leg=id, cause=cause):
                self._hung_up(id, cause)
            case events.RecordingEnded():
                self._recorded(event)
            case events.AgentsOffered():
                self._offered(event)
            case events.LineJoined(request=id):
                if isinstance(request := self._things.get(id), Request):
                    request.joined = True
            case events.LineFull(request=id):
                request = self._things.get(id)
                if isinstance(request, Request) and request.for_place and not request.joined:
                    request.answer = "full"
                    self._drop(request)
            case events.CommandFailed(id=id, reason=reason):
                self._failed(id, reason)
            case events.CallKilled(reason=reason):
                if reason == "switch_lost":
                    self._lost()
            case events.CallArrived():
                pass
            case _:
                assert_never(event)

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

        What is still there then is asked to end once more, and the call is over for us.
        """
        if not self._things:
            return
        due = self.now + int(within_s * SECOND)
        timer = Timer(self._id("timer"))
        self._things[timer.id] = timer
        self.out.append(commands.SetTimer(timer.id, due))
        while timer.open and len(self._things) > 1:
            await _next_event()
        self._close(timer)
        for thing in list(self._things.values()):
            self.faults.append(f"{thing.id}: end not confirmed")
            if isinstance(thing, Leg):
                self.out.append(commands.HangUp(thing.id, causes.NORMAL))
            elif isinstance(thing, Recording):
                self.out.append(commands.DiscardRecording(thing.id))
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

    def _ended(self, id: str, kind: type[Thing]) -> bool:
        thing = self._things.get(id)
        if not isinstance(thing, kind):
            return False
        self._drop(thing)
        return True

    def _answered(self, id: str) -> None:
        leg = self._things.get(id)
        if not isinstance(leg, Leg) or leg.ours:
            return
        leg.up = True
        if id == CALLER and self.answered_at is None:
            self.answered_at = self.now

    def _hung_up(self, id: str, cause: int) -> None:
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
            keep = commands.KeepRecording(
                recording.id,
                recording.purpose,
                recording.state,
                event.duration_ms,
                recording.limit_s,
                recording.user,
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

    def _failed(self, id: str, reason: str) -> None:
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
