"""One websocket to Asterisk, from the handshake to the first sign of its death.

It carries events in order to a sink and requests in order to Asterisk, many in flight. It never
reconnects: a lost connection is over, everything that waited on it has failed, and `client.py` makes another.
Three things run: a reader, which never waits for anybody; a writer, so that order on the wire is call
order; and a timer that pings and notices a socket that is open on our side alone.
"""

import asyncio
import socket
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import aiohttp
import msgspec
import structlog
from aiohttp import WSMsgType

from flowengine.ari.errors import AriRefused, AriTimeout, AriUnavailable
from flowengine.ari.messages import AnyEvent, ApplicationReplaced, RestResponse, Unknown, decode
from flowengine.ari.pacing import Clock, Timer
from flowengine.ari.rest import MAX_FRAME_BYTES, AriRequest, AriResponse, failed, settle
from flowengine.ari.settings import AriSettings
from flowengine.ari.stats import AriStats

log = structlog.get_logger(__name__)

DISPLACED = "another engine took this application"


class _RestFrame(msgspec.Struct, tag_field="type", tag="RESTRequest", omit_defaults=True):
    request_id: str
    method: str
    uri: str
    content_type: str = ""
    message_body: str = ""


class AriConnection:
    """A live websocket. `lost` is done, with the reason, as soon as it is not."""

    def __init__(
        self,
        socket_: "aiohttp.ClientWebSocketResponse[bool]",
        settings: AriSettings,
        clock: Clock,
        stats: AriStats,
        on_event: Callable[[AnyEvent], None],
    ) -> None:
        self._ws = socket_
        self._settings = settings
        self._clock = clock
        self._stats = stats
        self._on_event = on_event
        self._heard_at = clock.time()
        self._asked = 0
        self._pending: dict[str, tuple[asyncio.Future[AriResponse], Timer]] = {}
        self._outbox: deque[tuple[WSMsgType, bytes]] = deque()
        self._wake = asyncio.Event()
        self._encoder = msgspec.json.Encoder()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._beat_due = clock.time() + settings.ping_every_s
        self._heartbeat = clock.call_later(settings.ping_every_s, self._beat)
        self._tasks = (asyncio.create_task(self._read()), asyncio.create_task(self._write()))
        for task in self._tasks:
            task.add_done_callback(self._stopped)

    @property
    def fresh(self) -> bool:
        """Alive as far as anybody can know: not lost, and heard within `silent_after_s`."""
        silence = self._clock.time() - self._heard_at
        return not self.lost.done() and silence <= self._settings.silent_after_s

    @property
    def displaced(self) -> bool:
        """Lost because another engine connected with our application."""
        return self.lost.done() and self.lost.result() == DISPLACED

    def send(self, request: AriRequest, timeout_s: float) -> "asyncio.Future[AriResponse]":
        """Queue `request` for the wire at once; the future has the answer or an `AriError`."""
        if self.lost.done():
            return failed(AriUnavailable(f"the connection to Asterisk was lost: {self.lost.result()}"))
        if len(self._pending) >= self._settings.max_in_flight:
            return failed(AriUnavailable(f"{len(self._pending)} requests wait for Asterisk already"))
        self._asked += 1
        request_id = str(self._asked)
        frame = _RestFrame(request_id, request.method, request.uri)
        if request.body:
            frame.content_type = "application/json"
            frame.message_body = request.body.decode()
        data = self._encoder.encode(frame)
        if len(data) > MAX_FRAME_BYTES:
            return failed(AriRefused(413, f"{len(data)} bytes, Asterisk reads {MAX_FRAME_BYTES}"))
        answer: asyncio.Future[AriResponse] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(timeout_s, partial(self._expire, request_id, timeout_s))
        self._pending[request_id] = (answer, timer)
        self._put(WSMsgType.TEXT, data)
        return answer

    async def close(self) -> None:
        """Say goodbye if Asterisk still listens, and let go of the socket either way."""
        spoken = not self.lost.done()
        self._end("closed by this engine")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not spoken:
            self._hang_up()
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(self._settings.close_timeout_s):
                await self._ws.close()
        self._hang_up()

    def _hang_up(self) -> None:
        """Shut the socket itself: an orderly close would wait for a peer that no longer reads."""
        raw = self._ws.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    def _end(self, reason: str) -> None:
        """Lost, for `reason`: nobody waits a moment longer."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        self._heartbeat.cancel()
        self._outbox.clear()
        pending, self._pending = self._pending, {}
        for answer, timer in pending.values():
            timer.cancel()
            settle(answer, AriUnavailable(f"the connection to Asterisk was lost: {reason}"))

    def _stopped(self, task: "asyncio.Task[None]") -> None:
        """A reader or writer that fell over for a reason nobody thought of ends the connection, and says so."""
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            log.error("ari.connection_fault", error=type(fault).__name__, stack=stack_of(fault))
        self._end("its reader or writer stopped")

    def _beat(self) -> None:
        """Ping, and end a connection that has been silent too long.

        A beat that comes late means that this engine stood still, not Asterisk: what was heard meanwhile
        has not been read yet, so judgement waits for the next beat.
        """
        every_s, now = self._settings.ping_every_s, self._clock.time()
        stood_still = now - self._beat_due > every_s
        silence = now - self._heard_at
        bound_s = self._settings.stalled_after_s if self._pending else self._settings.silent_after_s
        if silence >= bound_s and not stood_still:
            self._end(f"Asterisk has been silent for {silence:.0f} s")
            return
        if not self._outbox:
            self._put(WSMsgType.PING, b"")
        self._beat_due = now + every_s
        self._heartbeat = self._clock.call_later(every_s, self._beat)

    def _expire(self, request_id: str, timeout_s: float) -> None:
        waiting = self._pending.pop(request_id, None)
        if waiting is not None:
            settle(waiting[0], AriTimeout(f"no answer from Asterisk within {timeout_s:g} s"))

    def _put(self, kind: WSMsgType, data: bytes) -> None:
        self._outbox.append((kind, data))
        self._wake.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    kind, data = self._outbox.popleft()
                    await self._ws.send_frame(data, kind)
        except (aiohttp.ClientError, OSError) as error:
            self._end(f"the socket refused to be written: {type(error).__name__}")

    async def _read(self) -> None:
        while True:
            frame = await self._ws.receive()
            self._heard_at = self._clock.time()
            match frame.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self._take(frame.data)
                case WSMsgType.PING:
                    self._put(WSMsgType.PONG, frame.data)
                case WSMsgType.PONG:
                    pass
                case WSMsgType.ERROR:
                    return self._end(f"the websocket broke: {type(frame.data).__name__}")
                case _:
                    return self._end(f"Asterisk closed the websocket (code {self._ws.close_code})")
            if self.lost.done():
                return None

    def _take(self, data: bytes) -> None:
        match decode(data):
            case None:
                self._stats.malformed += 1
                if self._stats.malformed.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: loud, never a flood
                    log.warning("ari.malformed_frame", length=len(data), so_far=self._stats.malformed)
            case Unknown():
                self._stats.unknown += 1
            case RestResponse() as response:
                self._answer(response)
            case event:
                self._deliver(event)

    def _answer(self, response: RestResponse) -> None:
        waiting = self._pending.pop(response.request_id, None)
        if waiting is None:
            self._stats.orphans += 1
            return
        answer, timer = waiting
        timer.cancel()
        settle(answer, AriResponse(response.status_code, response.reason_phrase, response.message_body or ""))

    def _deliver(self, event: AnyEvent) -> None:
        self._stats.events += 1
        try:
            self._on_event(event)
        except Exception as error:  # the sink's bug must not cost the calls of everybody else
            self._stats.sink_errors += 1
            kind = type(event).__name__
            log.error("ari.sink_failed", ari_event=kind, error=type(error).__name__, stack=stack_of(error))
        if isinstance(event, ApplicationReplaced):
            self._end(DISPLACED)


def stack_of(error: BaseException) -> str:
    """Where it happened, without the error's text, which could hold a caller's number."""
    return "".join(traceback.format_tb(error.__traceback__))
