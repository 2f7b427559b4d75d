"""What Asterisk says on the ARI websocket, as typed values.

One struct an event type, holding only the fields this engine reads; every other field is skipped
without being built, which is what keeps the reader fast. Names and types are those of Asterisk's
`events.json`; the things events speak of are in `resources.py`.

`decode` never raises: a frame is a known message, an `Unknown` (a type this engine does not read, as
newer versions of Asterisk add them), or `None` when it is not a message at all.
"""

from typing import TypeAlias

import msgspec

from flowengine.ari.resources import (
    Bridge,
    Channel,
    Code,
    ContactInfo,
    DeviceState,
    Endpoint,
    LiveRecording,
    Peer,
    Playback,
)


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event carries. `timestamp` is Asterisk's text: `2025-03-17T08:32:35.709-0600`."""

    application: str = ""
    timestamp: str = ""


class _OfChannel(Event, frozen=True):
    channel: Channel


class _OfPlayback(Event, frozen=True):
    playback: Playback


class _OfRecording(Event, frozen=True):
    recording: LiveRecording


class _OfEndpoint(Event, frozen=True):
    endpoint: Endpoint


class StasisStart(_OfChannel, frozen=True, tag="StasisStart"):
    """A leg has come into our hands; `args` are those of `Stasis(app,args...)`."""

    args: list[str] = msgspec.field(default_factory=list)
    replace_channel: Channel | None = None


class StasisEnd(_OfChannel, frozen=True, tag="StasisEnd"):
    """A leg has left our hands: hung up, moved on in the dialplan, or replaced by a transfer."""


class ChannelCreated(_OfChannel, frozen=True, tag="ChannelCreated"):
    """A leg exists; seen only for legs we subscribed to before."""


class ChannelStateChange(_OfChannel, frozen=True, tag="ChannelStateChange"):
    """A leg rings, is up, ..."""


class ChannelDestroyed(_OfChannel, frozen=True, tag="ChannelDestroyed"):
    """A leg is gone; `cause` is a Q.850 cause, `tech_cause` the SIP status where Asterisk knows it."""

    cause: Code = 0
    cause_txt: str = ""
    tech_cause: Code | None = None


class ChannelHangupRequest(_OfChannel, frozen=True, tag="ChannelHangupRequest"):
    """Somebody hangs up; a plain hang-up by the caller carries no cause."""

    cause: Code | None = None
    tech_cause: Code | None = None
    soft: bool = False


class ChannelDtmfReceived(_OfChannel, frozen=True, tag="ChannelDtmfReceived"):
    """A key, sent when it is let go; `duration_ms` is how long it was held."""

    digit: str = ""
    duration_ms: Code = 0


class ChannelEnteredBridge(Event, frozen=True, tag="ChannelEnteredBridge"):
    """A leg joined a bridge. Asterisk's own model lets the channel be absent."""

    bridge: Bridge
    channel: Channel | None = None


class ChannelLeftBridge(_OfChannel, frozen=True, tag="ChannelLeftBridge"):
    """A leg left a bridge, by our command or by its hang-up."""

    bridge: Bridge


class ChannelHold(_OfChannel, frozen=True, tag="ChannelHold"):
    """The phone put us on hold."""


class ChannelUnhold(_OfChannel, frozen=True, tag="ChannelUnhold"):
    """The phone took us back."""


class ChannelTalkingStarted(_OfChannel, frozen=True, tag="ChannelTalkingStarted"):
    """Voice heard, where TALK_DETECT is set."""


class ChannelTalkingFinished(_OfChannel, frozen=True, tag="ChannelTalkingFinished"):
    """Voice ended; `duration` in milliseconds."""

    duration: Code = 0


class ChannelVarset(Event, frozen=True, tag="ChannelVarset"):
    """A channel variable was set; filtered out by default, as every hang-up brings five of them."""

    variable: str = ""
    value: str = ""
    channel: Channel | None = None


class Dial(Event, frozen=True, tag="Dial"):
    """Progress of a leg we dial: RINGING, ANSWER, BUSY, ...; a cause, when there is one, is truer."""

    peer: Channel
    dialstatus: str = ""
    caller: Channel | None = None


class PlaybackStarted(_OfPlayback, frozen=True, tag="PlaybackStarted"):
    """The first sound of a prompt went out."""


class PlaybackContinuing(_OfPlayback, frozen=True, tag="PlaybackContinuing"):
    """The next sound of a list began."""


