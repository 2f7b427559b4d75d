"""Recordings: what was audible when, and the WAV file a person can listen to.

The world counts how long somebody was heard; here it is kept when, so that the file has silence where nobody spoke
and a tone of 400 Hz where somebody did.
"""

import math
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simulator.fake_ari.rest import Refused
from simulator.things import Bridge, Gone, Leg, Recording

if TYPE_CHECKING:
    from simulator.fake_ari.exchange import Exchange

RATE: Final = 8_000
SECOND: Final = 1_000_000
SPEECH_HZ: Final = 400
LOUDNESS: Final = 8_000
CHUNK: Final = RATE
"""Samples that are made at a time; a whole number of waves of the tone, so that chunks join without a click."""
FORMATS: Final = frozenset({"wav", "ulaw", "alaw", "gsm", "sln", "wav16", "g722"})
"""What may be asked for. All are stored as WAV."""
IN_BRIDGE: Final = "Cannot record channel while in bridge"

Segment = tuple[int, bool]
"""Microseconds, and whether somebody spoke."""

_TONE: Final = array(
    "h", (round(LOUDNESS * math.sin(2 * math.pi * SPEECH_HZ * i / RATE)) for i in range(CHUNK))
)
_SILENCE: Final = array("h", bytes(2 * CHUNK))


