"""The ports between a call and the world: who carries commands out, and who tells what happened.

Each has a real implementation and a simulated one, held to the same contract by one test suite. They never
raise into the engine for a single call: what fails comes back as an event of that call.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from flowengine.call.commands import Command, DeskCommand, LibraryCommand, SwitchCommand
from flowengine.call.events import Event, Instant
from flowengine.call.record import CallRecord


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """An inbound leg that no call has adopted yet. Numbers are as the switch gave them."""

    channel: str
    number: str
    caller: str
    caller_name: str = ""


class SwitchListener(Protocol):
    """What a switch reports. Called in order, on the event loop, and never blocks."""

    def arrived(self, arrival: Arrival) -> None:
        """An inbound leg rings and waits for `adopt` or `reject`."""

    def happened(self, call: str, event: Event) -> None:
        """Something happened to a thing of an adopted call."""

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """A device registered, or went out of reach."""


class Switch(Protocol):
    """Where legs live: Asterisk, or the simulated world."""

    def adopt(self, arrival: Arrival, call: str) -> None:
        """From now on this inbound leg is the caller of `call`."""

    def reject(self, arrival: Arrival, cause: int) -> None:
        """End an inbound leg before it is answered, with a Q.850 cause."""

    def perform(self, call: str, commands: Sequence[SwitchCommand]) -> None:
        """Carry out commands in this order. Returns at once; failures come back as events."""

    def release(self, call: str) -> None:
        """Forget a call that is done."""

    def fetch(self, call: str, recording: str) -> AsyncIterator[bytes]:
        """Read a finished recording as WAV. Raises `RecordingMissing`."""

    async def discard(self, call: str, recording: str) -> None:
        """Delete a finished recording; one that is not there is deleted already."""


class RecordingMissing(Exception):
    """The switch does not have that recording (any more)."""


class Clock(Protocol):
    """Time as calls see it: never backwards, whatever happens to the machine's clock."""

    def now(self) -> Instant:
        """Microseconds since the Unix epoch, UTC."""


class Desk(Protocol):
    """Decides who is offered a call, and who waits. It answers with events, into the sink it was made with."""

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        """Take a question or a report of a call."""

    def call_ended(self, account: str, call: str, at: Instant) -> None:
        """Free whatever this call still holds at the desk."""


class Storage(Protocol):
    """Room for recordings, and where finished ones go. It answers with events, as the desk does."""

    def perform(self, account: str, call: str, command: LibraryCommand) -> None:
        """Take a question for room, or what becomes of a recording. Returns at once."""


class Meter(Protocol):
    """Charges calls while they run. It answers with events: CreditRunsOut, and CallKilled when nothing is left."""

    async def admit(self, account: str, call: str, number: str, at: Instant) -> str | None:
        """Whether a call on this number can be paid for: None, or the reason why it must be refused."""
        ...

    def step(self, account: str, call: str, event: Event, said: Sequence[Command]) -> None:
        """Take note of a step of a call, after it is journaled and before it is done. Returns at once.

        A call of an earlier life of the engine is told whole, from its CallArrived on, and was never admitted here.
        """

    def over(self, account: str, call: str, at: Instant) -> None:
        """Nothing is left of a call: settle what it owes, and give back what is promised to it."""


class Unmetered:
    """The meter of an installation that charges nobody."""

    async def admit(self, *_: object) -> str | None:
        """Every call is taken."""
        return None

    def step(self, *_: object) -> None:
        """Nothing is charged."""

    def over(self, *_: object) -> None:
        """Nothing is owed."""


class Journal(Protocol):
    """The durable memory of calls. Every method returns when its rows are safe."""

    async def open(
        self, call: str, account: str, flow: str, version: str, at: Instant, channel: str = ""
    ) -> None:
        """Begin the journal of a call, pinned to a version (sha256) of a flow.

        `channel` is what the switch calls the caller's leg: with it a restarted engine finds the call again.
        """

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:
        """Add one event and the digest of the commands it led to."""

    async def close(self, call: str, record: CallRecord) -> None:
        """The call is done; this is its record."""
