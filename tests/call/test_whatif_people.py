"""What-if against the truth: people who always do the same at the same question are put through both flows.

`live` lets them through a flow for real. Whatever `what_if` claims to know about the other flow must then be what
happens there, to the last exit; where it cannot know, it must say so. People who type ahead are among them.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.call.trace import record
from flowengine.call.whatif import _Heard, what_if
from flowengine.flow.document import Announcement, Flow, GroupTransfer, Ivr, State, Voicemail
from tests.call.driving import Driven, agent, drive, flow, say
from tests.call.weather import befall, flows, weather

SOUNDS = ("A", "B", "C")
GROUPS = ("g1", "g2")
NAMES = ("s0", "s1", "s2", "s3", "s4", "s5")


@dataclass
class People:
    """What the caller types at each sound ("h" hangs up), and what becomes of a call to each group."""

    types: dict[str, str]
    answers: dict[str, str] = field(default_factory=dict)


def live(of: Flow, people: People) -> Driven:
    """Put a call through a flow, to its end."""
    call = drive(of).arrives()
    heard: set[str] = set()
    while not call.machine.end_reason:
        if playing := call.audit.of_kind("play"):
            if playing[0] in heard:
                call.prompt_ends()
                continue
            heard.add(playing[0])
            call.waits(2)
            text = (call.playing or "").rpartition(":")[2]
            for does in people.types.get(text, ""):
                if does == "h":
                    call.hangs_up()
                else:
                    call.presses(does)
        elif call.audit.of_kind("ask"):
            node = of.states[call.machine.visits[-1].state]
            does = people.answers[node.group] if isinstance(node, GroupTransfer) else ""
            if does == "busy":
                call.offered(busy=1)
            elif does == "unavailable":
                call.offered()
            else:
                call.offered(agent("anna")).rings("anna")
                if does == "answered":
                    call.picks_up("anna").ends("anna", 16)
                elif does == "h":
                    call.hangs_up()
        elif call.audit.of_kind("record"):
            call.waits(3).recorded(3_000)
        else:
            call.waits(1)
    return call


KINDS = ("ivr", "ivr", "ivr", "ivr", "announcement", "voicemail", "group")


def _state(kind: str, sound: str, group: str, attempts: int, targets: list[str | None]) -> State:
    """A state whose exits lead to `targets`, in the order of this function."""
    match kind:
        case "ivr":
            ways = dict(zip(("1", "2", "timeout", "invalid"), targets, strict=False))
            return Ivr(prompt=say(sound), attempts=attempts, connections=ways)
        case "announcement":
            return Announcement(prompt=say(sound), connections={"next": targets[0]})
        case "voicemail":
            return Voicemail(prompt=say(sound), beep=False, connections={"timeout": targets[0]})
        case _:
            ways = dict(zip(("timeout", "busy", "unavailable"), targets, strict=False))
            return GroupTransfer(group=group, ring_timeout_s=3.0, connections=ways)


_STATE = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(SOUNDS), st.sampled_from(GROUPS), st.integers(1, 2)
)
_STEP = st.sampled_from([1, 1, 1, 1, 2, 9])


def _wired(kinds: list[tuple[str, str, str, int]], steps: list[int]) -> Flow:
    """States whose exits lead so many states further on; past the last one they are open."""
    states = {}
    for at, kind in enumerate(kinds):
        further = [at + step for step in steps[4 * at : 4 * at + 4]]
        targets = [NAMES[to] if to < len(kinds) else None for to in further]
        states[NAMES[at]] = _state(*kind, targets)
    return flow(**states)


@st.composite
def wired(draw: st.DrawFn) -> Flow:
    """Four to six states without a loop."""
    kinds = draw(st.lists(_STATE, min_size=4, max_size=len(NAMES)))
    return _wired(kinds, draw(st.lists(_STEP, min_size=4 * len(kinds), max_size=4 * len(kinds))))


def shortened(of: Flow, path: list[tuple[str, str]], leave: int, reach: int) -> Flow:
    """Another flow, in which a way that was gone leaves out the states between two."""
    leave, reach = sorted((leave % len(path), reach % len(path)))
    (name, outcome), (target, _) = path[leave], path[reach]
    state = of.states[name]
    if leave == reach or outcome not in state.connections:
        return of
    moved = state.model_copy(update={"connections": {**state.connections, outcome: target}})
    return of.model_copy(update={"states": {**of.states, name: moved}})


people = st.builds(
    People,
    types=st.fixed_dictionaries(
        dict.fromkeys(SOUNDS, st.sampled_from(["1", "12", "2", "21", "122", "121", "", "91", "h"]))
    ),
    answers=st.fixed_dictionaries(
        dict.fromkeys(GROUPS, st.sampled_from(["timeout", "busy", "answered", "h"]))
    ),
)


@settings(max_examples=200)
@given(
    old=wired(),
    who=people,
    leave=st.integers(0, 2),
    reach=st.integers(2, 5),
    else_=st.none() | st.none() | wired(),
)
def test_what_is_claimed_is_what_happens(
    old: Flow, who: People, leave: int, reach: int, else_: Flow | None
) -> None:
    was = live(old, who)
    new = else_ or shortened(old, was.path, leave, reach)
    found = what_if(record(old, "cal_1", was.journal), new)
    assert [(step.state, step.outcome) for step in found.old] == was.path
    claimed = [(step.state, step.outcome) for step in found.new]
    truth = live(new, who).path
    if found.verdict == "unknown":
        assert found.why
        assert truth[: len(claimed)] == claimed
    else:
        assert truth == claimed


@given(of=flows(), happenings=weather(20), room=st.booleans())
def test_keys_typed_ahead_are_counted_as_the_machine_counts_them(
    of: Flow, happenings: bytes, room: bool
) -> None:
    call = befall(drive(of, room=room).arrives(), happenings)
    machine = call.machine
    heard = _Heard(record(of, "cal_1", call.journal))
    if machine.end_reason or not heard.answers or heard._keys_lost:
        return
    last = heard.answers[-1]
    waiting = "" if last.question[0] == "ivr" else last.waiting + last.pressed
    assert "".join(machine.call._keys) == waiting
