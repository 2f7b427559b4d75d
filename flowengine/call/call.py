"""The port a state sees: one live call, told in the words of telephony.

A call owns every open thing (`Holding`). A state opens them by awaiting these methods and never closes them: the
machine calls `close_open` when the state is left, by whatever way. There is no clock and no task in here; `await`
means "until the machine feeds the next event".
"""

from collections.abc import Sequence
from typing import Final, Literal

from flowengine.call import causes, commands
from flowengine.call.absorbing import Absorbing
from flowengine.call.causes import Outcome
from flowengine.call.events import CALLER, Agent, AgentsOffered
from flowengine.call.holding import next_event
from flowengine.call.things import Bridge, Leg, Recording, Request
from flowengine.flow.document import GroupTransfer, UserTransfer, WaitingLine

HOLD_MUSIC: Final = "builtin:hold-music"
BEEP: Final = "tone:beep"


class CallEnds(BaseException):
    """Thrown at the await of a state when the call is over: hang-up, kick, no credit. No state catches it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Call(Absorbing):
    """One call, as a state may use it. The machine feeds it and closes what a state leaves open."""

    def answer(self) -> None:
        """Answer the caller, unless done already. Minutes are owed from the caller's LegAnswered on."""
        if not self._answering:
            self._answering = True
            self._ringing = False
            self.out.append(commands.Answer(CALLER))

    async def play(self, sound: str) -> bool:
        """Play a sound key to the caller, to its end. False: it could not be played."""
        playback = self._play(sound)
        while playback.open:
            await next_event()
        return playback.ok

    async def tell_of_recording(self, sound: str) -> None:
        """Play words that tell the caller of the recording. If they cannot be played, talks are not recorded."""
        self._untold = not await self.play(sound)

    async def key_after(self, sound: str, within_s: float) -> str | None:
        """Play a prompt and take one key: pressed before it, into it (which cuts it), or soon after it.

        Returns:
            The key, or None when `within_s` seconds passed after the prompt ended without one.
        """
        if not self._keys:
            playback = self._play(sound)
            while playback.open and not self._keys:
                await next_event()
            self._close(playback)
        if not self._keys:
            timer = self._timer(within_s)
            while timer.open and not self._keys:
                await next_event()
            self._close(timer)
        return self._keys.popleft() if self._keys else None

    async def room_for_message(self, limit_s: float) -> Recording | None:
        """A message of up to `limit_s` seconds that may now be recorded; None when the storage plan is used up."""
        message = self._room("voicemail", limit_s=limit_s)
        while message.open and not message.granted:
            await next_event()
        return message if message.granted else None

    async def refuse_message(self) -> None:
        """Say that no message can be taken now. Keys pressed into these words are not for a later menu."""
        await self.play(self.manner.phrase("mailbox-full"))
        self._keys.clear()

    async def record_message(self, message: Recording, silence_s: float) -> Literal["limit", "ended"]:
        """Record the caller until `#`, silence, or the message's limit; a hang-up ends and keeps it, too.

        The limit is set on the switch and here: the switch's own runs on received audio only, so a caller who
        sends none would never reach it. Keys pressed into the message are not for a later menu.
        """
        if not message.ready:
            self._keys.clear()
            return "ended"
        self._begin_recording(message, CALLER, silence_s=silence_s, end_on="#")
        timer = self._timer(message.limit_s)
        while message.open and timer.open:
            await next_event()
        at_limit = not timer.open or message.duration_ms >= message.limit_s * 1000
        self._close(timer)
        self._close(message)
        while message.open:
            await next_event()
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
            await next_event()
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
            await next_event()
        if request.answer is not None:
            return request.answer
        self.answer()
        if terms.notice:
            await self._hear_in_line(request, terms.notice.sound(self.manner))
        music = terms.music.sound(self.manner) if terms.music else HOLD_MUSIC
        for _ in range(terms.music_cycles):
            for announcement in terms.announcements(self.manner, request.position, request.wait_s):
                await self._hear_in_line(request, announcement)
            await self._hear_in_line(request, music)
            if not request.open:
                break
        else:
            self._leave_line(request, "timeout")
        return request.answer or "timeout"

    async def _hear_in_line(self, request: Request, sound: str) -> None:
        """Play a sound to its end, or until it is this caller's turn."""
        if not request.open:
            return
        playback = self._play(sound)
        while playback.open and request.open:
            await next_event()
        self._close(playback)

    async def ring(self, agents: Sequence[Agent], within_s: float) -> tuple[Leg | None, list[Outcome]]:
        """Ring all devices of these agents at once, for `within_s` seconds; the first to answer wins.

        The others stop ringing as answered elsewhere. A device that declines speaks for its person: that
        agent's other devices stop too.

        Returns:
            The leg that answered (or None), and how each agent's attempt ended, in the order given.
        """
        self._ring_caller()
        self.out += [commands.AgentRings(agent.user, within_s) for agent in agents]
        devices = {
            agent.user: [self._dial(agent.user, at, within_s) for at in agent.endpoints] for agent in agents
        }
        legs = [leg for several in devices.values() for leg in several]
        timer = self._timer(within_s)
        winner: Leg | None = None
        ringing = bool(legs)
        while winner is None and timer.open and ringing:
            await next_event()
            ringing = False
            for leg in legs:
                ringing = ringing or leg.open
                if leg.up:
                    winner = winner or leg
                if leg.cause == causes.CALL_REJECTED:
                    for other in devices[leg.user]:
                        self._hang_up(other, causes.CALL_REJECTED)
        self._close(timer)
        for leg in legs:
            if leg is not winner:
                self._hang_up(leg, causes.ANSWERED_ELSEWHERE if winner else causes.NO_ANSWER)
        self._stop_ringing()
        return winner, [self._settle(user, several, winner) for user, several in devices.items()]

    async def notify_of_recording(self, node: UserTransfer | GroupTransfer) -> None:
        """Tell the caller that the talk will be recorded, if it will be and the state has words for it."""
        if node.record and node.recording_notice:
            self.answer()
            await self.tell_of_recording(node.recording_notice.sound(self.manner))

    async def talk(self, agent: Leg, node: UserTransfer | GroupTransfer) -> None:
        """Let caller and agent talk until the agent hangs up, recorded if the state says so and there is room.

        A recording that is paused before it began begins when it is resumed.
        """
        self.answer()
        self.talked_to.append(agent.user)
        bridge = self._own(Bridge(self._id("bridge")))
        self.out += (
            commands.OpenBridge(bridge.id),
            commands.Join(bridge.id, CALLER),
            commands.Join(bridge.id, agent.id),
        )
        recording = None
        if node.record and self._untold:
            self.faults.append(f"{self.state}: not recorded, the caller could not be told of it")
        elif node.record:
            recording = self._room("talk", user=agent.user)
        sides = (CALLER, agent.id) if node.recording_sides == "apart" else ()
        while agent.open and bridge.open:
            if recording is not None and recording.ready and not self._paused:
                self._begin_recording(recording, bridge.id, sides=sides)
            await next_event()
