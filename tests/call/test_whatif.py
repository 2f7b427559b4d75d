"""What another flow would have done: answered only where the old call was asked the same."""

from typing import Any

import pytest
from hypothesis import given

from flowengine.call import events
from flowengine.call.trace import Trace, record
from flowengine.call.whatif import Step, what_if
from flowengine.flow.document import (
    Announcement,
    Flow,
    GroupTransfer,
    Ivr,
    Say,
    State,
    UserTransfer,
    Voicemail,
    WaitingLine,
)
from tests.call.driving import Driven, agent, announcement, drive, flow, say, with_goodbye
from tests.call.weather import befall, flows, weather


def old() -> dict[str, State]:
    return {
        "menu": Ivr(prompt=say("Sales 1"), connections={"1": "ring", "timeout": "box"}),
        "ring": UserTransfer(user="hanako", connections={"timeout": "box", "busy": "sorry"}),
        "box": Voicemail(prompt=say("Speak")),
        "sorry": announcement("Busy"),
    }


def trace(call: Driven) -> Trace:
    return record(call.machine.flow, "cal_1", call.journal)


def to_the_box() -> Trace:
    """1, nobody picks up, a message."""
    call = drive(flow(**old())).arrives().presses("1").offered(agent("hanako")).rings("hanako").waits(30)
    return trace(call.prompt_ends().prompt_ends().waits(4).recorded(4_000).prompt_ends())


PATH = (Step("menu", "1"), Step("ring", "timeout"), Step("box", "recorded"))


def changed(**states: State) -> Flow:
    """The old flow with some states said otherwise."""
    return flow(**{**old(), **states})


def test_the_same_flow_does_the_same() -> None:
    found = what_if(to_the_box(), flow(**old()))
    assert (found.verdict, found.old, found.new, found.why) == ("same", PATH, PATH, "")


def test_names_labels_and_layout_do_not_matter() -> None:
    new = flow(
        hello=Ivr(
            prompt=say("Sales 1"),
            label="Main",
            key_labels={"1": "Sales"},
            connections={"1": "her", "timeout": "end"},
        ),
        her=UserTransfer(user="hanako", label="Hanako", connections={"timeout": "end"}),
        end=Voicemail(prompt=say("Speak"), label="Box"),
    ).model_copy(update={"layout": {"hello": (1.0, 2.0)}})
    found = what_if(to_the_box(), new)
    assert found.verdict == "same"
    assert found.new == (Step("hello", "1"), Step("her", "timeout"), Step("end", "recorded"))


def test_another_target_of_the_exit_taken_is_another_way() -> None:
    ring = UserTransfer(user="hanako", connections={"timeout": None, "busy": "sorry"})
    found = what_if(to_the_box(), changed(ring=ring))
    assert found.verdict == "other"
    assert found.new == PATH[:2]


def test_another_target_of_an_exit_not_taken_changes_nothing() -> None:
    ring = UserTransfer(user="hanako", connections={"timeout": "box", "busy": "box"})
    assert what_if(to_the_box(), changed(ring=ring)).verdict == "same"


@pytest.mark.parametrize("timeout", [None, "sorry"])
def test_where_the_silence_of_a_menu_leads_is_not_part_of_its_question(timeout: str | None) -> None:
    menu = Ivr(prompt=say("Sales 1"), connections={"1": "ring", "timeout": timeout})
    assert what_if(to_the_box(), changed(menu=menu)).verdict == "same"


@pytest.mark.parametrize(
    "menu",
    [
        Ivr(prompt=say("Sales one"), connections={"1": "ring"}),
        Ivr(prompt=say("Sales 1"), timeout_s=6.0, connections={"1": "ring"}),
        Ivr(prompt=say("Sales 1"), attempts=2, connections={"1": "ring"}),
        Ivr(prompt=say("Sales 1"), connections={"1": "ring", "2": "box"}),
        Ivr(prompt=say("Sales 1"), connections={"1": "ring", "invalid": "box"}),
        Ivr(prompt=say("Sales 1")),
    ],
)
def test_another_menu_is_another_question(menu: Ivr) -> None:
    found = what_if(to_the_box(), changed(menu=menu))
    assert found.verdict == "unknown"
    assert found.new == ()
    assert found.why == "the call was never asked what 'menu' asks"


def test_another_language_is_another_question() -> None:
    new = flow(**old()).model_copy(update={"language": "ja-JP"})
    assert what_if(to_the_box(), new).verdict == "unknown"


