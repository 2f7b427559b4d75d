"""What exists in the simulated world, and who watches it.

Legs, playbacks, recordings and bridges carry the ids their creator chose. `tag` belongs to whoever operates the
world (the switch in process, the fake ARI): they find their own bookkeeping there without a table.
"""

from typing import Any, Final, Literal, Protocol

CANCELLED: Final = 127
"""Cause of a caller's cancel before the answer, as Asterisk shows SIP CANCEL (tech_cause 487)."""
KEPT_SILENCE_US: Final = 200_000
"""What Asterisk leaves of the silence at the end of a recording that listens for silence."""

EndOfRecording = Literal["key", "silence", "limit", "hang_up", "stopped", "bridge_empty"]


class Refused(Exception):
    """The switch cannot do what was asked; nothing has changed. The text is the reason."""


class Gone(Refused):
    """The thing named does not exist (any more). ARI says 404."""


class Conflict(Refused):
    """The thing exists, but not in a state in which this is possible. ARI says 409."""


class Unreachable(Refused):
    """Nothing is registered at the endpoint: the dialling fails at once, with cause 20. ARI says 500."""


class Phone:
    """The far end of a leg: what a telephone notices. This one notices everything and does nothing."""

    registered = True
    """False: nobody is there, dialling fails at once."""

    def rings(self, leg: "Leg") -> None:
        """The switch rings this telephone. Until it says `World.alerts`, the switch has not heard it ring."""

    def answered(self, leg: "Leg") -> None:
        """The leg is up: the call this telephone made was answered, or it picked up itself."""

    def hears(self, leg: "Leg", sound: str) -> None:
        """A sound begins."""

    def heard(self, leg: "Leg", sound: str) -> None:
        """A sound ended, or was cut."""

    def over(self, leg: "Leg", cause: int) -> None:
        """The leg is gone, whoever ended it."""


class Leg:
    """A channel: the switch's end of one telephone's call. Instants are microseconds."""

    number = ""
    """Inbound: the called number."""
    caller = ""
    caller_name = ""
    endpoint = ""
    """Dialled: where."""
    up = False
    open = True
    leaving = False
    """The switch has begun to end this leg."""
    cause = 0
    ringing_tone = False
    sending = True
    """Audio is received from this telephone; a switch counts the length of recordings in it."""
    talking = False
    bridge: "Bridge | None" = None
    tag: Any = None

    def __init__(self, id: str, phone: Phone, *, inbound: bool, created_at: int) -> None:
        self.id = id
        self.phone = phone
        self.inbound = inbound
        self.created_at = created_at
        self.rings = inbound
        """The telephone at the far end rings (dialled), or hears ringing to come (inbound)."""
        self.media: list[Playback | Recording] = []
        """Sounds and recordings on this leg: one at a time, the first is running, the others wait for it."""

    def __repr__(self) -> str:
        return f"Leg({self.id!r})"


class Playback:
    """A sound played to a leg or a bridge."""

    open = True
    started = False
    tag: Any = None

    def __init__(self, id: str, target: "Leg | Bridge", sound: str) -> None:
        self.id = id
        self.target = target
        self.sound = sound


class Recording:
    """A recording, while it is made and afterwards. Durations are microseconds, 0 as limit means none."""

    open = True
    started = False
    ended_by: EndOfRecording = "stopped"
    received_us = 0
    talked_us = 0
    quiet_us = 0
    """Silence since somebody last talked."""
    since = 0
    """The instant up to which all this is counted."""
    sending = False
    talking = False
    paused = False
    """What is heard now is left out."""
    deadline = 0
    """When limit or silence will end it, if audio goes on as it is; 0: never."""
    tag: Any = None

    def __init__(self, id: str, target: "Leg | Bridge", limit_us: int, silence_us: int, end_on: str) -> None:
        self.id = id
        self.target = target
        self.limit_us = limit_us
        self.silence_us = silence_us
        self.end_on = end_on

    @property
    def duration_us(self) -> int:
        """Length of the sound kept: all that was received, less the silence it ended in (but for 0.2 s)."""
        tail_us = self.quiet_us - KEPT_SILENCE_US if self.silence_us else 0
        return self.received_us - tail_us if tail_us > 0 else self.received_us

    @property
    def talking_us(self) -> int | None:
        """The part that is not silence; known only when the recording listens for silence."""
        return self.talked_us if self.silence_us else None


class Bridge:
    """Legs that hear each other. Without `dtmf_events` the keys pressed inside are not reported."""

    open = True
    tag: Any = None

    def __init__(self, id: str, *, dtmf_events: bool) -> None:
        self.id = id
        self.dtmf_events = dtmf_events
        self.legs: list[Leg] = []
        self.media: list[Playback | Recording] = []
        """Sounds, one after another."""
        self.recordings: list[Recording] = []


class Observer:
    """Who operates the switch is told here, in order, from the world's loop and never from inside a request.

    A class of its own to be overridden where it matters; what is not overridden is not listened to.
    """

    def arrived(self, leg: Leg) -> None:
        """A call came in and waits to be answered."""

    def leg_ringing(self, leg: Leg) -> None:
        """A dialled telephone rings."""

    def leg_answered(self, leg: Leg) -> None:
        """A leg is up."""

    def leg_leaving(self, leg: Leg, cause: int) -> None:
        """The end of a leg was asked for, by its telephone or by us; what runs on it is about to end."""

    def leg_hung_up(self, leg: Leg, cause: int) -> None:
        """A leg is gone; the last thing heard of it."""

    def digit(self, leg: Leg, digit: str, duration_us: int) -> None:
        """A key was pressed; told at its end."""

    def playback_started(self, playback: Playback) -> None:
        """A sound begins. One that cannot be played never does."""

    def playback_ended(self, playback: Playback, ok: bool) -> None:
        """A sound ended or was stopped (ok), or could not be played to its end (not ok)."""

    def recording_started(self, recording: Recording) -> None:
        """A recording begins."""

    def recording_ended(self, recording: Recording) -> None:
        """A recording is complete: see its `duration_us`, `talking_us`, `ended_by`."""

    def bridge_opened(self, bridge: Bridge) -> None:
        """A bridge is there."""

    def bridge_closed(self, bridge: Bridge) -> None:
        """A bridge is gone."""

    def entered(self, bridge: Bridge, leg: Leg) -> None:
        """A leg entered a bridge."""

    def left(self, bridge: Bridge, leg: Leg) -> None:
        """A leg left a bridge; the other leg stays in it."""

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """A telephone registered, or went out of reach."""


class SoundLengths(Protocol):
    """How long a sound lasts."""

    def __call__(self, sound: str, /) -> int | None:
        """Microseconds, or None for a sound that cannot be played."""
