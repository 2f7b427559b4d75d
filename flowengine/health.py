"""Health over HTTP: `/healthz` says that the process lives, `/readyz` whether it can take calls, and why not."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from flowengine import __version__
from flowengine.ari.switch import AriSwitch
from flowengine.config import Settings
from flowengine.runtime import Engine


@contextlib.asynccontextmanager
async def serve_health(settings: Settings, engine: Engine, switch: AriSwitch) -> AsyncIterator[str]:
    """Serve both addresses for as long as the context is open; gives the base address."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": __version__, "calls": len(engine.calls)})

    async def readyz(_: web.Request) -> web.Response:
        problems = []
        if engine.draining:
            problems.append("draining: no new calls are taken")
        if not switch.client.ready:
            problems.append(f"switch: {switch.client.problem}")
        body = {"status": "not ready" if problems else "ready", "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.http_host, settings.http_port)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
