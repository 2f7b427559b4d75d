"""The fake ARI answers whatever it is asked, and goes on."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import structlog

from simulator.fake_ari import FakeAri
from simulator.fake_ari.operations import TABLES
from simulator.fake_ari.rest import Answer, Operation, Parameter
from simulator.phones import Behaviour, seconds
from simulator.things import Phone
from tests.simulator import fits
from tests.simulator.ari_app import App

ALLOWED_500 = {
    "Allocation failed",
    "Error parsing request",
    "Failed to queue media for playback",
    "Unable to create bridge",
    "Unable to read provided function",
    "Unknown device",
}
"""The refusals for which Asterisk itself says 500."""


@pytest.fixture
async def ari() -> AsyncIterator[FakeAri]:
    async with FakeAri() as running:
        yield running


@pytest.fixture
async def app(ari: FakeAri) -> AsyncIterator[App]:
    async with App(ari.url, "flowengine", "flowengine") as application:
        yield application


@pytest.fixture
def faults() -> Iterator[list[Any]]:
    """What was logged as a fault of ours."""
    with structlog.testing.capture_logs() as logs:
        yield logs


LEGS, BRIDGES = ("one", "two", "three"), ("b1", "b2")
LIKELY: dict[str, tuple[str, ...]] = {
    "applicationName": ("flowengine",),
    "application": ("flowengine",),
    "app": ("flowengine", "flowengine", "nobody"),
    "endpoint": ("PJSIP/hanako", "PJSIP/taro", "PJSIP/jiro"),
    "channelId": LEGS,
    "channel": (*LEGS, "one,two", "two,two"),
    "originator": LEGS,
    "bridgeId": BRIDGES,
    "playbackId": ("p1", "p2"),
    "recordingName": ("r1", "r2"),
    "destinationRecordingName": ("r1", "r2"),
    "name": ("r1", "r2"),
    "format": ("wav",),
    "media": ("tone:ring", "silence:1", "recording:r1", "digits:1,digits:2", "sound:/never"),
    "type": ("mixing", "holding", "mixing,dtmf_events"),
    "eventSource": ("channel:one", "bridge:b1", "endpoint:PJSIP", "deviceState:", "deviceState:PJSIP/hanako"),
    "deviceName": ("Stasis:x", "PJSIP/hanako"),
    "tech": ("PJSIP",),
    "resource": ("hanako",),
    "timeout": ("1", "30", "0", "-1"),
    "variable": ("X", "CALLERID(num)"),
    "maxDurationSeconds": ("1", "0"),
    "reason_code": ("16", "17", "21"),
}
STRANGE = (
    "",
    "%",
    "a b",
    "ü",
    "../x",
    "never",
    "-1",
    "abc",
    "true",
    "9" * 20,
    ",",
    "X(y)",
    "\x00",
    "\ud83d",
    "x" * 200,
)
NO_TEXT: tuple[Any, ...] = (
    None,
    True,
    -5,
    10**20,
    1.5,
    float("nan"),
    [],
    ["a", 1],
    {},
    {"value": 1},
    {"a": {}},
)
REQUESTS = 1_500
WEIGHTS = [
    {"channels": 8, "bridges": 5, "playbacks": 2, "recordings": 2}.get(table.resource, 1) for table in TABLES
]


class Storm:
    """Requests at random: mostly something that makes sense, and anything else."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def value(self, parameter: Parameter) -> str:
        likely = parameter.allowed or LIKELY.get(parameter.name, ("1",))
        return self._random.choice(likely if self._random.random() < 0.9 else STRANGE)

    def body(self, operation: Operation) -> Any:
        if self._random.random() < 0.8:
            return None
        strange = self._random.choice
        names = [each.name for each in operation.parameters] + ["variables", "disallowed"]
        return strange(
            (
                strange(NO_TEXT),
                {"variables": {"X": strange(STRANGE), "Y": strange(NO_TEXT)}},
                {strange(names): strange(NO_TEXT), strange(names): strange(STRANGE)},
            )
        )

    def request(self) -> tuple[str, str, dict[str, str], Any]:
        operation = self._random.choice(self._random.choices(TABLES, WEIGHTS)[0].operations)
        path = operation.path.strip("/")
        query = {}
        for parameter in operation.parameters:
            value = self.value(parameter)
            if parameter.kind == "path":
                path = path.replace(f"{{{parameter.name}}}", quote(value, safe="", errors="replace"))
            elif parameter.kind == "query" and (parameter.required or self._random.random() < 0.5):
                query[parameter.name] = value
        return operation.method, path, query, self.body(operation)


@pytest.mark.parametrize("seed", range(4))
async def test_no_request_brings_it_down(seed: int, faults: list[Any]) -> None:
    storm, seen = Storm(seed), Counter[int]()
    async with FakeAri(speed=50) as ari, App(ari.url, "flowengine", "flowengine") as app:
        ari.add_phone("PJSIP/hanako", [Behaviour(answers_after_us=0, talks_us=seconds(20))])
        ari.add_phone("PJSIP/taro", [Behaviour(answers_after_us=0)])
        ari.add_phone("PJSIP/jiro", [Behaviour(declines_after_us=seconds(1))])
        for _ in range(REQUESTS):
            if "one" not in ari.world.legs:
                ari.act(lambda: ari.world.arrive("100", "200", Phone(), leg_id="one"))
            asked = storm.request()
            await asyncio.sleep(0.0005)  # 25 ms over there
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):  # some requests wait for an endless tone
                    answer = await ari.carry(*asked)
                    seen[answer.status] += 1
                    judge(answer, str(asked))
        assert seen[200] + seen[201] + seen[204] > REQUESTS / 5
        assert len(seen) >= 7
        with pytest.raises(TimeoutError):
            await app.event("never", within_s=0.1)
        for event in app.events:
            fits.event(event)
        assert len({event["type"] for event in app.events}) >= 10
    assert [each for each in faults if each["log_level"] == "error"] == []


