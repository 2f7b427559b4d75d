"""The telephone world in virtual time: a heap of `(time, seq, what, of)`, and nothing else moves.

One world serves two operators: the engine in process (`simulator.switch`) and the fake ARI in real time. Both give
the same requests and are told the same happenings through an `Observer`. A request changes the world at once
(or `latency_us` later) and never calls back; what it led to is told from the loop, in order. Order and oddities
are those of Asterisk 22: wherever the two differ, this file is wrong.
"""

from random import Random
from typing import Final

from simulator.media import Media
from simulator.things import (
    CANCELLED,
    Bridge,
    Conflict,
    Gone,
    Leg,
    Phone,
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


class World(Media):
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
        super().__init__(sounds, start, latency_us)
        self.random = Random(seed)  # noqa: S311 - chance in a play, not a secret
        self.phones: dict[str, Phone] = {}
        """Telephones that can be dialled, by endpoint."""
        self._key_us = key_us
        self._arrivals = 0

    # What telephones do

    def arrive(
        self, number: str, caller: str, phone: Phone, *, caller_name: str = "", leg_id: str = ""
    ) -> Leg:
        """Call a number of ours."""
        self._arrivals += 1
        leg = Leg(leg_id or f"in-{self._arrivals}", phone, inbound=True, created_at=self.now)
        leg.number, leg.caller, leg.caller_name = number, caller, caller_name
        self.legs[leg.id] = leg
        self._ready.append((self._observer.arrived, (leg,)))
        return leg

    def alert(self, leg: Leg) -> None:
        """A dialled telephone begins to ring."""
        if leg.open and not leg.rings and not leg.up:
            leg.rings = True
            self._ready.append((self._observer.leg_ringing, (leg,)))

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
        self._ready.append((self._observer.reachable, (endpoint, registered)))

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

    # Bridges

    def open_bridge(self, bridge_id: str, *, dtmf_events: bool = False) -> Bridge:
        """Make an empty bridge; one that is there already is left as it is."""
        bridge = self.bridges.get(bridge_id)
        if bridge is None:
            bridge = self.bridges[bridge_id] = Bridge(bridge_id, dtmf_events=dtmf_events)
            self._ready.append((self._observer.bridge_opened, (bridge,)))
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
        self._ready.append((self._observer.entered, (bridge, leg)))

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
        self._ready.append((self._observer.bridge_closed, (bridge,)))

    # Inside

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

    def _answer_now(self, leg: Leg) -> None:
        if leg.open and not leg.up:
            self._up(leg)

    def _up(self, leg: Leg) -> None:
        leg.up = True
        self._ready.append((self._observer.leg_answered, (leg,)))
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
        ready, observer = self._ready, self._observer
        if self._tells_leaving:
            ready.append((observer.leg_leaving, (leg, cause)))
        if leg.media:
            self._clear_media(leg)
        if leg.bridge is not None:
            self._leave_bridge(leg)
        ready.append((observer.leg_hung_up, (leg, cause)))
        ready.append((leg.phone.over, (leg, cause)))

    def _pressed(self, pressed: tuple[Leg, str]) -> None:
        leg, key = pressed
        if not leg.open or not leg.up:
            return
        if leg.bridge is None or leg.bridge.dtmf_events:
            self._ready.append((self._observer.digit, (leg, key, self._key_us)))
        first = leg.media[0] if leg.media else None
        if isinstance(first, Recording) and first.started and first.end_on in (key, "any"):
            self._recorded(first, "key")

    def _leave_bridge(self, leg: Leg) -> None:
        bridge = leg.bridge
        if bridge is None:
            return
        leg.bridge = None
        bridge.legs.remove(leg)
        self._ready.append((self._observer.left, (bridge, leg)))
        if not bridge.legs:
            for recording in list(bridge.recordings):
                self._recorded(recording, "bridge_empty")
