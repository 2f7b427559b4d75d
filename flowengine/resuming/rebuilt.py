"""A call rebuilt from its journal: the machine as it was, and what must be done again because nobody saw it done.

Pure: events in, machine and commands out. The engine died at some moment after the last row was safe, so the commands
of the last steps may have been carried out, or not, or in part. Each kind of command has its own answer to that:

| commands | answer |
| --- | --- |
| to the switch, making something | `unsure`: the switch looks first, and makes only what is not there |
| to the switch, ending something | the switch ends what is still there although it was to end |
| to the switch, changing something (ringing, pausing) | said again: a second time changes nothing |
| timers | set again by their deadline, however long ago that was |
| questions to desk and storage plan | asked again while the call waits: they know what they answered |
| reports to the desk | the last of each agent is said again: it counts while the desk has them for this call |
| what becomes of a recording | said again, but for recordings that are noted as kept or expected |
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from flowengine.call import commands
from flowengine.call.commands import Command, SwitchCommand
from flowengine.call.events import SECOND, Event, Instant
from flowengine.call.machine import CallMachine, digest
from flowengine.flow.document import Flow
from flowengine.ports import Arrival

UNCERTAIN_US: Final = 2 * SECOND
"""Commands said so shortly before the engine died may not have reached the switch. If nobody knows when that was, those
of the last step, and of steps so shortly before it."""


class Row(NamedTuple):
    """One row of a journal; `digest` is "" where the commands were never known."""

    seq: int
    event: Event
    digest: str


class Step(NamedTuple):
    """An event of the call, and what its machine said to it."""

    event: Event
    said: tuple[Command, ...]


class Rebuilt(NamedTuple):
    """A call as its journal has it.

    `diverged_at` is the first row from which on today's machine is not the one that wrote the journal, or from which
    on the journal has a gap; None when all of it was said again as it was said then.
    """

    machine: CallMachine
    steps: list[Step]
    diverged_at: int | None

    @property
    def events(self) -> int:
        """How many events the call has had, and so the number of the next."""
        return len(self.steps)

    def arrival(self, channel: str) -> Arrival:
        """The arrival it began with."""
        first = self.machine.arrived
        assert first is not None, "a rebuilt call has its first event"
        return Arrival(channel, first.number, first.caller, first.caller_name)

    def history(self) -> list[SwitchCommand | Event]:
        """What was heard and said on the switch, in order."""
        kinds = commands.SwitchCommand.__args__
        found: list[SwitchCommand | Event] = []
        for step in self.steps:
            found.append(step.event)
            found += (command for command in step.said if type(command) in kinds)  # type: ignore[misc]
        return found

    def unsure(self, alive_at: Instant | None = None) -> frozenset[str]:
        """Ids of things that are to be made (again) if they are not there.

        They are those which may never have been made, and all legs that rang: an Asterisk without an engine hangs up on
        an agent who answers, so who is gone since is rung once more, and if they declined then they say so again. Of a
        call that diverged nothing is certain: whatever is open begins anew.

        Args:
            alive_at: when the engine was last at work, if anybody knows.
        """
        found = [command.leg for command in _of(self.steps) if isinstance(command, commands.Dial)]
        uncertain = self._last_steps(alive_at) if self.diverged_at is None else self.steps
        for command in _of(uncertain):
            match command:
                case (
                    commands.Play(playback=id)
                    | commands.Record(recording=id)
                    | commands.OpenBridge(bridge=id)
                ):
                    found.append(id)
                case _:
                    pass
        return frozenset(found)

    def again(self, known_recordings: Collection[str] = (), alive_at: Instant | None = None) -> list[Command]:
        """What to do (once more), besides what the switch finds out by itself.

        Args:
            known_recordings: those which are noted as expected, kept or lost: they are on their way already.
            alive_at: when the engine was last at work, if anybody knows.
        """
        open_things = set(self.machine.call.open_things)
        return [
            *_desk(self.steps, open_things),
            *_library(self.steps, open_things, known_recordings),
            *_changes(self._last_steps(alive_at)),
            *_timers(self.steps, open_things),
        ]

    def _last_steps(self, alive_at: Instant | None) -> list[Step]:
        last = self.steps[-1].event.at
        since = (last if alive_at is None else alive_at) - UNCERTAIN_US
        return [step for step in self.steps if step.event.at >= since]


def rebuild(flow: Flow, rows: Sequence[Row]) -> Rebuilt:
    """Feed a journal to today's machine. Raises ValueError for one that does not begin with an arrival."""
    machine = CallMachine(flow)
    steps: list[Step] = []
    diverged_at: int | None = None
    for place, row in enumerate(rows):
        said = machine.step(row.event)
        steps.append(Step(row.event, tuple(said)))
        if diverged_at is None and (row.seq != place or (row.digest and row.digest != digest(said))):
            diverged_at = place
    if not steps:
        raise ValueError("its journal is empty")
    return Rebuilt(machine, steps, diverged_at)


def _of(steps: Iterable[Step]) -> Iterable[Command]:
    return (command for step in steps for command in step.said)


def _desk(steps: Iterable[Step], open_things: Collection[str]) -> list[Command]:
    """Questions without an answer, places that were given up, and the last report of each agent."""
    asked: list[Command] = []
    reports: dict[str, Command] = {}
    for command in _of(steps):
        match command:
            case commands.OfferAgents(request=id) | commands.JoinLine(request=id):
                if id in open_things:
                    asked.append(command)
            case commands.LeaveLine():
                asked.append(command)
            case (
                commands.AgentRings(user=user)
                | commands.AgentTaken(user=user)
                | commands.AgentReleased(user=user)
            ):
                reports[user] = command
            case _:
                pass
    return [*reports.values(), *asked]


def _library(steps: Iterable[Step], open_things: Collection[str], known: Collection[str]) -> list[Command]:
    """Room that is asked for or used, and recordings whose fate nobody has noted."""
    found: list[Command] = []
    for command in _of(steps):
        match command:
            case commands.ReserveRoom(recording=id):
                if id in open_things:  # used room, too: the plan must go on to let it grow
                    found.append(command)
            case commands.KeepRecording(recording=id):
                if id not in known:
                    found.append(command)
            case commands.ReleaseRoom() | commands.DiscardRecording():
                found.append(command)
            case _:
                pass
    return found


def _changes(steps: Iterable[Step]) -> list[Command]:
    """The last of the changes that leave nothing to look at, by what they change."""
    found: dict[tuple[str, str], Command] = {}
    for command in _of(steps):
        match command:
            case commands.Ring(leg=id) | commands.StopRing(leg=id):
                found["ring", id] = command
            case commands.PauseRecord(recording=id) | commands.ResumeRecord(recording=id):
                found["pause", id] = command
            case _:
                pass
    return list(found.values())


def _timers(steps: Iterable[Step], open_things: Collection[str]) -> list[Command]:
    return [
        command
        for command in _of(steps)
        if isinstance(command, commands.SetTimer) and command.timer in open_things
    ]
