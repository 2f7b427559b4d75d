"""Where a caller can go through a flow, and how long that can take before somebody talks.

A flow without loops has a finite number of paths, but a number that doubles with every menu: so paths are
given one by one and counted without walking them. Talking is not in the times: it has no limit here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, assert_never

from flowengine.flow.document import (
    FARTHEST_SAID,
    WAITS_SAID_MIN,
    Announcement,
    Flow,
    GroupTransfer,
    Ivr,
    Manner,
    Prompt,
    State,
    UserTransfer,
    Voicemail,
    WaitingLine,
)

BEEP_S: Final = 1.0
HOLD_MUSIC_S: Final = 60.0
"""Assumed of the built-in music, which a waiting line plays when it names none."""


class Step(NamedTuple):
    """One state on a path, and the outcome by which it was left."""

    state: str
    outcome: str


Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest time a call can take until it ends or somebody answers, and the states on that way."""

    seconds: float
    states: tuple[str, ...]

    @property
    def minutes(self) -> int:
        """How many minutes are started, which is what is charged."""
        return math.ceil(self.seconds / 60)


def possible_outcomes(state: State) -> tuple[str, ...]:
    """Name the outcomes a call can really have in a state: keys which are not connected only count as wrong."""
    if not isinstance(state, Ivr):
        return state.outcomes()
    return tuple(
        exit_ for exit_ in state.exits() if exit_ == "timeout" or state.connections.get(exit_) is not None
    )


def walk(flow: Flow) -> Iterator[Path]:
    """Give every path from the start to an end of the call, one by one, keys before timeouts.

    A path ends at an open exit, at a talk or a message, or where it would come to a state a second time
    (only drafts have such loops).
    """
    if flow.start is None or flow.start not in flow.states:
        return
    way: list[Step] = []
    on_way = {flow.start: None}  # in order, and quick to ask
    todo = [iter(possible_outcomes(flow.states[flow.start]))]
    while todo:
        outcome = next(todo[-1], None)
        if outcome is None:
            todo.pop()
            on_way.popitem()
            if way:
                way.pop()
            continue
        here = next(reversed(on_way))
        way.append(Step(here, outcome))
        target = flow.states[here].connections.get(outcome)
        if target is None or target not in flow.states or target in on_way:
            yield tuple(way)
            way.pop()
        else:
            on_way[target] = None
            todo.append(iter(possible_outcomes(flow.states[target])))


def some_paths(flow: Flow, limit: int = 1_000) -> tuple[list[Path], bool]:
    """Give at most `limit` paths, and whether these are all."""
    found = list(islice(walk(flow), limit + 1))
    return found[:limit], len(found) <= limit


def count_paths(flow: Flow) -> int | None:
    """Count the paths from the start; None if the flow has a loop there."""
    order = _children_first(flow)
    if order is None:
        return None
    paths: dict[str, int] = {}
    for name in order:
        state = flow.states[name]
        targets = [state.connections.get(outcome) for outcome in possible_outcomes(state)]
        paths[name] = sum(paths.get(target, 1) if target is not None else 1 for target in targets)
    return paths[order[-1]] if order else 0


def longest_time(
    flow: Flow,
    *,
    sound_s: Callable[[str], float] | None = None,
    members: Mapping[str, Sequence[str]] | None = None,
) -> Longest | None:
    """Find the longest time a caller can spend before somebody answers or the call ends, in seconds.

    `sound_s` gives the length of a sound key (`estimated_s` by default), `members` those of each group, who
    ring one after another in a sequential transfer (one member by default). None if the flow has a loop.
    """
    sound_s = sound_s or estimated_s
    order = _children_first(flow)
    if order is None:
        return None
    if not order:
        return Longest(0.0, ())
    goodbye = sound_s(flow.goodbye.sound(flow.manner)) if flow.goodbye else 0.0
    seconds: dict[str, float] = {}
    onward: dict[str, str] = {}
    for name in order:  # whatever way a call goes on, it hears the goodbye in the end
        following = max(_targets(flow, name), key=seconds.__getitem__, default=None)
        if following is not None:
            onward[name] = following
        after = goodbye if following is None else seconds[following]
        seconds[name] = after + stay_s(flow.states[name], flow.manner, sound_s, members or {})
    way = [order[-1]]
    while way[-1] in onward:
        way.append(onward[way[-1]])
    return Longest(seconds[order[-1]], tuple(way))


def stay_s(
    state: State, manner: Manner, sound_s: Callable[[str], float], members: Mapping[str, Sequence[str]]
) -> float:
    """Give the longest time one state keeps a caller who talks to nobody, in seconds."""

    def length(prompt: Prompt | None) -> float:
        return sound_s(prompt.sound(manner)) if prompt is not None else 0.0

    match state:
        case Ivr():
            return state.attempts * (length(state.prompt) + state.timeout_s)
        case Announcement():
            return length(state.prompt)
        case Voicemail():
            return length(state.prompt) + (BEEP_S if state.beep else 0.0) + state.max_duration_s
        case UserTransfer() | GroupTransfer():
            notice = length(state.recording_notice) if state.record else 0.0
            waves = 1
            if isinstance(state, GroupTransfer) and state.ringing == "sequential":
                waves = max(len(members.get(state.group, ())), 1)
            line = wait_s(state.queue, manner, sound_s) if state.queue else 0.0
            return notice + max(waves * state.ring_timeout_s, line + state.ring_timeout_s)
        case _:
            assert_never(state)


def wait_s(line: WaitingLine, manner: Manner, sound_s: Callable[[str], float]) -> float:
    """Give the longest time a caller waits in a line, in seconds; after a turn everybody rings at once."""
    told = line.announcements(manner, FARTHEST_SAID, WAITS_SAID_MIN[-1] * 60.0)
    music = sound_s(line.music.sound(manner)) if line.music is not None else HOLD_MUSIC_S
    notice = sound_s(line.notice.sound(manner)) if line.notice is not None else 0.0
    return notice + line.music_cycles * (music + sum(sound_s(each) for each in told))


def estimated_s(sound: str) -> float:
    """Estimate the length of a sound key in seconds: 14 letters a second, 7 if kana or kanji; files 10 s."""
    kind, _, rest = sound.partition(":")
    if kind != "say":
        return 10.0
    text = rest.split(":", 2)[-1]
    return sum(1 / 7 if char >= "\u2e80" else 1 / 14 for char in text)


def _children_first(flow: Flow) -> list[str] | None:
    """Give the states a call can come to, each after all that follow it; None if there is a loop."""
    if flow.start is None or flow.start not in flow.states:
        return []
    done: dict[str, bool] = {flow.start: False}
    order: list[str] = []
    way = [flow.start]
    todo = [_targets(flow, flow.start)]
    while todo:
        target = next(todo[-1], None)
        if target is None:
            todo.pop()
            name = way.pop()
            done[name] = True
            order.append(name)
        elif target not in done:
            done[target] = False
            way.append(target)
            todo.append(_targets(flow, target))
        elif not done[target]:
            return None
    return order


def _targets(flow: Flow, name: str) -> Iterator[str]:
    state = flow.states[name]
    connected = (state.connections.get(exit_) for exit_ in state.exits())
    return (target for target in connected if target is not None and target in flow.states)
