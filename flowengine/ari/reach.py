"""Which devices can be rung: looked up again and again, and not subscribed to.

Asterisk would tell it by events, `DeviceStateChanged` of all devices. But if one of these is on its way at the moment
in which the websocket closes, Asterisk locks itself up, and no engine gets on to it until it is restarted
(docs/asterisk-notes.md, "Device states that lock Asterisk up"). An engine that dies cannot unsubscribe first, so it
must not subscribe. The list of all endpoints costs Asterisk less than a millisecond for 300 of them.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from flowengine.ari.client import AriClient, AriError
from flowengine.ari.connection import stack_of
from flowengine.ari.resources import Endpoint

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.5
"""How late a telephone that came or went may be noticed: well before somebody picks it up to try."""
ENDPOINTS_A_SECOND: Final = 5_000
"""No more are asked for, which takes Asterisk a fiftieth of the time; a switch with more is looked at less often."""
_LANE: Final = "reach"


class Reach:
    """Looks at the endpoints of one Asterisk; `tell` hears which of them came into reach, or went out of it."""

    def __init__(self, client: AriClient, tell: Callable[[str, bool], None], every_s: float) -> None:
        self._client = client
        self._tell = tell
        self._every_s = every_s
        self._told: dict[str, bool] = {}
        self._watching: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Look now. Raises `AriError`."""
        # Over HTTP, as on the websocket the requests of calls would wait behind it.
        answer = await self._client.send("GET", "endpoints", lane=_LANE, over="http")
        found = {
            # A telephone that rings or talks is there, whatever became of its registration meanwhile.
            f"{each.technology}/{each.resource}": each.state == "online" or bool(each.channel_ids)
            for each in answer.read(list[Endpoint])
        }
        gone = {name: False for name in self._told if name not in found}
        for name, is_reachable in (found | gone).items():
            if self._told.get(name) is not is_reachable:
                self._told[name] = is_reachable
                self._tell(name, is_reachable)

    def watch(self) -> None:
        """Look regularly from now on, whenever there is a connection."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(pause_s(self._every_s, len(self._told)))
            if not self._client.ready:
                continue
            try:
                await self.look()
            except AriError:
                continue  # the next look, or the next connect, tells what this one did not
            except Exception as error:  # a listener's fault must not end the watch
                fault = type(error).__name__
                log.error("looking for devices met a fault", error=fault, stack=stack_of(error))


def pause_s(every_s: float, endpoints: int) -> float:
    """Seconds until the next look at so many endpoints."""
    return max(every_s, endpoints / ENDPOINTS_A_SECOND)
