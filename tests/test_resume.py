"""An engine dies at every step of calls of every kind, and the next one carries them on as if nothing had been.

Each case runs once undisturbed, and then once for each row of its journal and each way to die there: before the row is
safe, after it and before anything was done about it, and a moment later. See `tests.resume_world`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from flowengine.call.causes import USER_BUSY
from flowengine.call.record import CallRecord
from flowengine.flow.document import Flow, GroupTransfer, Ivr, Voicemail
from simulator.phones import Answered, Behaviour, HangUp, Hear, Press, Speak, Step, Wait, seconds
from tests.call.driving import announcement, flow, say
from tests.live_world import in_virtual_time
from tests.resume_world import Comes, Death, Ground, live_through, on_virtual_ground

MENU = Ivr(prompt=say("Sales one"), connections={"1": "ring", "2": "box", "timeout": "bye"})
BOX = Voicemail(prompt=say("Speak"), max_duration_s=20.0)
ANSWERS = Behaviour(answers_after_us=seconds(2), talks_us=seconds(5))
DECLINES = Behaviour(declines_after_us=seconds(1.5))
RINGS = Behaviour()
BUSY = Behaviour(rings=False, declines_after_us=seconds(0.2), cause=USER_BUSY)


def office(**more: object) -> Flow:
    """A menu before a group and a mailbox."""
    ring = GroupTransfer.model_validate(
        {"type": "group_transfer", "group": "team", "ring_timeout_s": 6, "exits": {"timeout": "box"}, **more}
    )
    return flow(menu=MENU, ring=ring, box=BOX, bye=announcement("Bye"))


class Case(NamedTuple):
    flow: Flow
    users: Mapping[str, Behaviour]
    script: tuple[Step, ...]
    others: tuple[Comes, ...] = ()
    """Further callers, each the next call."""
    call: str = "cal_1"
    """The call in which the engine dies."""


KEYS: tuple[Step, ...] = (Answered(), Wait(seconds(1)), Press("1"), Wait(seconds(1.2)), Press("1"))
"""Somebody who presses again when nothing happens: a key pressed while nobody listens is lost."""
MESSAGE: tuple[Step, ...] = (
    Answered(),
    Wait(seconds(0.5)),
    Press("2"),
    Wait(seconds(1.2)),
    Press("2"),
    Hear("tone:beep", to_end=True),
    Speak(seconds(6)),
    HangUp(),
)

MESSAGE_AFTER_KEYS: tuple[Step, ...] = (*KEYS, Hear("tone:beep", to_end=True), Speak(seconds(6)), HangUp())

CASES = {
    "a menu nobody uses": Case(office(), {}, (Answered(),)),
    "a caller who leaves in the menu": Case(office(), {}, (Answered(), Wait(seconds(1)), HangUp())),
    "a message": Case(office(), {}, MESSAGE),
    "a message that silence ends": Case(office(), {}, (*MESSAGE[:-1], Wait(seconds(30)))),
    "a talk": Case(office(), {"hanako": ANSWERS}, KEYS),
    "a recorded talk": Case(office(record=True), {"hanako": ANSWERS}, KEYS),
    "a recorded talk, sides apart": Case(
        office(record=True, recording_sides="apart"), {"hanako": ANSWERS}, KEYS
    ),
    "two phones ring": Case(office(), {"hanako": RINGS, "taro": ANSWERS}, KEYS),
    "one after another": Case(
        office(ringing="sequential"), {"hanako": DECLINES, "taro": RINGS, "ken": ANSWERS}, KEYS
    ),
    "nobody answers": Case(
        office(), {"hanako": RINGS}, (*KEYS, Hear("tone:beep", to_end=True), Speak(seconds(6)), HangUp())
    ),
    "a waiting line": Case(
        office(queue={"max_waiting": 3, "music_cycles": 4}),
        {"hanako": ANSWERS},
        KEYS,
        (Comes(KEYS, 3.0),),
        "cal_2",
    ),
    "a line that is too slow": Case(
        office(queue={"max_waiting": 3, "music_cycles": 1, "notice": {"say": "Please wait"}}),
        {"hanako": Behaviour(answers_after_us=seconds(1), talks_us=seconds(30))},
        KEYS,
        (Comes(MESSAGE_AFTER_KEYS, 3.0),),
        "cal_2",
    ),
    "a caller who gives up while it rings": Case(
        office(), {"hanako": RINGS}, (*KEYS, Wait(seconds(3)), HangUp())
    ),
}


class Told(NamedTuple):
    """What of a call must be the same whether an engine died in it or not."""

    path: tuple[str, ...]
    disposition: str
    reason: str
    agents: tuple[str, ...]
    recordings: tuple[str, ...]


def told(record: CallRecord | None) -> Told:
    assert record is not None
    path = tuple(f"{visit.state}:{visit.outcome}" for visit in record.path)
    kept = tuple(each.purpose for each in record.recordings)
    return Told(path, record.disposition, record.end_reason, record.agents, kept)


def run(case: Case, *deaths: Death, gap_s: float = 0.3) -> Ground:
    """Play a case, with deaths in it or without."""
    with on_virtual_ground() as folder:

        async def main() -> Ground:
            ground = Ground(case.flow, case.users, folder)
            await live_through(ground, (Comes(case.script), *case.others), deaths, gap_s)
            return ground

        return in_virtual_time(main())


WAYS: tuple[dict[str, Any], ...] = ({"stored": False}, {}, {"later_s": 0.0025}, {"later_s": 0.2})
"""Ways to die at a row: before it is safe; when it is, and nothing was done yet; in the middle of that; after it."""


@pytest.mark.parametrize("name", CASES)
def test_whenever_an_engine_dies_the_next_carries_the_call_on(name: str) -> None:
    case = CASES[name]
    undisturbed = run(case)
    assert undisturbed.leaks() == []
    expected = [told(call.record) for call in undisturbed.calls.values()]
    kept = sum(len(each.recordings) for each in expected)
    for row in range(len(undisturbed.calls[case.call].rows)):
        for way in WAYS:
            death = Death(row, call=case.call, **way)
            ground = run(case, death)
            where = f"{death} at {undisturbed.calls[case.call].rows[row].event}"
            assert ground.leaks() == [], where
            assert [told(call.record) for call in ground.calls.values()] == expected, where
            assert (len(ground.kept), ground.lost) == (kept, {}), where
