"""A real Asterisk for a test, and a bare ARI application to look at it with.

Why here: these tests must not lean on the engine's own ARI client, or both could be wrong together. So
`BareApp` is a websocket, a list of events and plain HTTP, and nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from flowengine.ari.node import AsteriskNode, NodeSettings, SipUser, local_settings

_Found = TypeVar("_Found")


@contextlib.asynccontextmanager
async def running_node(*sip_users: SipUser, app: str = "flowengine") -> AsyncIterator[AsteriskNode]:
    """An Asterisk on free ports in a temporary folder, which is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="node-"))  # short: a control socket's path has 107 bytes at most
    node = AsteriskNode(local_settings(folder, sip_users=sip_users, app=app))
    try:
        await node.start()
        yield node
    finally:
        await node.stop()
        shutil.rmtree(folder, ignore_errors=True)


class BareApp:
    """A Stasis application by hand: ``events`` as they came, requests by `call`."""

    def __init__(self, settings: NodeSettings) -> None:
        self.events: list[dict[str, Any]] = []
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> BareApp:
        settings = self._settings
        login = aiohttp.encode_basic_auth(settings.ari_user, settings.ari_password)
        self._session = aiohttp.ClientSession(headers={"Authorization": login})
        self._socket = await self._session.ws_connect(
            f"{settings.ari_url}/ari/events", params={"app": settings.app}
        )
        self._reader = asyncio.create_task(self._read(self._socket))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None and self._socket is not None:
            await self._socket.close()
            await self._reader
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, body: object = None, /, **parameters: str | int) -> Any:
        """One ARI request; returns the decoded answer. Raises AssertionError for a status of 400 and above."""
        assert self._session is not None
        url = f"{self._settings.ari_url}/ari/{path}"
        async with self._session.request(method, url, params=parameters, json=body) as answer:
            text = await answer.text()
            assert answer.status < 400, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def event(self, kind: str, within: float = 5.0, **fields: object) -> dict[str, Any]:
        """The first event of a type, past or to come, whose named fields have these values."""

        def wanted(event: dict[str, Any]) -> bool:
            return event["type"] == kind and all(event.get(name) == value for name, value in fields.items())

        return await self.until(lambda: next(filter(wanted, self.events), None), within, what=kind)

    async def until(self, look: Callable[[], _Found | None], within: float, *, what: str) -> _Found:
        """Wait until ``look`` finds something."""
        try:
            async with asyncio.timeout(within):
                while not (found := look()):
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError:
            seen = ", ".join(event["type"] for event in self.events)
            raise TimeoutError(f"no {what} within {within} s; seen: {seen}") from None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self.events.append(message.json())
            self._changed.set()
