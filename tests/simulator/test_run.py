"""Whole calls through the engine in the simulated world: each of the five states, and what goes wrong in them."""

import subprocess
import sys

import pytest

from flowengine.call import commands, events
from flowengine.call.trace import dump, read, replay
from flowengine.flow.document import (
    Announcement,
    Flow,
    GroupTransfer,
    Ivr,
    Say,
    UserTransfer,
    Voicemail,
    WaitingLine,
)
from simulator.phones import (
    BUSY,
    DEAD,
    SILENT,
    Answered,
    Behaviour,
    HangUp,
    Hear,
    Mute,
    Press,
    Speak,
    Step,
    Wait,
    seconds,
)
from simulator.run import RunningCall
from tests.simulator.engine import Engine, Phones, answers, flow_of, path

SORRY = Announcement(prompt=Say(say="Sorry, nobody is there."))
MENU = flow_of(
    menu=Ivr(prompt=Say(say="Press one or two."), connections={"1": "hello", "timeout": "sorry"}),
    hello=Announcement(prompt=Say(say="Hello.")),
    sorry=SORRY,
)
EXITS: dict[str, str | None] = {"timeout": "sorry", "unavailable": "sorry", "busy": "sorry"}
BOSS = flow_of(boss=UserTransfer(user="ann", ring_timeout_s=20, record=True, connections=EXITS), sorry=SORRY)
TEAM = GroupTransfer(group="team", ring_timeout_s=20, connections=EXITS)
LINE = flow_of(team=TEAM.model_copy(update={"ringing": "sequential"}), sorry=SORRY)
ALL_AT_ONCE = flow_of(team=TEAM, sorry=SORRY)
MAIL = flow_of(mail=Voicemail(prompt=Say(say="Speak now."), max_duration_s=30))


def only(calls: list[RunningCall]) -> RunningCall:
    [call] = calls
    return call


def test_announcement() -> None:
    engine = Engine(flow_of(hello=SORRY))
    caller = engine.call()
    call = only(engine.run())
    assert path(call) == ["hello:next"]
    assert caller.sounds == ["say:en-US::Sorry, nobody is there."]
    assert caller.cause == 16


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([Wait(seconds(0.2)), Press("1")], ["menu:1", "hello:next"]),
        ([Wait(seconds(4)), Press("1")], ["menu:1", "hello:next"]),
        ([], ["menu:timeout", "sorry:next"]),
        ([Press("77")], ["menu:timeout", "sorry:next"]),
        ([Press("71")], ["menu:1", "hello:next"]),
        ([Press("777")], ["menu:timeout", "sorry:next"]),
        ([Wait(seconds(0.2)), HangUp()], ["menu:"]),
    ],
)
def test_ivr(script: list[Press], expected: list[str]) -> None:
    engine = Engine(MENU)
    engine.call(*script)
    assert path(only(engine.run())) == expected


def test_the_menu_waits_five_seconds_after_its_prompt() -> None:
    engine = Engine(MENU)
    engine.call()
    call = only(engine.run())
    assert call.record is not None
    left = call.record.path[0].left_at
    assert left is not None
    prompt_s = len("Press one or two.") * 0.06
    assert (left - engine.start) / 1e6 == pytest.approx(prompt_s + 5, abs=0.01)


@pytest.mark.parametrize(
    ("script", "outcome", "kept_ms"),
    [
        ([Hear("tone:beep", True), Speak(seconds(6)), Press("#")], "recorded", 6_100),
        ([Hear("tone:beep", True), Speak(seconds(6)), HangUp()], "", 6_000),
        ([Hear("tone:beep", True), Speak(seconds(6))], "recorded", 6_200),
        ([Hear("tone:beep", True), Speak(seconds(60))], "timeout", 30_000),
        ([Hear("tone:beep", True), Speak(seconds(6)), Mute()], "timeout", 6_000),
        ([Hear("tone:beep", True), Speak(seconds(0.6)), HangUp()], "", None),
        ([], "recorded", None),
        ([Hear("tone:beep", True), Mute()], "timeout", None),
    ],
)
def test_voicemail(script: list[Press], outcome: str, kept_ms: int | None) -> None:
    engine = Engine(MAIL)
    engine.call(*script)
    call = only(engine.run())
    assert path(call) == [f"mail:{outcome}"]
    kept = [recording.duration_ms for _, recording in engine.simulation.kept]
    assert kept == ([] if kept_ms is None else [pytest.approx(kept_ms, abs=10)])


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        (answers(2, talks_s=10), ["boss:answered"]),
        (answers(2, talks_s=0), ["boss:answered"]),
        (SILENT, ["boss:timeout", "sorry:next"]),
        (BUSY, ["boss:busy", "sorry:next"]),
        (Behaviour(declines_after_us=seconds(1)), ["boss:unavailable", "sorry:next"]),
        (DEAD, ["boss:unavailable", "sorry:next"]),
    ],
)
def test_user_transfer(does: Behaviour, expected: list[str]) -> None:
    engine = Engine(BOSS, {"ann": [does]})
    engine.call()
    assert path(only(engine.run())) == expected


