"""What changed between two versions, told by meaning."""

from typing import Any

import pytest

from flowengine.flow.diff import Change, diff
from flowengine.flow.document import (
    Announcement,
    Audio,
    Flow,
    GroupTransfer,
    Ivr,
    Say,
    State,
    UserTransfer,
    WaitingLine,
)
from tests.flow.drawing import HELLO, flow, menu, say


def told(old: Flow, new: Flow) -> list[str]:
    return [change.message for change in diff(old, new).changes]


def base() -> dict[str, State]:
    return {"a": menu(k1="b", timeout=None), "b": say()}


def test_the_same_flow_has_no_changes() -> None:
    difference = diff(flow(base()), flow(base()))
    assert difference.changes == ()
    assert difference.routing_changed is False


def test_a_default_written_out_is_no_change() -> None:
    written = Ivr(prompt=Say(say="Hello.", language=None), timeout_s=5, attempts=3, connections={"1": "b"})
    assert diff(flow(base()), flow({**base(), "a": written})).changes == ()


def test_layout_names_and_labels_do_not_touch_calls() -> None:
    old = flow(base(), layout={"a": (0.0, 0.0)})
    labelled = menu(k1="b", timeout=None).model_copy(update={"label": "Menu", "key_labels": {"1": "Bye"}})
    new = flow(
        {**base(), "a": labelled}, layout={"a": (5.0, 0.0), "b": (1.0, 1.0)}, name="N", description="D"
    )
    assert told(old, new) == [
        'name: "Test" became "N"',
        'description: "" became "D"',
        'state "a": label "" became "Menu"',
        'state "a": key_labels.1 nothing became "Bye"',
        'state "a" was moved',
        'state "b" was moved',
    ]
    assert diff(old, new).routing_changed is False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "b"}, 'start: "a" became "b"'),
        ({"goodbye": None}, 'goodbye: "Hello." became nothing'),
        ({"language": "en-GB"}, 'language: "en-US" became "en-GB"'),
        ({"voice": "f3"}, 'voice: nothing became "f3"'),
    ],
)
def test_settings_of_the_flow_touch_calls(settings: dict[str, Any], message: str) -> None:
    old, new = flow(base()), flow(base(), **settings)
    assert told(old, new) == [message]
    assert diff(old, new).routing_changed is True


def test_states_come_and_go_and_are_rewired() -> None:
    old = flow({"a": menu(k1="b", k2="c"), "b": say(), "c": say()})
    new = flow({"a": menu(k1="d", k3="b"), "b": say(), "d": say()})
    assert told(old, new) == [
        'state "c" was removed',
        'state "a", exit "1": to "b" before, to "d" now',
        'state "a", exit "2": to "c" before, open now',
        'state "a", exit "3": open before, to "b" now',
        'state "d" was added',
    ]
    assert diff(old, new).routing_changed is True
    assert diff(old, new).changes[0].before == {
        "type": "announcement",
        "label": "",
        "prompt": {"say": "Hello."},
        "tells_of_recording": False,
        "exits": {"next": None},
    }


def test_settings_of_a_state_are_told_by_field() -> None:
    line = WaitingLine(max_waiting=3, notice=HELLO)
    old = flow({"a": UserTransfer(user="u1", queue=line)})
    new = flow(
        {"a": UserTransfer(user="u2", record=True, queue=WaitingLine(max_waiting=5, music=Audio(audio="m")))}
    )
    assert [(change.field, change.before, change.after) for change in diff(old, new).changes] == [
        ("user", "u1", "u2"),
        ("record", False, True),
        ("queue.max_waiting", 3, 5),
        ("queue.notice", {"say": "Hello."}, None),
        ("queue.music", None, {"audio": "m"}),
    ]
    assert diff(old, new).routing_changed


def test_the_settings_of_a_recording_are_told() -> None:
    old = flow({"a": UserTransfer(user="u1", record=True)})
    new = flow({"a": UserTransfer(user="u1", record=True, recording_sides="apart", recording_notice=HELLO)})
    assert told(old, new) == [
        'state "a": recording_sides "mixed" became "apart"',
        'state "a": recording_notice nothing became "Hello."',
    ]
    assert diff(old, new).routing_changed


def test_that_an_announcement_tells_of_recordings_touches_calls() -> None:
    """Where it cannot be played, nothing is recorded."""
    old, new = flow({"a": say()}), flow({"a": Announcement(prompt=HELLO, tells_of_recording=True)})
    assert told(old, new) == ['state "a": tells_of_recording False became True']
    assert diff(old, new).routing_changed


def test_another_kind_of_state_is_told_as_a_change_of_type_and_fields() -> None:
    old, new = flow({"a": UserTransfer(user="u1")}), flow({"a": GroupTransfer(group="g1")})
    fields = {change.field: (change.before, change.after) for change in diff(old, new).changes}
    assert fields == {
        "type": ("user_transfer", "group_transfer"),
        "user": ("u1", None),
        "group": (None, "g1"),
        "ringing": (None, "parallel"),
    }


def test_the_place_of_a_state_that_came_or_went_is_not_told_apart() -> None:
    old, new = flow({"a": say()}, layout={"a": (1.0, 1.0)}), flow({"b": say()}, layout={"b": (1.0, 1.0)})
    assert [change.kind for change in diff(old, new).changes] == [
        "flow_changed",
        "state_removed",
        "state_added",
    ]


def test_an_exit_called_like_a_label_still_touches_calls() -> None:
    change = Change("rewired", "a", "label", None, "b", "")
    assert change.touches_calls