def judge(answer: Answer, asked: str) -> None:
    assert answer.status in {200, 201, 204, 400, 404, 405, 409, 412, 413, 422, 500, 501}, asked
    json.loads(answer.text or "null")
    if answer.status == 500:
        assert set(answer.content.values()) <= ALLOWED_500, asked


@pytest.mark.parametrize("frame", ["x" * 65_600, json.dumps({"type": "RESTRequest", "uri": "x" * 70_000})])
async def test_a_huge_frame_closes_its_websocket_alone(ari: FakeAri, app: App, frame: str) -> None:
    async with App(ari.url, "flowengine", "flowengine", "other") as other:
        await other.socket.send_str(frame)
        async with asyncio.timeout(5):
            await other.gone()
        assert other.socket.close_code == 1009
    assert (await app.send('{"type":"RESTRequest","method":"GET","uri":"channels"}')).status == 200


async def test_a_long_frame_is_read(app: App) -> None:
    uri = f"channels/{'x' * 64_000}"
    reply = await app.send(json.dumps({"type": "RESTRequest", "method": "GET", "uri": uri}))
    assert reply.status == 404


@pytest.mark.parametrize(
    "frame", ["", "\x00", "[" * 60_000, '{"type":{}}', '{"type":"RESTRequest","uri":5}', "1e999"]
)
async def test_a_frame_that_is_no_request_is_refused(app: App, frame: str) -> None:
    assert (await app.send(frame)).status == 400


async def test_binary_frames_are_not_read(app: App) -> None:
    await app.socket.send_bytes(b"\x00\xff")
    assert (await app.send('{"type":"RESTRequest","method":"GET","uri":"channels"}')).status == 200


async def test_a_file_does_not_travel_on_the_websocket(ari: FakeAri, app: App) -> None:
    leg = ari.place_call("100", "200", [])
    await app.event("StasisStart")
    await app.ask("POST", f"channels/{leg.id}/answer")
    await app.ask("POST", f"channels/{leg.id}/record", name="r", format="wav")
    await app.event("RecordingStarted")
    await app.ask("POST", "recordings/live/r/stop")
    frame = '{"type":"RESTRequest","method":"GET","uri":"recordings/stored/r/file"}'
    assert (await app.send(frame)).status == 406


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{never", 400),
        (b"\xff\xfe", 400),
        (b"[" * 40_000, 400),
        (b"x" * 41_000, 413),
        (b"null", 200),
        (b"[]", 200),
    ],
)
async def test_bodies(app: App, raw: bytes, status: int) -> None:
    assert (await app.ask("POST", "bridges", raw=raw)).status == status


async def test_a_form_is_read_like_a_query(ari: FakeAri, app: App) -> None:
    async with app.session.post(f"{ari.url}/ari/bridges", data={"bridgeId": "by-form"}) as answer:
        assert (await answer.json())["id"] == "by-form"


async def test_paths_are_taken_apart_before_they_are_unquoted(ari: FakeAri, app: App) -> None:
    await app.ask("POST", "bridges", bridgeId="a/b c")
    assert (await app.ask("GET", "bridges/a%2Fb%20c")).body["id"] == "a/b c"
    async with app.session.get(f"{ari.url}/ari/bridges/%ff%fe") as answer:
        assert answer.status == 404
    async with app.session.get(f"{ari.url}/arithmetic") as answer:
        assert answer.status == 404


async def test_who_does_not_read_is_cut_off(ari: FakeAri, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.fake_ari.session.MOST_WAITING", 200)
    async with aiohttp.ClientSession(
        headers={"Authorization": aiohttp.encode_basic_auth("flowengine", "flowengine")}
    ) as session:
        await session.ws_connect(f"{ari.url}/ari/events", params={"app": "deaf"})
        value = "x" * 30_000
        for _ in range(2_000):
            body = {"variables": {"k": value}}
            if (await ari.carry("POST", "events/user/e", {"application": "deaf"}, body)).status == 404:
                break
            await asyncio.sleep(0)
        else:
            pytest.fail("it was never cut off")
    assert (await app.ask("GET", "asterisk/ping")).status == 200


async def test_a_fault_in_the_world_is_told_and_survived(ari: FakeAri, app: App, faults: list[Any]) -> None:
    def broken(number: str) -> None:
        raise RuntimeError(number)

    ari.act(lambda: ari.world.after(0, broken, "+15550100"))
    leg = ari.place_call("100", "200", [])
    await app.event("StasisStart", id=leg.id)
    assert [each["error"] for each in faults if each["event"] == "fake_ari.fault"] == ["RuntimeError"]
    assert "15550100" not in str(faults)