def test_a_user_nobody_has_registered_is_unavailable() -> None:
    engine = Engine(BOSS)
    engine.call()
    assert path(only(engine.run())) == ["boss:unavailable", "sorry:next"]


def test_a_telephone_that_is_gone_behind_the_desks_back_is_unavailable() -> None:
    engine = Engine(BOSS, {"ann": [answers()]})
    engine.phones["ann"].registered = False
    engine.call()
    call = only(engine.run())
    assert path(call) == ["boss:unavailable", "sorry:next"]
    assert any(
        isinstance(entry.event, events.LegHungUp) and entry.event.cause == 20 for entry in call.journal
    )


def test_the_talk_is_recorded_whoever_hangs_up() -> None:
    leaves: list[Step] = [Answered(), Wait(seconds(10)), HangUp()]
    ways: list[tuple[list[Step], float | None]] = [([], 10.0), (leaves, None)]
    for script, talks_s in ways:
        engine = Engine(BOSS, {"ann": [answers(2, talks_s)]})
        engine.call(*script)
        call = only(engine.run())
        assert call.record is not None
        assert call.record.disposition == "answered"
        [(_, kept)] = engine.simulation.kept
        assert (kept.purpose, kept.user) == ("talk", "ann")
        assert kept.duration_ms == pytest.approx(10_000, abs=20)


def test_caller_gives_up_while_the_agent_rings() -> None:
    engine = Engine(BOSS, {"ann": [SILENT]})
    caller = engine.call(Wait(seconds(5)), HangUp())
    call = only(engine.run())
    assert path(call) == ["boss:"]
    assert call.record is not None
    assert call.record.disposition == "abandoned"
    assert caller.cause == 127
    hang_ups = [
        command
        for entry in call.journal
        for command in entry.commands or ()
        if isinstance(command, commands.HangUp)
    ]
    assert [each.leg for each in hang_ups] == ["leg-2"], "the ringing is ended by us"


def test_unanswered_call_tells_the_carrier_why() -> None:
    ends = flow_of(boss=UserTransfer(user="ann", ring_timeout_s=20))
    for does, cause in ((SILENT, 19), (BUSY, 17), (DEAD, 20)):
        engine = Engine(ends, {"ann": [does]})
        caller = engine.call()
        engine.run()
        assert caller.cause == cause


def test_parallel_ringing() -> None:
    engine = Engine(
        ALL_AT_ONCE,
        {"ann": [answers(5)], "bob": [answers(3, talks_s=9)], "cid": [SILENT]},
        {"team": ("ann", "bob", "cid")},
    )
    engine.call()
    call = only(engine.run())
    assert path(call) == ["team:answered"]
    assert call.record is not None
    assert call.record.agents == ("bob",)
    assert all(phone.leg is None for phone in engine.phones.values())


def test_two_answer_at_the_same_instant() -> None:
    phones: Phones = {"ann": [answers(3, talks_s=9)], "bob": [answers(3, talks_s=9)]}
    engine = Engine(ALL_AT_ONCE, phones, {"team": ("ann", "bob")}, latency_us=0)
    engine.call()
    call = only(engine.run())
    assert call.record is not None
    assert call.record.agents == ("ann",)


def test_sequential_ringing_goes_in_line_order() -> None:
    phones: Phones = {
        "ann": [SILENT],
        "bob": [Behaviour(declines_after_us=seconds(2))],
        "cid": [answers(1, talks_s=5)],
    }
    engine = Engine(LINE, phones, {"team": ("cid", "bob", "ann")})
    engine.call()
    engine.call(at_s=100)
    first, second = engine.run()
    assert [dialled(call) for call in (first, second)] == [["ann", "bob", "cid"], ["ann", "bob", "cid"]]
    assert path(first) == ["team:answered"]


def test_who_answers_goes_to_the_end_of_the_line() -> None:
    phones: Phones = {name: [answers(1, talks_s=5)] for name in ("ann", "bob")}
    engine = Engine(LINE, phones, {"team": ("ann", "bob")})
    for at_s in (0, 100, 200):
        engine.call(at_s=at_s)
    assert [dialled(call) for call in engine.run()] == [["ann"], ["bob"], ["ann"]]


def dialled(call: RunningCall) -> list[str]:
    return [
        command.endpoint.removeprefix("PJSIP/")
        for entry in call.journal
        for command in entry.commands or ()
        if isinstance(command, commands.Dial)
    ]


QUEUE = flow_of(
    boss=UserTransfer(
        user="ann",
        queue=WaitingLine(
            max_waiting=2, notice=Say(say="Please wait."), music=Say(say="La la."), music_cycles=3
        ),
        connections=EXITS,
    ),
    sorry=SORRY,
)


