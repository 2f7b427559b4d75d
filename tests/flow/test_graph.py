"""The rules of a flow: each code has a test that fails when the rule is broken or is too strict."""

import json
from pathlib import Path

import pytest

from flowengine.flow.document import (
    KEYS,
    Announcement,
    Audio,
    Flow,
    GroupTransfer,
    Ivr,
    Say,
    State,
    Url,
    UserTransfer,
    Voicemail,
    WaitingLine,
    load,
)
from flowengine.flow.graph import MAX_INCOMING, connected, loops, problems
from flowengine.flow.problems import CODES
from tests.flow.drawing import HELLO, flow, menu, message, of, say
from tests.flow.strategies import Account

BROKEN = Path(__file__).with_name("broken-everything.json")
EXCLUSIVE = {"no_states", "start_missing", "start_unknown"}
SHAPE = {
    "invalid_document",
    "missing_field",
    "unknown_field",
    "out_of_range",
    "too_long",
    "unknown_format",
    "unknown_state_type",
    "too_many_problems",
}


def codes(drawn: Flow, directory: Account | None = None) -> list[str]:
    return [problem.code for problem in problems(drawn, directory)]


def test_a_good_flow_has_no_problems() -> None:
    drawn = flow({"menu": menu(k1="bye", timeout="vm", invalid="vm"), "bye": say(), "vm": message()})
    assert problems(drawn, Account()) == []


def test_the_broken_document_breaks_every_rule_at_once() -> None:
    account = Account(groups={"sales": ("u1",), "night": ()})
    found = problems(load(BROKEN.read_bytes()), account, numbers_taken={"+81312345678": "Other"})
    assert {problem.code for problem in found} == set(CODES) - EXCLUSIVE - SHAPE


def test_every_problem_points_into_the_document_and_names_its_state() -> None:
    document = json.loads(BROKEN.read_text(encoding="utf-8"))
    for problem in problems(load(BROKEN.read_bytes()), Account(groups={"night": ()})):
        at = document
        *way, last = problem.pointer.split("/")[1:]
        for part in way:
            at = at[part.replace("~1", "/").replace("~0", "~")]
        # An open exit has no place of its own: the pointer is where it would be written.
        assert last in at or problem.code == "dead_end"
        if problem.state is not None:
            assert problem.pointer.startswith(f"/states/{problem.state}")
            assert f'"{problem.state}"' in problem.message
        if problem.exit is not None:
            assert problem.pointer.endswith(f"/exits/{problem.exit}")
            assert f'"{problem.exit}"' in problem.message
        assert problem.severity == CODES[problem.code].severity


def test_a_slash_in_an_exit_is_escaped_in_the_pointer() -> None:
    drawn = flow({"a": Announcement(prompt=HELLO, connections={"x/y~z": None})})
    (problem,) = problems(drawn)
    assert (problem.code, problem.pointer) == ("unknown_exit", "/states/a/exits/x~1y~0z")


# The flow as a whole


def test_empty_name() -> None:
    assert codes(flow({"a": say()}, name=" ")) == ["empty_name"]


def test_no_states_says_nothing_of_the_start() -> None:
    assert codes(flow({})) == ["no_states"]


def test_start_missing_says_nothing_of_unreachable_states() -> None:
    assert codes(flow({"a": say()}, start=None)) == ["start_missing"]


def test_start_unknown() -> None:
    (problem,) = problems(flow({"a": say()}, start="b"))
    assert (problem.code, problem.pointer) == ("start_unknown", "/start")
    assert '"b"' in problem.message


def test_number_taken() -> None:
    (problem,) = problems(flow({"a": say()}), numbers_taken={"+15550100": "Office"})
    assert problem.code == "number_taken"
    assert "+15550100" in problem.message
    assert "Office" in problem.message


def test_the_goodbye_is_a_prompt_like_any_other() -> None:
    (problem,) = problems(flow({"a": say()}, goodbye=Say(say="")))
    assert (problem.code, problem.state, problem.pointer) == ("empty_prompt", None, "/goodbye/say")


# Connections


