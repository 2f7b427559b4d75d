"""The three tables of translation, row by row; the messages are those of a real Asterisk 22 (captured.jsonl)."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.ari import messages
from flowengine.ari.messages import AnyEvent, decode
from flowengine.ari.resources import Channel, Dialplan
from flowengine.ari.translate import (
    Impossible,
    Request,
    Where,
    arrival_of,
    event_of,
    known_cause,
    leaves_in_doubt,
    refused,
    request_of,
    undoing,
)
from flowengine.call.commands import (
    Answer,
    CloseBridge,
    Dial,
    HangUp,
    Join,
    OpenBridge,
    Play,
    Record,
    Ring,
    StopPlay,
    StopRecord,
    StopRing,
    SwitchCommand,
)
from flowengine.call.events import (
    CommandFailed,
    DigitPressed,
    Event,
    LegAnswered,
    LegHungUp,
    LegRinging,
    PlaybackEnded,
    RecordingEnded,
)
from flowengine.ports import Arrival

AT = 1_795_000_000_000_000
CALL = "cal_01JD8ZK4V0000000000000TEST"
CALLER_CHANNEL = "fe-1795.0"
CAPTURED = [json.loads(line) for line in Path(__file__).with_name("captured.jsonl").read_text().splitlines()]


def captured(case: str) -> list[AnyEvent]:
    """The messages of one case, decoded."""
    found = [decode(json.dumps(row["message"])) for row in CAPTURED if row["case"] == case]
    assert found
    return [message for message in found if isinstance(message, get_args(AnyEvent))]


def told(case: str) -> list[Event]:
    """The events of one captured case, all of one call."""
    ids = [row["message"].get("channel", {}).get("id", CALL) for row in CAPTURED if row["case"] == case]
    callers = {id: CALL for id in ids if not id.startswith(CALL)}
    found = [event_of(message, AT, callers) for message in captured(case)]
    assert {call for call, _ in filter(None, found)} <= {CALL}
    return [event for _, event in filter(None, found)]


@pytest.mark.parametrize(
    ("case", "events"),
    [
        ("arrival", []),
        ("answer", [LegAnswered(AT, "caller")]),
        ("played", [PlaybackEnded(AT, "play-1")]),
        ("not played", [PlaybackEnded(AT, "play-2", ok=False)]),
        ("digit", [DigitPressed(AT, "caller", "5")]),
        ("recorded", [RecordingEnded(AT, "rec-3", 1_000)]),
        ("recorded with silence detection", [RecordingEnded(AT, "rec-4", 2_000, talking_ms=2_000)]),
        ("dial 486", [LegRinging(AT, "leg-5"), LegHungUp(AT, "leg-5", 17)]),
        ("dial 603", [LegRinging(AT, "leg-6"), LegHungUp(AT, "leg-6", 21)]),
        ("dial 480", [LegRinging(AT, "leg-7"), LegHungUp(AT, "leg-7", 19)]),
        ("dial no answer", [LegRinging(AT, "leg-8"), LegHungUp(AT, "leg-8", 19)]),
        ("dial nobody listening", [LegHungUp(AT, "leg-9", 19)]),
        ("dial answered elsewhere", [LegRinging(AT, "leg-10"), LegHungUp(AT, "leg-10", 26)]),
        ("dial answered", [LegRinging(AT, "leg-11"), LegAnswered(AT, "leg-11")]),
        ("bridge", []),
        ("digit in a bridge", [DigitPressed(AT, "caller", "7")]),
        ("agent hangs up", [LegHungUp(AT, "leg-11", 16)]),
        ("record in a bridge", [RecordingEnded(AT, "rec-13", 0, ok=False)]),
        ("bridge closed", [CommandFailed(AT, "bridge-12", "the bridge is gone")]),
        (
            "caller hangs up in a prompt",
            [PlaybackEnded(AT, "play-14", ok=False), LegHungUp(AT, "caller", 16)],
        ),
        ("caller cancels", [LegHungUp(AT, "caller", 16)]),
        ("our hang-up", [LegHungUp(AT, "caller", 16)]),
    ],
)
def test_what_asterisk_reports(case: str, events: list[Event]) -> None:
    assert told(case) == events


def test_the_dial_status_would_have_lied() -> None:
    declined = [m.dialstatus for m in captured("dial 603") if isinstance(m, messages.Dial)]
    assert declined[-1] == "NOANSWER"


def test_an_inbound_channel_that_is_subscribed_to_has_a_cause_at_its_end() -> None:
    gone = messages.ChannelDestroyed(channel=Channel(CALLER_CHANNEL), cause=17)
    assert event_of(gone, AT, {CALLER_CHANNEL: CALL}) == (CALL, LegHungUp(AT, "caller", 17))


@pytest.mark.parametrize("digit", ["", "55", "x", " "])
def test_what_is_no_digit_is_not_pressed(digit: str) -> None:
    pressed = messages.ChannelDtmfReceived(channel=Channel(CALLER_CHANNEL), digit=digit)
    assert event_of(pressed, AT, {CALLER_CHANNEL: CALL}) is None


def test_channels_of_nobody_tell_nothing() -> None:
    for case in ("answer", "digit", "caller cancels"):
        assert [event_of(message, AT, {}) for message in captured(case)] == [None] * len(captured(case))


def arrived(case: str) -> Arrival | None:
    start = captured(case)[0]
    assert isinstance(start, messages.StasisStart)
    return arrival_of(start.channel, start.args)


def test_an_arrival() -> None:
    assert arrived("arrival") == Arrival(CALLER_CHANNEL, "+81312345678", "+819012345678", "Test")


def test_a_hostile_arrival_is_cleaned() -> None:
    assert arrived("hostile caller") == Arrival("fe-1795.10", "", "anonymous", "A B C")


def test_a_dialled_leg_is_no_arrival() -> None:
    start = captured("dial answered")[-1]
    assert isinstance(start, messages.StasisStart)
    assert arrival_of(start.channel, start.args) is None
    stranger = Channel("fe-1795.99")
    assert arrival_of(stranger, ["dialled"]) is None


def test_without_arguments_the_extension_is_the_called_number() -> None:
    channel = Channel("fe-1", dialplan=Dialplan(exten="+8131"))
    found = arrival_of(channel, [])
    assert found is not None
    assert found.number == "+8131"


@pytest.mark.parametrize(("cause", "known"), [(17, 17), (127, 127), (0, 16), (None, 16), (128, 16), (-1, 16)])
def test_only_q850_causes_are_known(cause: int | None, known: int) -> None:
    assert known_cause(cause) == known


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_TYPES = [kind.__struct_config__.tag for kind in get_args(AnyEvent)]


@given(
    st.sampled_from(CAPTURED),
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(
                    [
                        "channel",
                        "playback",
                        "recording",
                        "id",
                        "args",
                        "state",
                        "cause",
                        "digit",
                        "name",
                        "duration",
                    ]
                ),
                min_size=1,
                max_size=2,
            ),
            json_values,
        ),
        max_size=3,
    ),
)
def test_no_message_however_mangled_raises(row: Any, changes: list[tuple[list[str], Any]]) -> None:
    message = json.loads(json.dumps(row["message"]))
    for path, value in changes:
        place = message
        for key in path[:-1]:
            place = place.get(key) if isinstance(place.get(key), dict) else place
        place[path[-1]] = value
    look_at(json.dumps(message))


@given(st.sampled_from(_TYPES), st.dictionaries(st.text(max_size=12), json_values, max_size=4))
def test_no_json_raises(kind: str, fields: dict[str, Any]) -> None:
    look_at(json.dumps({**fields, "type": kind}))


def look_at(raw: str) -> None:
    message = decode(raw)
    if not isinstance(message, get_args(AnyEvent)):
        return
    found = event_of(message, AT, {CALLER_CHANNEL: CALL})
    assert found is None or isinstance(found[1], get_args(Event))
    if isinstance(message, messages.StasisStart):
        arrival_of(message.channel, message.args)


WHERE = Where("flowengine", CALLER_CHANNEL, frozenset({"bridge-9"}))


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        (Answer("caller"), Request("POST", f"channels/{CALLER_CHANNEL}/answer")),
        (Ring("caller"), Request("POST", f"channels/{CALLER_CHANNEL}/ring")),
        (StopRing("leg-1"), Request("DELETE", f"channels/{CALL}-leg-1/ring")),
        (HangUp("leg-1", 26), Request("DELETE", f"channels/{CALL}-leg-1", {"reason_code": 26})),
        (
            Dial("leg-1", "PJSIP/hanako", "+819012345678", 24.2, 'Bob "x"\x07'),
            Request(
                "POST",
                f"channels/{CALL}-leg-1",
                {
                    "endpoint": "PJSIP/hanako",
                    "app": "flowengine",
                    "appArgs": "dialled",
                    "callerId": '"Bob x" <+819012345678>',
                    "timeout": 25,
                    "originator": CALLER_CHANNEL,
                },
            ),
        ),
        (
            Play("play-1", "caller", "x"),
            Request("POST", f"channels/{CALLER_CHANNEL}/play/{CALL}-play-1", {"media": "sound:/a b"}),
        ),
        (StopPlay("play-1"), Request("DELETE", f"playbacks/{CALL}-play-1")),
        (
            Record("rec-1", "caller", 119.5, 4.5, "#"),
            Request(
                "POST",
                f"channels/{CALLER_CHANNEL}/record",
                {
                    "name": f"{CALL}-rec-1",
                    "format": "wav",
                    "ifExists": "fail",
                    "maxDurationSeconds": 120,
                    "maxSilenceSeconds": 5,
                    "terminateOn": "#",
                    "beep": "false",
                },
            ),
        ),
        (StopRecord("rec-1"), Request("POST", f"recordings/live/{CALL}-rec-1/stop")),
        (OpenBridge("bridge-1"), Request("POST", f"bridges/{CALL}-bridge-1", {"type": "mixing"})),
        (
            Join("bridge-1", "caller"),
            Request("POST", f"bridges/{CALL}-bridge-1/addChannel", {"channel": CALLER_CHANNEL}),
        ),
        (
            Join("bridge-1", "leg-1"),
            Request("POST", f"bridges/{CALL}-bridge-1/addChannel", {"channel": f"{CALL}-leg-1"}),
        ),
        (CloseBridge("bridge-1"), Request("DELETE", f"bridges/{CALL}-bridge-1")),
    ],
)
def test_what_a_call_wants(command: SwitchCommand, request_: Request) -> None:
    assert request_of(CALL, command, WHERE, "sound:/a b") == request_


def test_a_bridge_is_recorded_without_limit_and_key() -> None:
    request = request_of(CALL, Record("rec-1", "bridge-9"), WHERE)
    assert request.path == f"bridges/{CALL}-bridge-9/record"
    assert (request.query["maxDurationSeconds"], request.query["terminateOn"]) == (0, "none")


@pytest.mark.parametrize(
    ("command", "media"),
    [
        (Dial("leg-1", "PJSIP/a&PJSIP/b", "+1", 5), ""),
        (Play("play-1", "caller", "x"), ""),
        (Play("play-1", "caller", "x"), "sound:/a,sound:/b"),
    ],
)
def test_what_must_not_be_sent(command: SwitchCommand, media: str) -> None:
    with pytest.raises(Impossible):
        request_of(CALL, command, WHERE, media)


@pytest.mark.parametrize(
    ("command", "status", "events"),
    [
        (HangUp("leg-1", 26), 404, [LegHungUp(AT, "leg-1", 26)]),
        (HangUp("leg-1", 26), 500, [CommandFailed(AT, "leg-1", "why")]),
        (Answer("caller"), 404, [LegHungUp(AT, "caller", 16)]),
        (Answer("caller"), 409, [CommandFailed(AT, "caller", "why")]),
        (Ring("caller"), 404, [LegHungUp(AT, "caller", 16)]),
        (Ring("caller"), 412, [CommandFailed(AT, "caller", "why")]),
        (StopRing("caller"), 404, [LegHungUp(AT, "caller", 16)]),
        (Dial("leg-1", "PJSIP/x", "", 5), 500, [LegHungUp(AT, "leg-1", 20)]),
        (Dial("leg-1", "PJSIP/x", "", 5), 400, [LegHungUp(AT, "leg-1", 20)]),
        (Dial("leg-1", "PJSIP/x", "", 5), 409, []),
        (
            Play("play-1", "caller", "x"),
            404,
            [LegHungUp(AT, "caller", 16), PlaybackEnded(AT, "play-1", ok=False)],
        ),
        (Play("play-1", "caller", "x"), 409, [PlaybackEnded(AT, "play-1", ok=False)]),
        (Play("play-1", "caller", "x"), 412, [PlaybackEnded(AT, "play-1", ok=False)]),
        (Play("play-1", "caller", "x"), 500, [PlaybackEnded(AT, "play-1", ok=False)]),
        (StopPlay("play-1"), 404, []),
        (StopPlay("play-1"), 409, [CommandFailed(AT, "play-1", "why")]),
        (Record("rec-1", "caller"), 404, [RecordingEnded(AT, "rec-1", 0, ok=False)]),
        (Record("rec-1", "caller"), 422, [RecordingEnded(AT, "rec-1", 0, ok=False)]),
        (Record("rec-1", "caller"), 500, [RecordingEnded(AT, "rec-1", 0, ok=False)]),
        (StopRecord("rec-1"), 404, []),
        (StopRecord("rec-1"), 500, [CommandFailed(AT, "rec-1", "why")]),
        (OpenBridge("bridge-1"), 409, []),
        (OpenBridge("bridge-1"), 500, [CommandFailed(AT, "bridge-1", "why")]),
        (Join("bridge-1", "leg-1"), 400, [LegHungUp(AT, "leg-1", 16)]),
        (Join("bridge-1", "leg-1"), 404, [CommandFailed(AT, "bridge-1", "why")]),
        (Join("bridge-1", "leg-1"), 422, [CommandFailed(AT, "bridge-1", "why")]),
        (CloseBridge("bridge-1"), 404, []),
        (CloseBridge("bridge-1"), 409, []),
        (CloseBridge("bridge-1"), 500, [CommandFailed(AT, "bridge-1", "why")]),
    ],
)
def test_what_a_refusal_means(command: SwitchCommand, status: int, events: list[Event]) -> None:
    assert list(refused(command, status, "why", AT)) == events


def test_which_recordings_are_in_doubt() -> None:
    assert leaves_in_doubt(Record("rec-1", "caller"), 409) == "rec-1"
    assert leaves_in_doubt(StopRecord("rec-1"), 404) == "rec-1"
    assert leaves_in_doubt(Record("rec-1", "caller"), 404) is None
    assert leaves_in_doubt(StopPlay("play-1"), 404) is None


def test_what_undoes_what() -> None:
    assert undoing(Dial("leg-1", "PJSIP/x", "", 5)) == HangUp("leg-1", 16)
    assert undoing(Play("play-1", "caller", "x")) == StopPlay("play-1")
    assert undoing(Record("rec-1", "caller")) == StopRecord("rec-1")
    assert undoing(OpenBridge("bridge-1")) == CloseBridge("bridge-1")
    assert undoing(Answer("caller")) is None
