"""The things ARI speaks of: legs, bridges, playbacks, recordings, devices.

They come inside events and in answers to GET (the resynchronisation after a gap), so they have a file of
their own. Only the fields this engine reads are named; every other field is skipped without being built.
Names and types are those of Asterisk's `channels.json`, `bridges.json`, `playbacks.json` and so on.
"""

from typing import Annotated

import msgspec

Code = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""A cause, a duration, a count: bounded, so that a hostile number stops here and not in a database column."""


class Caller(msgspec.Struct, frozen=True):
    """A party's name and number as signalled; both empty when withheld."""

    name: str = ""
    number: str = ""


class Dialplan(msgspec.Struct, frozen=True):
    """Where a channel is in the dialplan; `app_data` names the Stasis application after a restart of ours."""

    context: str = ""
    exten: str = ""
    priority: Code = 0
    app_name: str = ""
    app_data: str = ""


class Channel(msgspec.Struct, frozen=True):
    """One leg. `state` is Asterisk's word: Down, Ring, Ringing, Up, Busy, ..."""

    id: str
    name: str = ""
    state: str = ""
    caller: Caller = Caller()
    connected: Caller = Caller()
    dialplan: Dialplan = Dialplan()
    creationtime: str = ""
    language: str = ""
    protocol_id: str = ""
    caller_rdnis: str = ""
    channelvars: dict[str, str] = msgspec.field(default_factory=dict)


class Bridge(msgspec.Struct, frozen=True):
    """Where legs hear each other. `channels` are leg ids."""

    id: str
    technology: str = ""
    bridge_type: str = ""
    bridge_class: str = ""
    name: str = ""
    channels: list[str] = msgspec.field(default_factory=list)


class Playback(msgspec.Struct, frozen=True):
    """A prompt or music under way; `target_uri` is `channel:ID` or `bridge:ID`; ends as done or failed."""

    id: str
    media_uri: str = ""
    target_uri: str = ""
    state: str = ""


class LiveRecording(msgspec.Struct, frozen=True):
    """A recording under way or just ended; durations in whole seconds, absent while it runs."""

    name: str
    format: str = ""
    target_uri: str = ""
    state: str = ""
    duration: Code | None = None
    talking_duration: Code | None = None
    silence_duration: Code | None = None
    cause: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """A device an agent registers with; `state` is online, offline or unknown."""

    technology: str
    resource: str
    state: str = ""
    channel_ids: list[str] = msgspec.field(default_factory=list)


class DeviceState(msgspec.Struct, frozen=True):
    """A device's state in Asterisk's words: NOT_INUSE, INUSE, RINGING, UNAVAILABLE, ..."""

    name: str
    state: str = ""


class ContactInfo(msgspec.Struct, frozen=True):
    """One registration of a device: Reachable, Unreachable, NonQualified, Removed, ..."""

    aor: str
    contact_status: str = ""
    uri: str = ""


class Peer(msgspec.Struct, frozen=True):
    """Registered, Unregistered, Reachable, Unreachable, ..."""

    peer_status: str
    cause: str = ""
