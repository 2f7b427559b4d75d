"""The watch over who can be rung: told once, told in time, and stopped by nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from flowengine.ari.client import AriSettings
from flowengine.ari.reach import Reach, pause_s
from tests.ari.scripted import LATE, LOST, ScriptedAri

SETTINGS = AriSettings(app="flowengine", username="engine", password="secret")


async def nothing(_: object) -> None:
    """To do when connected."""


class Watch:
    """A watch on a scripted ARI that is connected, and what it told."""

    def __init__(self) -> None:
        self.ari = ScriptedAri(SETTINGS, lambda _: None, nothing)
        self.ari.ready = True
        self.told: list[tuple[str, bool]] = []
        self.faults: list[Exception] = []
        self.reach = Reach(cast(Any, self.ari), self.hear, 0.001)

    def hear(self, endpoint: str, is_reachable: bool) -> None:
        self.told.append((endpoint, is_reachable))
        if self.faults:
            raise self.faults.pop()

    def there(self, **states: str) -> None:
        """From now on Asterisk has these endpoints."""
        self.ari.answers["GET endpoints"] = [
            {"technology": "PJSIP", "resource": name, "state": state, "channel_ids": []}
            for name, state in states.items()
        ]

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not wanted():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    watch = Watch()
    yield watch
    await watch.reach.close()


async def test_only_what_changed_is_told(watch: Watch) -> None:
    watch.there(hanako="online", taro="offline", yuki="unknown")
    for _ in range(2):
        await watch.reach.look()
    assert watch.told == [("PJSIP/hanako", True), ("PJSIP/taro", False), ("PJSIP/yuki", False)]
    watch.told.clear()
    watch.there(hanako="offline", taro="online", yuki="unknown")
    await watch.reach.look()
    assert watch.told == [("PJSIP/hanako", False), ("PJSIP/taro", True)]


async def test_an_endpoint_that_is_no_more_is_out_of_reach(watch: Watch) -> None:
    watch.there(hanako="online", taro="offline")
    await watch.reach.look()
    watch.told.clear()
    watch.there()
    for _ in range(2):
        await watch.reach.look()
    assert watch.told == [("PJSIP/hanako", False)]


async def test_a_telephone_on_a_call_is_in_reach_until_its_leg_ends(watch: Watch) -> None:
    watch.there(hanako="online")
    await watch.reach.look()
    endpoint = {"technology": "PJSIP", "resource": "hanako", "state": "offline"}
    watch.ari.answers["GET endpoints"] = [endpoint | {"channel_ids": ["1795.0"]}]
    await watch.reach.look()
    assert watch.told == [("PJSIP/hanako", True)]
    watch.ari.answers["GET endpoints"] = [endpoint | {"channel_ids": []}]
    await watch.reach.look()
    assert watch.told == [("PJSIP/hanako", True), ("PJSIP/hanako", False)]


async def test_it_is_looked_again_and_again(watch: Watch) -> None:
    watch.reach.watch()
    watch.reach.watch()
    for state in ("online", "offline", "online"):
        watch.there(hanako=state)
        watch.told.clear()
        await watch.until(lambda: bool(watch.told))
        assert watch.told == [("PJSIP/hanako", state == "online")]
    assert set(watch.ari.by_http) == {"GET endpoints"}
    await watch.reach.close()
    looks = len(watch.ari.sent)
    await asyncio.sleep(0.02)
    assert len(watch.ari.sent) == looks


@pytest.mark.parametrize("trouble", [LOST, LATE, 500, {"no": "list"}])
async def test_a_look_that_fails_is_not_the_last(watch: Watch, trouble: Any) -> None:
    watch.there(hanako="online")
    watch.reach.watch()
    await watch.until(lambda: bool(watch.told))
    watch.ari.answers["GET endpoints"] = trouble
    looks = len(watch.ari.sent)
    await watch.until(lambda: len(watch.ari.sent) > looks + 2)
    assert watch.told == [("PJSIP/hanako", True)]
    watch.there(hanako="offline")
    await watch.until(lambda: watch.told[1:] == [("PJSIP/hanako", False)])


async def test_a_fault_of_the_listener_is_told_and_ends_nothing(watch: Watch) -> None:
    watch.faults = [ValueError("a number")]
    watch.there(hanako="online", taro="online")
    with capture_logs() as logs:
        watch.reach.watch()
        await watch.until(lambda: len(watch.told) == 2)
        watch.there(hanako="offline", taro="online")
        await watch.until(lambda: len(watch.told) == 3)
    assert [each["error"] for each in logs] == ["ValueError"]
    assert "a number" not in str(logs)


async def test_without_a_connection_nobody_is_asked(watch: Watch) -> None:
    watch.ari.ready = False
    watch.reach.watch()
    await asyncio.sleep(0.02)
    assert not watch.ari.sent
    watch.ari.ready = True
    await watch.until(lambda: bool(watch.ari.sent))


@pytest.mark.parametrize(("endpoints", "pause"), [(0, 0.5), (2_500, 0.5), (10_000, 2.0)])
def test_very_many_endpoints_are_looked_at_less_often(endpoints: int, pause: float) -> None:
    assert pause_s(0.5, endpoints) == pytest.approx(pause)
