"""After a gap in the connection: what Asterisk has now, against what each call believes it has.

Asterisk keeps legs, sounds, recordings and bridges going without us and never repeats an event. So after every
connect the engine looks: `look` takes the snapshot, `compare` says (purely) which events were missed and which
commands must have been lost. What was begun while looking is not judged, for the snapshot may be older.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.ari.client import AriClient
from flowengine.ari.names import full_id, split_id, whole_of
from flowengine.ari.picture import CallPicture, Thing
from flowengine.ari.resources import Bridge, Channel
from flowengine.ari.stored import is_there, names
from flowengine.call import causes, commands
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import (
    CALLER,
    CommandFailed,
    Event,
    Instant,
    LegAnswered,
    LegHungUp,
    LegRinging,
    PlaybackEnded,
)

LANE: Final = "resync"


class Snapshot(msgspec.Struct, frozen=True):
    """What is on Asterisk. Playbacks and recordings cannot be listed: only those asked for are here."""

    channels: Mapping[str, Channel] = {}
    bridges: Mapping[str, Bridge] = {}
    playbacks: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()


class Findings(msgspec.Struct):
    """What a call missed (`events`), what to send again, and recordings that ended and must be looked for."""

    events: list[Event] = []
    again: list[SwitchCommand] = []
    ended_recordings: list[str] = []


async def look(client: AriClient, pictures: Mapping[str, CallPicture]) -> Snapshot:
    """Ask Asterisk for everything at once. Raises `AriError`."""
    channels = client.send("GET", "channels", lane=LANE)
    bridges = client.send("GET", "bridges", lane=LANE)
    playbacks = {id: client.send("GET", f"playbacks/{id}", lane=LANE) for id in _playbacks(pictures)}
    recordings = {
        name: client.send("GET", f"recordings/live/{name}", lane=LANE)
        for call, picture in pictures.items()
        for id, thing in picture.things.items()
        if isinstance(thing.made_by, commands.Record)
        for name in {full_id(call, id), *names(full_id(call, id), thing.made_by)}
    }
    return Snapshot(
        {channel.id: channel for channel in (await channels).read(list[Channel])},
        {bridge.id: bridge for bridge in (await bridges).read(list[Bridge])},
        frozenset([id for id, answer in playbacks.items() if await is_there(answer)]),
        frozenset([id for id, answer in recordings.items() if await is_there(answer)]),
    )


def mend(picture: CallPicture, things: frozenset[str], snapshot: Snapshot) -> frozenset[str]:
    """Set a picture right that was recalled from an earlier life of the engine; returns the things to compare.

    A recording that was to have two sides may have got one. And where another version of the machine has said what is
    up, two who talk are believed before it.
    """
    for id, thing in picture.things.items():
        match thing.made_by:
            case commands.Record(sides=(_, *_)) as apart if full_id(picture.call, id) in snapshot.recordings:
                thing.made_by = msgspec.structs.replace(apart, sides=())
            case _:
                pass
    if not picture.is_doubtful:
        return things
    picture.is_doubtful = False
    talk = _talk_elsewhere(picture, snapshot)
    if talk is not None:
        picture.know_talk(*talk)
    return frozenset(picture.things)


def compare(picture: CallPicture, judged: frozenset[str], snapshot: Snapshot, at: Instant) -> Findings:
    """What one call missed. Only things in `judged` are compared; the picture itself is not changed.

    When the caller is gone nothing is made again: it would ring agents and play for nobody.
    """
    found = Findings()
    caller_is_there = CALLER in picture.things and picture.channel in snapshot.channels
    for id, thing in picture.things.items():
        if id not in judged:
            continue
        if not _is_up(picture, id, thing, snapshot):
            is_lost = thing.unsure and thing.ended_by is None and caller_is_there
            if is_lost and thing.made_by is not None:
                found.again += (thing.made_by, *thing.joins.values())
            else:
                _ended(found, id, thing, at)
        elif thing.ended_by is not None:
            found.again.append(thing.ended_by)
        elif thing.is_leg:
            _leg_changed(found, id, thing, snapshot.channels[picture.channel_of(id)], at)
        elif isinstance(thing.made_by, commands.OpenBridge):
            present = set(snapshot.bridges[full_id(picture.call, id)].channels)
            found.again += (
                join
                for leg, join in thing.joins.items()
                if leg in picture.things and picture.channel_of(leg) not in present
            )
    for id in snapshot.channels:
        if (leg := _mine(picture, id)) and leg not in picture.things and whole_of(leg) not in picture.things:
            found.again.append(commands.HangUp(leg, causes.NORMAL))
    for id in snapshot.bridges:
        if (bridge := _mine(picture, id)) and bridge not in picture.things:
            found.again.append(commands.CloseBridge(bridge))
    return found


def is_in_stasis(channel: Channel, app: str) -> bool:
    """Whether the application `app` holds this channel now."""
    plan = channel.dialplan
    return plan.app_name == "Stasis" and plan.app_data.split(",", 1)[0] == app


def stasis_args(channel: Channel) -> list[str]:
    """The arguments with which a channel entered Stasis, as its StasisStart told them."""
    return channel.dialplan.app_data.split(",")[1:]


def _playbacks(pictures: Mapping[str, CallPicture]) -> list[str]:
    return [
        full_id(call, id)
        for call, picture in pictures.items()
        for id, thing in picture.things.items()
        if isinstance(thing.made_by, commands.Play)
    ]


def _talk_elsewhere(picture: CallPicture, snapshot: Snapshot) -> tuple[str, str] | None:
    """The bridge and the leg in which the caller talks, if the picture does not know them."""
    for id, bridge in snapshot.bridges.items():
        ours = _mine(picture, id)
        if ours and picture.channel in bridge.channels:
            legs = [leg for channel in bridge.channels if (leg := _mine(picture, channel))]
            if legs and not {ours, *legs} <= picture.things.keys():
                return ours, legs[0]
    return None


def _mine(picture: CallPicture, id: str) -> str:
    ours = split_id(id)
    return ours[1] if ours is not None and ours[0] == picture.call else ""


def _is_up(picture: CallPicture, id: str, thing: Thing, snapshot: Snapshot) -> bool:
    match thing.made_by:
        case commands.Play():
            return full_id(picture.call, id) in snapshot.playbacks
        case commands.Record():
            return any(
                name in snapshot.recordings for name in names(full_id(picture.call, id), thing.made_by)
            )
        case commands.OpenBridge():
            return full_id(picture.call, id) in snapshot.bridges
        case _:
            return picture.channel_of(id) in snapshot.channels


def _ended(found: Findings, id: str, thing: Thing, at: Instant) -> None:
    match thing.made_by:
        case commands.Play():
            found.events.append(PlaybackEnded(at, id))
        case commands.Record():
            found.ended_recordings.append(id)
        case commands.OpenBridge():
            found.events.append(CommandFailed(at, id, "the bridge is gone"))
        case _:
            found.events.append(LegHungUp(at, id, causes.NORMAL))


def _leg_changed(found: Findings, id: str, thing: Thing, channel: Channel, at: Instant) -> None:
    if thing.up:
        return
    if channel.state == "Up" and (id == CALLER or channel.dialplan.app_name == "Stasis"):
        found.events.append(LegAnswered(at, id))
    elif thing.answered_by is not None:
        found.again.append(thing.answered_by)
    elif channel.state == "Ringing" and id != CALLER:
        found.events.append(LegRinging(at, id))
