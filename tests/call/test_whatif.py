"""What another flow would have done: answered only where the old call was asked the same."""

import pytest
from hypothesis import given

from flowengine.call.trace import Trace, record
from flowengine.call.whatif import Step, what_if
from flowengine.flow.document import Flow, Ivr, State, UserTransfer, Voicemail
from tests.call.driving import Driven, agent, announcement, drive, flow, say
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
