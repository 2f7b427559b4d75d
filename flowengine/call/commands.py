"""What to do: the only thing a call ever says.

Every command is harmless when repeated, for ids are ours: the same id is the same thing. Commands are split
by who carries them out: the switch (legs, sounds, recordings, bridges), the desk (agents and waiting lines),
the clock (timers) and the library (room for a recording, and what becomes of it).
"""

from typing import Literal

import msgspec

from flowengine.call.causes import Outcome
from flowengine.call.events import Instant


class _Command(msgspec.Struct, frozen=True, tag_field="type", gc=False):
    pass


class Answer(_Command, frozen=True, tag="answer", gc=False):
    """Answer the leg: from its LegAnswered on, minutes count."""

    leg: str


class Ring(_Command, frozen=True, tag="ring", gc=False):
    """Let the leg hear ringing: 180 before the answer, ringing tone after it."""

    leg: str


class StopRing(_Command, frozen=True, tag="stop_ring", gc=False):
    """End the ringing tone of an answered leg."""

    leg: str


class HangUp(_Command, frozen=True, tag="hang_up", gc=False):
    """End a leg with a Q.850 cause; also cancels a leg that is still being dialled."""

    leg: str
    cause: int


class Dial(_Command, frozen=True, tag="dial", gc=False):
    """Ring a device as a new leg. `timeout_s` is the switch's own limit, a backstop behind our timer."""

    leg: str
    endpoint: str
    caller: str
    timeout_s: float
    caller_name: str = ""


class Play(_Command, frozen=True, tag="play", gc=False):
    """Play a sound key (see `recordings.prompts`) to a leg."""

    playback: str
    leg: str
    sound: str


class StopPlay(_Command, frozen=True, tag="stop_play", gc=False):
    """Cut a sound short."""

    playback: str


class Record(_Command, frozen=True, tag="record", gc=False):
    """Record a leg or a bridge (`on`). `limit_s`, `silence_s` of 0: none; `end_on` "": no key ends it.

    With `sides`, the two legs of a bridge that are named here are kept apart: the first left, the other right.
    """

    recording: str
    on: str
    limit_s: float = 0
    silence_s: float = 0
    end_on: str = ""
    sides: tuple[str, ...] = ()


class PauseRecord(_Command, frozen=True, tag="pause_record", gc=False):
    """Leave out of a running recording what is heard from now on."""

    recording: str


class ResumeRecord(_Command, frozen=True, tag="resume_record", gc=False):
    """Go on with a paused recording."""

    recording: str


class StopRecord(_Command, frozen=True, tag="stop_record", gc=False):
    """Complete a recording now; its RecordingEnded follows."""

    recording: str


class OpenBridge(_Command, frozen=True, tag="open_bridge", gc=False):
    """Make an empty bridge in which legs hear each other."""

    bridge: str


class Join(_Command, frozen=True, tag="join", gc=False):
    """Put a leg into a bridge."""

    bridge: str
    leg: str


class CloseBridge(_Command, frozen=True, tag="close_bridge", gc=False):
    """Destroy a bridge; the legs in it stay up, alone."""

    bridge: str


class SetTimer(_Command, frozen=True, tag="set_timer", gc=False):
    """Fire at `due`, an instant and not a duration, so that a restart changes nothing."""

    timer: str
    due: Instant


class CancelTimer(_Command, frozen=True, tag="cancel_timer", gc=False):
    """Forget a timer."""

    timer: str


class OfferAgents(_Command, frozen=True, tag="offer_agents", gc=False):
    """Ask the desk for agents: all free ones (parallel) or the next in line (sequential), not `tried`."""

    request: str
    kind: Literal["user", "group"]
    target: str
    ringing: Literal["parallel", "sequential"] = "parallel"
    tried: tuple[str, ...] = ()


class JoinLine(_Command, frozen=True, tag="join_line", gc=False):
    """Take a place in the waiting line of a user or group; AgentsOffered comes when it is our turn."""

    request: str
    kind: Literal["user", "group"]
    target: str
    max_waiting: int


class LeaveLine(_Command, frozen=True, tag="leave_line", gc=False):
    """Give the place up."""

    request: str
    reason: Literal["timeout", "abandoned"]


class AgentRings(_Command, frozen=True, tag="agent_rings", gc=False):
    """A reserved agent is being rung now, for `within_s` seconds at most."""

    user: str
    within_s: float


class AgentTaken(_Command, frozen=True, tag="agent_taken", gc=False):
    """A reserved agent answered this call."""

    user: str


class AgentReleased(_Command, frozen=True, tag="agent_released", gc=False):
    """A reserved or talking agent is done with this call. `outcome` says how ("answered": after talking)."""

    user: str
    outcome: Outcome


class ReserveRoom(_Command, frozen=True, tag="reserve_room", gc=False):
    """Ask the storage plan for room; RoomReserved answers. `limit_s`: the longest it can become, 0: unknown."""

    recording: str
    limit_s: float = 0


class ReleaseRoom(_Command, frozen=True, tag="release_room", gc=False):
    """Give back the room for a recording that will not be made."""

    recording: str


class KeepRecording(_Command, frozen=True, tag="keep_recording", gc=False):
    """Move a finished recording into the library, cut to `limit_s` (0: as it is).

    `duration_ms` is what the switch told, 0 when it told nothing. `ran_out`: it ended for want of room.
    """

    recording: str
    purpose: Literal["voicemail", "talk"]
    state: str
    duration_ms: int
    limit_s: float = 0
    user: str = ""
    ran_out: bool = False


class DiscardRecording(_Command, frozen=True, tag="discard_recording", gc=False):
    """Throw a recording away, and give its room back."""

    recording: str


SwitchCommand = (
    Answer
    | Ring
    | StopRing
    | HangUp
    | Dial
    | Play
    | StopPlay
    | Record
    | StopRecord
    | PauseRecord
    | ResumeRecord
    | OpenBridge
    | Join
    | CloseBridge
)
DeskCommand = OfferAgents | JoinLine | LeaveLine | AgentRings | AgentTaken | AgentReleased
ClockCommand = SetTimer | CancelTimer
LibraryCommand = ReserveRoom | ReleaseRoom | KeepRecording | DiscardRecording
Command = SwitchCommand | DeskCommand | ClockCommand | LibraryCommand
