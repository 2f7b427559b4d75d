"""Whether an Asterisk still lives, and if not, since when: what its calls are closed by.

An Asterisk that dies says nothing, and neither does one behind a cut cable, whose calls go on talking. So there are
two proofs of death, and silence alone is the weaker one:

- **a restart**: the time at which it started is another one. Nothing of the life before is left;
- **nobody at home**: its machine answers that nobody listens there. Its calls are lost after `LOST_AFTER_S`;
- **silence**: no answer of any kind. Its calls are given up after `SILENT_AFTER_S`, for by then each party has
  long hung up on the other or, if it was only the cable, nobody is there to answer for the minutes.

Either way the calls ended at the last proof of life: later minutes cannot be shown to have been used, so they are not
charged. `Life` judges and is pure; `LifeWatch` asks Asterisk once a second and tells. An Asterisk that stands still for
a moment is not lost, and an engine that stood still does not take its own deafness for death.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

import msgspec
import structlog

from flowengine.ari.client import Over
from flowengine.ari.errors import AriError
from flowengine.ari.rest import AriResponse, Method, QueryValue
from flowengine.ari.witness import instant_of
from flowengine.call.events import Instant
from flowengine.ports import Clock

log = structlog.get_logger(__name__)

LOST_AFTER_S: Final = 10.0
SILENT_AFTER_S: Final = 120.0
LOOK_EVERY_S: Final = 1.0
STOOD_STILL_S: Final = 3.0
"""An engine that has not looked for so long stood still itself: what it was told is still unread."""
_SECOND: Final = 1_000_000


class Restarted(msgspec.Struct, frozen=True):
    """Another life of this Asterisk: every leg of the one before is gone."""

    lost_at: Instant
    """Its last proof of life. The end of each call that has no line in the witness."""
    started_at: Instant


class SameLife(msgspec.Struct, frozen=True):
    """The Asterisk that was known: what was up may be up still."""


class Unknown(msgspec.Struct, frozen=True):
    """The first this engine hears of it. A call that was last heard of before it started is lost all the same."""

    started_at: Instant
    """By the clock of its own machine."""


Judgement: TypeAlias = Restarted | SameLife | Unknown


class Life:
    """What this engine knows of the life of one Asterisk. Pure; times are this engine's."""

    def __init__(self, *, lost_after_s: float = LOST_AFTER_S, silent_after_s: float = SILENT_AFTER_S) -> None:
        self.last_heard: Instant | None = None
        """The last proof of life."""
        self._started = ""
        self._entity = ""
        self._lost_after_us = round(lost_after_s * _SECOND)
        self._silent_after_us = round(silent_after_s * _SECOND)
        self._nobody_home = False
        self._looked: Instant | None = None
        self._silent_since: Instant | None = None

    def heard(self, at: Instant) -> None:
        """Anything at all came from it: an event, an answer, a pong.

        At the start of an engine: when an earlier one was last alive, for that one heard it until then.
        """
        self.last_heard = at if self.last_heard is None else max(at, self.last_heard)
        self._silent_since = self.last_heard
        self._nobody_home = False

    def refused(self) -> None:
        """Its machine says that nobody listens there."""
        self._nobody_home = True

    def connected(self, started: str, at: Instant, entity: str = "") -> Judgement:
        """It answers, and says when it started (`status.startup_time` of `GET asterisk/info`) and who it is.

        Raises `AriError` for a time that cannot be read.
        """
        started_at = instant_of(started)
        before, lost_at = (self._started, self._entity), self.last_heard
        self._started, self._entity = started, entity
        self.heard(at)
        if not before[0] or lost_at is None:
            return Unknown(started_at)
        return SameLife() if before == (started, entity) else Restarted(lost_at, started_at)

    def lost_since(self, now: Instant) -> Instant | None:
        """Since when it counts as dead, which is its last proof of life; None while it does not.

        To be asked about once a second: a longer pause means that this engine stood still, and then silence
        counts anew from here.
        """
        looked, self._looked = self._looked, now
        if self._silent_since is None:
            return None
        if now - (self._silent_since if looked is None else looked) > STOOD_STILL_S * _SECOND:
            self._silent_since = max(now, self._silent_since)
        bound_us = self._lost_after_us if self._nobody_home else self._silent_after_us
        return self.last_heard if now - self._silent_since >= bound_us else None


class Ari(Protocol):
    """What is needed of the `AriClient`."""

    @property
    def ready(self) -> bool:
        """Connected and caught up."""
        ...

    def send(
        self,
        method: Method,
        path: str,
        query: Mapping[str, QueryValue] | None = None,
        *,
        lane: str = "",
        over: Over = "auto",
    ) -> "asyncio.Future[AriResponse]":
        """Send; the future has the answer or an `AriError`."""
        ...


class LifeWatch:
    """Asks one Asterisk once a second whether it lives; keep `run` in a task.

    Args:
        ari: the line to it.
        url: its HTTP address, where is looked whether anybody listens when the line is down.
        life: what is known of it.
        on_lost: called once for each loss, with the last proof of life.
    """

    def __init__(
        self, ari: Ari, url: str, life: Life, clock: Clock, on_lost: Callable[[Instant], None]
    ) -> None:
        self._ari = ari
        self._url = url
        self._life = life
        self._clock = clock
        self._on_lost = on_lost
        self._told: Instant | None = None

    async def greet(self, ari: Ari) -> Judgement:
        """Ask who answers, after each connect and before anything else is concluded. Raises `AriError`."""
        answer = (await ari.send("GET", "asterisk/info", {"only": "status,system"}, lane="life")).read(_Info)
        judgement = self._life.connected(
            answer.status.startup_time, self._clock.now(), answer.system.entity_id
        )
        if isinstance(judgement, Restarted):
            log.error("asterisk restarted: its calls of before are lost")
        return judgement

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once, and tell a loss."""
        if self._ari.ready:
            try:
                # On the websocket it would wait behind requests that wait for a sound to end.
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._ari.send("GET", "asterisk/ping", lane="life", over="http")
                self._life.heard(self._clock.now())
            except (AriError, TimeoutError):
                pass  # no proof of life; how long there was none is what counts
        elif await _who_listens(self._url) == "nobody":
            self._life.refused()
        lost_at = self._life.lost_since(self._clock.now())
        if lost_at is not None and lost_at != self._told:
            log.error("asterisk is lost: its calls are closed at the last proof of life")
            self._told = lost_at
            self._on_lost(lost_at)


class _Status(msgspec.Struct):
    startup_time: str


class _System(msgspec.Struct):
    entity_id: str = ""


class _Info(msgspec.Struct):
    status: _Status
    system: _System = msgspec.field(default_factory=_System)


async def _who_listens(url: str) -> Literal["somebody", "nobody", "silence"]:
    """Who opens at Asterisk's door. Somebody is no proof of life: the system opens for a process that hangs."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except ConnectionRefusedError:
        return "nobody"
    except (OSError, TimeoutError):
        return "silence"
    writer.close()
    return "somebody"
