"""A service for buckets that misbehaves on demand: it stands before a good one and passes on what it does not spoil."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape

import aiohttp
from aiohttp import web

Spoil = Callable[[web.Request], bool]
NOT_PASSED_ON = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "content-encoding",
        "connection",
        "expect",
        "date",
        "server",
    }
)


def everything(_: web.Request) -> bool:
    """Spoil every request."""
    return True


@dataclass
class RudeBucket:
    """`answer` is what spoiled requests get: "503 SlowDown", "hang", "cut", "page" or "shorten"; None: nothing."""

    good: str
    endpoint: str = ""
    answer: str | None = None
    spoils: Spoil = everything
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, answer of every request."""
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def misbehave(self, answer: str, spoils: Spoil = everything) -> None:
        """From now on."""
        self.answer, self.spoils = answer, spoils

    def behave(self) -> None:
        """From now on."""
        self.answer = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Spoil a request or pass it on."""
        answer = self.answer if self.answer and self.spoils(request) else ""
        self.seen.append((request.method, request.path_qs, answer))
        match answer.split():
            case []:
                return await self._passed_on(request, await request.read())
            case ["shorten"]:
                return await self._passed_on(request, (await request.read())[:-1])
            case ["hang"]:
                await self.release.wait()
            case ["cut"]:
                await request.content.read(1_000)
            case ["page"]:
                return web.Response(
                    status=502, text="<html><h1>Bad Gateway</h1></html>", content_type="text/html"
                )
            case [status, code]:
                await request.read()
                asked = escape(str(request.headers))
                body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{asked}</Message></Error>"
                return web.Response(status=int(status), text=body, content_type="application/xml")
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _passed_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in NOT_PASSED_ON | {"content-md5"}
        }
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, self.good + request.path_qs, data=io.BytesIO(body), headers=headers
            ) as found,
        ):
            told = {name: text for name, text in found.headers.items() if name.lower() not in NOT_PASSED_ON}
            if request.method == "HEAD":
                told["Content-Length"] = found.headers["Content-Length"]
            return web.Response(status=found.status, body=await found.read(), headers=told)


@asynccontextmanager
async def rude(good: str) -> AsyncIterator[RudeBucket]:
    """Open one before a good service."""
    bucket = RudeBucket(good)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{rest:.*}", bucket.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    bucket.endpoint = f"http://{host}:{port}"
    try:
        yield bucket
    finally:
        bucket.release.set()
        await runner.cleanup()
