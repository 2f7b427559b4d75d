"""Bridges: where channels hear each other."""

import uuid
from typing import Final

from simulator.fake_ari.channel import ANSWERED, Channel
from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.operations.channel_media import (
    PLAY,
    PLAYBACK_ID,
    RECORD,
    RECORD_ERRORS,
    asked_playback,
    asked_recording,
    begin_recording,
)
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, Table, path, variables
from simulator.fake_ari.rooms import Room, shown
from simulator.things import Bridge, Recording

TABLE: Final = Table("bridges", "Bridges of channels")
BRIDGE: Final = path("bridgeId", "Id of the bridge")
MISSING: Final = {404: "There is no such bridge"}
_CREATE: Final = (
    Parameter("type", "Separated by commas: mixing or holding, dtmf_events, proxy_media, ..."),
    Parameter("name", "A name for people"),
    variables("Variables of the bridge (not kept)"),
)
_TAKEN: Final = {409: "There is a bridge with that id"}
_CHANNELS: Final = Parameter("channel", "Ids of the channels", required=True, multiple=True)
_MEMBERS: Final = MISSING | {
    400: "There is no such channel",
    409: "A channel is being recorded",
    422: "A channel is not in an application, or not in the bridge",
}


def find(exchange: Exchange, ask: Ask, phrase: str = "Not found") -> Bridge:
    """The bridge asked for. Raises `Refused` (404)."""
    bridge = exchange.world.bridges.get(ask.text("bridgeId"))
    if bridge is None:
        raise Refused(404, "Bridge not found", phrase)
    return bridge


def members(exchange: Exchange, ask: Ask) -> list[Channel]:
    """The channels asked for. Raises `Refused` (400, 422)."""
    ids = ask.many("channel")
    if not ids:
        raise Refused(400, "Missing parameter channel")
    found = []
    for id in ids:
        channel = exchange.channels.get(id)
        if channel is None:
            raise Refused(400, "Channel not found")
        if not channel.app:
            raise Refused(422, "Channel not in Stasis application")
        found.append(channel)
    return found


@TABLE.operation("GET", "/bridges", "list", "All bridges", returns="List[Bridge]")
async def every(exchange: Exchange, _: Ask) -> Answer:
    """Show all."""
    return Answer([shown(each) for each in exchange.world.bridges.values()])


@TABLE.operation(
    "POST",
    "/bridges",
    "create",
    "Make a bridge",
    *_CREATE,
    Parameter("bridgeId", "The id of the bridge"),
    returns="Bridge",
    errors=_TAKEN,
)
@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}",
    "createWithId",
    "Make a bridge, with an id of one's own",
    path("bridgeId", "The id of the bridge"),
    *_CREATE,
    returns="Bridge",
    errors=_TAKEN,
)
async def create(exchange: Exchange, ask: Ask) -> Answer:
    """Make one."""
    id = ask.text("bridgeId") or str(uuid.uuid4())
    ask.variables()
    if id in exchange.world.bridges:
        raise Refused(409, f"Bridge with id '{id}' already exists")
    room = Room(ask.text("type"), ask.text("name"), exchange.world.now)
    bridge = exchange.world.open_bridge(id, dtmf_events=room.dtmf_events)
    bridge.tag = room
    return Answer(shown(bridge))


