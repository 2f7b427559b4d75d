"""The reaper: ends on Asterisk what belongs to nobody.

After each connect the switch looks once for legs and bridges of calls it does not know. What comes loose later, by a
request whose answer was lost or by a bug, would stay for ever: a caller who hears nothing, a snoop channel that keeps
recording, a bridge without legs. So the reaper looks now and then, for as long as the engine runs.

`compare` is pure: what Asterisk has, against what the engine answers for. A thing is ended only when it belonged to
nobody at two looks in a row, as either picture may be a moment older than the other. Playbacks and live recordings
cannot be listed, but each lives on a leg or a bridge and ends with it; a finished recording is the library's affair.
A peer that vanished without a BYE has a call and is none of this: Asterisk ends such a leg by its silence
(`rtp_timeout` in `asterisk_conf/pjsip.conf`, docs/witness.md), and then it is an ordinary hang-up.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
import structlog

from flowengine.ari.client import AriClient
from flowengine.ari.errors import AriError, AriRefused
from flowengine.ari.names import split_id, whole_of
from flowengine.ari.resources import Bridge, Channel
from flowengine.ari.resync import is_in_stasis
from flowengine.ari.translate import NOT_FOUND

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 30.0
LANE: Final = "reaper"

Kind: TypeAlias = Literal["channels", "bridges"]
Why: TypeAlias = Literal["its call is unknown", "its call does not know it", "nobody answers for it"]


class Known(msgspec.Struct, frozen=True):
    """What the engine answers for at this moment."""

    things: Mapping[str, frozenset[str]] = {}
    """The short ids of everything each call has, or is about to have, on Asterisk."""
    inbound: frozenset[str] = frozenset()
    """Inbound channels that are somebody's: adopted, waiting to be, or being ended."""


class Seen(msgspec.Struct, frozen=True):
    """What Asterisk has."""

    channels: Mapping[str, Channel] = {}
    bridges: Mapping[str, Bridge] = {}


class ToEnd(msgspec.Struct, frozen=True):
    """One thing that belongs to nobody."""

    kind: Kind
    id: str
    why: Why


def compare(seen: Seen, known: Known, app: str) -> list[ToEnd]:
    """Everything of `app` that belongs to nobody, channels before the bridges they may be in."""
    found = [
        ToEnd("channels", channel.id, why)
        for channel in seen.channels.values()
        if (why := _stray(channel.id, known) or _unserved(channel, known)) and not _is_elsewhere(channel, app)
    ]
    found += [ToEnd("bridges", id, why) for id in seen.bridges if (why := _stray(id, known))]
    return found


def _stray(id: str, known: Known) -> Why | None:
    """Why a thing that bears an id of ours is nobody's; None if it is somebody's, or its id is not ours."""
    ours = split_id(id)
    if ours is None:
        return None
    call, short = ours
    if call not in known.things:
        return "its call is unknown"
    # A snoop channel bears the name of the recording that it is a side of.
    belongs = short in known.things[call] or whole_of(short) in known.things[call]
    return None if belongs else "its call does not know it"


def _unserved(channel: Channel, known: Known) -> Why | None:
    """Why a channel in Stasis with an id of Asterisk's is nobody's."""
    is_held = channel.dialplan.app_name == "Stasis"
    is_ours = split_id(channel.id) is not None or channel.id in known.inbound
    return "nobody answers for it" if is_held and not is_ours else None


def _is_elsewhere(channel: Channel, app: str) -> bool:
    """Whether another application holds this channel: another engine's, which is to end it or not."""
    return channel.dialplan.app_name == "Stasis" and not is_in_stasis(channel, app)


class Reaper:
    """Looks and ends, again and again; keep `run` in a task.

    Args:
        ari: the line to one Asterisk.
        app: the engine's Stasis application.
        known: what the engine answers for now; called at each look, after Asterisk has been asked.
        look_every_s: seconds between two looks, which is how long a thing may belong to nobody at the least.
    """

    def __init__(
        self, ari: AriClient, app: str, known: Callable[[], Known], look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._ari = ari
        self._app = app
        self._known = known
        self._look_every_s = look_every_s
        self._suspects: frozenset[ToEnd] = frozenset()
        self.ended = 0
        """How many things were ended so far: for metrics. It ought to stay at zero."""

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await asyncio.sleep(self._look_every_s)
            try:
                await self.look()
            except AriError as error:
                log.warning("reaper could not look", why=str(error))

    async def look(self) -> list[ToEnd]:
        """Look once; ends, and returns, what was nobody's at the look before as well. Raises `AriError`."""
        if (
            not self._ari.ready
        ):  # after each connect the switch catches up, and what is known is not known yet
            self._suspects = frozenset()
            return []
        # On the websocket, every call would wait until Asterisk has written down all channels.
        channels = self._ari.send("GET", "channels", lane=LANE, over="http")
        bridges = self._ari.send("GET", "bridges", lane=LANE, over="http")
        seen = Seen(
            {channel.id: channel for channel in (await channels).read(list[Channel])},
            {bridge.id: bridge for bridge in (await bridges).read(list[Bridge])},
        )
        found = compare(seen, self._known(), self._app)
        over = [each for each in found if each in self._suspects]
        self._suspects = frozenset(found)
        for each in over:
            await self._end(each)
        return over

    async def _end(self, thing: ToEnd) -> None:
        try:
            await self._ari.send("DELETE", f"{thing.kind}/{thing.id}", lane=LANE)
        except AriRefused as refused:
            if refused.status != NOT_FOUND:  # it ended by itself
                raise
            return
        self.ended += 1
        log.warning("ended what belongs to nobody", kind=thing.kind, id=thing.id, why=thing.why)