NOTICE = say("This call is recorded.")


def recorded(notice: Say | None = NOTICE, **settings: Any) -> Flow:
    ring = UserTransfer(user="hanako", record=True, recording_notice=notice, **settings)
    return flow(hello=Announcement(prompt=say("Hello"), connections={"next": "ring"}), ring=ring)


def a_recorded_talk() -> Trace:
    call = drive(recorded()).arrives().prompt_ends().prompt_ends().offered(agent("hanako")).rings("hanako")
    return trace(call.picks_up("hanako").waits(30).hangs_up())


def test_how_a_talk_is_stored_is_no_question_to_anybody() -> None:
    new = recorded(recording_sides="apart")
    told = new.states["hello"].model_copy(update={"tells_of_recording": True})
    assert what_if(a_recorded_talk(), new).verdict == "same"
    new = new.model_copy(update={"states": {**new.states, "hello": told}})
    assert what_if(a_recorded_talk(), new).verdict == "same"


def test_a_notice_is_compared_as_it_sounds() -> None:
    assert what_if(a_recorded_talk(), recorded(Say(say=NOTICE.say, language="en-US"))).verdict == "same"
    assert what_if(a_recorded_talk(), recorded(say("We record you."))).verdict == "unknown"
    assert what_if(a_recorded_talk(), recorded(None)).verdict == "unknown"
    spoken_by_another = recorded().model_copy(update={"voice": "f3"})
    assert what_if(a_recorded_talk(), spoken_by_another).verdict == "unknown"


def test_a_new_state_in_between_is_unknown_from_there() -> None:
    found = what_if(
        to_the_box(),
        changed(
            menu=Ivr(prompt=say("Sales 1"), connections={"1": "news", "timeout": "box"}),
            news=announcement("We have moved.", "ring"),
        ),
    )
    assert found.verdict == "unknown"
    assert found.new == PATH[:1]
    assert "'news'" in found.why


def test_a_state_left_out_is_another_way_with_known_answers() -> None:
    found = what_if(
        to_the_box(), changed(menu=Ivr(prompt=say("Sales 1"), connections={"1": "box", "timeout": "box"}))
    )
    assert found.verdict == "other"
    assert found.new == (Step("menu", "1"), Step("box", "recorded"))


def test_a_call_that_ended_inside_a_state_ends_there() -> None:
    call = drive(flow(**old())).arrives().presses("1").offered(agent("hanako")).hangs_up()
    found = what_if(trace(call), flow(**old()))
    assert (found.verdict, found.new) == ("same", (Step("menu", "1"), Step("ring", "")))


def test_a_question_asked_twice_is_answered_in_order() -> None:
    def twice(second_to: str) -> Flow:
        return flow(
            a=Ivr(prompt=say("Yes 1"), connections={"1": "b", "2": "sorry"}),
            b=Ivr(prompt=say("Yes 1"), connections={"1": "sorry", "2": second_to}),
            sorry=announcement("Sorry"),
            fine=announcement("Fine"),
        )

    call = drive(twice("fine")).arrives().presses("12").prompt_ends()
    found = what_if(trace(call), twice("fine"))
    assert [step.outcome for step in found.new] == ["1", "2", "next"]
    assert found.verdict == "same"


def test_a_flow_without_a_start_goes_nowhere() -> None:
    found = what_if(to_the_box(), flow(**old()).model_copy(update={"start": None}))
    assert (found.verdict, found.new) == ("other", ())


@given(of=flows(), new=flows(), happenings=weather(20))
def test_any_call_against_itself_is_the_same_and_against_any_flow_is_no_error(
    of: Flow, new: Flow, happenings: bytes
) -> None:
    journal = trace(befall(drive(of).arrives(), happenings))
    assert what_if(journal, of).verdict == "same"
    assert what_if(journal, new).old == what_if(journal, of).old


# Never guess

States = dict[str, State]


def menu(text: str, *, one: str | None = None, two: str | None = None, three: str | None = None) -> Ivr:
    return Ivr(prompt=say(text), connections={"1": one, "2": two, "3": three, "timeout": None})


