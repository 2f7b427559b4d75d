"""Channels: what is played and recorded on them. The rows belong to the table of `channels`."""

import uuid
from typing import Final

from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.operations.channels import CHANNEL, HELD, MISSING, TABLE, find, ready
from simulator.fake_ari.playing import Playing, microseconds
from simulator.fake_ari.recording import FORMATS, IN_BRIDGE, Take
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, path
from simulator.things import Gone

SECOND: Final = 1_000_000
MEDIA: Final = Parameter(
    "media",
    "What to play, one or more: sound:/PATH, recording:NAME, tone:NAME, digits:, number:, characters:",
    required=True,
    multiple=True,
)
PLAY: Final = (
    MEDIA,
    Parameter("lang", "Language of the sounds"),
    Parameter("offsetms", "Where to begin", type="int", default=0),
    Parameter("skipms", "How far to go forward or back", type="int", default=3000),
)
PLAYBACK_ID: Final = Parameter("playbackId", "The id of the playback")
EXISTS: Final = ("fail", "overwrite", "append")
ENDS: Final = ("none", "any", "*", "#")
RECORD: Final = (
    Parameter("name", "Name of the recording", required=True),
    Parameter("format", "Format of the file", required=True),
    Parameter("maxDurationSeconds", "Longest recording, 0 for no limit", type="int", default=0),
    Parameter("maxSilenceSeconds", "Silence that ends it, 0 for none", type="int", default=0),
    Parameter("ifExists", "What becomes of a recording of that name", default="fail", allowed=EXISTS),
    Parameter("beep", "Play a tone first (not simulated)", type="boolean", default=False),
    Parameter("terminateOn", "The key that ends it", default="none", allowed=ENDS),
)
RECORD_ERRORS: Final = {
    400: "A parameter is wrong",
    409: "There is a recording of that name",
    422: "The format is not known",
}
_DIRECTION: Final = Parameter("direction", "Which way", required=True, allowed=("both", "in", "out"))


def asked_playback(ask: Ask, target: str) -> Playing:
    """The playback that was asked for. Raises `Refused` (400, 500)."""
    media = ask.many("media")
    if not media:
        raise Refused(500, "Failed to queue media for playback")
    for name in ("offsetms", "skipms"):
        if ask.number(name) < 0:
            raise Refused(400, f"{name} cannot be negative")
    id = ask.text("playbackId") or str(uuid.uuid4())
    skip_us = microseconds(ask.number("skipms"))
    return Playing(id, media, target, microseconds(ask.number("offsetms")), skip_us)


def asked_recording(ask: Ask, target: str) -> Take:
    """The recording that was asked for. Raises `Refused` (400, 422, 500)."""
    for name, shown in (
        ("maxDurationSeconds", "max_duration_seconds"),
        ("maxSilenceSeconds", "max_silence_seconds"),
    ):
        if ask.number(name) < 0:
            raise Refused(400, f"{shown} cannot be negative")
    if ask.text("terminateOn") not in ENDS:
        raise Refused(400, "terminateOn invalid")
    if ask.text("ifExists") not in EXISTS:
        raise Refused(400, "ifExists invalid")
    if ask.text("format") not in FORMATS:
        raise Refused(422, "specified format is unknown on this system")
    name = ask.text("name")
    if not name or ".." in name.split("/"):
        raise Refused(500, "Error parsing request")
    return Take(name, ask.text("format"), target)


def begin_recording(exchange: Exchange, ask: Ask, take: Take, target_id: str) -> Answer:
    """Queue it. Raises `Refused` (409), `Gone`."""
    end_on = ask.text("terminateOn")
    exchange.recorder.begin(
        take,
        target_id,
        ask.text("ifExists"),
        ask.number("maxDurationSeconds") * SECOND,
        ask.number("maxSilenceSeconds") * SECOND,
        "" if end_on == "none" else end_on,
    )
    return Answer(take.json(), status=201)


@TABLE.operation(
    "POST",
    "/channels/{channelId}/play",
    "play",
    "Play sounds",
    CHANNEL,
    *PLAY,
    PLAYBACK_ID,
    returns="Playback",
    errors=HELD,
)
@TABLE.operation(
    "POST",
    "/channels/{channelId}/play/{playbackId}",
    "playWithId",
    "Play sounds, with an id of one's own",
    CHANNEL,
    path("playbackId", "The id of the playback"),
    *PLAY,
    returns="Playback",
    errors=HELD,
)
async def play(exchange: Exchange, ask: Ask) -> Answer:
    """Queue a playback."""
    channel = ready(exchange, ask)
    playing = asked_playback(ask, f"channel:{channel.id}")
    answer = Answer(playing.json(), status=201)
    try:
        exchange.player.play(playing, channel.id)
    except Gone:
        raise Refused(404, "Channel not found") from None
    return answer


