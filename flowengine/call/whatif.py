"""What would another flow have done with a call that was? Answered only where the old call holds the answer.

A call answered questions: which key at this menu, does this group pick up, is a message left. Two flows ask the same
question where a state is the same in everything but its name, its label and where its exits lead. So the new flow is
walked, and each of its questions is looked up among those the old call was really asked. Nothing is guessed: a question
has no answer, and the walk stops there as *unknown*, when the old call

- never heard it, or heard it less often;
- answered it this way once and that way another time (unless everything before it was the same, too);
- came to a menu with other keys typed ahead than it would now, or typed on so soon that the keys were not meant for
  what had just begun;
- was ended inside it by somebody else than the caller, or is not over yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from flowengine.call.events import CALLER, SECOND, DigitPressed
from flowengine.call.holding import MAX_EARLY_KEYS
from flowengine.call.machine import CallMachine, digest
from flowengine.call.trace import Trace
from flowengine.flow.document import Flow, Ivr, State, Voicemail

Verdict = Literal["same", "other", "unknown"]
Question = tuple[object, ...]

HEARING_S: Final = 1.0
"""Nobody answers a prompt sooner than this after it began, in seconds: such keys were meant before they heard it."""

_NO_PART_OF_THE_QUESTION: Final[dict[str, Any]] = {
    **dict.fromkeys(("connections", "label", "key_labels"), True),
    **dict.fromkeys(("tells_of_recording", "recording_sides"), True),  # nobody in the call can notice
    **dict.fromkeys(("prompt", "recording_notice"), True),  # compared as sounds
    "queue": {"notice", "music"},  # compared as sounds
}


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
    call = _Heard(trace)
    old = tuple(answer.step for answer in call.answers)
    if call.why:
        return WhatIf("unknown", old, (), call.why)
    if flow.canonical() == trace.flow.canonical():
        return WhatIf("same", old, old)
    new: list[Step] = []
    so_far: list[_Answer] = []
    keys = ""
    name = flow.start
    while name is not None and (node := flow.states.get(name)) is not None:
        found = call.answer(_question(flow, node), so_far, keys)
        if isinstance(found, str):
            return WhatIf("unknown", old, tuple(new), f"the call {found.format(repr(name))}")
        so_far.append(found)
        new.append(Step(name, found.step.outcome))
        if not found.step.outcome:
            break
        keys = _left(node, keys + found.pressed)
        name = node.connections.get(found.step.outcome)
    return WhatIf("same" if so_far == call.answers else "other", old, tuple(new))


@dataclass(eq=False)
class _Answer:
    """A state of the old call: what it asked, and how that was answered.

    `waiting` are the keys the caller had typed ahead when it began, `pressed` those typed while it lasted; `hasty`:
    some of those came sooner than they can have been meant for it.
    """

    question: Question
    step: Step
    waiting: str = ""
    pressed: str = ""
    hasty: bool = False


class _Heard:
    """Everything the old call was asked, in order. `why` says what makes its journal useless, if anything does."""

    def __init__(self, trace: Trace) -> None:
        self.why = ""
        machine = CallMachine(trace.flow)
        pressed: list[str] = []
        hasty: set[int] = set()
        for seq, entry in enumerate(trace.entries):
            event = entry.event
            if isinstance(event, DigitPressed) and event.leg == CALLER and pressed and not machine.end_reason:
                pressed[-1] += event.digit
                if event.at < machine.visits[-1].entered_at + HEARING_S * SECOND:
                    hasty.add(len(pressed) - 1)
            said = machine.step(event)
            pressed += [""] * (len(machine.visits) - len(pressed))
            if entry.digest and digest(said) != entry.digest:
                self.why = f"the journal does not replay on this engine from event {seq} on"
                break
        self.end_reason = machine.end_reason
        self.answers: list[_Answer] = []
        self._keys_lost = False
        keys = ""
        for place, (visit, typed) in enumerate(zip(machine.visits, pressed, strict=True)):
            node = trace.flow.states[visit.state]
            step = Step(visit.state, visit.outcome)
            question = _question(trace.flow, node)
            self.answers.append(_Answer(question, step, keys, typed, place in hasty))
            self._keys_lost |= len(keys + typed) > MAX_EARLY_KEYS
            keys = _left(node, keys + typed)

    def answer(self, question: Question, so_far: Sequence[_Answer], keys: str) -> _Answer | str:
        """The old call's answer, or what the call did instead of giving one ({} is the state).

        `so_far` are the answers used already, `keys` those typed ahead on the new way.
        """
        place = 1 + self.answers.index(so_far[-1]) if so_far else 0
        next_then = self.answers[place] if place < len(self.answers) else None
        if place == len(so_far) and next_then is not None and next_then.question == question:
            over = next_then.step.outcome or self.end_reason
            return next_then if over else "is not over, it is still in {}"
        asked = [answer for answer in self.answers if answer.question == question]
        if not asked:
            return "was never asked what {} asks"
        if len({answer.step.outcome for answer in asked}) > 1:
            return "answered what {} asks in more than one way"
        unused = [answer for answer in asked if answer not in so_far]
        if not unused:
            return "was not asked again what {} asks"
        found = unused[0]
        if not found.step.outcome and self.end_reason != "caller_hung_up":
            return "did not end by itself when it was asked what {} asks"
        if found.hasty or (next_then is not None and next_then.hasty):
            return "typed keys before it can have heard what {} asks"
        if found.question[0] == "ivr" and (self._keys_lost or found.waiting != keys):
            return "came to what {} asks with other keys typed ahead"
        return found


def _question(flow: Flow, node: State) -> Question:
    """A state without its name, label and the targets of its exits: its kind, settings, sounds and keys.

    Which keys (and whether `invalid`) are connected belongs to the question of a menu, for it decides what a key means;
    that its `timeout` is does not. A prompt is what it sounds like, so the flow's language counts where it is spoken.
    """
    settings = node.model_dump(exclude=_NO_PART_OF_THE_QUESTION)
    prompts = tuple((field, prompt.sound(flow.manner)) for field, prompt in node.prompts())
    sounds = (*prompts, *node.sounds(flow.manner))
    keys = sorted(exit for exit, target in node.connections.items() if target and exit != "timeout")
    return (node.type, repr(settings), sounds, tuple(keys) if isinstance(node, Ivr) else ())


def _left(node: State, keys: str) -> str:
    """Which of the keys typed before and while a state lasted are left for the next one, once it was left."""
    match node:
        case Ivr():
            for taken, key in enumerate(keys, start=1):
                if node.connections.get(key) or taken == node.attempts:
                    return keys[taken:]
            return ""
        case Voicemail():
            return ""
        case _:
            return keys
