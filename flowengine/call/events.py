"""What happened: the only way anything reaches a call.

Events are immutable, are journaled as they stand, and a call is rebuilt by feeding them again. Ids of legs,
playbacks, recordings, bridges, timers and requests are the call's own short ids ("caller", "leg-1",
"play-3"); a switch puts the call's id in front of them. `at` is an instant: whole microseconds since the Unix
epoch, UTC.
"""

from typing import Final, Literal

import msgspec

Instant = int
"""Whole microseconds since the Unix epoch, UTC."""

SECOND: Final = 1_000_000
CALLER: Final = "caller"
"""The id of the inbound leg, the same in every call."""


class Agent(msgspec.Struct, frozen=True, gc=False):
    """A person who may be rung: the user's name and the dialable endpoints of that user's devices."""

    user: str
    endpoints: tuple[str, ...]


class _Event(msgspec.Struct, frozen=True, tag_field="type", gc=False):
    at: Instant


class CallArrived(_Event, frozen=True, tag="call_arrived", gc=False):
    """An inbound call; the first event of every journal. `version` is the sha256 of the flow it runs."""

    number: str
    caller: str
    version: str
    caller_name: str = ""


class LegRinging(_Event, frozen=True, tag="leg_ringing", gc=False):
    """A dialled device rings."""

    leg: str


class LegAnswered(_Event, frozen=True, tag="leg_answered", gc=False):
    """A leg is up: a dialled device was picked up, or our answer to the caller took effect."""

    leg: str


class LegHungUp(_Event, frozen=True, tag="leg_hung_up", gc=False):
    """A leg is gone for good, with its Q.850 cause."""

    leg: str
    cause: int


class DigitPressed(_Event, frozen=True, tag="digit_pressed", gc=False):
    """A DTMF digit, reported at its end."""

    leg: str
    digit: str


class PlaybackEnded(_Event, frozen=True, tag="playback_ended", gc=False):
    """A sound ended; `ok` is false when it could not be played (missing file, leg gone)."""

    playback: str
    ok: bool = True


class RecordingEnded(_Event, frozen=True, tag="recording_ended", gc=False):
    """A recording is complete on the switch. `talking_ms` leaves out silence, where the switch tells it."""

    recording: str
    duration_ms: int
    ok: bool = True
    talking_ms: int | None = None


class RoomReserved(_Event, frozen=True, tag="room_reserved", gc=False):
    """The storage plan's answer to `ReserveRoom`: without room nothing is recorded, and the call goes on."""

    recording: str
    granted: bool


class RoomRanOut(_Event, frozen=True, tag="room_ran_out", gc=False):
    """The storage plan is used up while this recording runs: what there is of it is kept, and no more."""

    recording: str


class PauseAsked(_Event, frozen=True, tag="pause_asked", gc=False):
    """Somebody in charge wants what is said now left out of the recording (a card number), or not any more."""

    paused: bool


class CreditRunsOut(_Event, frozen=True, tag="credit_runs_out", gc=False):
    """The credit of the account pays for `left_s` seconds more of this call."""

    left_s: int


class TimerFired(_Event, frozen=True, tag="timer_fired", gc=False):
    """A timer reached its deadline."""

    timer: str


class AgentsOffered(_Event, frozen=True, tag="agents_offered", gc=False):
    """The desk's answer to `OfferAgents` or, for a waiting caller, its turn.

    The agents named are reserved for this call until `AgentReleased`. `busy` and `unreachable` count the
    members asked for who are not offered: on another call, or with no device in reach.
    """

    request: str
    agents: tuple[Agent, ...] = ()
    busy: int = 0
    unreachable: int = 0


class LineJoined(_Event, frozen=True, tag="line_joined", gc=False):
    """The caller has a place in the waiting line; 1 is the head. `wait_s` is the expected wait, if known."""

    request: str
    position: int
    wait_s: float | None = None


class LineMoved(_Event, frozen=True, tag="line_moved", gc=False):
    """The caller's place in the line is another one now."""

    request: str
    position: int
    wait_s: float | None = None


class LineFull(_Event, frozen=True, tag="line_full", gc=False):
    """As many callers wait as the line may hold."""

    request: str


class CommandFailed(_Event, frozen=True, tag="command_failed", gc=False):
    """The switch could not do what was asked of the thing `id` (a bridge, a leg that exists)."""

    id: str
    reason: str


class CallKilled(_Event, frozen=True, tag="call_killed", gc=False):
    """The call must end now, by decision of somebody outside it."""

    reason: Literal["operator", "no_credit", "shutdown", "switch_lost"]


Event = (
    CallArrived
    | LegRinging
    | LegAnswered
    | LegHungUp
    | DigitPressed
    | PlaybackEnded
    | RecordingEnded
    | RoomReserved
    | RoomRanOut
    | PauseAsked
    | CreditRunsOut
    | TimerFired
    | AgentsOffered
    | LineJoined
    | LineMoved
    | LineFull
    | CommandFailed
    | CallKilled
)
