"""The control side of the fake ARI: people who call and telephones that ring, by HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulator.fake_ari import FakeAri
from simulator.sip.sound import tone, write_wav
from tests.simulator.ari_app import App

CALL = {"to": "+815055550100", "from": "+15550100"}


@pytest.fixture
async def ari() -> AsyncIterator[FakeAri]:
    async with FakeAri(heard_as=lambda uri: f"say:en::{uri.rpartition('/')[2]}") as running:
        yield running


@pytest.fixture
async def app(ari: FakeAri) -> AsyncIterator[App]:
    async with App(ari.url, "flowengine", "flowengine") as application:
        yield application


class Sim:
    """The control side, asked."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url}/sim"

    async def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None
    ) -> tuple[int, Any]:
        sent = {"data": raw} if raw is not None else {} if body is None else {"json": body}
        async with self._session.request(method, f"{self._url}/{path}", **sent) as answer:
            return answer.status, await answer.json() if answer.content_length else None


@pytest.fixture
async def sim(ari: FakeAri, app: App) -> Sim:
    return Sim(app.session, ari.url)


async def test_a_call_by_script(sim: Sim, app: App, tmp_path: Any) -> None:
    write_wav(tmp_path / "menu.wav", tone(500, 0.4))
    script = [{"hear": "menu"}, {"wait": 0.1}, {"press": "1"}, {"hear_to_end": "menu"}, {"hang_up": True}]
    status, call = await sim.ask("POST", "calls", CALL | {"name": "Bob", "script": script})
    assert (status, call["state"], call["log"]) == (201, "ringing", [])
    start = await app.event("StasisStart")
    assert start["channel"]["id"] == call["id"]
    assert start["channel"]["caller"] == {"name": "Bob", "number": "+15550100"}
    await app.ask("POST", f"channels/{call['id']}/answer")
    await app.ask("POST", f"channels/{call['id']}/play", media=f"sound:{tmp_path}/menu")
    await app.event("ChannelDtmfReceived", digit="1")
    _, call = await sim.ask("GET", f"calls/{call['id']}")
    assert (call["state"], call["hearing"]) == ("up", "menu")
    await app.event("StasisEnd")
    _, call = await sim.ask("GET", f"calls/{call['id']}")
    assert (call["state"], call["heard"], call["cause"], call["ended_by"]) == ("over", ["menu"], 16, "caller")
    assert [(line["what"], line.get("sound")) for line in call["log"]] == [
        ("answered", None),
        ("hears", "menu"),
        ("heard", "menu"),
        ("hung up", None),
    ]
    assert (await sim.ask("GET", "calls"))[1] == [call]


async def test_a_call_by_hand(sim: Sim, app: App) -> None:
    _, call = await sim.ask("POST", "calls", CALL)
    await app.event("StasisStart")
    await app.ask("POST", f"channels/{call['id']}/answer")
    assert (await sim.ask("POST", f"calls/{call['id']}/steps", {"script": [{"press": "12"}]}))[0] == 200
    await app.event("ChannelDtmfReceived", digit="2")
    await sim.ask("POST", f"calls/{call['id']}/steps", {"script": [{"wait": 0.1}, {"press": "3"}]})
    await app.event("ChannelDtmfReceived", digit="3")
    assert (await sim.ask("DELETE", f"calls/{call['id']}"))[0] == 204
    await app.event("StasisEnd")
    assert (await sim.ask("GET", f"calls/{call['id']}"))[1]["ended_by"] == "caller"


async def test_a_call_that_the_switch_ends(sim: Sim, app: App) -> None:
    _, call = await sim.ask("POST", "calls", {"to": "100"})
    start = await app.event("StasisStart")
    assert start["channel"]["caller"]["number"] == "anonymous"
    await app.ask("DELETE", f"channels/{call['id']}", reason="busy")
    _, call = await sim.ask("GET", f"calls/{call['id']}")
    assert (call["state"], call["cause"], call["ended_by"]) == ("over", 17, "switch")


