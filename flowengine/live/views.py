"""What the live picture shows: calls, agents, waiting lines and totals, each as one plain value.

A change carries the whole new value of what has changed, so whoever keeps a copy puts it in the place of the old one.
Instants are microseconds since the Unix epoch, UTC; None and "" say that there is nothing.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from flowengine.call.events import Instant
from flowengine.call.record import Disposition
from flowengine.routing.agents import State, Wish
from flowengine.routing.lines import Kind, Left
from flowengine.routing.numbers import masked as masked_number

Reason = Literal["", "by_hand", "missed", "signed_out", "out_of_reach"]
"""Why an agent takes no calls: paused by hand, paused for not answering, signed out, or no device in reach."""


class Place(msgspec.Struct, frozen=True):
    """A caller's place in a waiting line, 1 being the head. `wait_s` is the expected wait from now, if known."""

    kind: Kind
    name: str
    since: Instant
    position: int
    wait_s: float | None = None


class CallView(msgspec.Struct, frozen=True):
    """A call in progress.

    Attributes:
        number, caller: E.164; who called whom.
        state, kind: where it is in its flow; `since` then.
        talking_to: the agent the caller talks to now.
        place: in a waiting line.
        paused: somebody asked that what is said now be left out of the recording of the talk.
    """

    call: str
    account: str
    flow: str
    flow_name: str
    number: str
    caller: str
    began_at: Instant
    answered_at: Instant | None = None
    state: str = ""
    kind: str = ""
    since: Instant = 0
    talking_to: str = ""
    place: Place | None = None
    paused: bool = False


class CallOver(msgspec.Struct, frozen=True):
    """A call that was in progress is over."""

    call: str
    disposition: Disposition


class AgentView(msgspec.Struct, frozen=True):
    """A user as the desk sees them. `place` is in the order of going online and answering; 0 before the first."""

    account: str
    user: str
    state: State = "offline"
    since: Instant = 0
    wish: Wish = "work"
    reason: Reason = "out_of_reach"
    call: str = ""
    place: int = 0
    misses: int = 0


class AgentGone(msgspec.Struct, frozen=True):
    """The account has no such user any more."""

    account: str
    user: str


class LineView(msgspec.Struct, frozen=True):
    """The waiting line of a user or a group.

    Attributes:
        waiting: how many wait.
        waiting_since: when the one who has waited longest joined.
        left: how many have left since the engine started, by reason.
    """

    account: str
    kind: Kind
    name: str
    waiting: int = 0
    waiting_since: Instant | None = None
    left: Mapping[Left, int] = {}


class Totals(msgspec.Struct, frozen=True):
    """Counts since the engine started: calls taken, calls over by disposition, calls refused by reason."""

    taken: int = 0
    over: Mapping[Disposition, int] = {}
    refused: Mapping[str, int] = {}


class Snapshot(msgspec.Struct, frozen=True):
    """Everything at one instant. Changes up to number `seq` are in it.

    `alarms` is what is wrong with the engine and needs a person, by code; alarms are not told as changes.
    """

    at: Instant
    seq: int
    started_at: Instant
    calls: tuple[CallView, ...]
    agents: tuple[AgentView, ...]
    lines: tuple[LineView, ...]
    totals: Totals
    alarms: Mapping[str, str] = {}


About = CallView | CallOver | AgentView | AgentGone | LineView | Totals
"""What a change can be about."""


def masked(about: About) -> About:
    """The same without whole telephone numbers."""
    return masked_call(about) if isinstance(about, CallView) else about


def masked_call(call: CallView) -> CallView:
    """A call without whole telephone numbers."""
    return msgspec.structs.replace(call, number=masked_number(call.number), caller=masked_number(call.caller))


def masked_snapshot(snapshot: Snapshot) -> Snapshot:
    """Everything without whole telephone numbers."""
    return msgspec.structs.replace(snapshot, calls=tuple(map(masked_call, snapshot.calls)))
