"""One websocket: events go out, requests come in and are answered on it, one after another."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from simulator.fake_ari.rest import METHODS, Answer, Refused, refusal

if TYPE_CHECKING:
    from simulator.fake_ari.exchange import Exchange

MOST_WAITING: Final = 100_000
"""Events a slow reader may be behind, before it is cut off."""
NO_BODY: Final = "Failed to parse request message JSON"

Carry = Callable[[str, str, Mapping[str, str], Any], Awaitable[Answer]]
"""Carry out a request: method, path, query, body."""


class Session:
    """A websocket of one or more applications."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        apps: list[str],
        exchange: "Exchange",
        carry: Carry,
    ) -> None:
        self._request = request
        self._socket = socket
        self._apps = apps
        self._exchange = exchange
        self._carry = carry
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()
        self._writer = asyncio.create_task(self._write())

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send one event; never waits."""
        if len(self._outbox) >= MOST_WAITING:
            self._cut_off()
            return
        self._outbox.append(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
        self._wake.set()

    async def serve(self, after: Callable[[], None]) -> None:
        """Read requests until the websocket closes; `after` each answer its consequences are told."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._take(message.data)
                after()

    async def close(self) -> None:
        """Let go of the websocket."""
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        await self._socket.close()

    def _cut_off(self) -> None:
        """Break the connection to somebody who does not read."""
        self._writer.cancel()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await self._socket.send_str(self._outbox.popleft())
        except ConnectionError:
            return

    async def _take(self, frame: str) -> None:
        try:
            asked = json.loads(frame)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict | list):
            self._answer({}, "", Answer(status=400, phrase=NO_BODY))
            return
        request = asked if isinstance(asked, dict) else {}
        uri, _, query = _text(request, "uri").partition("?")
        try:
            answer = await self._perform(request, uri, query)
        except Refused as refused:
            answer = refusal(refused)
        self._answer(request, uri, answer)

    async def _perform(self, request: Mapping[str, Any], uri: str, query: str) -> Answer:
        kind, method = request.get("type"), _text(request, "method")
        if kind is None:
            raise Refused(400, "No 'type' property.", "Bad request")
        if kind != "RESTRequest":
            raise Refused(400, "Unknown request type.", "Bad request")
        if not uri:
            raise Refused(400, "Empty or missing 'uri' property.", "Bad request")
        if method not in METHODS:
            raise Refused(400, "Unknown or missing 'method' property.", "Bad request")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        extra = request.get("query_strings")
        for each in extra if isinstance(extra, list) else ():
            if isinstance(each, dict):
                parameters[_text(each, "name")] = _text(each, "value")
        body = _body(request, parameters)
        answer = await self._carry(method, uri, parameters, body)
        if answer.pieces:
            return Answer(status=406, phrase="Not Acceptable.  Use HTTP GET")
        return answer

    def _answer(self, request: Mapping[str, Any], uri: str, answer: Answer) -> None:
        fields: dict[str, Any] = {
            "transaction_id": _text(request, "transaction_id"),
            "request_id": _text(request, "request_id"),
            "status_code": answer.status,
            "reason_phrase": answer.reason,
            "uri": uri,
        }
        if answer.content is not None:
            fields |= {"content_type": answer.content_type, "message_body": answer.text}
        app = self._apps[0]
        known = next((each for each in self._exchange.apps if each.name == app), None)
        if known is None or known.passes("RESTResponse"):
            self.tell(self._exchange.event("RESTResponse", app, fields))


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    return value if isinstance(value, str) else ""


def _body(request: Mapping[str, Any], parameters: dict[str, str]) -> Any:
    """The JSON of a request; a form goes among the parameters. Raises `Refused` (400)."""
    text, kind = _text(request, "message_body"), _text(request, "content_type")
    if not text:
        return None
    if kind == "application/x-www-form-urlencoded":
        parameters |= parse_qsl(text, keep_blank_values=True)
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(400, f"Unable to parse 'message_body' as '{kind}'.", "Bad request") from None
