"""The Switch port over the simulated world, in process: commands in, events out, no JSON in between."""

import io
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from flowengine.call import causes, commands, events
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import CALLER, SECOND, Event
from flowengine.ports import Arrival, RecordingMissing, SwitchListener
from simulator.things import Gone, Leg, Observer, Playback, Recording, Refused, Unreachable
from simulator.world import World

SAMPLE_RATE: Final = 8_000
ONE_CHUNK_S: Final = 10


class Line:
    """An adopted call: where its short ids are found in the world."""

    __slots__ = ("call", "caller", "prefix")

    def __init__(self, call: str, caller: str) -> None:
        self.call = call
        self.caller = caller
        self.prefix = call + "."

    def leg(self, short: str) -> str:
        """Give the world's id of a leg."""
        return self.caller if short == CALLER else self.prefix + short


class WorldSwitch(Observer):
    """One operator of one world. Things of the world carry `(call, short id)` as their tag."""

    def __init__(self, world: World, listener: SwitchListener) -> None:
        self.world = world
        world.observer = self
        self._listener = listener
        self._tell = listener.happened
        self._lines: dict[str, Line] = {}
        self.handlers: dict[type, Callable[[Line, Any], None]] = {
            commands.Answer: self._answer,
            commands.Ring: self._ring,
            commands.StopRing: self._stop_ring,
            commands.HangUp: self._hang_up,
            commands.Dial: self._dial,
            commands.Play: self._play,
            commands.StopPlay: self._stop_play,
            commands.Record: self._record,
            commands.StopRecord: self._stop_record,
            commands.PauseRecord: self._pause_record,
            commands.ResumeRecord: self._resume_record,
            commands.OpenBridge: self._open_bridge,
            commands.Join: self._join,
            commands.CloseBridge: self._close_bridge,
        }
        """What `perform` does with each kind of command."""

    # The port

    def adopt(self, arrival: Arrival, call: str) -> None:
        """From now on this inbound leg is the caller of `call`. One that is gone already has hung up."""
        self.take(Line(call, arrival.channel))

    def take(self, line: Line) -> None:
        """Adopt with a line of the listener's own, which may then call the handlers itself."""
        self._lines[line.call] = line
        leg = self.world.legs.get(line.caller)
        if leg is not None:
            leg.tag = (line.call, CALLER)
        else:
            self._gone(line, CALLER)

    def reject(self, arrival: Arrival, cause: int) -> None:
        """End an inbound leg before it is answered."""
        if arrival.channel in self.world.legs:
            self.world.hang_up(arrival.channel, cause)

    def perform(self, call: str, commands: Sequence[SwitchCommand]) -> None:
        """Carry out commands in this order; what fails comes back as an event."""
        line = self._lines.get(call)
        if line is not None:
            do = self.handlers
            for command in commands:
                do[type(command)](line, command)

    def release(self, call: str) -> None:
        """Forget a call that is done; what is still told of it goes nowhere."""
        self._lines.pop(call, None)

    async def fetch(self, call: str, recording: str) -> AsyncIterator[bytes]:
        """Read a finished recording: as much silence as it is long, as a WAV file."""
        stored = self.world.stored.get(f"{call}.{recording}")
        if stored is None:
            raise RecordingMissing(recording)
        yield silence(stored.duration_us)

    async def discard(self, call: str, recording: str) -> None:
        """Delete a finished recording; one that is not there is deleted already."""
        self.world.stored.pop(f"{call}.{recording}", None)

    # Commands

    def _answer(self, line: Line, command: commands.Answer) -> None:
        leg_id = line.leg(command.leg)
        if leg_id in self.world.legs:
            self.world.answer(leg_id)
        else:
            self._gone(line, command.leg)

    def _ring(self, line: Line, command: commands.Ring) -> None:
        self._ringing_tone(line, command.leg, True)

    def _stop_ring(self, line: Line, command: commands.StopRing) -> None:
        self._ringing_tone(line, command.leg, False)

    def _ringing_tone(self, line: Line, short: str, on: bool) -> None:
        leg = self.world.legs.get(line.leg(short))
        if leg is not None:
            leg.ringing_tone = on
        else:
            self._gone(line, short)

    def _hang_up(self, line: Line, command: commands.HangUp) -> None:
        leg_id = line.leg(command.leg)
        if leg_id in self.world.legs:  # else it is done, and was told
            self.world.hang_up(leg_id, command.cause)

    def _dial(self, line: Line, command: commands.Dial) -> None:
        try:
            leg = self.world.dial(
                line.prefix + command.leg,
                command.endpoint,
                caller=command.caller,
                caller_name=command.caller_name,
                timeout_us=int(command.timeout_s * SECOND),
            )
        except Unreachable:
            absent = events.LegHungUp(self.world.now, command.leg, causes.SUBSCRIBER_ABSENT)
            self._tell_soon(line.call, absent)
        except Refused:
            pass  # the same id is the same leg: it is being dialled
        else:
            leg.tag = (line.call, command.leg)

    def _play(self, line: Line, command: commands.Play) -> None:
        playback_id = line.prefix + command.playback
        if playback_id in self.world.playbacks:
            return  # the same id is the same sound: it is being played
        try:
            playback = self.world.play(playback_id, line.leg(command.leg), command.sound)
        except Refused as refused:
            if isinstance(refused, Gone):
                self._gone(line, command.leg)
            self._tell_soon(line.call, events.PlaybackEnded(self.world.now, command.playback, False))
        else:
            playback.tag = (line.call, command.playback)

    def _stop_play(self, line: Line, command: commands.StopPlay) -> None:
        playback_id = line.prefix + command.playback
        if playback_id in self.world.playbacks:
            self.world.stop_play(playback_id)

    def _record(self, line: Line, command: commands.Record) -> None:
        recording_id = line.prefix + command.recording
        if recording_id in self.world.recordings or recording_id in self.world.stored:
            return  # the same id is the same recording: it is being made, or is there
        try:
            recording = self.world.record(
                recording_id,
                line.leg(command.on),
                limit_us=int(command.limit_s * SECOND),
                silence_us=int(command.silence_s * SECOND),
                end_on=command.end_on,
            )
        except Refused:
            failed = events.RecordingEnded(self.world.now, command.recording, 0, ok=False)
            self._tell_soon(line.call, failed)
        else:
            recording.tag = (line.call, command.recording)

    def _stop_record(self, line: Line, command: commands.StopRecord) -> None:
        recording_id = line.prefix + command.recording
        if recording_id in self.world.recordings:
            self.world.stop_record(recording_id)

    def _pause_record(self, line: Line, command: commands.PauseRecord) -> None:
        recording_id = line.prefix + command.recording
        if recording_id in self.world.recordings:
            self.world.pause_record(recording_id)

    def _resume_record(self, line: Line, command: commands.ResumeRecord) -> None:
        recording_id = line.prefix + command.recording
        if recording_id in self.world.recordings:
            self.world.resume_record(recording_id)

    def _open_bridge(self, line: Line, command: commands.OpenBridge) -> None:
        self.world.open_bridge(line.prefix + command.bridge).tag = (line.call, command.bridge)

    def _join(self, line: Line, command: commands.Join) -> None:
        leg_id = line.leg(command.leg)
        if leg_id not in self.world.legs:
            self._gone(line, command.leg)
            return
        try:
            self.world.join(line.prefix + command.bridge, leg_id)
        except Refused as refused:
            failed = events.CommandFailed(self.world.now, command.bridge, str(refused))
            self._tell_soon(line.call, failed)

    def _close_bridge(self, line: Line, command: commands.CloseBridge) -> None:
        bridge_id = line.prefix + command.bridge
        if bridge_id in self.world.bridges:
            self.world.close_bridge(bridge_id)

    def _gone(self, line: Line, leg: str) -> None:
        """A command to a leg that is not there is answered with the leg's end; told twice, it does no harm."""
        self._tell_soon(line.call, events.LegHungUp(self.world.now, leg, causes.NORMAL))

    # Happenings

    def arrived(self, leg: Leg) -> None:
        """Report an inbound leg."""
        self._listener.arrived(Arrival(leg.id, leg.number, leg.caller, leg.caller_name))

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """Report a telephone in or out of reach."""
        self._listener.reachable(endpoint, is_reachable)

    def leg_ringing(self, leg: Leg) -> None:
        """Report it to the call."""
        call, name = leg.tag
        self._tell(call, events.LegRinging(self.world.now, name))

    def leg_answered(self, leg: Leg) -> None:
        """Report it to the call."""
        if leg.tag is not None:
            call, name = leg.tag
            self._tell(call, events.LegAnswered(self.world.now, name))

    def leg_leaving(self, leg: Leg, cause: int) -> None:
        """Report a caller who hangs up at once, before what that cuts short: the call must not go on with it."""
        if leg.inbound and not leg.leaving:
            self.leg_hung_up(leg, cause)
            leg.tag = None

    def leg_hung_up(self, leg: Leg, cause: int) -> None:
        """Report it to the call, if a call has adopted the leg."""
        if leg.tag is not None:
            call, name = leg.tag
            self._tell(call, events.LegHungUp(self.world.now, name, cause))

    def digit(self, leg: Leg, digit: str, duration_us: int) -> None:  # noqa: ARG002 - the port's signature
        """Report it to the call."""
        if leg.tag is not None:
            call, name = leg.tag
            self._tell(call, events.DigitPressed(self.world.now, name, digit))

    def playback_ended(self, playback: Playback, ok: bool) -> None:
        """Report it to the call."""
        call, name = playback.tag
        self._tell(call, events.PlaybackEnded(self.world.now, name, ok))

    def recording_ended(self, recording: Recording) -> None:
        """Report it to the call."""
        call, name = recording.tag
        talking_us = recording.talking_us
        self._tell(
            call,
            events.RecordingEnded(
                self.world.now,
                name,
                recording.duration_us // 1_000,
                True,
                None if talking_us is None else talking_us // 1_000,
            ),
        )

    def _tell_soon(self, call: str, event: Event) -> None:
        self.world.soon(self._tell, call, event)


def silence(length_us: int) -> bytes:
    """A WAV file of silence: 8 kHz, 16 bit, mono."""
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(bytes(2 * (length_us * SAMPLE_RATE // SECOND)))
    return made.getvalue()
