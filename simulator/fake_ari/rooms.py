"""Bridges as ARI shows them: what the world does not care about, and the technology Asterisk would choose."""

from typing import Any, Final

from simulator.fake_ari.channel import stamp
from simulator.fake_ari.rest import Refused
from simulator.things import Bridge

KINDS: Final = frozenset({"mixing", "holding"})
OPTIONS: Final = frozenset({"dtmf_events", "proxy_media", "video_sfu", "video_single", "sdp_label"})


class Room:
    """What is known of a bridge beside who is in it."""

    def __init__(self, types: str, name: str, created_at: int) -> None:
        """Raises `Refused` (500, as Asterisk does) for a type that does not exist."""
        wanted = [each.strip() for each in types.split(",") if each.strip()]
        if not KINDS.union(OPTIONS).issuperset(wanted):
            raise Refused(500, "Unable to create bridge", "Internal Error")
        self.holding = "holding" in wanted
        self.dtmf_events = "dtmf_events" in wanted
        self.name = name
        self.created_at = created_at
        self.music = False


def shown(bridge: Bridge, *, entering: bool = False) -> dict[str, Any]:
    """The bridge as ARI shows it; while somebody enters, two are not joined natively yet."""
    room: Room = bridge.tag
    return {
        "id": bridge.id,
        "technology": _technology(bridge, room, entering),
        "bridge_type": "holding" if room.holding else "mixing",
        "bridge_class": "stasis",
        "creator": "Stasis",
        "name": room.name,
        "channels": [leg.id for leg in bridge.legs],
        "creationtime": stamp(room.created_at),
        "video_mode": "talker",
    }


def hears_keys(bridge: Bridge) -> bool:
    """Whether keys pressed in the bridge are told."""
    room: Room = bridge.tag
    return room.dtmf_events or _technology(bridge, room, entering=False) == "softmix"


def _technology(bridge: Bridge, room: Room, entering: bool) -> str:
    """Two legs are joined natively, unless somebody listens to keys or to the sound."""
    if room.holding:
        return "holding_bridge"
    if bridge.recordings or bridge.media or room.music or len(bridge.legs) > 2:
        return "softmix"
    native = len(bridge.legs) == 2 and not room.dtmf_events and not entering
    return "native_rtp" if native else "simple_bridge"
