"""An Asterisk's ARI as far as the client's transport can tell, with every way of failing at hand."""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

APP = "flowengine"
USERNAME = "engine"
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Asked:
    """A request as it came, by websocket or HTTP."""

    via: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    request_id: str = ""


@dataclass(frozen=True)
class Reply:
    """What to answer; JSON unless bytes."""

    status: int = 200
    body: Any = None

    @property
    def raw(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


SILENCE = None
"""The reply of an Asterisk that has hung."""


class Line:
    """One websocket as Asterisk sees it."""

    def __init__(self, websocket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.websocket = websocket
        self.listening = asyncio.Event()
        self.listening.set()
        self.closed = asyncio.Event()
        self.pongs: list[bytes] = []
        self.ponged = asyncio.Event()
        self._transport = transport

    async def event(self, kind: str, **fields: Any) -> None:
        await self.raw(json.dumps({"type": kind, "application": APP, "timestamp": "t", **fields}).encode())

    async def raw(self, frame: bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        await self.websocket.send_frame(frame, kind)

    async def answer(self, asked: Asked, reply: Reply) -> None:
        await self.event(
            "RESTResponse",
            request_id=asked.request_id,
            status_code=reply.status,
            reason_phrase="OK",
            uri=asked.path,
            message_body=reply.raw.decode(),
        )

    def drop(self) -> None:
        """As kill -9 does."""
        self._transport.abort()

    def freeze(self) -> None:
        """Stop reading and answering, and keep the socket open: what SIGSTOP or a dead cable looks like."""
        self.listening.clear()


class FakeAsterisk:
    """`async with FakeAsterisk() as asterisk`; `reply` decides the answers, `lines` has the websockets."""

    def __init__(self, *, rest_over_websocket: bool = True) -> None:
        self.rest_over_websocket = rest_over_websocket
        self.reply: Callable[[Asked], Reply | None] = lambda asked: Reply()
        self.refuse_websocket: int | None = None
        self.withhold_websocket = False
        self.attempts: asyncio.Queue[int] = asyncio.Queue()
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.asked: asyncio.Queue[Asked] = asyncio.Queue()
        self.all_asked: list[Asked] = []
        self.handshakes: list[web.BaseRequest] = []
        self._open: list[Line] = []
        self._closing = asyncio.Event()
        app = web.Application()
        app.router.add_get("/ari/events", self._events)
        app.router.add_route("*", "/ari/{path:.*}", self._http)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        for line in self._open:
            line.listening.set()
            line.drop()
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def next_asked(self, path: str) -> Asked:
        """The next request for `path` that has not been looked at; others are passed over."""
        while True:
            asked = await self.asked.get()
            if asked.path == path:
                return asked

    def paths(self, via: str) -> list[str]:
        return [asked.path for asked in self.all_asked if asked.via == via]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(request)
        if self.withhold_websocket:
            await self._closing.wait()
            return web.Response(status=503)
        expected = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        status = self.refuse_websocket
        if status is None and request.headers.get("Authorization") != expected:
            status = 401
        self.attempts.put_nowait(status or 101)
        if status is not None:
            return web.Response(status=status)
        websocket = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await websocket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        line = Line(websocket, request.transport)
        self._open.append(line)
        self.lines.put_nowait(line)
        async for frame in websocket:
            await line.listening.wait()
            if frame.type is WSMsgType.PING:
                await websocket.pong(frame.data)
            if frame.type is WSMsgType.PONG:
                line.pongs.append(bytes(frame.data))
                line.ponged.set()
            if frame.type is WSMsgType.TEXT and self.rest_over_websocket:
                await self._websocket_request(line, json.loads(frame.data))
        line.closed.set()
        return websocket

    async def _websocket_request(self, line: Line, message: dict[str, Any]) -> None:
        assert message["type"] == "RESTRequest"
        path, _, query = message["uri"].partition("?")
        body = message.get("message_body")
        if body is not None:
            assert message["content_type"] == "application/json"
        reply, asked = self._record("websocket", message["method"], path, query, body, message["request_id"])
        if reply is not None:
            await line.answer(asked, reply)

    async def _http(self, request: web.Request) -> web.StreamResponse:
        body = await request.text() or None
        path, _, query = request.raw_path.removeprefix("/ari/").partition("?")
        reply, _asked = self._record("http", request.method, path, query, body, "")
        if reply is None:
            await self._closing.wait()
            return web.Response(status=503)
        return web.Response(status=reply.status, body=reply.raw)

    def _record(
        self, via: str, method: str, path: str, query: str, body: str | None, request_id: str
    ) -> tuple[Reply | None, Asked]:
        asked = Asked(
            via,
            method,
            unquote(path),
            dict(parse_qsl(query)),
            None if body is None else json.loads(body),
            request_id,
        )
        self.all_asked.append(asked)
        self.asked.put_nowait(asked)
        return self.reply(asked), asked