@pytest.mark.parametrize(
    "state",
    [
        {"box": Voicemail(prompt=say("Speak"), max_duration_s=60.0)},
        {"box": Voicemail(prompt=say("Speak"), silence_s=9.0)},
        {"box": Voicemail(prompt=say("Speak"), beep=False)},
        {"ring": UserTransfer(user="taro", connections={"timeout": "box"})},
        {"ring": UserTransfer(user="hanako", ring_timeout_s=60.0, connections={"timeout": "box"})},
        {"ring": UserTransfer(user="hanako", record=True, connections={"timeout": "box"})},
        {
            "ring": UserTransfer(
                user="hanako", queue=WaitingLine(max_waiting=1), connections={"timeout": "box"}
            )
        },
        {"ring": GroupTransfer(group="hanako", connections={"timeout": "box"})},
    ],
)
def test_another_setting_is_another_question(state: dict[str, State]) -> None:
    found = what_if(to_the_box(), changed(**state))
    [name] = state
    assert (found.verdict, found.why) == ("unknown", f"the call was never asked what {name!r} asks")


def test_a_language_counts_where_it_is_spoken() -> None:
    """Said outright what the flow's language said before, and a transfer that says nothing."""
    call = drive(
        flow(ring=UserTransfer(user="hanako", connections={"busy": "sorry"}), sorry=announcement("Busy"))
    )
    call.arrives().offered(busy=1).prompt_ends()
    sorry = Announcement(prompt=Say(say="Busy", language="en-US"))
    new = flow(ring=UserTransfer(user="hanako", connections={"busy": "sorry"}), sorry=sorry)
    assert what_if(trace(call), new.model_copy(update={"language": "ja-JP"})).verdict == "same"
    assert what_if(trace(call), with_goodbye(new, "Bye")).verdict == "same"


@pytest.mark.parametrize(
    "line",
    [
        WaitingLine(max_waiting=3, announce_position=True),
        WaitingLine(max_waiting=3, announce_wait=True),
    ],
)
def test_a_line_that_tells_the_place_tells_it_in_a_language(line: WaitingLine) -> None:
    def of(queue: WaitingLine, language: str) -> Flow:
        made = flow(ring=GroupTransfer(group="team", queue=queue, connections={"busy": None}))
        return made.model_copy(update={"language": language})

    def waits(queue: WaitingLine) -> Trace:
        return trace(drive(of(queue, "en-US")).arrives().offered(busy=1).has_place(1).hangs_up())

    silent = WaitingLine(max_waiting=3)
    assert what_if(waits(silent), of(silent, "ja-JP")).verdict == "same"
    assert what_if(waits(silent), of(line, "en-US")).verdict == "unknown"
    assert what_if(waits(line), of(line, "ja-JP")).verdict == "unknown"


def test_keys_typed_ahead_for_one_menu_do_not_answer_another() -> None:
    """`12` answered the first two menus in one breath; without the second, the 2 would fall into the third."""
    states: States = {
        "a": menu("A", one="b"),
        "b": menu("B", two="c"),
        "c": menu("C", two="d", three="d"),
        "d": announcement("D"),
    }
    call = drive(flow(**states)).arrives().waits(2).presses("12").waits(2).presses("3").prompt_ends()
    assert call.path == [("a", "1"), ("b", "2"), ("c", "3"), ("d", "next")]
    found = what_if(trace(call), flow(**{**states, "a": menu("A", one="c")}))
    assert (found.verdict, found.new) == ("unknown", (Step("a", "1"),))
    assert found.why == "the call typed keys before it can have heard what 'c' asks"


def test_a_key_typed_too_soon_for_its_menu_is_no_answer_to_it_elsewhere() -> None:
    states: States = {
        "hello": announcement("Hello", "a"),
        "a": menu("A", one="d"),
        "d": announcement("D"),
    }
    call = drive(flow(**states)).arrives().prompt_ends().waits(0.9).presses("1").prompt_ends()
    without = flow(**states).model_copy(update={"start": "a"})
    assert what_if(trace(call), without).why == "the call typed keys before it can have heard what 'a' asks"
    call = drive(flow(**states)).arrives().prompt_ends().waits(1).presses("1").prompt_ends()
    assert what_if(trace(call), without).verdict == "other"


def test_who_types_at_once_types_at_once_wherever_the_flow_begins() -> None:
    states: States = {"a": menu("A", one="b"), "b": menu("B", two="d"), "d": announcement("D")}
    call = drive(flow(**states)).arrives().presses("1").waits(2).presses("2").prompt_ends()
    found = what_if(trace(call), flow(**states).model_copy(update={"start": "b"}))
    assert found.why == "the call typed keys before it can have heard what 'b' asks"


