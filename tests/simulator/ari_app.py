"""A Stasis application by hand, which writes down all it says and hears: for the fake ARI and the real one alike.

It leans on no ARI client of ours, or two faults could hide each other.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

WITHIN_S = 6.0


@dataclass(frozen=True)
class Reply:
    """An answer: of HTTP, or of the websocket."""

    status: int
    reason: str
    body: Any


class App:
    """A websocket with one application, and HTTP beside it."""

    def __init__(self, url: str, user: str, password: str, name: str = "flowengine") -> None:
        self.name = name
        self.events: list[dict[str, Any]] = []
        self.replies: list[tuple[str, Reply]] = []
        self._url = f"{url}/ari"
        self._login = aiohttp.encode_basic_auth(user, password)
        self._asked = 0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(headers={"Authorization": self._login})
        self.socket = await self.session.ws_connect(f"{self._url}/events", params={"app": self.name})
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reader
        await self.session.close()

    async def ask(self, method: str, path: str, body: Any = None, *, raw: Any = None, **query: Any) -> Reply:
        """One request over HTTP; the answer is written down."""
        headers = {"Content-Type": "application/json"} if raw is not None or body is not None else {}
        data = raw if raw is not None else None if body is None else json.dumps(body)
        async with self.session.request(
            method, f"{self._url}/{path}", params=query, data=data, headers=headers
        ) as answer:
            content = await answer.read()
            is_json = answer.content_type == "application/json"
            reply = Reply(
                answer.status,
                answer.reason or "",
                json.loads(content) if content and is_json else content.decode("latin-1"),
            )
        self.replies.append((f"{method} {path} {query or ''} {body or len(raw or b'')}", reply))
        return reply

    async def send(self, frame: str) -> Reply:
        """One frame on the websocket; the answer to it is written down."""
        before = len(self.of("RESTResponse"))
        await self.socket.send_str(frame)
        await self.until(lambda: len(self.of("RESTResponse")) > before, frame[:80])
        told = self.of("RESTResponse")[before]
        body = json.loads(told["message_body"]) if "message_body" in told else ""
        reply = Reply(told["status_code"], told["reason_phrase"], body)
        self.replies.append((f"websocket {frame[:300]}", reply))
        return reply

    def of(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of a type so far. `id` means the id or name of what the event is about."""
        return [event for event in self.events if event["type"] == kind and _is(event, fields)]

    async def event(self, kind: str, within_s: float = WITHIN_S, **fields: Any) -> dict[str, Any]:
        """The first event of a type, past or to come."""
        await self.until(lambda: bool(self.of(kind, **fields)), f"{kind} {fields}", within_s)
        return self.of(kind, **fields)[0]

    async def until(self, done: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        """Wait for something that comes with an event."""
        try:
            async with asyncio.timeout(within_s):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = ", ".join(event["type"] for event in self.events)
            raise TimeoutError(f"no {what} within {within_s} s; seen: {seen}") from None

    async def gone(self) -> None:
        """Wait until the other side has closed the websocket."""
        await asyncio.shield(self._reader)

    async def _read(self) -> None:
        async for message in self.socket:
            self.events.append(json.loads(message.data))
            self._changed.set()


def about(event: dict[str, Any]) -> str:
    """The id of the thing an event is about."""
    for name, key in (
        ("playback", "id"),
        ("recording", "name"),
        ("peer", "id"),
        ("channel", "id"),
        ("bridge", "id"),
        ("endpoint", "resource"),
        ("device_state", "name"),
    ):
        if isinstance(event.get(name), dict) and key in event[name]:
            return str(event[name][key])
    return ""


def _is(event: dict[str, Any], fields: dict[str, Any]) -> bool:
    return all((about(event) if name == "id" else event.get(name)) == value for name, value in fields.items())
