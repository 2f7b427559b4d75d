"""The engine's one line to its Asterisk: events in, requests out, and the truth about whether it stands.

Failures of a request (`errors.py`):

    AriError
      AriUnavailable   no connection, or it was lost: the request may or may not have been carried out
      AriTimeout       connected, but no answer in time: likewise
      AriRefused       Asterisk answered with a status of 400 or above: it was not carried out

Requests travel on the websocket that brings the events (Asterisk 20.14, 21.9, 22.4 and newer), or over HTTP where
Asterisk is older. On the websocket Asterisk carries them out one after another in one thread, so a
request that waits for a channel holds up all calls: stop a prompt before bridging or answering its
channel, or send such a request with `over="http"`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from flowengine.ari.errors import AriError, AriRefused, AriTimeout, AriUnavailable
from flowengine.ari.handshake import Transport, explain_filter
from flowengine.ari.link import AriLink
from flowengine.ari.messages import AnyEvent
from flowengine.ari.pacing import Clock
from flowengine.ari.rest import AriRequest, AriResponse, Method, QueryValue, build, failed
from flowengine.ari.settings import AriSettings
from flowengine.ari.stats import AriStats

__all__ = [
    "AriClient",
    "AriError",
    "AriRefused",
    "AriResponse",
    "AriSettings",
    "AriTimeout",
    "AriUnavailable",
]

Over: TypeAlias = Literal["auto", "http"]


class AriClient:
    """Use as `async with AriClient(settings, on_event, on_connected) as ari:`.

    `on_event` gets every event in order, in the reader's own turn: it must only put the event somewhere and
    return. `on_connected` is awaited after each connect, before `ready`; it may send requests, and events
    already arrive while it runs, so nothing falls between what it reads and the first event. If it
    raises, the connection is given up and made again. Displaced by another engine on the same application,
    the client stays away for a minute, then for longer each time (`AriSettings.displaced_first_s`).
    """

    def __init__(
        self,
        settings: AriSettings,
        on_event: Callable[[AnyEvent], None],
        on_connected: "Callable[[AriClient], Awaitable[None]] | None" = None,
        *,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        chance = chance or random.Random()  # noqa: S311  (spreads reconnects, keeps no secret)
        self._settings = settings
        self._on_connected = on_connected
        self._link = AriLink(settings, on_event, self._catch_up, clock, chance)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start connecting; does not wait for Asterisk (see `wait_ready`)."""
        self._running = asyncio.create_task(self.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled. `async with` runs this in the background."""
        await self._link.run()

    async def close(self) -> None:
        """Stop; everything in flight fails with `AriUnavailable`."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    @property
    def ready(self) -> bool:
        """Connected, caught up, and heard from lately. False means: take no new calls."""
        return self._link.ready

    @property
    def problem(self) -> str | None:
        """Why not `ready`, in words for an operator; `None` when ready."""
        return self._link.problem

    @property
    def transport(self) -> Transport | None:
        """How requests travel now; `None` without a connection."""
        return self._link.transport

    @property
    def stats(self) -> AriStats:
        """Totals since the client was made."""
        return self._link.stats

    async def wait_ready(self, timeout_s: float) -> None:
        """Return when caught up; after `timeout_s` raise `AriUnavailable` with the problem met last."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._link.wait_caught_up()
        except TimeoutError:
            raise AriUnavailable(self.problem or "Asterisk is not ready") from None

    async def request(
        self,
        method: Method,
        path: str,
        query: Mapping[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        lane: str = "",
        over: Over = "auto",
    ) -> AriResponse:
        """Send and wait for the answer; raises `AriError`. `path` is plain, such as `channels/ID/play`."""
        return await self.send(method, path, query, body, timeout_s=timeout_s, lane=lane, over=over)

    def send(
        self,
        method: Method,
        path: str,
        query: Mapping[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        lane: str = "",
        over: Over = "auto",
    ) -> "asyncio.Future[AriResponse]":
        """Send without waiting; never raises, the future has the answer or an `AriError`.

        On the websocket, order on the wire is the order of calls. Over HTTP that holds for requests of
        one `lane` (name a call there), and for all that name none. Nobody has to collect the future.
        `timeout_s` counts from here, waiting for one's turn included.
        """
        self.stats.requests += 1
        try:
            answer = self._dispatch(
                build(method, path, query, body),
                self._settings.request_timeout_s if timeout_s is None else timeout_s,
                lane,
                over,
            )
        except AriRefused as refused:
            answer = failed(refused)
        answer.add_done_callback(self._count)
        return answer

    async def download(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of `path`, such as `recordings/stored/NAME/file`, in pieces, over HTTP; raises `AriError`."""
        if self._link.http is None:
            raise AriUnavailable("the ARI client is not running")
        self.stats.requests += 1
        async with aclosing(self._link.http.download(build("GET", path))) as pieces:
            async for piece in pieces:
                yield piece

    def _dispatch(
        self, request: AriRequest, wait_s: float, lane: str, over: Over
    ) -> "asyncio.Future[AriResponse]":
        link = self._link
        if link.http is not None and (over == "http" or link.transport == "http"):
            return link.http.send(request, wait_s, lane)
        if link.connection is not None and link.transport == "websocket":
            return link.connection.send(request, wait_s)
        return failed(AriUnavailable(self.problem or "not connected to Asterisk"))

    def _count(self, answer: "asyncio.Future[AriResponse]") -> None:
        if answer.cancelled():
            return
        match answer.exception():
            case AriRefused():
                self.stats.refused += 1
            case AriTimeout():
                self.stats.timeouts += 1
            case AriUnavailable():
                self.stats.unavailable += 1

    async def _catch_up(self) -> None:
        """After each connect: the filter, which Asterisk forgets with the application, then the owner."""
        app = self._settings.app
        unwanted = [{"type": name} for name in self._settings.disallowed_events]
        try:
            await self.request("PUT", f"applications/{app}/eventFilter", body={"disallowed": unwanted})
        except AriRefused as refused:
            raise AriUnavailable(explain_filter(refused, self._settings)) from None
        if self._on_connected is not None:
            await self._on_connected(self)