@dataclass(slots=True)
class Take:
    """A recording under way."""

    name: str
    format: str
    target: str
    state: str = "queued"
    cause: str = ""
    muted: bool = False
    thrown_away: bool = False
    before: list[Segment] = field(default_factory=list)
    """What it is appended to."""
    trace: list[tuple[int, bool, bool]] = field(default_factory=list)
    """Instant, whether audio came in, whether somebody spoke, from then on."""

    def json(self) -> dict[str, Any]:
        """The recording as ARI shows it."""
        shown = {"name": self.name, "format": self.format, "state": self.state, "target_uri": self.target}
        return shown | ({"cause": self.cause} if self.cause else {})

    def segments(self, ended_at: int, cut_us: int) -> list[Segment]:
        """What was heard, in order, without the last `cut_us`."""
        until = [*(at for at, _, _ in self.trace), ended_at][1:]
        found = [
            (end - at, talking)
            for (at, sending, talking), end in zip(self.trace, until, strict=True)
            if sending
        ]
        left_us = sum(us for us, _ in found) - cut_us
        kept: list[Segment] = []
        for us, talking in found:
            taken_us = min(us, left_us)
            left_us -= taken_us
            if taken_us > 0:
                kept.append((taken_us, talking))
        return kept


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording that is complete."""

    name: str
    format: str
    segments: tuple[Segment, ...]

    @property
    def length_us(self) -> int:
        """How long it is."""
        return sum(us for us, _ in self.segments)

    def json(self) -> dict[str, Any]:
        """The recording as ARI shows it."""
        return {"name": self.name, "format": self.format}

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return 44 + 2 * sum(_samples(us) for us, _ in self.segments)

    def file(self) -> Iterator[bytes]:
        """The WAV file in pieces: 8 kHz, 16 bit, mono."""
        data = self.size - 44
        yield struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF",
            36 + data,
            b"WAVE",
            b"fmt ",
            16,
            1,
            1,
            RATE,
            2 * RATE,
            2,
            16,
            b"data",
            data,
        )
        for us, talking in self.segments:
            source = _TONE if talking else _SILENCE
            left = _samples(us)
            while left > 0:
                yield source[: min(left, CHUNK)].tobytes()
                left -= CHUNK


def _durations(recording: Recording, segments: list[Segment]) -> dict[str, int]:
    """Whole seconds, counted as oddly as Asterisk does.

    Who listens for silence is told how long somebody talked as the length of the whole; and silence that ended the
    recording counts as a second of talk when there was none.
    """
    if not recording.silence_us:
        return {"duration": sum(us for us, _ in segments) // SECOND}
    talked_s = recording.talked_us // SECOND
    if recording.ended_by == "silence":
        talked_s = max(1, talked_s)
    return {"duration": talked_s, "talking_duration": talked_s, "silence_duration": 0}


def _samples(us: int) -> int:
    return us * RATE // SECOND


class Recorder:
    """Makes and keeps recordings of one exchange."""

    def __init__(self, exchange: "Exchange") -> None:
        self.stored: dict[str, Stored] = {}
        self._exchange = exchange
        self._world = exchange.world
        self._takes: dict[str, Take] = {}

    def live(self, name: str) -> Take:
        """A recording under way. Raises `Refused` (404)."""
        take = self._takes.get(name)
        if take is None:
            raise Refused(404, "Recording not found")
        return take

    def find(self, name: str) -> Stored:
        """A stored recording. Raises `Refused` (404)."""
        stored = self.stored.get(name)
        if stored is None:
            raise Refused(404, "Recording not found")
        return stored

    def length(self, name: str) -> int | None:
        """Microseconds of a stored recording, None when there is none."""
        stored = self.stored.get(name)
        return stored.length_us if stored else None

    def begin(
        self, take: Take, target_id: str, if_exists: str, limit_us: int, silence_us: int, end_on: str
    ) -> None:
        """Begin to record, when it is the recording's turn. Raises `Refused` (409), `Gone`."""
        name = take.name
        if name in self._takes or (if_exists == "fail" and name in self.stored):
            raise Refused(409, f"Recording '{name}' already exists and can not be overwritten")
        made = self._world.record(name, target_id, limit_us=limit_us, silence_us=silence_us, end_on=end_on)
        if if_exists == "append" and name in self.stored:
            take.before = list(self.stored[name].segments)
        made.tag = take
        self._takes[name] = take

    def fail(self, take: Take, cause: str) -> None:
        """Tell of a recording that cannot be."""
        take.state, take.cause = "failed", cause
        self._tell("RecordingFailed", take)

    def stop(self, name: str, throw_away: bool) -> None:
        """Complete a recording, or give it up. Raises `Refused` (404)."""
        take = self.live(name)
        take.thrown_away = throw_away
        try:
            (self._world.drop_record if throw_away else self._world.stop_record)(name)
        except Gone:
            raise Refused(404, "Recording not found") from None

    def pause(self, name: str, paused: bool) -> None:
        """Keep what comes now out of the recording, or take it in again. Raises `Refused` (404, 409)."""
        take = self.running(name)
        take.state = "paused" if paused else "recording"
        (self._world.pause_record if paused else self._world.resume_record)(name)
        self._mark(self._world.recordings[name])

    def mute(self, name: str, muted: bool) -> None:
        """Record silence instead of what is said, or what is said again. Raises `Refused` (404, 409)."""
        self.running(name).muted = muted
        self._mark(self._world.recordings[name])

    def running(self, name: str) -> Take:
        """A recording that has begun. Raises `Refused` (404, 409)."""
        take = self.live(name)
        if take.state == "queued":
            raise Refused(409, "Recording not in session")
        return take

    # What the world reports

    def audio_changed(self, leg: Leg) -> None:
        """A leg began or stopped to talk or to send, or came into or out of a bridge."""
        for recording in self._world.recordings.values():
            if recording.started and (recording.target is leg or recording.target is leg.bridge):
                self._mark(recording)

    def bridge_changed(self, bridge: Bridge) -> None:
        """The legs of a bridge are others now."""
        for recording in bridge.recordings:
            if recording.started:
                self._mark(recording)

    def started(self, recording: Recording) -> None:
        """A recording begins."""
        take: Take = recording.tag
        take.state = "recording"
        self._mark(recording)
        self._tell("RecordingStarted", take)

    def ended(self, recording: Recording) -> None:
        """A recording is complete."""
        take: Take = recording.tag
        if not recording.started:
            take.state = "recording"
            self._tell("RecordingStarted", take)  # Asterisk begins it, were it only to end it
        self._takes.pop(take.name, None)
        self._world.stored.pop(recording.id, None)
        segments = take.segments(self._world.now, recording.received_us - recording.duration_us)
        if not take.thrown_away:
            self.stored[take.name] = Stored(take.name, take.format, (*take.before, *segments))
        take.state = "done"
        self._tell("RecordingFinished", take, _durations(recording, segments))

    # Inside

    def _mark(self, recording: Recording) -> None:
        take: Take = recording.tag
        target = recording.target
        if isinstance(target, Bridge):
            sending, talking = True, any(leg.talking for leg in target.legs)
        else:
            sending, talking = target.sending, target.talking
        take.trace.append((self._world.now, sending and take.state != "paused", talking and not take.muted))

    def _tell(self, kind: str, take: Take, more: dict[str, Any] | None = None) -> None:
        self._exchange.tell_of_target(kind, take.target, {"recording": take.json() | (more or {})})
