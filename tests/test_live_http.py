"""The live picture over HTTP: who may look, what they see, and every change."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from flowengine.alarms import Alarms
from flowengine.call.events import SECOND
from flowengine.live import client, http
from flowengine.live.changes import HELD
from flowengine.live.client import (
    NoEngine,
    Refused,
    look,
    read_note,
    remember_engine,
    tell_agent,
)
from flowengine.live.http import LiveRoutes, _is_here
from flowengine.routing.agents import Agent
from tests.live_served import CALL, HEADERS, TOKEN, Served, ToldCalls, serving, settings_of


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as served:
        yield served


# Who may look


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer tökén"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/live"),
        ("GET", "/live/events"),
        ("POST", "/live/agents/acc_1/hanako"),
        ("POST", "/live/calls/cal_1/recording"),
        ("DELETE", "/live/calls/cal_1"),
    ],
)
async def test_without_the_token_nothing_is_told_or_done(
    here: Served, headers: dict[str, str], method: str, path: str
) -> None:
    status, body = await here.ask(path, method, headers=headers, json={"wish": "leave"})
    assert (status, body["code"]) == (401, "token_needed")
    assert here.desk.agent("acc_1", "hanako").state == "available"
    assert here.told == []


async def test_the_token_is_asked_for_as_http_says(here: Served) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{here.address}/live") as answer:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("remote", "is_here"),
    [
        ("127.0.0.1", True), ("127.8.0.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False), ("::ffff:192.0.2.1", False), ("2001:db8::1", False), ("", False), (None, False),
        ("unix", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_here(remote: str | None, is_here: bool) -> None:
    assert _is_here(remote) is is_here


async def test_another_machine_is_refused_even_with_the_token(here: Served) -> None:
    routes = LiveRoutes(here.picture, lambda *_: Agent(), ToldCalls(), Alarms(), TOKEN)
    request = make_mocked_request("GET", "/live", headers=HEADERS).clone(remote="192.0.2.1")
    answer = await routes._guarded(routes._snapshot)(request)
    assert answer.status == 403


# The snapshot


async def test_everything_now_with_numbers_masked(here: Served) -> None:
    here.shows(CALL)
    status, body = await here.ask("/live")
    assert status == 200
    assert list(body) == ["at", "seq", "started_at", "calls", "agents", "lines", "totals", "alarms"]
    assert body["alarms"] == {}
    [call] = body["calls"]
    assert (call["number"], call["caller"]) == ("+81********00", "+81********23")
    assert [agent["user"] for agent in body["agents"]] == ["a/b ü", "hanako"]
    assert body["totals"] == {"taken": 0, "over": {}, "refused": {}}
    assert "+815055550100" not in json.dumps(body)


async def test_health_is_told_without_a_token(here: Served) -> None:
    assert (await here.ask("/healthz", headers={}))[0] == 200


# Changes


async def test_a_snapshot_comes_first_and_then_every_change(here: Served) -> None:
    async with here.following() as socket:
        first = await socket.receive_json(timeout=5)
        assert first["kind"] == "snapshot"
        assert first["seq"] == first["about"]["seq"]
        here.shows(CALL)
        await here.ask("/live/agents/acc_1/hanako", "POST", json={"wish": "pause"})
        call, agent = [await socket.receive_json(timeout=5) for _ in range(2)]
        assert (call["kind"], call["seq"], call["about"]["caller"]) == (
            "call",
            first["seq"] + 1,
            "+81********23",
        )
        assert (agent["kind"], agent["seq"], agent["at"]) == ("agent", first["seq"] + 2, 7 * SECOND)
        assert agent["about"]["state"] == "paused"
    await _until(lambda: here.picture.subscribers == 0)


async def test_after_a_gap_comes_a_snapshot_and_nothing_twice(here: Served) -> None:
    async with here.following() as socket:
        first = await socket.receive_json(timeout=5)
        for number in range(1_500):  # without an await: nobody can read meanwhile
            here.picture.refused(f"reason-{number % 3}")
        gap, whole = [await socket.receive_json(timeout=5) for _ in range(2)]
        assert gap == {"kind": "gap", "lost": 500}
        assert (whole["kind"], whole["seq"]) == ("snapshot", first["seq"] + 1_500)
        assert sum(whole["about"]["totals"]["refused"].values()) == 1_500
        here.shows(CALL)
        change = await socket.receive_json(timeout=5)
        assert (change["kind"], change["seq"]) == ("call", whole["seq"] + 1)


async def test_a_follower_who_does_not_read_holds_nobody_up(here: Served) -> None:
    """Some 10 MB of changes, far more than a connection takes up: the one who reads gets to the end all the same."""
    seen = 0
    async with here.following() as stuck, here.following() as quick:

        async def reads() -> None:
            nonlocal seen
            async for message in quick:
                seen += 1
                told = message.json()
                if "the last" in message.data and told["kind"] in ("call", "snapshot"):
                    return

        reading = asyncio.create_task(reads())
        for number in range(10_000):
            here.shows(msgspec.structs.replace(CALL, flow_name=f"{number} {'x' * 1_000}"))
            if number % 10 == 0:
                await asyncio.sleep(0)
        here.shows(msgspec.structs.replace(CALL, flow_name="the last"))
        await asyncio.wait_for(reading, 20)
        assert here.picture.subscribers == 2
        assert not stuck.closed
        assert max(len(each._changes) for each in here.picture._bus._subscriptions) <= HELD
    assert seen > 10


async def test_what_is_no_websocket_is_told_to_become_one(here: Served) -> None:
    assert (await here.ask("/live/events"))[1]["code"] == "websocket_needed"


async def test_so_many_may_follow_and_no_more(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_WATCHERS", 1)
    async with here.following() as socket:
        await socket.receive_json(timeout=5)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with here.following():
                pass
        assert caught.value.status == 503
    await _until(lambda: here.picture.subscribers == 0)
    async with here.following() as socket:
        assert (await socket.receive_json(timeout=5))["kind"] == "snapshot"


async def test_the_end_of_the_engine_ends_its_followers_at_once(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        async with serving(tmp_path) as served:
            socket = await session.ws_connect(f"{served.address}/live/events", headers=HEADERS)
            await socket.receive_json(timeout=5)
            closing = asyncio.create_task(socket.receive(timeout=5))
            began = loop.time()
        assert loop.time() - began < 2
        assert (await closing).type == aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1001
        await socket.close()


# The note


async def test_the_client_finds_the_engine_by_its_note(here: Served) -> None:
    here.shows(CALL)
    snapshot = await look(here.settings)
    assert snapshot.calls[0].caller == "+81********23"
    agent = await tell_agent(here.settings, "acc_1", "a/b ü", "leave")
    assert (agent.user, agent.reason) == ("a/b ü", "signed_out")
    with pytest.raises(Refused, match="account acc_1 has no user nobody"):
        await tell_agent(here.settings, "acc_1", "nobody", "work")


async def test_the_note_is_for_this_user_alone_and_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / client.FILE
    path.write_text("left by a crash", encoding="utf-8")
    path.chmod(0o644)
    async with serving(tmp_path) as served:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_note(served.settings).url == served.address
    assert not path.exists()
    with pytest.raises(NoEngine, match="no engine runs with the data folder"):
        await look(served.settings)


def test_the_note_of_a_successor_stays(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with remember_engine(settings, "http://127.0.0.1:1", "first"):
        with remember_engine(settings, "http://127.0.0.1:2", "second"):
            pass
        assert not (tmp_path / client.FILE).exists()
        (tmp_path / client.FILE).write_bytes(b"another")
    assert (tmp_path / client.FILE).read_bytes() == b"another"


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://[::]:8080", "http://[::1]:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://192.0.2.1:80", "http://192.0.2.1:80"),
    ],
)
def test_an_engine_that_listens_everywhere_is_reached_on_loopback(
    tmp_path: Path, address: str, reached: str
) -> None:
    settings = settings_of(tmp_path)
    with remember_engine(settings, address, TOKEN):
        assert read_note(settings).url == reached


async def test_an_engine_that_has_crashed_does_not_answer(tmp_path: Path, unused_tcp_port: int) -> None:
    settings = settings_of(tmp_path)
    with (
        remember_engine(settings, f"http://127.0.0.1:{unused_tcp_port}", TOKEN),
        pytest.raises(NoEngine, match="does not answer"),
    ):
        await look(settings)


@pytest.mark.parametrize("note", [b"", b"{}", b"[]", b'{"url": 1, "token": ""}', b"\xff"])
async def test_a_broken_note_is_no_engine(tmp_path: Path, note: bytes) -> None:
    (tmp_path / client.FILE).write_bytes(note)
    with pytest.raises(NoEngine, match="no engine runs"):
        await look(settings_of(tmp_path))


async def test_something_else_on_the_address_is_no_engine(here: Served) -> None:
    with (
        remember_engine(here.settings, f"{here.address}/healthz?", TOKEN),
        pytest.raises(NoEngine, match="no engine of this version"),
    ):
        await look(here.settings)


async def test_a_note_of_yesterday_does_not_open_another_engine(here: Served) -> None:
    with (
        remember_engine(here.settings, here.address, "of yesterday"),
        pytest.raises(NoEngine, match="another engine"),
    ):
        await look(here.settings)


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.01)
