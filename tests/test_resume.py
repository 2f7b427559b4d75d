"""An engine dies at every step of calls of every kind, and the next one carries them on as if nothing had been.

Each case runs once undisturbed, and then once for each row of its journal and each way to die there: before the row is
safe, after it and before anything was done about it, and a moment later. See `tests.resume_world`.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest

from flowengine.call.events import CallKilled, LegAnswered
from flowengine.call.holding import Holding
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


def nothing_new(_ground: Ground) -> None:
    """The next engine is like the last."""


def runs(
    case: Case,
    *all_deaths: Sequence[Death],
    gap_s: float = 0.3,
    upgrade: Callable[[Ground], None] = nothing_new,
) -> list[Ground]:
    """Play a case once for each series of deaths, each on a ground of its own."""
    with on_virtual_ground() as folder:

        async def main() -> list[Ground]:
            grounds = []
            for deaths in all_deaths:
                ground = Ground(case.flow, case.users, folder)
                ground.upgrade = partial(upgrade, ground)
                await live_through(ground, (Comes(case.script), *case.others), deaths, gap_s)
                grounds.append(ground)
            return grounds

        return in_virtual_time(main())


def undisturbed(case: Case) -> Ground:
    [ground] = runs(case, ())
    assert ground.leaks() == []
    return ground


WAYS: tuple[dict[str, Any], ...] = ({"stored": False}, {}, {"later_s": 0.0025}, {"later_s": 0.2})
"""Ways to die at a row: before it is safe; when it is, and nothing was done yet; in the middle of that; after it."""


@pytest.mark.parametrize("name", CASES)
def test_whenever_an_engine_dies_the_next_carries_the_call_on(name: str) -> None:
    case = CASES[name]
    model = undisturbed(case)
    expected = [told(call.record) for call in model.calls.values()]
    kept = sum(len(each.recordings) for each in expected)
    rows = model.calls[case.call].rows
    deaths = [Death(row.seq, call=case.call, **way) for row in rows for way in WAYS]
    for death, ground in zip(deaths, runs(case, *((death,) for death in deaths)), strict=True):
        where = f"{death} at {rows[death.row].event}"
        assert ground.leaks() == [], where
        assert [told(call.record) for call in ground.calls.values()] == expected, where
        assert (len(ground.kept), ground.lost) == (kept, {}), where


@pytest.mark.parametrize("seed", range(24))
def test_engines_may_die_again_and_again(seed: int) -> None:
    """Each a few rows after the last, with gaps of up to a second: what a caller pressed meanwhile nobody heard."""
    chance = random.Random(seed)
    case = CASES[chance.choice(sorted(CASES))]
    rows = sorted(chance.sample(range(14), 4))
    deaths = [
        Death(row, chance.random() < 0.8, chance.choice((0, 0, 0.0025, 0.1)), case.call) for row in rows
    ]
    [ground] = runs(case, deaths, gap_s=chance.uniform(0.01, 1.0))
    assert ground.leaks() == []
    assert ground.lost == {}
    for call in ground.calls.values():
        assert told(call.record).reason in ("completed", "caller_hung_up")
        assert len([rec for id, rec in ground.kept if ground.calls[id] is call]) == len(
            told(call.record).recordings
        )


# Another version of the machine


def _forget_digests(ground: Ground) -> None:
    """As if the next engine's machine had said something else from the first event on."""
    ground.is_upgraded = True
    for call in ground.calls.values():
        call.rows[:] = [row._replace(digest="0" * 16) for row in call.rows]


@pytest.mark.parametrize("name", ["a menu nobody uses", "a message", "a recorded talk", "two phones ring"])
def test_a_machine_that_says_something_else_goes_on_with_what_is_there(name: str) -> None:
    case = CASES[name]
    model = undisturbed(case)
    expected = [told(call.record) for call in model.calls.values()]
    deaths = [(Death(row.seq),) for row in model.calls["cal_1"].rows]
    for row, ground in enumerate(runs(case, *deaths, upgrade=_forget_digests)):
        assert ground.leaks() == [], row
        assert [told(call.record) for call in ground.calls.values()] == expected, row


def _with_other_ids(patch: pytest.MonkeyPatch) -> Callable[[Ground], None]:
    """The first engine's machines call everything something else; returns what ends that."""
    known = Holding._id
    patch.setattr(Holding, "_id", lambda self, kind: f"{known(self, kind)}0")

    def upgrade(ground: Ground) -> None:
        ground.is_upgraded = True
        patch.undo()

    return upgrade


def test_two_who_talk_are_left_to_it_by_a_machine_that_does_not_know_them() -> None:
    case = CASES["a talk"]
    with pytest.MonkeyPatch.context() as patch:
        upgrade = _with_other_ids(patch)
        [ground] = runs(case, (Death(7, later_s=1.0),), upgrade=upgrade)
    [call] = ground.calls.values()
    answered, ended = (row.event for row in call.rows[7:9])
    assert isinstance(answered, LegAnswered)
    assert isinstance(ended, CallKilled)
    assert ended.at - answered.at == pytest.approx(seconds(5), abs=seconds(0.5))
    assert told(call.record).reason == "switch_lost"
    assert ground.leaks() == []


def test_a_state_begins_anew_in_a_machine_that_does_not_know_what_is_open() -> None:
    """The caller hears the menu again, and is put through."""
    case = CASES["a talk"]._replace(script=(*KEYS, Wait(seconds(2)), Press("1")))
    with pytest.MonkeyPatch.context() as patch:
        upgrade = _with_other_ids(patch)
        [ground] = runs(case, (Death(1, later_s=0.2),), upgrade=upgrade)
    [call] = ground.calls.values()
    assert told(call.record).path == ("menu:1", "ring:answered")
    assert ground.leaks() == []
