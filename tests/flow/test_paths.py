"""Where callers can go, and for how long."""

import pytest

from flowengine.flow.document import (
    KEYS,
    Audio,
    GroupTransfer,
    Ivr,
    Manner,
    Say,
    State,
    UserTransfer,
    Voicemail,
    WaitingLine,
)
from flowengine.flow.paths import (
    Step,
    count_paths,
    estimated_s,
    longest_time,
    possible_outcomes,
    some_paths,
    stay_s,
    walk,
)
from tests.flow.drawing import HELLO, flow, menu, message, say


def seconds(sound: str) -> float:
    return 2.0 if sound == "say:en-US::Hello." else 30.0


def told(paths: object) -> list[str]:
    assert isinstance(paths, list)
    return [" ".join(f"{state}.{outcome}" for state, outcome in path) for path in paths]


def test_every_path_is_given_once_keys_before_timeouts() -> None:
    drawn = flow(
        {
            "menu": menu(k1="team", timeout="vm"),
            "team": GroupTransfer(group="g"),
            "vm": message("bye"),
            "bye": say(),
        }
    )
    assert told(list(walk(drawn))) == [
        "menu.1 team.timeout",
        "menu.1 team.unavailable",
        "menu.1 team.busy",
        "menu.1 team.answered",
        "menu.timeout vm.timeout bye.next",
        "menu.timeout vm.recorded",
    ]  # fmt: skip
    assert count_paths(drawn) == 6


def test_keys_which_lead_nowhere_are_no_outcome() -> None:
    drawn = Ivr(prompt=HELLO, connections={"1": "a", "2": None, "#": "a"})
    assert possible_outcomes(drawn) == ("1", "timeout")
    assert possible_outcomes(menu(invalid="a")) == ("timeout", "invalid")


def test_a_path_ends_where_it_would_come_round_again() -> None:
    drawn = flow({"a": say("b"), "b": say("a")})
    assert list(walk(drawn)) == [(Step("a", "next"), Step("b", "next"))]
    assert count_paths(drawn) is None
    assert longest_time(drawn) is None


def test_a_flow_without_a_start_has_no_paths() -> None:
    for drawn in (flow({}), flow({"a": say()}, start=None), flow({"a": say()}, start="b")):
        assert list(walk(drawn)) == []
        assert count_paths(drawn) == 0
        assert longest_time(drawn) is not None


def test_a_loop_nobody_reaches_does_not_matter() -> None:
    drawn = flow({"a": say("gone"), "b": say("b")})
    assert told(list(walk(drawn))) == ["a.next"]
    assert count_paths(drawn) == 1


@pytest.mark.timeout(5)
def test_paths_are_counted_without_walking_them() -> None:
    ladder: dict[str, State] = {}
    for at in range(100):
        exits: dict[str, str | None] = dict.fromkeys((*KEYS[:10], "timeout"), f"s{at + 1}")
        ladder[f"s{at}"] = Ivr(prompt=HELLO, connections=exits)
    drawn = flow({**ladder, "s100": say()})
    assert count_paths(drawn) == 11**100
    paths, all_of_them = some_paths(drawn, limit=5)
    assert (len(paths), all_of_them) == (5, False)


def test_a_limit_that_just_suffices_gives_all() -> None:
    drawn = flow({"a": menu(k1="b"), "b": say()})
    assert some_paths(drawn, limit=2)[1] is True
    assert some_paths(drawn, limit=1) == (some_paths(drawn)[0][:1], False)


