"""An ARI client that answers as told and sends nothing, for tests of the switch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from flowengine.ari.client import (
    AriClient,
    AriError,
    AriRefused,
    AriResponse,
    AriSettings,
    AriTimeout,
    AriUnavailable,
)
from flowengine.ari.messages import AnyEvent, DeviceStateChanged
from flowengine.ari.resources import DeviceState
from flowengine.ari.rest import Method, QueryValue, build

Answer = int | AriError | list[dict[str, Any]] | dict[str, Any]
"""A status (with no body), an error, or the JSON of a 200."""


class ScriptedAri:
    """`answers` maps "METHOD path", or the beginning of it, to what comes back; all else is 204."""

    def __init__(
        self,
        settings: AriSettings,
        on_event: Callable[[AnyEvent], None],
        on_connected: Callable[[AriClient], Awaitable[None]],
    ) -> None:
        self.ready = False
        self.on_event = on_event
        self.answers: dict[str, Answer] = {"GET channels": [], "GET bridges": [], "GET endpoints": []}
        self.files: dict[str, bytes] = {}
        self.mute = False
        self.sent: list[str] = []
        self.lanes: list[str] = []
        self.by_http: list[str] = []
        self._on_connected = on_connected

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ready = False

    async def connect(self) -> None:
        """Be connected, and let the switch catch up."""
        self.sent.clear()
        await self._on_connected(self)  # type: ignore[arg-type]
        self.ready = True

    def send(
        self,
        method: Method,
        path: str,
        query: Mapping[str, QueryValue] | None = None,
        *,
        lane: str = "",
        over: str = "auto",
    ) -> "asyncio.Future[AriResponse]":
        asked = f"{method} {build(method, path, query).uri}"
        self.sent.append(asked)
        self.lanes.append(lane)
        if over == "http":
            self.by_http.append(asked)
        if path.startswith("deviceStates/") and not self.mute:
            self.on_event(DeviceStateChanged(device_state=DeviceState(path.rpartition("/")[2], "INUSE")))
        future: asyncio.Future[AriResponse] = asyncio.get_running_loop().create_future()
        answer = self._answer(asked)
        if isinstance(answer, int) and answer >= 400:
            answer = AriRefused(answer, "as scripted")
        if isinstance(answer, AriError):
            future.set_exception(answer)
            future.exception()
        elif isinstance(answer, int):
            future.set_result(AriResponse(answer))
        else:
            future.set_result(AriResponse(200, content=msgspec.json.encode(answer)))
        return future

    async def request(
        self, method: Method, path: str, query: Mapping[str, QueryValue] | None = None
    ) -> AriResponse:
        return await self.send(method, path, query)

    async def download(self, path: str) -> AsyncIterator[bytes]:
        content = self.files.get(path)
        if content is None:
            raise AriRefused(404, "Recording not found")
        yield content[:44]
        yield content[44:]

    def _answer(self, asked: str) -> Answer:
        if not self.ready and not asked.startswith(("GET", "POST applications", "PUT deviceStates")):
            return self.answers.get("down", 204)
        found = [start for start in self.answers if asked.startswith(start)]
        return self.answers[max(found, key=len)] if found else 204


LOST = AriUnavailable("the connection to Asterisk was lost")
LATE = AriTimeout("no answer from Asterisk within 10 s")