def test_waiting_in_line() -> None:
    engine = Engine(QUEUE, {"ann": [answers(1, talks_s=0.8)]})
    callers = [engine.call(at_s=at) for at in (0.0, 0.1, 0.2)]
    calls = sorted(engine.run(), key=lambda call: call.id)
    assert [path(call) for call in calls] == [
        ["boss:answered"],
        ["boss:answered"],
        ["boss:timeout", "sorry:next"],
    ]
    assert callers[1].sounds[0] == "say:en-US::Please wait."
    assert callers[2].sounds[:2] == ["say:en-US::Please wait.", "say:en-US::La la."]


def test_the_line_is_full() -> None:
    engine = Engine(QUEUE, {"ann": [answers(1, talks_s=60)]})
    for at_s in (0, 0.1, 0.2, 0.3):
        engine.call(at_s=at_s)
    calls = {call.id: path(call) for call in engine.run()}
    assert calls["call-4"] == ["boss:busy", "sorry:next"]


def test_leaving_the_line() -> None:
    engine = Engine(QUEUE, {"ann": [answers(1, talks_s=60)]})
    engine.call()
    engine.call(Hear("Please wait"), Wait(seconds(0.3)), HangUp(), at_s=5)
    call = next(call for call in engine.run() if call.id == "call-2")
    assert call.record is not None
    assert call.record.disposition == "abandoned"


def test_a_sound_that_is_missing_does_not_stop_the_call() -> None:
    engine = Engine(MENU, missing=["Press one or two."])
    caller = engine.call(Wait(seconds(2)), Press("1"))
    call = only(engine.run())
    assert path(call) == ["menu:1", "hello:next"]
    assert caller.sounds == ["say:en-US::Hello."]
    assert call.record is not None
    assert call.record.faults == ("menu: sound not played",)


def test_calls_that_are_refused() -> None:
    engine = Engine(MENU)
    nowhere, unpublished = engine.call(number="+815055550111"), engine.call(number="+815055550199")
    assert engine.run() == []
    assert [refusal.rejection.reason for refusal in engine.simulation.refused] == [
        "unknown_number",
        "no_published_flow",
    ]
    assert (nowhere.cause, unpublished.cause) == (1, 20)


def test_a_caller_who_is_gone_before_the_engine_looked() -> None:
    engine = Engine(MENU, latency_us=0)
    engine.call(HangUp())
    call = only(engine.run())
    assert call.record is not None
    assert call.record.end_reason == "caller_hung_up"
    assert call.record.answered_at is None


def test_a_patient_caller_leaves_in_the_end() -> None:
    engine = Engine(BOSS, {"ann": [answers(1)]})
    engine.call()
    call = only(engine.run())
    assert call.record is not None
    assert call.record.end_reason == "caller_hung_up"
    assert call.record.duration_s == pytest.approx(3599, abs=0.1)


def test_journals_replay_and_survive_being_written() -> None:
    engine = Engine(LINE, {"ann": [answers(1, talks_s=5)]}, {"team": ("ann",)})
    engine.call()
    trace = only(engine.run()).trace()
    assert replay(trace) is None
    assert replay(read(dump(trace))) is None


def test_without_journaling_only_the_record_is_left() -> None:
    engine = Engine(MENU, journaling=False)
    engine.call(Press("1"))
    call = only(engine.run())
    assert (call.journal, path(call)) == ([], ["menu:1", "hello:next"])


def test_many_calls_at_once_share_the_agents() -> None:
    phones: Phones = {f"u{at}": [answers(2, talks_s=20)] for at in range(5)}
    engine = Engine(ALL_AT_ONCE, phones, {"team": tuple(phones)})
    for at in range(200):
        engine.call(at_s=at * 7)
    calls = engine.run()
    assert len(calls) == 200
    talks = [call.record.agents for call in calls if call.record]
    assert sum(len(agents) for agents in talks) > 100


def flow_with_a_loop() -> Flow:
    return flow_of(hello=Announcement(prompt=Say(say="Again."), connections={"next": "hello"}))


def test_time_can_be_stopped_in_a_call_that_never_ends() -> None:
    engine = Engine(flow_with_a_loop())
    engine.call()
    engine.world.run(engine.start + seconds(60))
    assert "call call-1" in engine.simulation.leaks()


PLAY_ALL = """
import glob, json, sys
from simulator.play import run_files
for result in run_files(None, sorted(glob.glob("schemas/examples/scenarios/*.yaml"))):
    print(result.timeline())
    print(json.dumps(result.to_json()))
"""


def test_one_seed_gives_one_result_to_the_byte() -> None:
    def told(hash_seed: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", PLAY_ALL],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout

    first = told("1")
    assert first == told("4711")
    assert len(first) > 10_000