def test_unreachable_state() -> None:
    found = problems(flow({"a": say("b"), "b": say(), "c": say("b"), "d": say("c")}))
    assert [(problem.code, problem.state) for problem in found] == [
        ("unreachable_state", "c"),
        ("unreachable_state", "d"),
    ]


def test_an_exit_that_does_not_exist_makes_nothing_reachable() -> None:
    a = Announcement(prompt=HELLO, connections={"1": "b"})
    assert codes(flow({"a": a, "b": say()})) == ["unknown_exit", "unreachable_state"]


def test_unknown_target() -> None:
    (problem,) = problems(flow({"a": say("gone")}))
    assert (problem.code, problem.exit, problem.pointer) == ("unknown_target", "next", "/states/a/exits/next")
    assert '"gone"' in problem.message


@pytest.mark.parametrize(
    ("state", "strange"),
    [
        (Ivr(prompt=HELLO, connections={"1": "b", "#": "b"}), "#"),
        (Announcement(prompt=HELLO, connections={"next": "b", "timeout": None}), "timeout"),
        (Voicemail(prompt=HELLO, connections={"timeout": "b", "recorded": "b"}), "recorded"),
        (UserTransfer(user="u1", connections={"busy": "b", "answered": "b"}), "answered"),
        (GroupTransfer(group="g1", connections={"busy": "b", "next": "b"}), "next"),
    ],
)
def test_unknown_exit(state: Ivr, strange: str) -> None:
    (problem,) = problems(flow({"a": state, "b": say()}))
    assert (problem.code, problem.exit) == ("unknown_exit", strange)
    assert all(exit_ in problem.message for exit_ in state.exits())


def test_eleven_keys_are_allowed_and_timeout_and_invalid_do_not_count() -> None:
    keys: dict[str, str | None] = dict.fromkeys(KEYS[:10], "b")
    exits: dict[str, str | None] = {**keys, "*": "c", "timeout": "c", "invalid": "c"}
    assert codes(flow({"a": Ivr(prompt=HELLO, connections=exits), "b": say(), "c": say()})) == []
    found = codes(flow({"a": Ivr(prompt=HELLO, connections={**exits, "#": None}), "b": say(), "c": say()}))
    assert found == ["unknown_exit", "too_many_keys"]


def test_ten_connections_may_lead_into_a_state_and_the_start_is_not_one() -> None:
    exits: dict[str, str | None] = dict.fromkeys(KEYS[:MAX_INCOMING], "b")
    drawn = flow({"a": Ivr(prompt=HELLO, connections=exits), "b": say()})
    assert codes(drawn) == []
    started_there = flow({"b": say(), "a": Ivr(prompt=HELLO, connections=exits)}, start="b")
    assert "too_many_incoming" not in codes(started_there)


def test_too_many_incoming_counts_exits_and_not_states() -> None:
    exits: dict[str, str | None] = dict.fromkeys(KEYS, "b")
    (problem,) = problems(flow({"a": Ivr(prompt=HELLO, connections=exits), "b": say()}))
    assert (problem.code, problem.state) == ("too_many_incoming", "b")
    assert "11 connections" in problem.message


# Loops


def test_a_loop_names_its_states_in_order_and_the_exit_that_closes_it() -> None:
    drawn = flow({"c": say("menu"), "menu": menu(k1="a"), "a": say("b"), "b": menu(k7="c")}, start="menu")
    (problem,) = problems(drawn)
    assert (problem.code, problem.state, problem.exit) == ("loop", "c", "next")
    assert problem.pointer == "/states/c/exits/next"
    assert "menu -> a -> b -> c -> menu" in problem.message


def test_a_state_connected_to_itself_is_a_loop() -> None:
    (problem,) = problems(flow({"a": menu(k1="a")}))
    assert (problem.code, problem.state, problem.exit) == ("loop", "a", "1")
    assert "a -> a" in problem.message


def test_two_ways_that_meet_again_are_no_loop() -> None:
    drawn = flow({"a": menu(k1="b", k2="c", k3="d"), "b": say("d"), "c": say("d"), "d": say()})
    assert codes(drawn) == []