@TABLE.operation("GET", "/bridges/{bridgeId}", "get", "One bridge", BRIDGE, returns="Bridge", errors=MISSING)
async def get(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    return Answer(shown(find(exchange, ask, "Not Found")))


@TABLE.operation("DELETE", "/bridges/{bridgeId}", "destroy", "End a bridge", BRIDGE, errors=MISSING)
async def destroy(exchange: Exchange, ask: Ask) -> Answer:
    """End one; its channels stay."""
    exchange.world.close_bridge(find(exchange, ask).id)
    return DONE


@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}/addChannel",
    "addChannel",
    "Bring channels into a bridge",
    BRIDGE,
    _CHANNELS,
    Parameter("role", "What the channel is in a holding bridge"),
    Parameter("absorbDTMF", "Keep keys from the others", type="boolean", default=False),
    Parameter("mute", "Keep the channel from being heard", type="boolean", default=False),
    Parameter("inhibitConnectedLineUpdates", "Do not show who is connected", type="boolean", default=False),
    errors=_MEMBERS,
)
async def add(exchange: Exchange, ask: Ask) -> Answer:
    """Bring some in, when nothing is played to them any more."""
    bridge = find(exchange, ask)
    channels = members(exchange, ask)
    for channel in channels:
        _refuse_recorded(channel)
        await exchange.idle(channel)
        if bridge.id not in exchange.world.bridges or channel.leg is None or not channel.leg.open:
            continue  # Asterisk says yes, and nothing happens
        if channel.state != ANSWERED and not channel.inbound:
            continue  # the world has no early media
        if channel.leg.bridge is bridge:
            exchange.world.part(bridge.id, channel.id)  # it leaves and comes again
        exchange.world.join(bridge.id, channel.id)
        exchange.apps.find(channel.app).bridges[bridge.id] += 1
        exchange.settle()
    return DONE


@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}/removeChannel",
    "removeChannel",
    "Take channels out of a bridge",
    BRIDGE,
    _CHANNELS,
    errors=_MEMBERS,
)
async def remove(exchange: Exchange, ask: Ask) -> Answer:
    """Take some out."""
    bridge = find(exchange, ask)
    channels = members(exchange, ask)
    if any(channel.leg is None or channel.leg.bridge is not bridge for channel in channels):
        raise Refused(422, "Channel not in this bridge")
    for channel in channels:
        exchange.world.part(bridge.id, channel.id)
        exchange.settle()
    return DONE


@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}/moh",
    "startMoh",
    "Play music in a bridge",
    BRIDGE,
    Parameter("mohClass", "Which music"),
    errors=MISSING,
)
async def music(exchange: Exchange, ask: Ask) -> Answer:
    """Begin it."""
    find(exchange, ask).tag.music = True
    return DONE


@TABLE.operation(
    "DELETE",
    "/bridges/{bridgeId}/moh",
    "stopMoh",
    "End the music",
    BRIDGE,
    errors=MISSING | {409: "There is no music"},
)
async def stop_music(exchange: Exchange, ask: Ask) -> Answer:
    """End it."""
    room: Room = find(exchange, ask).tag
    if not room.music:
        raise Refused(409, "Bridge isn't playing music")
    room.music = False
    return DONE


@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}/play",
    "play",
    "Play sounds to a bridge",
    BRIDGE,
    *PLAY,
    PLAYBACK_ID,
    returns="Playback",
    errors=MISSING,
)
@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}/play/{playbackId}",
    "playWithId",
    "Play sounds to a bridge, with an id of one's own",
    BRIDGE,
    path("playbackId", "The id of the playback"),
    *PLAY,
    returns="Playback",
    errors=MISSING,
)
async def play(exchange: Exchange, ask: Ask) -> Answer:
    """Queue a playback."""
    bridge = find(exchange, ask)
    playing = asked_playback(ask, f"bridge:{bridge.id}")
    answer = Answer(playing.json(), status=201)
    exchange.player.play(playing, bridge.id)
    return answer


@TABLE.operation(
    "POST",
    "/bridges/{bridgeId}/record",
    "record",
    "Record what is said in a bridge",
    BRIDGE,
    *RECORD,
    returns="LiveRecording",
    errors=MISSING | RECORD_ERRORS,
)
async def record(exchange: Exchange, ask: Ask) -> Answer:
    """Begin a recording."""
    bridge = find(exchange, ask)
    take = asked_recording(ask, f"bridge:{bridge.id}")
    return begin_recording(exchange, ask, take, bridge.id)


def _refuse_recorded(channel: Channel) -> None:
    media = channel.leg.media if channel.leg is not None else ()
    if any(isinstance(each, Recording) for each in media):
        raise Refused(409, f"Channel {channel.id} currently recording")
