"""Compare what came of a simulated call with what its scenario expects; every difference is told, none stops."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flowengine.call import commands
from flowengine.call.record import KeptRecording, Visit
from simulator.phones import Caller, Hear
from simulator.run import Refusal, RunningCall
from simulator.scenario import CallSpec, Expectation, RecordingSpec
from simulator.sounds import spoken_text


@dataclass(frozen=True)
class Failure:
    """One expectation that was not met. `call` is the name of the call, "" for the scenario as a whole."""

    call: str
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        of = f"{self.call}: " if self.call else ""
        return f"{of}{self.what}: expected {self.expected}, got {self.got}"


@dataclass
class CallOutcome:
    """A call of a scenario and what came of it: it ran, or was refused, or never arrived."""

    name: str
    spec: CallSpec
    caller: Caller
    ran: RunningCall | None = None
    refusal: Refusal | None = None

    @property
    def path(self) -> list[str]:
        """`state:outcome` of every state; the state alone where the call ended inside."""
        visits: tuple[Visit, ...] = self.ran.record.path if self.ran and self.ran.record else ()
        return [f"{visit.state}:{visit.outcome}" if visit.outcome else visit.state for visit in visits]

    @property
    def rung(self) -> list[str]:
        """Users, in the order in which their telephones were dialled; several telephones of one count once."""
        owners: dict[str, str] = {}
        found: list[str] = []
        for entry in self.ran.journal if self.ran else ():
            for agent in getattr(entry.event, "agents", ()):
                owners.update(dict.fromkeys(agent.endpoints, agent.user))
            users = [
                owners[command.endpoint]
                for command in entry.commands or ()
                if isinstance(command, commands.Dial)
            ]
            found += dict.fromkeys(users)
        return found


def failures(outcome: CallOutcome) -> list[Failure]:
    """Everything in which a call is not as expected."""
    wanted = outcome.spec.expect
    found = [*_refusal(outcome, wanted)]
    ran = outcome.ran
    if ran is not None and ran.record is None:
        found.append(Failure(outcome.name, "the call", "to end", f"still in {ran.machine.call.state!r}"))
    elif ran is not None:
        found += _course(outcome, ran, wanted)
        if ran.machine.crash:
            found.append(Failure(outcome.name, "the engine", "no crash", ran.machine.crash.strip()))
    if ran is not None:
        found += _heard(outcome, wanted)
    return found


def _refusal(outcome: CallOutcome, wanted: Expectation) -> Iterator[Failure]:
    got = outcome.refusal.rejection.reason if outcome.refusal else None
    if got != wanted.refused:
        yield Failure(
            outcome.name, "the call", wanted.refused or "to be taken", f"refused: {got}" if got else "taken"
        )
    cause = outcome.caller.cause
    if wanted.hang_up_cause is not None and cause != wanted.hang_up_cause:
        yield Failure(outcome.name, "hang_up_cause", str(wanted.hang_up_cause), str(cause))


def _course(outcome: CallOutcome, ran: RunningCall, wanted: Expectation) -> Iterator[Failure]:
    record = ran.record
    assert record is not None
    name = outcome.name
    exits = {visit.state: visit.outcome for visit in record.path}
    for what, expected, got in (
        ("path", wanted.path, outcome.path),
        ("rung", wanted.rung, outcome.rung),
        ("answered_by", wanted.answered_by, list(record.agents)),
    ):
        if expected is not None and expected != got:
            yield Failure(name, what, _list(expected), _list(got))
    for what, word, is_now in (
        ("disposition", wanted.disposition, record.disposition),
        ("end_reason", wanted.end_reason, record.end_reason),
    ):
        if word is not None and word != is_now:
            yield Failure(name, what, word, is_now)
    for state, outcome_wanted in wanted.exits.items():
        if exits.get(state) != outcome_wanted:
            left = exits[state] or "the call ended there" if state in exits else "never entered"
            yield Failure(name, f"exit of {state}", outcome_wanted, left)
    lasted = record.duration_s
    if wanted.min_duration_s is not None and lasted < wanted.min_duration_s:
        yield Failure(name, "duration", f"at least {wanted.min_duration_s:g} s", f"{lasted:.3f} s")
    if wanted.max_duration_s is not None and lasted > wanted.max_duration_s:
        yield Failure(name, "duration", f"at most {wanted.max_duration_s:g} s", f"{lasted:.3f} s")
    yield from _recordings(name, wanted.recordings, record.recordings)


def _recordings(
    name: str, wanted: int | list[RecordingSpec] | None, kept: Sequence[KeptRecording]
) -> Iterator[Failure]:
    if wanted is None:
        return
    number = wanted if isinstance(wanted, int) else len(wanted)
    if number != len(kept):
        yield Failure(name, "recordings", f"{number} kept", f"{len(kept)} kept")
    if isinstance(wanted, int):
        return
    for place, (spec, recording) in enumerate(zip(wanted, kept, strict=False), start=1):
        length_s = recording.duration_ms / 1000
        for field, expected, got in (
            ("purpose", spec.purpose, recording.purpose),
            ("state", spec.state, recording.state),
            ("user", spec.user, recording.user),
        ):
            if expected is not None and expected != got:
                yield Failure(name, f"{field} of recording {place}", expected, got)
        if spec.min_s is not None and length_s < spec.min_s:
            yield Failure(name, f"recording {place}", f"at least {spec.min_s:g} s", f"{length_s:.3f} s")
        if spec.max_s is not None and length_s > spec.max_s:
            yield Failure(name, f"recording {place}", f"at most {spec.max_s:g} s", f"{length_s:.3f} s")


def _heard(outcome: CallOutcome, wanted: Expectation) -> Iterator[Failure]:
    heard = [spoken_text(sound) for sound in outcome.caller.sounds]
    left = iter(heard)
    for words in wanted.hears:
        if not any(words in text for text in left):
            yield Failure(outcome.name, "hears", f"{words!r} (in this order)", _list(heard))
            break
    for words in wanted.never_hears:
        if any(words in text for text in heard):
            yield Failure(outcome.name, "never_hears", f"never {words!r}", _list(heard))
    if isinstance(outcome.caller.awaited, Hear):
        waited = outcome.caller.awaited.text
        yield Failure(
            outcome.name, "script", f"to hear {waited!r}", f"the call was over; heard {_list(heard)}"
        )


def _list(of: Sequence[str]) -> str:
    return "[" + ", ".join(of) + "]"