class PlaybackFinished(_OfPlayback, frozen=True, tag="PlaybackFinished"):
    """A prompt ended: state done, or failed for a missing sound or a hang-up."""


class RecordingStarted(_OfRecording, frozen=True, tag="RecordingStarted"):
    """A recording runs."""


class RecordingFinished(_OfRecording, frozen=True, tag="RecordingFinished"):
    """A recording was stored."""


class RecordingFailed(_OfRecording, frozen=True, tag="RecordingFailed"):
    """A recording was not made; `recording.cause` says why."""


class BridgeCreated(Event, frozen=True, tag="BridgeCreated"):
    """A bridge exists."""

    bridge: Bridge


class BridgeDestroyed(Event, frozen=True, tag="BridgeDestroyed"):
    """A bridge is gone."""

    bridge: Bridge


class BridgeBlindTransfer(Event, frozen=True, tag="BridgeBlindTransfer"):
    """An agent's phone sent a blind transfer (SIP REFER) while in one of our bridges."""

    channel: Channel
    exten: str = ""
    context: str = ""
    result: str = ""
    is_external: bool = False
    replace_channel: Channel | None = None
    transferee: Channel | None = None
    bridge: Bridge | None = None


class BridgeAttendedTransfer(Event, frozen=True, tag="BridgeAttendedTransfer"):
    """An agent's phone joined two calls of its own."""

    transferer_first_leg: Channel
    transferer_second_leg: Channel
    result: str = ""
    destination_type: str = ""
    replace_channel: Channel | None = None
    transferee: Channel | None = None
    transfer_target: Channel | None = None


class EndpointStateChange(_OfEndpoint, frozen=True, tag="EndpointStateChange"):
    """A device went online or offline."""


class PeerStatusChange(_OfEndpoint, frozen=True, tag="PeerStatusChange"):
    """A device registered, unregistered or stopped answering."""

    peer: Peer


class ContactStatusChange(_OfEndpoint, frozen=True, tag="ContactStatusChange"):
    """One registration of a device changed."""

    contact_info: ContactInfo


class DeviceStateChanged(Event, frozen=True, tag="DeviceStateChanged"):
    """A device is idle, ringing, in use, ..."""

    device_state: DeviceState


class ApplicationReplaced(Event, frozen=True, tag="ApplicationReplaced"):
    """Another websocket took our application: this one is mute for good."""


class RestResponse(msgspec.Struct, frozen=True, tag_field="type", tag="RESTResponse"):
    """The answer to a request sent on the websocket (Asterisk 20.14, 21.9, 22.4 and newer)."""

    request_id: str
    status_code: Code
    reason_phrase: str = ""
    message_body: str | None = None


class Unknown(msgspec.Struct, frozen=True):
    """A message of a type this engine does not read."""

    type: str


AnyEvent: TypeAlias = (
    StasisStart
    | StasisEnd
    | ChannelCreated
    | ChannelStateChange
    | ChannelDestroyed
    | ChannelHangupRequest
    | ChannelDtmfReceived
    | ChannelEnteredBridge
    | ChannelLeftBridge
    | ChannelHold
    | ChannelUnhold
    | ChannelTalkingStarted
    | ChannelTalkingFinished
    | ChannelVarset
    | Dial
    | PlaybackStarted
    | PlaybackContinuing
    | PlaybackFinished
    | RecordingStarted
    | RecordingFinished
    | RecordingFailed
    | BridgeCreated
    | BridgeDestroyed
    | BridgeBlindTransfer
    | BridgeAttendedTransfer
    | EndpointStateChange
    | PeerStatusChange
    | ContactStatusChange
    | DeviceStateChanged
    | ApplicationReplaced
)
Message: TypeAlias = AnyEvent | RestResponse | Unknown

_known: msgspec.json.Decoder[AnyEvent | RestResponse] = msgspec.json.Decoder(AnyEvent | RestResponse)
_any: msgspec.json.Decoder[Unknown] = msgspec.json.Decoder(Unknown)
_known_types = frozenset(kind.__struct_config__.tag for kind in (*AnyEvent.__args__, RestResponse))


def decode(raw: bytes | str) -> Message | None:
    """One websocket frame as a message, or `None` when it is malformed (wrong types, truncated, not UTF-8).

    Two passes only for what the first could not read: a type unknown to us is worth telling from garbage.
    """
    try:
        return _known.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        head = _any.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return None if head.type in _known_types else head
