"""What would another flow have done with a call that was? Answered only where the old call holds the answer.

A call answered questions: which key at this menu, does this group pick up, is a message left. Two flows ask the same
question where a state is the same in everything but where its exits lead. So the new flow is walked, and each of its
questions is looked up among those the old call was really asked. A question it never heard has no answer: the walk
stops there, *unknown*. Nothing is guessed; a menu with other words is another question.
"""

from dataclasses import dataclass
from typing import Literal

from flowengine.call.machine import CallMachine
from flowengine.call.record import Visit
from flowengine.call.trace import Trace
from flowengine.flow.document import Flow

Verdict = Literal["same", "other", "unknown"]


@dataclass(frozen=True)
class Step:
    """A state on a path and how it was left; "" when the call ended inside it."""

    state: str
    outcome: str


@dataclass(frozen=True)
class WhatIf:
    """The old call's path, the new flow's, and whether they are the same. `why` explains an *unknown*."""

    verdict: Verdict
    old: tuple[Step, ...]
    new: tuple[Step, ...]
    why: str = ""


def what_if(trace: Trace, flow: Flow) -> WhatIf:
    """Walk `flow` with the answers of the call in `trace`."""
    visits = _visits(trace)
    old = tuple(Step(visit.state, visit.outcome) for visit in visits)
    answers = [(_question(trace.flow, visit.state), visit.outcome) for visit in visits]
    new: list[Step] = []
    name = flow.start
    while name is not None and name in flow.states:
        question = _question(flow, name)
        place = next((at for at, (asked, _) in enumerate(answers) if asked == question), None)
        if place is None:
            return WhatIf("unknown", old, tuple(new), f"the call was never asked what {name!r} asks")
        outcome = answers.pop(place)[1]
        new.append(Step(name, outcome))
        if not outcome:
            break
        name = _follow(flow, name, outcome)
    same = [step.outcome for step in new] == [step.outcome for step in old] and _same_questions(
        trace, flow, old, new
    )
    return WhatIf("same" if same else "other", old, tuple(new))


def _visits(trace: Trace) -> list[Visit]:
    machine = CallMachine(trace.flow)
    for entry in trace.entries:
        machine.step(entry.event)
    return machine.visits


def _question(flow: Flow, name: str) -> tuple[object, ...]:
    """A state without its name, label and the targets of its exits.

    Which keys (and whether `invalid`) are connected belongs to the question of a menu, for it decides what a key means;
    that its `timeout` is does not. The language of the flow belongs to the question of anything that speaks.
    """
    node = flow.states[name]
    plain = node.model_dump(exclude={"connections", "label", "key_labels"})
    exits = node.exits() if node.type == "ivr" else ()
    keys = tuple(exit for exit in exits if exit != "timeout" and node.connections.get(exit))
    return (flow.language, tuple(sorted((key, repr(value)) for key, value in plain.items())), keys)


def _follow(flow: Flow, name: str, outcome: str) -> str | None:
    return flow.states[name].connections.get(outcome)


def _same_questions(trace: Trace, flow: Flow, old: tuple[Step, ...], new: list[Step]) -> bool:
    return [_question(trace.flow, step.state) for step in old] == [
        _question(flow, step.state) for step in new
    ]