def test_a_key_typed_into_an_announcement_is_not_there_without_it() -> None:
    states: States = {"hello": announcement("Hello", "a"), "a": menu("A", one="d"), "d": announcement("D")}
    call = drive(flow(**states)).arrives().waits(2).presses("1").prompt_ends().prompt_ends()
    assert call.path == [("hello", "next"), ("a", "1"), ("d", "next")]
    found = what_if(trace(call), flow(**states).model_copy(update={"start": "a"}))
    assert (found.verdict, found.why) == (
        "unknown",
        "the call came to what 'a' asks with other keys typed ahead",
    )


def test_keys_typed_ahead_in_the_same_place_count_the_same() -> None:
    states: States = {
        "hello": announcement("Hello", "a"),
        "a": menu("A", one="news"),
        "news": announcement("News", "b"),
        "b": menu("B", two="d"),
        "d": announcement("D"),
    }
    call = drive(flow(**states)).arrives().prompt_ends().waits(2).presses("1").waits(2).presses("2")
    call.prompt_ends().prompt_ends()
    assert [outcome for _, outcome in call.path] == ["next", "1", "next", "2", "next"]
    found = what_if(trace(call), flow(**states).model_copy(update={"start": "a"}))
    assert found.verdict == "other"
    assert [step.outcome for step in found.new] == ["1", "next", "2", "next"]


def test_keys_pressed_into_a_message_are_for_nobody() -> None:
    states: States = {
        "a": menu("A", one="box"),
        "box": Voicemail(prompt=say("Speak"), beep=False, max_duration_s=4.0, connections={"timeout": "b"}),
        "b": menu("B", two="d"),
        "d": announcement("D"),
    }
    call = drive(flow(**states)).arrives().waits(2).presses("1").prompt_ends().waits(1).presses("2").waits(3)
    call.waits(2).presses("2").prompt_ends()
    assert [outcome for _, outcome in call.path] == ["1", "timeout", "2", "next"]
    assert what_if(trace(call), flow(**{**states, "a": menu("A", one="b")})).new == (
        Step("a", "1"),
        Step("b", "2"),
        Step("d", "next"),
    )


def test_one_question_with_two_answers_has_none_elsewhere() -> None:
    """1 at the first of two equal menus, 2 at the second: which would it be without what came between?"""
    states: States = {
        "a": menu("Sure?", one="ring", two="d"),
        "ring": UserTransfer(user="hanako", connections={"busy": "b"}),
        "b": menu("Sure?", one="d", two="d"),
        "d": announcement("D"),
    }
    call = (
        drive(flow(**states))
        .arrives()
        .waits(2)
        .presses("1")
        .offered(busy=1)
        .waits(2)
        .presses("2")
        .prompt_ends()
    )
    assert call.path == [("a", "1"), ("ring", "busy"), ("b", "2"), ("d", "next")]
    found = what_if(trace(call), flow(**{**states, "a": menu("Sure?", one="b", two="d")}))
    assert (found.verdict, found.new) == ("unknown", (Step("a", "1"),))
    assert found.why == "the call answered what 'b' asks in more than one way"
    relabelled = {**states, "b": menu("Sure?", one="a", two="d")}
    assert what_if(trace(call), flow(**relabelled)).verdict == "same"


def test_a_question_is_not_answered_oftener_than_it_was_asked() -> None:
    states: States = {"a": menu("A", one="d"), "d": announcement("D")}
    call = drive(flow(**states)).arrives().waits(2).presses("1").prompt_ends()
    loop = {**states, "d": announcement("D", "a")}
    found = what_if(trace(call), flow(**loop))
    assert found.new == (Step("a", "1"), Step("d", "next"))
    assert (found.verdict, found.why) == ("unknown", "the call was not asked again what 'a' asks")


def test_who_hung_up_in_a_state_hangs_up_there_on_another_way() -> None:
    states: States = {"a": menu("A", one="b"), "b": announcement("B", "c"), "c": announcement("C")}
    call = drive(flow(**states)).arrives().waits(2).presses("1").prompt_ends().hangs_up()
    found = what_if(trace(call), flow(**{**states, "a": menu("A", one="c")}))
    assert (found.verdict, found.new) == ("other", (Step("a", "1"), Step("c", "")))


