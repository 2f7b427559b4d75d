"""What every answer and every event of ARI looks like, field by field.

The one place that knows field names: the documents under `api-docs` are made from it, and the tests hold all that is
sent against it. A field whose name ends in `?` may be missing. Names and types are those of Asterisk 22.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """A kind of JSON object."""

    about: str
    fields: Mapping[str, str]


MODELS: Final[Mapping[str, Shape]] = {
    "Application": Shape(
        "A Stasis application and what it listens to.",
        {
            "name": "string",
            "channel_ids": "List[string]",
            "bridge_ids": "List[string]",
            "endpoint_ids": "List[string]",
            "device_names": "List[string]",
            "events_allowed": "List[object]",
            "events_disallowed": "List[object]",
        },
    ),
    "AsteriskInfo": Shape(
        "What this switch is; parts can be asked for one by one.",
        {
            "build?": "BuildInfo",
            "system?": "SystemInfo",
            "config?": "ConfigInfo",
            "status?": "StatusInfo",
        },
    ),
    "BuildInfo": Shape(
        "How the switch was built.",
        {
            "os": "string",
            "kernel": "string",
            "machine": "string",
            "options": "string",
            "date": "string",
            "user": "string",
        },
    ),
    "SystemInfo": Shape("Version and identity of the switch.", {"version": "string", "entity_id": "string"}),
    "ConfigInfo": Shape(
        "How the switch is configured.",
        {"name": "string", "default_language": "string", "setid": "SetId"},
    ),
    "SetId": Shape("Whose rights the process has.", {"user": "string", "group": "string"}),
    "StatusInfo": Shape("Since when it runs.", {"startup_time": "Date", "last_reload_time": "Date"}),
    "AsteriskPing": Shape(
        "A sign of life.", {"ping": "string", "timestamp": "string", "asterisk_id": "string"}
    ),
    "Variable": Shape("The value of a variable.", {"value": "string"}),
    "Variables": Shape("The values of several variables, by name.", {"variables": "object"}),
    "Module": Shape(
        "A part of the switch that can be loaded.",
        {
            "name": "string",
            "description": "string",
            "use_count": "int",
            "status": "string",
            "support_level": "string",
        },
    ),
    "CallerID": Shape("Name and number of a party.", {"name": "string", "number": "string"}),
    "DialplanCEP": Shape(
        "Where in the dialplan a channel is.",
        {
            "context": "string",
            "exten": "string",
            "priority": "long",
            "app_name": "string",
            "app_data": "string",
        },
    ),
    "Channel": Shape(
        "One leg of a call.",
        {
            "id": "string",
            "name": "string",
            "state": "string",
            "protocol_id": "string",
            "caller": "CallerID",
            "connected": "CallerID",
            "accountcode": "string",
            "dialplan": "DialplanCEP",
            "creationtime": "Date",
            "language": "string",
            "channelvars?": "object",
            "caller_rdnis?": "string",
        },
    ),
    "RTPstat": Shape(
        "What went over the wire of a channel; a simulated wire loses nothing.",
        {
            "channel_uniqueid": "string",
            "txcount": "int",
            "rxcount": "int",
            "txploss": "int",
            "rxploss": "int",
            "local_ssrc": "int",
            "remote_ssrc": "int",
            "txoctetcount": "int",
            "rxoctetcount": "int",
        },
    ),
    "Bridge": Shape(
        "Channels that hear each other.",
        {
            "id": "string",
            "technology": "string",
            "bridge_type": "string",
            "bridge_class": "string",
            "creator": "string",
            "name": "string",
            "channels": "List[string]",
            "creationtime": "Date",
            "video_mode?": "string",
        },
    ),
    "Playback": Shape(
        "A sound that is played, or a list of them.",
        {
            "id": "string",
            "media_uri": "string",
            "next_media_uri?": "string",
            "target_uri": "string",
            "language": "string",
            "state": "string",
        },
    ),
    "LiveRecording": Shape(
        "A recording while it is made.",
        {
            "name": "string",
            "format": "string",
            "state": "string",
            "target_uri": "string",
            "duration?": "int",
            "talking_duration?": "int",
            "silence_duration?": "int",
            "cause?": "string",
        },
    ),
    "StoredRecording": Shape("A recording that is complete.", {"name": "string", "format": "string"}),
    "Sound": Shape(
        "A sound that comes with the switch.",
        {"id": "string", "text?": "string", "formats": "List[FormatLangPair]"},
    ),
    "FormatLangPair": Shape("A form a sound is there in.", {"language": "string", "format": "string"}),
    "Endpoint": Shape(
        "A telephone, or a trunk.",
        {"technology": "string", "resource": "string", "state": "string", "channel_ids": "List[string]"},
    ),
    "DeviceState": Shape("How a device is.", {"name": "string", "state": "string"}),
    "Peer": Shape("A change of a registration.", {"peer_status": "string", "cause?": "string"}),
    "ContactInfo": Shape(
        "An address where a telephone is reached.",
        {"uri": "string", "contact_status": "string", "aor": "string", "roundtrip_usec?": "string"},
    ),
}

EVENT_FIELDS: Final[Mapping[str, str]] = {
    "type": "string",
    "application": "string",
    "timestamp": "Date",
    "asterisk_id?": "string",
}
"""What all events have."""

EVENTS: Final[Mapping[str, Shape]] = {
    "StasisStart": Shape(
        "A channel came into the hands of the application.",
        {"args": "List[string]", "channel": "Channel", "replace_channel?": "Channel"},
    ),
    "StasisEnd": Shape("A channel left the application.", {"channel": "Channel"}),
    "ChannelCreated": Shape("A channel came into being.", {"channel": "Channel"}),
    "ChannelDestroyed": Shape(
        "A channel is gone, and why (Q.850).",
        {"cause": "int", "cause_txt": "string", "tech_cause?": "int", "channel": "Channel"},
    ),
    "ChannelStateChange": Shape("A channel rings, or is up.", {"channel": "Channel"}),
    "ChannelHangupRequest": Shape(
        "The end of a channel was asked for; `soft` when by us.",
        {"cause?": "int", "tech_cause?": "int", "soft?": "boolean", "channel": "Channel"},
    ),
    "ChannelDtmfReceived": Shape(
        "A key was pressed; sent when it is released.",
        {"digit": "string", "duration_ms": "int", "channel": "Channel"},
    ),
    "ChannelVarset": Shape(
        "A variable was set.", {"variable": "string", "value": "string", "channel?": "Channel"}
    ),
    "ChannelDialplan": Shape(
        "A channel began a dialplan application.",
        {"dialplan_app": "string", "dialplan_app_data": "string", "channel": "Channel"},
    ),
    "ChannelConnectedLine": Shape("A channel talks to somebody else now.", {"channel": "Channel"}),
    "ChannelUserevent": Shape(
        "An event somebody made by hand.",
        {
            "eventname": "string",
            "userevent": "object",
            "channel?": "Channel",
            "bridge?": "Bridge",
            "endpoint?": "Endpoint",
        },
    ),
    "ChannelEnteredBridge": Shape("A channel entered a bridge.", {"bridge": "Bridge", "channel": "Channel"}),
    "ChannelLeftBridge": Shape("A channel left a bridge.", {"bridge": "Bridge", "channel": "Channel"}),
    "BridgeCreated": Shape("A bridge came into being.", {"bridge": "Bridge"}),
    "BridgeDestroyed": Shape("A bridge is gone.", {"bridge": "Bridge"}),
    "Dial": Shape(
        "Dialling a channel went on.",
        {"dialstatus": "string", "forward": "string", "dialstring": "string", "peer": "Channel"},
    ),
    "PlaybackStarted": Shape("A sound begins, or goes on after a pause.", {"playback": "Playback"}),
    "PlaybackContinuing": Shape("The next sound of a list is about to begin.", {"playback": "Playback"}),
    "PlaybackFinished": Shape("A sound ended: done, or failed.", {"playback": "Playback"}),
    "RecordingStarted": Shape("A recording begins.", {"recording": "LiveRecording"}),
    "RecordingFinished": Shape("A recording is complete.", {"recording": "LiveRecording"}),
    "RecordingFailed": Shape("A recording could not be made.", {"recording": "LiveRecording"}),
    "EndpointStateChange": Shape("A telephone came into reach, or went out of it.", {"endpoint": "Endpoint"}),
    "PeerStatusChange": Shape("A registration changed.", {"endpoint": "Endpoint", "peer": "Peer"}),
    "ContactStatusChange": Shape(
        "An address of a telephone changed.", {"endpoint": "Endpoint", "contact_info": "ContactInfo"}
    ),
    "DeviceStateChanged": Shape("A device is in use, free, out of reach.", {"device_state": "DeviceState"}),
    "ApplicationReplaced": Shape("Another websocket took the application; this one is mute.", {}),
    "RESTResponse": Shape(
        "The answer to a request sent on the websocket.",
        {
            "transaction_id": "string",
            "request_id": "string",
            "status_code": "int",
            "reason_phrase": "string",
            "uri": "string",
            "content_type?": "string",
            "message_body?": "string",
        },
    ),
}
