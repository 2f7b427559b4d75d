"""Health over HTTP: what it says, with which status, and where."""

import socket
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from flowengine import __version__
from flowengine.alarms import Alarms
from flowengine.ari.switch import AriSwitch
from flowengine.call.events import SECOND
from flowengine.config import Settings
from flowengine.health import JOURNAL_MATTERS_S, serve_health
from flowengine.runtime import Engine


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = 1_000 * SECOND

    def now(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> Engine:
    nobody = cast(Any, None)
    return Engine(journal=nobody, clock=clock, new_call_id=lambda: "cal_1")


@pytest.fixture
def client() -> SimpleNamespace:
    return SimpleNamespace(ready=True, problem=None)


@pytest.fixture
def switch(client: SimpleNamespace) -> AriSwitch:
    return cast(AriSwitch, SimpleNamespace(client=client))


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"http_port": 0, **given})


async def ask(address: str, method: str = "GET") -> tuple[int, Any]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.request(method, address) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else None


async def test_a_process_that_lives_says_so_and_how_many_calls_it_has(
    engine: Engine, switch: AriSwitch
) -> None:
    alarms = Alarms()
    async with serve_health(settings(), engine, switch, alarms) as address:
        assert address.startswith("http://127.0.0.1:")
        assert await ask(f"{address}/healthz") == (
            200,
            {"status": "ok", "version": __version__, "calls": 0, "alarms": {}},
        )
        alarms.raise_("recordings_library", "the volume is full: free some space")
        _, told = await ask(f"{address}/healthz")
        assert told["alarms"] == {"recordings_library": "the volume is full: free some space"}


async def test_it_is_ready_when_nothing_is_in_the_way(engine: Engine, switch: AriSwitch) -> None:
    async with serve_health(settings(), engine, switch, Alarms()) as address:
        assert await ask(f"{address}/readyz") == (200, {"status": "ready", "problems": []})
        assert (await ask(f"{address}/readyz", "HEAD"))[0] == 200


async def test_every_problem_is_named_while_the_process_lives(
    engine: Engine, switch: AriSwitch, client: SimpleNamespace, clock: Clock
) -> None:
    engine.draining = True
    client.ready, client.problem = False, "cannot reach 127.0.0.1:8088"
    engine.journal_failed_at = clock.now()
    async with serve_health(settings(), engine, switch, Alarms()) as address:
        status, body = await ask(f"{address}/readyz")
        assert status == 503
        assert body == {
            "status": "not ready",
            "problems": [
                "draining: no new calls are taken",
                "switch: cannot reach 127.0.0.1:8088",
                "journal: the last write failed, and calls without a journal are refused",
            ],
        }
        assert (await ask(f"{address}/healthz"))[0] == 200


async def test_a_switch_without_a_reason_is_a_problem_too(
    engine: Engine, switch: AriSwitch, client: SimpleNamespace
) -> None:
    client.ready = False
    async with serve_health(settings(), engine, switch, Alarms()) as address:
        assert (await ask(f"{address}/readyz"))[1]["problems"] == ["switch: not ready"]


async def test_an_old_failure_of_the_journal_does_not_keep_calls_away(
    engine: Engine, switch: AriSwitch, clock: Clock
) -> None:
    engine.journal_failed_at = clock.now()
    async with serve_health(settings(), engine, switch, Alarms()) as address:
        clock.at += round((JOURNAL_MATTERS_S - 1) * SECOND)
        assert (await ask(f"{address}/readyz"))[0] == 503
        clock.at += SECOND
        assert (await ask(f"{address}/readyz"))[0] == 200


async def test_there_is_nothing_else(engine: Engine, switch: AriSwitch) -> None:
    async with serve_health(settings(), engine, switch, Alarms()) as address:
        assert (await ask(f"{address}/"))[0] == 404
        assert (await ask(f"{address}/healthz", "POST"))[0] == 405


async def test_an_address_of_version_6_is_written_as_one(engine: Engine, switch: AriSwitch) -> None:
    async with serve_health(settings(http_host="::1"), engine, switch, Alarms()) as address:
        assert address.startswith("http://[::1]:")
        assert (await ask(f"{address}/healthz"))[0] == 200


async def test_an_address_in_use_is_told_and_nothing_stays_open(engine: Engine, switch: AriSwitch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            async with serve_health(settings(http_port=port), engine, switch, Alarms()):
                pass
    async with serve_health(settings(http_port=port), engine, switch, Alarms()) as address:
        assert address.endswith(f":{port}")
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(f"{address}/healthz")