@pytest.mark.parametrize("reason", ["operator", "no_credit", "shutdown", "switch_lost"])
def test_an_end_from_outside_is_no_answer_on_another_way(reason: Any) -> None:
    states: States = {"a": menu("A", one="b"), "b": announcement("B", "c"), "c": announcement("C")}
    call = drive(flow(**states)).arrives().waits(2).presses("1").prompt_ends()
    call.happens(events.CallKilled(call.now, reason))
    elsewhere = {**states, "a": menu("A", one="c")}
    found = what_if(trace(call), flow(**elsewhere))
    assert (found.verdict, found.why) == (
        "unknown",
        "the call did not end by itself when it was asked what 'c' asks",
    )
    renamed = flow(a=menu("A", one="x"), x=announcement("B", "y"), y=announcement("C"))
    assert what_if(trace(call), renamed).verdict == "same"


def test_a_journal_that_stops_in_a_state_does_not_say_how_it_was_left() -> None:
    states: States = {"a": menu("A", one="b"), "b": announcement("B")}
    call = drive(flow(**states)).arrives().presses("1")
    renamed = flow(a=menu("A", one="x"), x=announcement("B"))
    found = what_if(trace(call), renamed)
    assert (found.verdict, found.new, found.why) == (
        "unknown",
        (Step("a", "1"),),
        "the call is not over, it is still in 'x'",
    )
    assert what_if(trace(call), flow(**states)).verdict == "same"


def test_keys_after_the_last_state_belong_to_nobody() -> None:
    """Pressed into the farewell, they are not there for a menu that would follow instead of it."""
    states: States = {"a": menu("A", one="b", two="b"), "b": menu("B"), "c": menu("A", one="b", two="b")}
    call = (
        drive(flow(**states))
        .arrives()
        .waits(2)
        .presses("1")
        .prompt_ends()
        .waits(5)
        .presses("1")
        .prompt_ends()
    )
    assert call.path == [("a", "1"), ("b", "timeout")]
    again = {**states, "b": Ivr(prompt=say("B"), connections={"timeout": "c"})}
    assert what_if(trace(call), flow(**again)).why == "the call was not asked again what 'c' asks"


def test_more_keys_than_a_call_remembers_answer_nothing_elsewhere() -> None:
    states: States = {
        "hello": announcement("Hello", "news"),
        "news": announcement("News", "a"),
        "a": menu("A", one="d"),
    }
    call = (
        drive(flow(**states, d=announcement("D")))
        .arrives()
        .waits(2)
        .presses("9" * 40)
        .prompt_ends()
        .prompt_ends()
    )
    assert call.path[:3] == [("hello", "next"), ("news", "next"), ("a", "timeout")]
    found = what_if(trace(call), flow(**{**states, "hello": announcement("Hello", "a")}, d=announcement("D")))
    assert (found.verdict, found.new) == ("unknown", (Step("hello", "next"),))


def test_a_journal_of_an_engine_that_thought_otherwise_answers_nothing() -> None:
    was = to_the_box()
    entries = list(was.entries)
    entries[1] = entries[1]._replace(digest="0000000000000000")
    found = what_if(Trace(was.call, was.flow, tuple(entries)), flow(**old()))
    assert found.verdict == "unknown"
    assert found.why == "the journal does not replay on this engine from event 1 on"


def test_a_journal_without_digests_is_believed() -> None:
    was = to_the_box()
    entries = tuple(entry._replace(digest="") for entry in was.entries)
    assert what_if(Trace(was.call, was.flow, entries), changed(sorry=announcement("Other"))).verdict == "same"


def test_what_a_menu_left_of_the_keys_typed_ahead_falls_into_the_next() -> None:
    states: States = {
        "hello": announcement("Hello", "a"),
        "a": menu("A", one="b"),
        "b": menu("B", two="c"),
        "c": menu("C", two="d", three="d"),
        "d": announcement("D"),
    }
    call = (
        drive(flow(**states))
        .arrives()
        .waits(2)
        .presses("12")
        .prompt_ends()
        .waits(2)
        .presses("3")
        .prompt_ends()
    )
    assert [outcome for _, outcome in call.path] == ["next", "1", "2", "3", "next"]
    found = what_if(trace(call), flow(**{**states, "a": menu("A", one="c")}))
    assert found.why == "the call came to what 'c' asks with other keys typed ahead"
    assert found.new == (Step("hello", "next"), Step("a", "1"))