@pytest.mark.parametrize(
    ("state", "stay"),
    [
        (say(), 2),
        (Ivr(prompt=HELLO, timeout_s=5, attempts=3), 3 * (2 + 5)),
        (Voicemail(prompt=HELLO, max_duration_s=60, beep=False), 2 + 60),
        (Voicemail(prompt=HELLO, max_duration_s=60), 2 + 1 + 60),
        (UserTransfer(user="u", ring_timeout_s=20), 20),
        (
            UserTransfer(
                user="u",
                ring_timeout_s=20,
                queue=WaitingLine(max_waiting=1, notice=HELLO, music=Audio(audio="m"), music_cycles=3),
            ),
            2 + 3 * 30 + 20,
        ),
        (UserTransfer(user="u", ring_timeout_s=20, queue=WaitingLine(max_waiting=1)), 60 + 20),
        (
            UserTransfer(
                user="u",
                ring_timeout_s=20,
                queue=WaitingLine(max_waiting=1, music_cycles=2, announce_position=True, announce_wait=True),
            ),
            2 * (30 + 30 + 60) + 20,
        ),
        (UserTransfer(user="u", ring_timeout_s=20, record=True, recording_notice=HELLO), 2 + 20),
        (UserTransfer(user="u", ring_timeout_s=20, recording_notice=HELLO), 20),
        (GroupTransfer(group="g", ring_timeout_s=10, record=True, recording_notice=HELLO), 2 + 10),
        (GroupTransfer(group="g", ring_timeout_s=10, queue=WaitingLine(max_waiting=1)), 60 + 10),
        (
            GroupTransfer(
                group="g",
                ringing="sequential",
                ring_timeout_s=10,
                queue=WaitingLine(max_waiting=1, notice=HELLO),
            ),
            2 + 60 + 10,
        ),
        (
            GroupTransfer(
                group="g", ringing="sequential", ring_timeout_s=60, queue=WaitingLine(max_waiting=1)
            ),
            3 * 60,
        ),
        (GroupTransfer(group="g", ringing="parallel", ring_timeout_s=10), 10),
        (GroupTransfer(group="g", ringing="sequential", ring_timeout_s=10), 3 * 10),
        (GroupTransfer(group="nobody", ringing="sequential", ring_timeout_s=10), 10),
    ],
)
def test_the_longest_stay_in_a_state(state: State, stay: float) -> None:
    assert stay_s(state, Manner("en-US"), seconds, {"g": ("a", "b", "c")}) == stay


def test_the_longest_time_follows_the_longest_way_and_ends_with_the_goodbye() -> None:
    states: dict[str, State] = {
        "menu": Ivr(prompt=HELLO, attempts=1, timeout_s=5, connections={"1": "bye", "2": "boss"}),
        "bye": say("rest"),
        "boss": UserTransfer(user="u", ring_timeout_s=40, connections={"timeout": "rest"}),
        "rest": say(),
    }
    longest = longest_time(flow(states, goodbye=Say(say="A long goodbye")), sound_s=seconds)
    assert longest is not None
    assert longest.states == ("menu", "boss", "rest")
    assert longest.seconds == (2 + 5) + 40 + 2 + 30
    assert longest.minutes == 2
    without = longest_time(flow(states, goodbye=None), sound_s=seconds)
    assert without is not None
    assert without.seconds == 49


def test_of_two_ways_on_the_longer_one_counts_whatever_the_goodbye() -> None:
    drawn = flow({"a": menu(k1="b", k2="c"), "b": say(), "c": message()}, goodbye=Say(say="A long goodbye"))
    longest = longest_time(drawn, sound_s=lambda sound: 1.0 if "Hello" in sound else 1000.0)
    assert longest is not None
    assert longest.states == ("a", "c")
    assert longest.seconds == 3 * (1 + 5) + (1 + 1 + 120) + 1000


def test_a_message_that_is_cut_at_its_limit_is_followed_by_the_goodbye() -> None:
    longest = longest_time(flow({"a": message()}, goodbye=Say(say="Bye")), sound_s=seconds)
    assert longest is not None
    assert longest.seconds == 2 + 1 + 120 + 30


def test_members_make_a_sequential_group_longer() -> None:
    drawn = flow({"a": GroupTransfer(group="g", ringing="sequential", ring_timeout_s=20)}, goodbye=None)
    for members, expected in (((), 20), (("a",), 20), (("a", "b", "c"), 60)):
        longest = longest_time(drawn, members={"g": members})
        assert longest is not None
        assert longest.seconds == expected


def test_a_started_minute_counts_and_a_full_one_is_one() -> None:
    for ring_s, minutes in ((60.0, 1), (60.5, 2), (1.0, 1)):
        longest = longest_time(flow({"a": UserTransfer(user="u", ring_timeout_s=ring_s)}, goodbye=None))
        assert longest is not None
        assert longest.minutes == minutes


def test_estimates_know_kana_from_letters() -> None:
    assert estimated_s("say:en-US::" + "a" * 28) == pytest.approx(2)
    assert estimated_s("say:ja-JP:voice:" + "あ" * 14) == pytest.approx(2)
    assert estimated_s("say:en-US::a:b:c") == pytest.approx(5 / 14)
    assert estimated_s("audio:aud_1") == 10
