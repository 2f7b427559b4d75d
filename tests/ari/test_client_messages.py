"""Reading what Asterisk says: real frames give their fields, and nothing at all makes `decode` raise."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowengine.ari import messages
from flowengine.ari.messages import RestResponse, StasisStart, Unknown, decode

CHANNEL = {
    "id": "1760000000.7",
    "name": "PJSIP/trunk-00000003",
    "state": "Ring",
    "protocol_id": "1-1339012@127.0.0.2",
    "caller": {"name": "", "number": "+15550100"},
    "connected": {"name": "", "number": ""},
    "accountcode": "",
    "dialplan": {
        "context": "from-trunk",
        "exten": "+15550199",
        "priority": 3,
        "app_name": "Stasis",
        "app_data": "flowengine,+15550199",
    },
    "creationtime": "2026-03-12T15:22:59.225-0600",
    "language": "en",
}
HEAD = {"timestamp": "2026-03-12T15:22:59.225-0600", "asterisk_id": "aa:bb", "application": "flowengine"}
BRIDGE = {"id": "b1", "technology": "simple_bridge", "bridge_type": "mixing", "channels": ["c1"]}
PLAYBACK = {"id": "p1", "media_uri": "sound:hello", "target_uri": "channel:c1", "state": "done"}
RECORDING = {"name": "r1", "format": "wav", "target_uri": "channel:c1", "state": "done", "duration": 3}
ENDPOINT = {"technology": "PJSIP", "resource": "alice", "state": "online", "channel_ids": []}
PARTS = {
    "channel": CHANNEL,
    "peer": CHANNEL,
    "bridge": BRIDGE,
    "playback": PLAYBACK,
    "recording": RECORDING,
    "endpoint": ENDPOINT,
    "device_state": {"name": "PJSIP/alice", "state": "NOT_INUSE"},
    "contact_info": {"uri": "sip:a@127.0.0.1", "contact_status": "Reachable", "aor": "alice"},
    "transferer_first_leg": CHANNEL,
    "transferer_second_leg": CHANNEL,
    "request_id": "1",
    "status_code": 204,
}
KINDS = [*messages.AnyEvent.__args__, RestResponse]


def sample(kind: type[msgspec.Struct]) -> dict[str, object]:
    """A frame of this kind with all that must be in it."""
    needed = {name: PARTS[name] for name in kind.__struct_fields__ if name in PARTS}
    if kind is messages.PeerStatusChange:
        needed["peer"] = {"peer_status": "Registered"}
    return {"type": kind.__struct_config__.tag, **HEAD, **needed}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_read_as_itself(kind: type[msgspec.Struct]) -> None:
    assert type(decode(json.dumps(sample(kind)).encode())) is kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_tolerates_fields_it_does_not_know_in_any_order(kind: type[msgspec.Struct]) -> None:
    frame = {"from": {"the": ["future", 1e300, None]}, **dict(reversed(sample(kind).items()))}
    assert type(decode(json.dumps(frame))) is kind


def test_a_tag_is_its_struct_name_and_documented() -> None:
    for kind in KINDS:
        assert kind.__struct_config__.tag == ("RESTResponse" if kind is RestResponse else kind.__name__)
        assert kind.__doc__


def test_an_incoming_call_is_read() -> None:
    event = decode(json.dumps({"type": "StasisStart", **HEAD, "args": ["+15550199"], "channel": CHANNEL}))
    assert isinstance(event, StasisStart)
    assert event.args == ["+15550199"]
    assert event.timestamp == HEAD["timestamp"]
    assert event.channel.id == "1760000000.7"
    assert event.channel.caller.number == "+15550100"
    assert event.channel.dialplan.app_data == "flowengine,+15550199"


def test_a_kind_of_a_newer_asterisk_is_told_from_garbage() -> None:
    assert decode(b'{"type":"CallBroadcast","channel":{}}') == Unknown("CallBroadcast")
    assert decode(b'{"type":"StasisStart","channel":{}}') is None


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    decode(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(KINDS), st.data())
def test_no_wrong_value_anywhere_makes_it_raise(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    frame = sample(kind)
    spot = data.draw(st.sampled_from(sorted(frame)))
    frame[spot] = data.draw(json_values)
    decode(json.dumps(frame))


@given(st.sampled_from(KINDS), st.integers(0, 2000))
@example(StasisStart, 0)
def test_a_truncated_frame_is_no_message(kind: type[msgspec.Struct], length: int) -> None:
    whole = json.dumps(sample(kind)).encode()
    assert decode(whole[: min(length, len(whole) - 1)]) is None