def test_every_elementary_loop_of_a_small_knot_is_named() -> None:
    drawn = flow({"a": menu(k1="b", k2="c"), "b": menu(k1="c", k2="a"), "c": menu(k1="a")})
    found = [loop.states for loop in loops(connected(drawn), "a")]
    assert found == [("a", "b"), ("a", "c"), ("a", "b", "c")]


def test_two_exits_that_close_the_same_loop_are_both_named() -> None:
    found = of(problems(flow({"a": say("b"), "b": menu(k1="a", timeout="a")})), "loop")
    assert [(problem.state, problem.exit) for problem in found] == [("b", "1"), ("b", "timeout")]


def test_a_loop_nobody_reaches_is_still_a_loop() -> None:
    found = codes(flow({"a": say(), "b": say("c"), "c": say("b")}))
    assert found == ["unreachable_state", "unreachable_state", "loop"]


def test_loops_are_found_without_a_start() -> None:
    assert codes(flow({"b": say("c"), "c": say("b")}, start=None)) == ["start_missing", "loop"]


def test_a_long_loop_is_named_in_short() -> None:
    states = {f"s{at}": say(f"s{(at + 1) % 400}") for at in range(400)}
    (problem,) = problems(flow(dict(states)))
    assert problem.state == "s399"
    assert "s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> (389 more) -> s397 -> s398 -> s399 -> s0" in (
        problem.message
    )


def test_a_loop_that_just_fits_is_named_in_full() -> None:
    states = {f"s{at}": say(f"s{(at + 1) % 11}") for at in range(11)}
    (problem,) = problems(flow(dict(states)))
    assert "more)" not in problem.message
    assert " -> ".join([*states, "s0"]) in problem.message


@pytest.mark.timeout(5)
def test_a_dense_knot_has_more_loops_than_can_be_named_and_is_told_quickly() -> None:
    states = {
        f"s{at}": Ivr(
            prompt=HELLO,
            connections={exit_: f"s{(at * 7 + nth * 13) % 500}" for nth, exit_ in enumerate(Ivr.EXITS)},
        )
        for at in range(500)
    }
    drawn = flow(dict(states))
    found = problems(drawn)
    closing = {(problem.state, problem.exit) for problem in of(found, "loop")}
    mended = {
        name: state.model_copy(
            update={
                "connections": {
                    exit_: None if (name, exit_) in closing else target
                    for exit_, target in state.connections.items()
                }
            }
        )
        for name, state in states.items()
    }
    assert closing
    assert "loop" not in codes(drawn.model_copy(update={"states": mended}))


# Content


def test_a_message_of_two_minutes_is_allowed_and_no_longer_one() -> None:
    def voicemail(seconds: float) -> Flow:
        return flow({"a": Voicemail(prompt=HELLO, max_duration_s=seconds)})

    assert codes(voicemail(120)) == []
    (problem,) = problems(voicemail(120.5))
    assert (problem.code, problem.pointer) == ("duration_over_limit", "/states/a/max_duration_s")
    assert "120.5 s" in problem.message


@pytest.mark.parametrize(
    ("prompt", "key"), [(Say(say=" \n"), "say"), (Audio(audio=""), "audio"), (Url(url=""), "url")]
)
def test_empty_prompt(prompt: Say | Audio | Url, key: str) -> None:
    (problem,) = problems(flow({"a": Announcement(prompt=prompt)}), Account())
    assert (problem.code, problem.pointer) == ("empty_prompt", f"/states/a/prompt/{key}")


def test_the_prompts_of_a_waiting_line_are_checked() -> None:
    line = WaitingLine(max_waiting=1, notice=Say(say=""), music=Audio(audio="aud_9"))
    found = problems(flow({"a": UserTransfer(user="u1", queue=line)}), Account())
    assert [(problem.code, problem.pointer) for problem in found] == [
        ("empty_prompt", "/states/a/queue/notice/say"),
        ("unknown_audio", "/states/a/queue/music/audio"),
    ]


