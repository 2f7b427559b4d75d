"""Keeps one connection to Asterisk alive: connects, catches up, notices loss, waits, connects again.

`client.py` is what callers use; this is the loop beneath it. One rule shapes it: a second websocket on the same
Stasis application silences the first for good. Displaced so, the link stays away, for longer each
time, because two engines that keep taking the application from each other would both lose calls.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import aiohttp
import structlog

from flowengine.ari.connection import AriConnection, stack_of
from flowengine.ari.errors import AriError, AriUnavailable
from flowengine.ari.handshake import Transport, credentials, find_transport, open_websocket
from flowengine.ari.messages import AnyEvent
from flowengine.ari.pacing import Backoff, Clock, pause
from flowengine.ari.rest_http import HttpRest
from flowengine.ari.settings import AriSettings
from flowengine.ari.stats import AriStats

log = structlog.get_logger(__name__)


class AriLink:
    """The present connection, if there is one, and why not if there is none."""

    def __init__(
        self,
        settings: AriSettings,
        on_event: Callable[[AnyEvent], None],
        catch_up: Callable[[], Awaitable[None]],
        clock: Clock | None,
        chance: random.Random,
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._catch_up = catch_up
        self._clock = clock
        self._backoff = Backoff(settings.reconnect_first_s, settings.reconnect_cap_s, chance)
        self._away = Backoff(settings.displaced_first_s, settings.displaced_cap_s, chance)
        self._caught_up = asyncio.Event()
        self._problem: str | None = "not started"
        self.stats = AriStats()
        self.http: HttpRest | None = None
        self.connection: AriConnection | None = None
        self.transport: Transport | None = None

    @property
    def ready(self) -> bool:
        """Connected, caught up, and heard from lately."""
        return self._caught_up.is_set() and self.connection is not None and self.connection.fresh

    @property
    def problem(self) -> str | None:
        """Why not `ready`, in words for an operator; `None` when ready."""
        if self.ready:
            return None
        return self._problem or "Asterisk has not been heard from lately"

    async def wait_caught_up(self) -> None:
        """Return as soon as the link has caught up with Asterisk."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled."""
        connector = aiohttp.TCPConnector(limit=self._settings.http_connections, keepalive_timeout=10)
        self._problem = "connecting"
        async with aiohttp.ClientSession(
            connector=connector, headers=credentials(self._settings), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            clock = self._clock or asyncio.get_running_loop()
            self.http = HttpRest(session, self._settings, self.stats)
            try:
                while True:
                    await pause(clock, await self._one_connection(session, clock))
            finally:
                await self.http.close()
                self.http = None
                self._problem = "closed"

    async def _one_connection(self, session: aiohttp.ClientSession, clock: Clock) -> float:
        """Live through one connection; returns for how many seconds to stay away after it."""
        try:
            connection = await open_websocket(session, self._settings, clock, self.stats, self._on_event)
        except AriError as error:
            self._complain(str(error))
            return self._backoff.next()
        except Exception as error:  # the loop that keeps the line up must outlive every surprise
            log.error("ari.connect_fault", error=type(error).__name__, stack=stack_of(error))
            self._complain(f"connecting met a fault in this engine: {type(error).__name__}")
            return self._backoff.next()
        self.connection = connection
        ready_at: float | None = None
        try:
            await self._come_up(connection)
            ready_at = clock.time()
            reason = await asyncio.shield(connection.lost)
        except AriError as error:
            reason = str(error)
        finally:
            self._caught_up.clear()
            self.connection = self.transport = None
            await connection.close()
        self.stats.drops += 1
        if self.http is not None:
            self.http.fail_all(AriUnavailable(f"the connection to Asterisk was lost: {reason}"))
        stood_s = 0.0 if ready_at is None else clock.time() - ready_at
        if connection.displaced:
            return self._stay_away(stood_s)
        if stood_s >= self._settings.reconnect_cap_s:
            self._backoff.reset()
        self._complain(f"the connection to Asterisk was lost: {reason}")
        return self._backoff.next()

    async def _come_up(self, connection: AriConnection) -> None:
        """From a websocket to readiness; `AriError` as soon as the connection is lost or a step fails."""
        steps = asyncio.create_task(self._steps(connection))
        try:
            await asyncio.wait((steps, connection.lost), return_when=asyncio.FIRST_COMPLETED)
            if connection.lost.done():
                raise AriUnavailable(connection.lost.result())
            steps.result()
        finally:
            steps.cancel()
            await asyncio.gather(steps, return_exceptions=True)
        self._problem = None
        self._caught_up.set()
        self.stats.connects += 1
        log.info("ari.ready", app=self._settings.app, transport=self.transport)

    async def _steps(self, connection: AriConnection) -> None:
        limit_s = self._settings.resync_timeout_s
        self.transport = await find_transport(connection, self._settings)
        try:
            async with asyncio.timeout(limit_s):
                await self._catch_up()
        except TimeoutError:
            raise AriUnavailable(f"catching up took over {limit_s:g} s") from None
        except AriError:
            raise
        except Exception as error:
            log.error("ari.catch_up_fault", error=type(error).__name__, stack=stack_of(error))
            raise AriUnavailable(f"catching up met a fault in this engine: {type(error).__name__}") from None

    def _stay_away(self, stood_s: float) -> float:
        self.stats.displaced += 1
        if stood_s >= self._settings.displaced_cap_s:
            self._away.reset()
        wait_s = self._away.next()
        app = self._settings.app
        self._problem = (
            f"another engine took the Stasis application {app!r}; this one stays away for {wait_s:.0f} s. "
            "Give each engine an application of its own, or stop the other"
        )
        log.error("ari.displaced", app=app, wait_s=round(wait_s))
        return wait_s

    def _complain(self, problem: str) -> None:
        """Remember why we are not ready; say it aloud once, not at each attempt."""
        if problem != self._problem:
            log.warning("ari.unavailable", problem=problem)
        self._problem = problem
