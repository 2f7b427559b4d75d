"""Health over HTTP: `/healthz` says that the process lives, `/readyz` whether it can take calls, and why not.

Alarms stand beside them: what is wrong, but keeps no call from being taken. The live picture
(`flowengine.live.http`) and the sounds (`flowengine.sounds_http`) are told by the same server.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Final, Protocol

from aiohttp import web

from flowengine import __version__
from flowengine.alarms import Alarms
from flowengine.ari.switch import AriSwitch
from flowengine.call.events import SECOND
from flowengine.config import Settings
from flowengine.runtime import Engine

JOURNAL_MATTERS_S: Final = 30.0
"""For how long a failed write of the journal counts, in seconds, if no other has succeeded since."""

CLOSE_S: Final = 2.0
"""How long the end of the server waits for an answer that is being sent, in seconds."""


def problems(engine: Engine, switch: AriSwitch) -> list[str]:
    """Everything that keeps this engine from taking calls now, in words for an operator."""
    found = []
    if engine.draining:
        found.append("draining: no new calls are taken")
    if not switch.client.ready:
        found.append(f"switch: {switch.client.problem or 'not ready'}")
    failed_at = engine.journal_failed_at
    if failed_at is not None and engine.clock.now() - failed_at < JOURNAL_MATTERS_S * SECOND:
        found.append("journal: the last write failed, and calls without a journal are refused")
    return found


class Routes(Protocol):
    """More that the same server answers."""

    def add_to(self, app: web.Application) -> None:
        """Serve them here."""
        ...


@contextlib.asynccontextmanager
async def serve_health(
    settings: Settings,
    engine: Engine,
    switch: AriSwitch,
    alarms: Alarms,
    *routes: Routes,
) -> AsyncIterator[str]:
    """Serve these addresses, and those of `routes`, while the context is open; gives the base address.

    Raises:
        OSError: the address is not ours, or in use.
    """

    async def healthz(_: web.Request) -> web.Response:
        found = dict(alarms.standing)
        body = {"status": "ok", "version": __version__, "calls": len(engine.calls), "alarms": found}
        return web.json_response(body)

    async def readyz(_: web.Request) -> web.Response:
        found = problems(engine, switch)
        body = {"status": "not ready" if found else "ready", "problems": found}
        return web.json_response(body, status=503 if found else 200)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    for each in routes:
        each.add_to(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.http_host, settings.http_port)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()