def test_the_notice_of_a_recording_is_checked_like_any_prompt() -> None:
    states: dict[str, State] = {
        "a": UserTransfer(user="u1", recording_notice=Say(say=" "), connections={"busy": "b"}),
        "b": GroupTransfer(group="g1", recording_notice=Audio(audio="aud_9"), connections={"busy": "c"}),
        "c": UserTransfer(user="u1", recording_notice=Say(say="ろくおんします")),
    }
    assert [(problem.code, problem.pointer) for problem in problems(flow(states), Account())] == [
        ("empty_prompt", "/states/a/recording_notice/say"),
        ("unknown_audio", "/states/b/recording_notice/audio"),
        ("language_mismatch", "/states/c/recording_notice/say"),
    ]


def test_users_groups_and_audio_are_looked_up_only_with_a_directory() -> None:
    drawn = flow(
        {
            "a": Announcement(prompt=Audio(audio="aud_9"), connections={"next": "b"}),
            "b": UserTransfer(user="u9", connections={"busy": "c"}),
            "c": GroupTransfer(group="g9"),
        }
    )
    assert codes(drawn) == []
    assert codes(drawn, Account()) == ["unknown_audio", "unknown_user", "unknown_group"]


def test_a_transfer_to_nobody_needs_no_directory_to_be_wrong() -> None:
    drawn = flow({"a": UserTransfer(user=" ", connections={"busy": "b"}), "b": GroupTransfer(group="")})
    assert codes(drawn) == codes(drawn, Account()) == ["empty_user", "empty_group"]


# Advice


def test_group_without_members_is_a_warning() -> None:
    (problem,) = problems(flow({"a": GroupTransfer(group="g1")}), Account(groups={"g1": ()}))
    assert (problem.code, problem.severity, problem.pointer) == (
        "group_without_members",
        "warning",
        "/states/a/group",
    )


def test_dead_end_is_advice_where_a_call_can_end_without_a_word() -> None:
    states: dict[str, State] = {
        "a": menu(k1="b", k2=None),
        "b": GroupTransfer(group="g1", connections={"busy": "c"}),
        "c": message(),
    }
    found = problems(flow(states, goodbye=None))
    assert [(problem.code, problem.state, problem.exit) for problem in found] == [
        ("dead_end", "a", "timeout"),
        ("dead_end", "b", "timeout"),
        ("dead_end", "b", "unavailable"),
    ]
    assert codes(flow(states)) == []
    unreached = flow({"a": message(), "b": UserTransfer(user="u1")}, goodbye=None)
    assert codes(unreached) == ["unreachable_state"]


def test_no_keys_is_advice_and_an_unconnected_key_is_none() -> None:
    (problem,) = problems(flow({"a": menu(k1=None, timeout="b"), "b": say()}))
    assert (problem.code, problem.severity) == ("no_keys", "warning")


def test_unused_key_label() -> None:
    labels = {"1": "Sales", "2": "Open", "#": "No key"}
    drawn = flow({"a": Ivr(prompt=HELLO, key_labels=labels, connections={"1": "b", "2": None}), "b": say()})
    assert [problem.pointer for problem in of(problems(drawn), "unused_key_label")] == [
        "/states/a/key_labels/2",
        "/states/a/key_labels/#",
    ]


@pytest.mark.parametrize(
    ("text", "language", "fits"),
    [
        ("Welcome", "en-US", True),
        ("ようこそ", "ja-JP", True),
        ("営業は1を", "ja", True),
        ("ACME へようこそ", "ja-JP", True),
        ("ﾖｳｺｿ", "ja-JP", True),
        ("123 - 456", "ja-JP", True),
        ("ようこそ ACME", "en-US", True),
        ("ようこそう ACME", "en-US", False),
        ("ようこそ", "en-US", False),
        ("Welcome to our office", "ja-JP", False),
        ("Добро пожаловать", "en-US", False),
        ("Добро пожаловать", "ru", True),
        ("Whatever", "tlh", True),
    ],
)
def test_language_mismatch(text: str, language: str, fits: bool) -> None:
    by_flow = codes(flow({"a": Announcement(prompt=Say(say=text))}, language=language, goodbye=None))
    by_prompt = codes(flow({"a": Announcement(prompt=Say(say=text, language=language))}))
    assert by_flow == by_prompt == ([] if fits else ["language_mismatch"])