async def test_telephones(sim: Sim, app: App) -> None:
    status, phone = await sim.ask(
        "POST", "phones", {"endpoint": "PJSIP/hanako", "behaviour": {"answers_after_s": 0.1}}
    )
    assert (status, phone) == (
        201,
        {"endpoint": "PJSIP/hanako", "registered": True, "rung": 0, "on_call": False},
    )
    await app.ask("POST", "channels/o1", endpoint="PJSIP/hanako", app=app.name)
    await app.event("StasisStart", id="o1")
    assert (await sim.ask("GET", "phones"))[1] == [phone | {"rung": 1, "on_call": True}]
    await app.ask("DELETE", "channels/o1")
    behaviours = [
        {"rings": False, "declines_after_s": 0, "cause": 17},
        {"answers_after_s": 0, "talks_s": 0.1},
    ]
    await sim.ask("POST", "phones", {"endpoint": "PJSIP/hanako", "behaviours": behaviours})
    await app.ask("POST", "channels/o2", endpoint="PJSIP/hanako", app=app.name)
    assert (await app.event("ChannelDestroyed", id="o2"))["cause"] == 17
    await app.ask("POST", "channels/o3", endpoint="PJSIP/hanako", app=app.name)
    await app.event("ChannelDestroyed", id="o3")
    assert "soft" not in app.of("ChannelHangupRequest", id="o3")[0]
    await sim.ask("POST", "phones", {"endpoint": "PJSIP/hanako", "registered": False})
    reply = await app.ask("POST", "channels/o4", endpoint="PJSIP/hanako", app=app.name)
    assert (reply.status, reply.body) == (500, {"error": "Allocation failed"})


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("calls", {}, "to: give a text"),
        ("calls", [], "give an object with from, name, script, to"),
        ("calls", {"to": 5}, "to: give a text"),
        ("calls", {"to": "1", "by": "x"}, "there is no 'by'"),
        ("calls", {"to": "1", "from": ""}, "from: give a text"),
        ("calls", {"to": "1", "name": 5}, "name: give a text"),
        ("calls", {"to": "1", "script": {}}, "script: give a list of steps"),
        ("calls", {"to": "1", "script": [5]}, "script, step 1: give one of wait, press"),
        (
            "calls",
            {"to": "1", "script": [{"wait": 1}, {"jump": 1}]},
            "script, step 2: there is no step 'jump'",
        ),
        ("calls", {"to": "1", "script": [{"wait": 1, "press": "1"}]}, "script, step 1: give one of"),
        ("calls", {"to": "1", "script": [{"wait": -1}]}, "script, step 1, wait: give seconds, 0 to 3600"),
        ("calls", {"to": "1", "script": [{"wait": True}]}, "script, step 1, wait: give seconds"),
        ("calls", {"to": "1", "script": [{"wait": float("nan")}]}, "script, step 1, wait: give seconds"),
        ("calls", {"to": "1", "script": [{"press": "x"}]}, "script, step 1, press: give keys of"),
        ("calls", {"to": "1", "script": [{"hear": ""}]}, "script, step 1, hear: give a text"),
        ("calls", {"to": "1", "script": [{"hang_up": 1}]}, "script, step 1, hang_up: give true"),
        ("calls", {"to": "1", "script": [{"wait": 0}] * 1001}, "script: at most 1000 steps"),
        ("phones", {}, "endpoint: give a text"),
        ("phones", {"endpoint": "hanako"}, "endpoint: give PJSIP/NAME"),
        ("phones", {"endpoint": "PJSIP/trunk"}, "the trunk is taken"),
        ("phones", {"endpoint": "PJSIP/x", "registered": 1}, "registered: give true or false"),
        ("phones", {"endpoint": "PJSIP/x", "behaviours": {}}, "behaviours: give a list"),
        ("phones", {"endpoint": "PJSIP/x", "behaviour": 5}, "behaviour: give an object"),
        ("phones", {"endpoint": "PJSIP/x", "behaviour": {"jumps": 1}}, "behaviour: there is no 'jumps'"),
        (
            "phones",
            {"endpoint": "PJSIP/x", "behaviour": {"answers_after_s": "1"}},
            "answers_after_s: give seconds",
        ),
        ("phones", {"endpoint": "PJSIP/x", "behaviour": {"cause": 200}}, "cause: give a Q.850 cause"),
        ("phones", {"endpoint": "PJSIP/x", "behaviour": {"rings": "yes"}}, "rings: give true or false"),
    ],
)
async def test_what_cannot_be_is_named(sim: Sim, path: str, body: Any, words: str) -> None:
    status, told = await sim.ask("POST", path, body)
    assert status == 400
    assert words in told["message"]


async def test_bodies_that_are_none(sim: Sim) -> None:
    for raw in (b"", b"{never", b"\xff", b"[" * 100_000):
        assert (await sim.ask("POST", "calls", raw=raw))[0] == 400
    status, told = await sim.ask("POST", "calls", raw=b" " * 300_000)
    assert (status, told["message"]) == (400, "the body is longer than 262144 bytes")


async def test_calls_that_are_not_there(sim: Sim) -> None:
    for method, path in (("GET", "calls/x"), ("DELETE", "calls/x"), ("POST", "calls/x/steps")):
        assert (await sim.ask(method, path, {"script": []}))[0] == 404
    _, call = await sim.ask("POST", "calls", CALL)
    assert (await sim.ask("POST", f"calls/{call['id']}/steps", {}))[0] == 400
