"""The call record: what the history shows of a call, derived from its machine and so from its journal."""

from typing import TYPE_CHECKING, Literal

import msgspec

from flowengine.call.events import Instant

if TYPE_CHECKING:
    from flowengine.call.machine import CallMachine

Disposition = Literal["answered", "message", "self_served", "missed", "abandoned", "failed"]
"""How a call ended, for people:

- answered: an agent talked to the caller
- message: the caller left a message
- self_served: menus and announcements only, nobody was asked for
- missed: agents were asked for, nobody answered, and the flow ended the call
- abandoned: the caller hung up while agents were being rung or waited for
- failed: a fault of ours or of the switch ended it
"""


class Visit(msgspec.Struct):
    """One state on the path of a call. `outcome` is "" when the call ended inside it."""

    state: str
    kind: str
    entered_at: Instant
    left_at: Instant | None = None
    outcome: str = ""


class KeptRecording(msgspec.Struct, frozen=True):
    """A recording the call left behind; `duration_ms` as the switch told it."""

    id: str
    purpose: Literal["voicemail", "talk"]
    state: str
    user: str
    duration_ms: int


class CallRecord(msgspec.Struct, frozen=True):
    """One row of the history. Instants are microseconds since the Unix epoch, UTC."""

    number: str
    caller: str
    version: str
    arrived_at: Instant
    answered_at: Instant | None
    ended_at: Instant | None
    disposition: Disposition
    end_reason: str
    agents: tuple[str, ...]
    path: tuple[Visit, ...]
    recordings: tuple[KeptRecording, ...]
    faults: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Seconds from the answer to the end; 0 for a call never answered."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.answered_at) / 1_000_000


def call_record(machine: "CallMachine") -> CallRecord:
    """Derive the record of a machine's call, running or done."""
    call, arrived = machine.call, machine.arrived
    assert arrived is not None, "a call without its first event has no record"
    return CallRecord(
        number=arrived.number,
        caller=arrived.caller,
        version=arrived.version,
        arrived_at=arrived.at,
        answered_at=call.answered_at,
        ended_at=machine.ended_at,
        disposition=_disposition(machine),
        end_reason=machine.end_reason,
        agents=tuple(call.talked_to),
        path=tuple(machine.visits),
        recordings=tuple(
            KeptRecording(kept.recording, kept.purpose, kept.state, kept.user, kept.duration_ms)
            for kept in call.kept
        ),
        faults=tuple(call.faults),
    )


def _disposition(machine: "CallMachine") -> Disposition:
    call = machine.call
    if call.talked_to:
        return "answered"
    if machine.end_reason in ("crashed", "switch_lost"):
        return "failed"
    if any(kept.purpose == "voicemail" for kept in call.kept):
        return "message"
    asked = [visit for visit in machine.visits if visit.kind in ("user_transfer", "group_transfer")]
    if not asked:
        return "self_served"
    return "missed" if asked[-1].outcome or machine.end_reason != "caller_hung_up" else "abandoned"
