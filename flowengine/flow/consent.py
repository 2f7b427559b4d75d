"""Is a caller told before a talk is recorded? The law of many countries wants it on every way a call can take.

A transfer that records is in order if each way to it from the start passes a state that tells. A dominator would be
one state on all those ways; here several may do it together, a notice on each branch (a generalised dominator, of
more than one node). To decide it no dominators are needed: a call that comes to a state which tells is told from
there on, so what can still be reached without going on behind such states is reached untold.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from flowengine.flow.document import (
    Announcement,
    Flow,
    GroupTransfer,
    Ivr,
    State,
    UserTransfer,
    Voicemail,
)
from flowengine.flow.problems import Problem, pointer, problem

HEAD, TAIL = 8, 3
"""Of a longer way only so many states are named, at its beginning and at its end."""


def tells(state: State) -> bool:
    """Say whether a call that comes to this state is told of the recording before anything else happens in it."""
    match state:
        case Announcement():
            return state.tells_of_recording
        case UserTransfer() | GroupTransfer():
            return state.record and state.recording_notice is not None
        case Ivr() | Voicemail():
            return False
        case _:
            assert_never(state)


def untold(flow: Flow, edges: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, tuple[str, ...]]:
    """Find the recording transfers a call can come to untold, each with a shortest such way from the start.

    `edges` are those of `graph.connected`. Of a long way the middle is left out, and `(n more)` stands for it.
    """
    if flow.start not in flow.states:
        return {}
    before: dict[str, str] = {}
    begins: dict[str, tuple[str, ...]] = {flow.start: (flow.start,)}
    length = {flow.start: 1}
    found: dict[str, tuple[str, ...]] = {}
    todo = deque([flow.start])
    while todo:  # breadth first, so the first way to a state is a shortest one
        here = todo.popleft()
        state = flow.states[here]
        if tells(state):
            continue
        if isinstance(state, UserTransfer | GroupTransfer) and state.record:
            ends = _last(here, before, min(length[here] - len(begins[here]), TAIL))
            skipped = length[here] - len(begins[here]) - len(ends)
            found[here] = (*begins[here], *([f"({skipped} more)"] if skipped else []), *ends)
        for _, target in edges[here]:
            if target not in length:
                before[target] = here
                length[target] = length[here] + 1
                begins[target] = (*begins[here], target) if length[here] < HEAD else begins[here]
                todo.append(target)
    return found


def consent_problems(name: str, way: Sequence[str]) -> Iterator[Problem]:
    """Warn of a recording transfer which `untold` found, with the way it was found by."""
    message = (
        f'state "{name}": talks are recorded, and a call can come here without having been told of it'
        f" ({' -> '.join(way)}): give it a recording_notice, or tell callers before, in an announcement with"
        " tells_of_recording"
    )
    at = pointer("states", name, "record")
    yield problem("recording_without_notice", message, state=name, pointer=at)


def _last(name: str, before: Mapping[str, str], number: int) -> list[str]:
    """Name the last states of a way that ends at `name`, in order."""
    ends: list[str] = []
    while len(ends) < number:
        ends.append(name)
        name = before.get(name, "")
    return ends[::-1]