@TABLE.operation(
    "POST",
    "/channels/{channelId}/record",
    "record",
    "Record what comes from the channel",
    CHANNEL,
    *RECORD,
    returns="LiveRecording",
    errors=MISSING | RECORD_ERRORS,
)
async def record(exchange: Exchange, ask: Ask) -> Answer:
    """Queue a recording."""
    channel = ready(exchange, ask)
    take = asked_recording(ask, f"channel:{channel.id}")
    if channel.leg is not None and channel.leg.bridge is not None:
        answer = Answer(take.json(), status=201)
        exchange.world.soon(exchange.recorder.fail, take, IN_BRIDGE)
        return answer
    try:
        return begin_recording(exchange, ask, take, channel.id)
    except Gone:
        raise Refused(404, "Channel not found") from None


@TABLE.operation(
    "POST",
    "/channels/{channelId}/dtmf",
    "sendDTMF",
    "Send keys to the telephone, which takes no notice here",
    CHANNEL,
    Parameter("dtmf", "The keys", required=True),
    Parameter("before", "Milliseconds to wait before", type="int", default=0),
    Parameter("between", "Milliseconds between two keys", type="int", default=100),
    Parameter("duration", "Milliseconds a key lasts", type="int", default=100),
    Parameter("after", "Milliseconds to wait after", type="int", default=0),
    errors=HELD | {400: "No key is named"},
)
async def send_keys(exchange: Exchange, ask: Ask) -> Answer:
    """Send them."""
    ready(exchange, ask)
    if not ask.text("dtmf"):
        raise Refused(400, "DTMF is required")
    return DONE


@TABLE.operation(
    "POST", "/channels/{channelId}/hold", "hold", "Put the telephone on hold", CHANNEL, errors=HELD
)
@TABLE.operation("DELETE", "/channels/{channelId}/hold", "unhold", "Take it off hold", CHANNEL, errors=HELD)
@TABLE.operation(
    "POST", "/channels/{channelId}/silence", "startSilence", "Send silence", CHANNEL, errors=HELD
)
@TABLE.operation(
    "DELETE", "/channels/{channelId}/silence", "stopSilence", "Send silence no more", CHANNEL, errors=HELD
)
@TABLE.operation("DELETE", "/channels/{channelId}/moh", "stopMoh", "End the music", CHANNEL, errors=HELD)
@TABLE.operation(
    "POST",
    "/channels/{channelId}/moh",
    "startMoh",
    "Play music",
    CHANNEL,
    Parameter("mohClass", "Which music"),
    errors=HELD,
)
async def in_the_background(exchange: Exchange, ask: Ask) -> Answer:
    """Asterisk tells no event of these, and no script here listens for them."""
    ready(exchange, ask)
    return DONE


@TABLE.operation(
    "POST", "/channels/{channelId}/mute", "mute", "Mute the channel", CHANNEL, _DIRECTION, errors=HELD
)
@TABLE.operation(
    "DELETE", "/channels/{channelId}/mute", "unmute", "Unmute it", CHANNEL, _DIRECTION, errors=HELD
)
async def mute(exchange: Exchange, ask: Ask) -> Answer:
    """Taken note of, and without effect on the simulated sound."""
    ready(exchange, ask)
    direction = ask.text("direction")
    if not direction:
        raise Refused(400, "Direction is required")
    if direction not in ("both", "in", "out"):
        raise Refused(400, "Invalid direction specified")
    return DONE


@TABLE.operation(
    "GET",
    "/channels/{channelId}/rtp_statistics",
    "rtpstatistics",
    "What went over the wire",
    CHANNEL,
    returns="RTPstat",
    errors=MISSING,
)
async def statistics(exchange: Exchange, ask: Ask) -> Answer:
    """Show that there is no wire."""
    counts = ("txcount", "rxcount", "txploss", "rxploss", "local_ssrc", "remote_ssrc")
    zeros = dict.fromkeys((*counts, "txoctetcount", "rxoctetcount"), 0)
    return Answer({"channel_uniqueid": find(exchange, ask).id} | zeros)


@TABLE.operation(
    "POST",
    "/channels/{channelId}/snoop",
    "snoopChannel",
    "Listen in (not simulated)",
    CHANNEL,
    Parameter("spy", "What to hear", default="none", allowed=("none", "both", "out", "in")),
    Parameter("whisper", "Whom to talk to", default="none", allowed=("none", "both", "out", "in")),
    Parameter("app", "Who gets the channel", required=True),
    returns="Channel",
    errors=MISSING | {501: "Not simulated"},
)
async def snoop(exchange: Exchange, ask: Ask) -> Answer:
    """Say that this is not to be had."""
    find(exchange, ask)
    raise Refused(501, "Snooping is not simulated: test it on a real Asterisk")
