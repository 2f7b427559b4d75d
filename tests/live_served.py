"""A live picture with a desk behind it, served over HTTP, for tests of whoever looks and tells."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from flowengine.alarms import Alarms
from flowengine.ari.switch import AriSwitch
from flowengine.call.events import SECOND
from flowengine.config import Settings
from flowengine.health import serve_health
from flowengine.live.client import remember_engine
from flowengine.live.http import LiveRoutes
from flowengine.live.picture import LivePicture
from flowengine.live.views import CallView
from flowengine.routing.agents import Wish
from flowengine.routing.desk import MemoryDesk, Outlets
from flowengine.routing.directory import Catalog, User
from flowengine.runtime import Engine

TOKEN = "let-me-in"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
CALL = CallView("cal_1", "acc_1", "flw_1", "Main", "+815055550100", "+819055550123", 5 * SECOND)


@dataclass
class Served:
    """A picture with a desk behind it, on an address."""

    address: str
    picture: LivePicture
    desk: MemoryDesk
    settings: Settings
    told: list[tuple[str, str]]
    """What calls were told; only `cal_1` runs."""
    alarms: Alarms

    async def ask(self, path: str, method: str = "GET", **how: Any) -> tuple[int, Any]:
        how.setdefault("headers", HEADERS)
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.address + path, **how) as answer,
        ):
            return answer.status, json.loads(await answer.read() or b"null")

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.address}/live/events", headers=HEADERS) as socket,
        ):
            yield socket

    def shows(self, call: CallView) -> None:
        self.picture._calls[call.call] = call
        self.picture._tell(call)


class ToldCalls:
    """The Calls of an engine in which `cal_1` runs."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def pause_recording(self, call: str, *, paused: bool) -> bool:
        return self._tell(call, "pause" if paused else "resume")

    def kill(self, call: str) -> bool:
        return self._tell(call, "hang_up")

    def _tell(self, call: str, what: str) -> bool:
        if call == "cal_1":
            self.told.append((call, what))
        return call == "cal_1"


def settings_of(folder: Path, **given: Any) -> Settings:
    return Settings.model_validate({"data_dir": folder, "http_port": 0, **given})


@contextlib.asynccontextmanager
async def serving(folder: Path, **given: Any) -> AsyncIterator[Served]:
    settings = settings_of(folder, **given)
    nobody = cast(Any, None)
    engine = Engine(journal=nobody, clock=nobody, new_call_id=lambda: "cal_1")
    picture = LivePicture(lambda: 7 * SECOND, engine.published)
    catalog = Catalog(users={"acc_1": {"hanako": User("hanako", ("PJSIP/hanako",)), "a/b ü": User("a/b ü")}})
    picture.renewed(catalog)
    desk = MemoryDesk(Outlets(lambda _call, _event: None, agent_changed=picture.agent_changed), catalog)
    desk.reachable("PJSIP/hanako", True, 6 * SECOND)

    def wishing(account: str, user: str, wish: Wish) -> Any:
        return desk.wish(account, user, wish, 7 * SECOND)

    switch = cast(AriSwitch, SimpleNamespace(client=SimpleNamespace(ready=True, problem=None)))
    calls, alarms = ToldCalls(), Alarms()
    routes = LiveRoutes(picture, wishing, calls, alarms, TOKEN)
    async with serve_health(settings, engine, switch, alarms, routes) as address:
        with remember_engine(settings, address, TOKEN):
            yield Served(address, picture, desk, settings, calls.told, alarms)
