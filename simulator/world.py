"""The telephone world in virtual time: a heap of `(time, seq, what, of)`, and nothing else moves.

One world serves two operators: the engine in process (`simulator.switch`) and the fake ARI in real time. Both give
the same requests and are told the same happenings through an `Observer`. A request changes the world at once
(or `latency_us` later) and never calls back; what it led to is told from the loop, in order. Order and oddities
are those of Asterisk 22: wherever the two differ, this file is wrong.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, Final

from simulator.sounds import Sounds
from simulator.things import (
    CANCELLED,
    Bridge,
    Conflict,
    EndOfRecording,
    Gone,
    Leg,
    Observer,
    Phone,
    Playback,
    Recording,
    SoundLengths,
    Unreachable,
)

NORMAL: Final = 16
BUSY: Final = 17
NO_ANSWER: Final = 19
MONDAY_MORNING: Final = 1_767_603_600_000_000
"""2026-01-05 09:00:00 UTC, when simulated days begin."""
KEY_US: Final = 100_000
"""How long a pressed key sounds, and as long again until the next."""


class World:
    """Legs, sounds, recordings and bridges, and the time in which they change.

    Args:
        sounds: how long a sound lasts.
        latency_us: how long the switch takes to do what it is asked.
        key_us: how long a key sounds; 0 presses a whole string at one instant.
        start: the first instant, microseconds since the Unix epoch, UTC.
        seed: of the one source of chance; the same seed gives the same world.
    """

    def __init__(
        self,
        sounds: SoundLengths | None = None,
        *,
        latency_us: int = 1_000,
        key_us: int = KEY_US,
        start: int = MONDAY_MORNING,
        seed: int = 0,
    ) -> None:
        self.now = start
        self.random = Random(seed)  # noqa: S311 - chance in a play, not a secret
        self.observer: Observer = Observer()
        self.phones: dict[str, Phone] = {}
        """Telephones that can be dialled, by endpoint."""
        self.legs: dict[str, Leg] = {}
        self.playbacks: dict[str, Playback] = {}
        self.recordings: dict[str, Recording] = {}
        self.bridges: dict[str, Bridge] = {}
        self.stored: dict[str, Recording] = {}
        """Finished recordings, until they are discarded."""
        self._sounds: SoundLengths = sounds or Sounds()
        self._latency_us = latency_us
        self._key_us = key_us
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._seq = 0
        self._ready: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._arrivals = 0

    # Time

    def after(self, delay_us: int, what: Callable[[Any], None], of: Any) -> None:
        """Do `what(of)` later. It cannot be taken back: `what` looks whether it still matters."""
        self._seq += 1
        heappush(self._heap, (self.now + delay_us, self._seq, what, of))

    def at(self, due: int, what: Callable[[Any], None], of: Any) -> None:
        """Do `what(of)` at an instant; at once when that has passed."""
        self._seq += 1
        heappush(self._heap, (due if due > self.now else self.now, self._seq, what, of))

    def soon(self, what: Callable[..., None], *of: Any) -> None:
        """Do `what(*of)` at this instant, after everything that was told to happen before."""
        self._ready.append((what, of))

    @property
    def next_due(self) -> int | None:
        """When something will happen next; None when nothing ever will."""
        if self._ready:
            return self.now
        return self._heap[0][0] if self._heap else None

    def run(self, until: int | None = None) -> None:
        """Let everything happen that is due up to `until` (without: everything), and be at that instant then."""
        heap, ready = self._heap, self._ready
        last = (1 << 63) if until is None else until
        while True:
            while ready:
                tell, told = ready.popleft()
                tell(*told)
            if not heap or heap[0][0] > last:
                break
            self.now, _, what, of = heappop(heap)
            what(of)
        if until is not None and until > self.now:
            self.now = until

    # What telephones do

    def arrive(
        self, number: str, caller: str, phone: Phone, *, caller_name: str = "", leg_id: str = ""
    ) -> Leg:
        """Call a number of ours."""
        self._arrivals += 1
        leg = Leg(leg_id or f"in-{self._arrivals}", phone, inbound=True, created_at=self.now)
        leg.number, leg.caller, leg.caller_name = number, caller, caller_name
        self.legs[leg.id] = leg
        self._ready.append((self.observer.arrived, (leg,)))
        return leg

    def alert(self, leg: Leg) -> None:
        """A dialled telephone begins to ring."""
        if leg.open and not leg.rings and not leg.up:
            leg.rings = True
            self._ready.append((self.observer.leg_ringing, (leg,)))

    def pick_up(self, leg: Leg) -> None:
        """A dialled telephone is answered."""
        if leg.open and not leg.up and not leg.inbound:
            self._up(leg)

    def press(self, leg: Leg, keys: str) -> int:
        """Press keys in one breath; returns how long that takes, in microseconds."""
        key_us = self._key_us
        for place, key in enumerate(keys):
            self.after((2 * place + 1) * key_us, self._pressed, (leg, key))
        return 2 * key_us * len(keys)

    def talk(self, leg: Leg, talking: bool) -> None:
        """Begin or stop to talk."""
        leg.talking = talking
        self._audio_changed(leg)

    def send(self, leg: Leg, sending: bool) -> None:
        """Begin or stop to send any audio at all: a dead line sends none, not even silence."""
        leg.sending = sending
        self._audio_changed(leg)

    def leave(self, leg: Leg, cause: int = NORMAL) -> None:
        """The telephone ends the call, gives it up before the answer, or declines it with `cause`."""
        if leg.open:
            early = leg.inbound and not leg.up and cause == NORMAL
            self._end_leg(leg, CANCELLED if early else cause)

    def register(self, endpoint: str, registered: bool) -> None:
        """A telephone comes into reach, or goes out of it; calls it has stay."""
        self.phones[endpoint].registered = registered
        self._ready.append((self.observer.reachable, (endpoint, registered)))

    # What the switch is asked to do with legs

    def answer(self, leg_id: str) -> None:
        """Answer an inbound leg. Raises `Gone`."""
        self._later(self._answer_now, self._leg(leg_id))

    def ring(self, leg_id: str) -> None:
        """Let a leg hear ringing. Raises `Gone`."""
        self._leg(leg_id).ringing_tone = True

    def stop_ring(self, leg_id: str) -> None:
        """End the ringing a leg hears. Raises `Gone`."""
        self._leg(leg_id).ringing_tone = False

    def hang_up(self, leg_id: str, cause: int = NORMAL) -> None:
        """End a leg, or give up dialling it. Raises `Gone`."""
        leg = self._leg(leg_id)
        if not leg.leaving:
            leg.leaving = True
            leg.cause = cause
            self._later(self._hang_up_now, leg)

    def dial(
        self, leg_id: str, endpoint: str, *, caller: str = "", caller_name: str = "", timeout_us: int = 0
    ) -> Leg:
        """Ring a telephone; after `timeout_us` (0: never) the switch gives up with cause 19.

        Raises:
            Unreachable: nobody is registered there; no leg comes into being.
            Conflict: the id is in use.
        """
        if leg_id in self.legs:
            raise Conflict(f"there is a leg {leg_id} already")
        phone = self.phones.get(endpoint)
        if phone is None or not phone.registered:
            raise Unreachable(f"nobody is registered at {endpoint}")
        leg = Leg(leg_id, phone, inbound=False, created_at=self.now)
        leg.caller, leg.caller_name, leg.endpoint = caller, caller_name, endpoint
        self.legs[leg_id] = leg
        if timeout_us:
            self.after(timeout_us, self._give_up, leg)
        self._later(self._reach, leg)
        return leg

    # Sounds

    def play(self, playback_id: str, target_id: str, sound: str) -> Playback:
        """Play a sound to a leg or a bridge, after what is already running there. Raises `Gone`, `Conflict`."""
        target = self._target(target_id)
        if playback_id in self.playbacks:
            raise Conflict(f"there is a playback {playback_id} already")
        playback = self.playbacks[playback_id] = Playback(playback_id, target, sound)
        target.media.append(playback)
        if len(target.media) == 1:
            self._later(self._begin, playback)
        return playback

    def stop_play(self, playback_id: str) -> None:
        """Cut a sound short. Raises `Gone`."""
        playback = self.playbacks.get(playback_id)
        if playback is None:
            raise Gone(f"no playback {playback_id}")
        self._later(self._played, playback)

    # Recordings

    def record(
        self,
        recording_id: str,
        target_id: str,
        *,
        limit_us: int = 0,
        silence_us: int = 0,
        end_on: str = "",
    ) -> Recording:
        """Record a leg or a bridge; a leg's limit and silence run on the audio received from it.

        Args:
            recording_id: chosen by the caller.
            target_id: a leg or a bridge.
            limit_us: longest recording, 0 for no limit.
            silence_us: silence that ends it, 0 for none.
            end_on: the key that ends it, "any" for every key, "" for none.

        Raises:
            Gone: no such leg or bridge.
            Conflict: there is a recording with that id, running or stored.
        """
        target = self._target(target_id)
        if recording_id in self.recordings or recording_id in self.stored:
            raise Conflict(f"there is a recording {recording_id} already")
        recording = Recording(recording_id, target, limit_us, silence_us, end_on)
        self.recordings[recording_id] = recording
        if isinstance(target, Bridge):
            target.recordings.append(recording)
            self._later(self._begin, recording)
        else:
            target.media.append(recording)
            if len(target.media) == 1:
                self._later(self._begin, recording)
        return recording

    def stop_record(self, recording_id: str) -> None:
        """Complete a recording. Raises `Gone`."""
        self._later(self._recorded, self._live(recording_id))

    def drop_record(self, recording_id: str) -> None:
        """Stop a running recording and throw it away. Raises `Gone`."""
        recording = self._live(recording_id)
        self._recorded(recording)
        self.stored.pop(recording_id, None)

    def discard(self, recording_id: str) -> None:
        """Delete a stored recording. Raises `Gone`."""
        if self.stored.pop(recording_id, None) is None:
            raise Gone(f"no stored recording {recording_id}")

    # Bridges

    def open_bridge(self, bridge_id: str, *, dtmf_events: bool = False) -> Bridge:
        """Make an empty bridge; one that is there already is left as it is."""
        bridge = self.bridges.get(bridge_id)
        if bridge is None:
            bridge = self.bridges[bridge_id] = Bridge(bridge_id, dtmf_events=dtmf_events)
            self._ready.append((self.observer.bridge_opened, (bridge,)))
        return bridge

    def join(self, bridge_id: str, leg_id: str) -> None:
        """Put a leg into a bridge, out of the one it was in. Raises `Gone`; `Conflict` before it is answered."""
        bridge, leg = self._bridge(bridge_id), self._leg(leg_id)
        if leg.bridge is bridge:
            return
        if not leg.up and not leg.inbound:
            raise Conflict(f"leg {leg_id} is not answered")
        self._leave_bridge(leg)
        leg.bridge = bridge
        bridge.legs.append(leg)
        self._ready.append((self.observer.entered, (bridge, leg)))

    def part(self, bridge_id: str, leg_id: str) -> None:
        """Take a leg out of a bridge; it stays up. Raises `Gone`, `Conflict`."""
        bridge, leg = self._bridge(bridge_id), self._leg(leg_id)
        if leg.bridge is not bridge:
            raise Conflict(f"leg {leg_id} is not in bridge {bridge_id}")
        self._leave_bridge(leg)

    def close_bridge(self, bridge_id: str) -> None:
        """Destroy a bridge; the legs in it stay up, alone. Raises `Gone`."""
        bridge = self._bridge(bridge_id)
        bridge.open = False
        for leg in list(bridge.legs):
            self._leave_bridge(leg)
        for recording in list(bridge.recordings):
            self._recorded(recording, "bridge_empty")
        self._clear_media(bridge)
        del self.bridges[bridge_id]
        self._ready.append((self.observer.bridge_closed, (bridge,)))

    # Inside

    def _later(self, what: Callable[[Any], None], of: Any) -> None:
        if self._latency_us:
            self.after(self._latency_us, what, of)
        else:
            what(of)

    def _leg(self, leg_id: str) -> Leg:
        try:
            return self.legs[leg_id]
        except KeyError:
            raise Gone(f"no leg {leg_id}") from None

    def _bridge(self, bridge_id: str) -> Bridge:
        try:
            return self.bridges[bridge_id]
        except KeyError:
            raise Gone(f"no bridge {bridge_id}") from None

    def _live(self, recording_id: str) -> Recording:
        try:
            return self.recordings[recording_id]
        except KeyError:
            raise Gone(f"no running recording {recording_id}") from None

    def _target(self, target_id: str) -> Leg | Bridge:
        target = self.legs.get(target_id) or self.bridges.get(target_id)
        if target is None:
            raise Gone(f"no leg or bridge {target_id}")
        return target

    def _answer_now(self, leg: Leg) -> None:
        if leg.open and not leg.up:
            self._up(leg)

    def _up(self, leg: Leg) -> None:
        leg.up = True
        self._ready.append((self.observer.leg_answered, (leg,)))
        self._ready.append((leg.phone.answered, (leg,)))

    def _reach(self, leg: Leg) -> None:
        if leg.open and not leg.leaving:
            leg.phone.rings(leg)

    def _give_up(self, leg: Leg) -> None:
        if leg.open and not leg.up:
            self._end_leg(leg, NO_ANSWER)

    def _hang_up_now(self, leg: Leg) -> None:
        if leg.open:
            self._end_leg(leg, leg.cause)

    def _end_leg(self, leg: Leg, cause: int) -> None:
        """Asterisk's order: the request, then the ends of what ran on the leg, then the end of the leg."""
        leg.open = False
        leg.cause = cause
        del self.legs[leg.id]
        ready, observer = self._ready, self.observer
        ready.append((observer.leg_leaving, (leg, cause)))
        if leg.media:
            self._clear_media(leg)
        if leg.bridge is not None:
            self._leave_bridge(leg)
        ready.append((observer.leg_hung_up, (leg, cause)))
        ready.append((leg.phone.over, (leg, cause)))

    def _clear_media(self, target: Leg | Bridge) -> None:
        running = list(target.media)
        target.media.clear()
        for each in running:
            if isinstance(each, Recording):
                self._recorded(each, "hang_up")
            else:
                self._played(each, ok=False)

    def _pressed(self, pressed: tuple[Leg, str]) -> None:
        leg, key = pressed
        if not leg.open or not leg.up:
            return
        if leg.bridge is None or leg.bridge.dtmf_events:
            self._ready.append((self.observer.digit, (leg, key, self._key_us)))
        first = leg.media[0] if leg.media else None
        if isinstance(first, Recording) and first.started and first.end_on in (key, "any"):
            self._recorded(first, "key")

    def _begin(self, media: Playback | Recording) -> None:
        if not media.open or media.started:
            return
        if isinstance(media, Recording):
            self._begin_recording(media)
            return
        length_us = self._sounds(media.sound)
        if length_us is None:
            self._played(media, ok=False)
            return
        media.started = True
        self._ready.append((self.observer.playback_started, (media,)))
        if isinstance(media.target, Leg):
            self._ready.append((media.target.phone.hears, (media.target, media.sound)))
        self.after(length_us, self._played, media)

    def _played(self, playback: Playback, ok: bool = True) -> None:
        if not playback.open:
            return
        playback.open = False
        del self.playbacks[playback.id]
        self._ready.append((self.observer.playback_ended, (playback, ok)))
        target = playback.target
        if playback.started and isinstance(target, Leg):
            self._ready.append((target.phone.heard, (target, playback.sound)))
        self._next_media(target, playback)

    def _next_media(self, target: Leg | Bridge, done: Playback | Recording) -> None:
        media = target.media
        if not media:
            return
        if media[0] is not done:
            if done in media:
                media.remove(done)
            return
        media.popleft()
        if media:
            self._begin(media[0])

    def _begin_recording(self, recording: Recording) -> None:
        recording.started = True
        recording.since = self.now
        target = recording.target
        self._ready.append((self.observer.recording_started, (recording,)))
        if isinstance(target, Leg):
            recording.sending, recording.talking = target.sending, target.talking
        else:
            recording.sending = recording.talking = True
        self._watch(recording)

    def _audio_changed(self, leg: Leg) -> None:
        first = leg.media[0] if leg.media else None
        if isinstance(first, Recording) and first.started:
            self._account(first)
            first.sending, first.talking = leg.sending, leg.talking
            self._watch(first)

    def _account(self, recording: Recording) -> None:
        """Add the time since the last change, as what it was."""
        passed = self.now - recording.since
        recording.since = self.now
        if not recording.sending:
            return
        recording.received_us += passed
        if recording.talking:
            recording.talked_us += passed
            recording.quiet_us = 0
        else:
            recording.quiet_us += passed

    def _watch(self, recording: Recording) -> None:
        """Set the instant at which limit or silence will end this recording, if audio goes on as it is."""
        recording.deadline = 0
        if not recording.sending:
            return
        left = recording.limit_us - recording.received_us if recording.limit_us else None
        if recording.silence_us and not recording.talking:
            quiet_left = recording.silence_us - recording.quiet_us
            left = quiet_left if left is None else min(left, quiet_left)
        if left is not None:
            recording.deadline = self.now + max(left, 0)
            self.at(recording.deadline, self._recording_due, recording)

    def _recording_due(self, recording: Recording) -> None:
        if recording.open and recording.deadline == self.now:
            self._account(recording)
            at_limit = recording.limit_us and recording.received_us >= recording.limit_us
            self._recorded(recording, "limit" if at_limit else "silence")

    def _recorded(self, recording: Recording, by: EndOfRecording = "stopped") -> None:
        if not recording.open:
            return
        if recording.started:
            self._account(recording)
        recording.open = False
        recording.ended_by = by
        del self.recordings[recording.id]
        self.stored[recording.id] = recording
        self._ready.append((self.observer.recording_ended, (recording,)))
        target = recording.target
        if isinstance(target, Bridge):
            target.recordings.remove(recording)
        else:
            self._next_media(target, recording)

    def _leave_bridge(self, leg: Leg) -> None:
        bridge = leg.bridge
        if bridge is None:
            return
        leg.bridge = None
        bridge.legs.remove(leg)
        self._ready.append((self.observer.left, (bridge, leg)))
        if not bridge.legs:
            for recording in list(bridge.recordings):
                self._recorded(recording, "bridge_empty")
