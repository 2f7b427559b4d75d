"""What the fake ARI promises beside being like Asterisk: who may use it, who hears what, and its documents."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.fake_ari import FakeAri, LoggedCaller
from simulator.fake_ari.operations import TABLES
from simulator.fake_ari.script import steps_of
from simulator.fake_ari.shapes import EVENTS, MODELS
from simulator.phones import Behaviour, seconds
from simulator.sip.sound import tone, write_wav
from tests.simulator import fits
from tests.simulator.ari_app import App

USER, PASSWORD = "engine", "a-secret"


@pytest.fixture
async def ari() -> AsyncIterator[FakeAri]:
    async with FakeAri(user=USER, password=PASSWORD) as running:
        yield running


@pytest.fixture
async def app(ari: FakeAri) -> AsyncIterator[App]:
    async with App(ari.url, USER, PASSWORD) as application:
        yield application


def other(ari: FakeAri, name: str) -> App:
    return App(ari.url, USER, PASSWORD, name)


async def called(app: App, ari: FakeAri, *, answer: bool = True) -> str:
    """The id of a leg that just came in."""
    id = ari.place_call("+815055550100", "+15550100", []).id
    await app.event("StasisStart", id=id)
    if answer:
        assert (await app.ask("POST", f"channels/{id}/answer")).status == 204
    return id


# Who may use it


@pytest.mark.parametrize(
    ("header", "key", "status"),
    [
        (None, None, 401),
        (aiohttp.encode_basic_auth(USER, PASSWORD), None, 200),
        (aiohttp.encode_basic_auth(USER, "wrong"), None, 401),
        (None, f"{USER}:{PASSWORD}", 200),
        (None, f"{USER}:wrong", 401),
        ("Basic ???", None, 401),
        ("Bearer x", None, 401),
    ],
)
async def test_who_may_use_it(ari: FakeAri, header: str | None, key: str | None, status: int) -> None:
    headers = {"Authorization": header} if header else {}
    query = {"api_key": key} if key else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for path in ("/ari/channels", "/sim/calls"):
            async with session.get(ari.url + path, params=query) as answer:
                assert answer.status == status
                if status == 401:
                    assert await answer.json() == {"message": "Authentication required"}
                    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        if status == 401:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(f"{ari.url}/ari/events", params=query | {"app": "x"})


async def test_events_want_a_websocket_and_an_application(ari: FakeAri, app: App) -> None:
    assert (await app.ask("GET", "events", app="x")).status == 426
    assert (await app.ask("POST", "events", app="x")).status == 405
    with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
        await app.session.ws_connect(f"{ari.url}/ari/events")


# Who hears what


async def test_a_call_that_nobody_takes_is_refused_with_42(ari: FakeAri) -> None:
    leg = ari.place_call("+815055550100", "+15550100", [])
    assert isinstance(leg.phone, LoggedCaller)
    assert (leg.open, leg.phone.cause) == (False, 42)


async def test_a_second_websocket_silences_the_first(ari: FakeAri, app: App) -> None:
    async with other(ari, app.name) as second:
        await app.event("ApplicationReplaced", application=app.name)
        before = len(app.events)
        await called(second, ari)
        assert len(app.events) == before
        assert (await app.send('{"type":"RESTRequest","method":"GET","uri":"asterisk/ping"}')).status == 200


async def test_events_go_to_the_application_that_holds_the_channel(ari: FakeAri, app: App) -> None:
    async with other(ari, "other") as stranger:
        id = await called(app, ari)
        assert stranger.events == []
        reply = await stranger.ask("POST", "applications/other/subscription", eventSource=f"channel:{id}")
        assert reply.body["channel_ids"] == [id]
        await app.ask("DELETE", f"channels/{id}")
        await stranger.event("ChannelDestroyed", id=id)
        assert app.of("ChannelDestroyed") == []
        assert [event["type"] for event in stranger.events if event["type"] != "ChannelVarset"] == [
            "ChannelHangupRequest",
            "StasisEnd",
            "ChannelDestroyed",
        ]


async def test_who_subscribes_to_an_endpoint_too_hears_twice(ari: FakeAri, app: App) -> None:
    await app.ask("POST", f"applications/{app.name}/subscription", eventSource="endpoint:PJSIP/trunk")
    id = await called(app, ari)
    await app.until(lambda: len(app.of("ChannelStateChange", id=id)) == 2, "both")


async def test_subscribe_all_hears_everything(ari: FakeAri, app: App) -> None:
    ari.add_phone("PJSIP/hanako", registered=False)
    query = {"app": "watcher", "subscribeAll": "true"}
    async with app.session.ws_connect(f"{ari.url}/ari/events", params=query) as socket:
        await called(app, ari)
        await app.ask("POST", "bridges/b1")
        await app.ask("DELETE", "bridges/b1")
        ari.add_phone("PJSIP/hanako")
        heard = set()
        async with asyncio.timeout(5):
            while "ContactStatusChange" not in heard:
                event = await socket.receive_json()
                fits.event(event)
                heard.add(event["type"])
    assert heard >= {
        "ChannelCreated",
        "StasisStart",
        "ChannelStateChange",
        "BridgeCreated",
        "BridgeDestroyed",
        "DeviceStateChanged",
        "EndpointStateChange",
    }


async def test_one_websocket_may_serve_two_applications(ari: FakeAri, app: App) -> None:
    async with app.session.ws_connect(f"{ari.url}/ari/events", params={"app": "a,b"}):
        found = {each["name"] for each in (await app.ask("GET", "applications")).body}
        assert found == {app.name, "a", "b"}
        id = await called(app, ari)
        await app.ask("POST", f"channels/{id}/move", app="b", appArgs="x")
        await app.event("StasisEnd", id=id)
        assert (await app.ask("GET", f"channels/{id}")).body["dialplan"]["app_data"] == "b,x"
        await app.ask("POST", f"channels/{id}/move", app="nobody")
        assert (await app.ask("GET", f"channels/{id}")).status == 404


async def test_the_filter_may_silence_answers_on_the_websocket(app: App) -> None:
    ping = '{"type":"RESTRequest","method":"GET","uri":"asterisk/ping"}'
    path = f"applications/{app.name}/eventFilter"
    await app.ask("PUT", path, {"disallowed": [{"type": "StasisStart"}]})
    assert (await app.send(ping)).status == 200
    await app.ask("PUT", path, {"allowed": [{"type": "StasisStart"}]})
    before = len(app.events)
    await app.socket.send_str(ping)
    await app.ask("PUT", path, {"allowed": []})
    await app.send(ping)
    assert len(app.events) == before + 1


async def test_the_filter_is_honoured(ari: FakeAri, app: App) -> None:
    await app.ask("PUT", f"applications/{app.name}/eventFilter", {"disallowed": [{"type": "StasisStart"}]})
    leg = ari.place_call("+815055550100", "+15550100", [])
    await app.ask("POST", f"channels/{leg.id}/answer")
    await app.event("ChannelStateChange")
    assert app.of("StasisStart") == []


async def test_an_application_without_a_websocket_lives_as_long_as_it_has_something_to_hear_of(
    ari: FakeAri, app: App
) -> None:
    id = await called(app, ari)
    await app.socket.close()
    async with other(ari, "other") as later:
        left = (await later.ask("GET", f"applications/{app.name}")).body
        assert left["channel_ids"] == [id]
        await later.ask("DELETE", f"channels/{id}")
        assert (await later.ask("GET", f"applications/{app.name}")).status == 404


# Waiting


async def test_what_waits_for_a_prompt_holds_up_the_websocket_but_not_http(
    ari: FakeAri, app: App, tmp_path: Path
) -> None:
    write_wav(tmp_path / "prompt.wav", tone(500, 0.6))
    id = await called(app, ari)
    await app.ask("POST", f"channels/{id}/play/p1", media=f"sound:{tmp_path}/prompt")
    await app.ask("POST", "bridges/b1")
    await app.event("PlaybackStarted")
    for uri in (f"bridges/b1/addChannel?channel={id}", "asterisk/ping"):
        method = "GET" if uri.endswith("ping") else "POST"
        await app.socket.send_str(f'{{"type":"RESTRequest","method":"{method}","uri":"{uri}"}}')
    began = time.monotonic()
    await app.ask("GET", "asterisk/ping")
    assert time.monotonic() - began < 0.3
    assert app.of("RESTResponse") == []
    await app.until(lambda: len(app.of("RESTResponse")) == 2, "both answers")
    order = [event["type"] for event in app.events if event["type"] != "ChannelVarset"]
    assert order[-4:] == ["PlaybackFinished", "ChannelEnteredBridge", "RESTResponse", "RESTResponse"]


async def test_stopping_does_not_wait_for_who_waits(ari: FakeAri, app: App) -> None:
    id = await called(app, ari)
    await app.ask("POST", f"channels/{id}/play/p1", media="tone:ring")
    await app.event("PlaybackStarted")
    waiting = asyncio.create_task(app.ask("POST", f"channels/{id}/variable", variable="X", value="1"))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await ari.stop()
    assert time.monotonic() - began < 2.5
    await asyncio.gather(waiting, return_exceptions=True)


async def test_time_may_run_faster() -> None:
    async with (
        FakeAri(user=USER, password=PASSWORD, speed=20) as ari,
        App(ari.url, USER, PASSWORD) as app,
    ):
        began = time.monotonic()
        ari.place_call("+815055550100", "+15550100", steps_of([{"wait": 10}, {"hang_up": True}]))
        await app.event("StasisEnd")
        assert 0.4 < time.monotonic() - began < 2


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_time_cannot_stand_still(speed: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        FakeAri(speed=speed)


# Documents


async def test_the_documents_are_the_table(ari: FakeAri, app: App) -> None:
    listed = (await app.ask("GET", "api-docs/resources.json")).body
    assert listed["basePath"] == f"{ari.url}/ari"
    assert len(listed["apis"]) == len(TABLES)
    for table in TABLES:
        document = (await app.ask("GET", f"api-docs/{table.resource}.json")).body
        found = {
            (operation["httpMethod"], api["path"], operation["nickname"])
            for api in document["apis"]
            for operation in api["operations"]
        }
        assert found == {(each.method, each.path, each.nickname) for each in table.operations}
    events = (await app.ask("GET", "api-docs/events.json")).body
    assert set(EVENTS) | set(MODELS) | {"Message"} == set(events["models"])


def test_the_table_is_sound() -> None:
    operations = [operation for table in TABLES for operation in table.operations]
    places = [(each.method, each.path) for each in operations]
    assert len(places) == len(set(places)) >= 80
    for each in operations:
        variable = {part.strip("{}") for part in each.path.split("/") if part.startswith("{")}
        assert variable == {one.name for one in each.parameters if one.kind == "path"}, each
        names = [one.name for one in each.parameters]
        assert len(names) == len(set(names)), each
        kind = each.returns.removeprefix("List[").removesuffix("]")
        assert kind in {"void", "binary", "Message", *MODELS}, each


async def test_answers_and_events_have_the_fields_they_say(ari: FakeAri, app: App, tmp_path: Path) -> None:
    write_wav(tmp_path / "prompt.wav", tone(500, 0.3))
    ari.add_phone("PJSIP/hanako", [Behaviour(answers_after_us=seconds(0.1))])
    id = await called(app, ari)
    asked: list[tuple[str, str, str, dict[str, Any]]] = [
        ("List[Channel]", "GET", "channels", {}),
        ("Playback", "POST", f"channels/{id}/play/p1", {"media": f"sound:{tmp_path}/prompt,tone:beep"}),
        ("LiveRecording", "POST", f"channels/{id}/record", {"name": "r1", "format": "wav"}),
        ("Channel", "POST", "channels/o1", {"endpoint": "PJSIP/hanako", "app": app.name}),
        ("Bridge", "POST", "bridges/b1", {}),
        ("Playback", "POST", "bridges/b1/play", {"media": f"sound:{tmp_path}/prompt"}),
        ("List[Bridge]", "GET", "bridges", {}),
        ("AsteriskInfo", "GET", "asterisk/info", {}),
        ("AsteriskPing", "GET", "asterisk/ping", {}),
        ("List[Module]", "GET", "asterisk/modules", {}),
        ("List[Endpoint]", "GET", "endpoints/PJSIP", {}),
        ("DeviceState", "GET", "deviceStates/PJSIP%2Fhanako", {}),
        ("List[Sound]", "GET", "sounds", {}),
        ("RTPstat", "GET", f"channels/{id}/rtp_statistics", {}),
        ("List[Application]", "GET", "applications", {}),
        ("Variable", "GET", f"channels/{id}/variable", {"variable": "CALLERID(num)"}),
        ("List[StoredRecording]", "GET", "recordings/stored", {}),
    ]
    for kind, method, path, query in asked:
        reply = await app.ask(method, path, **query)
        assert reply.status < 300, path
        fits.answer(kind, reply.body)
    await app.event("PlaybackContinuing")
    await app.event("StasisStart", id="o1")
    await app.ask("POST", f"events/user/mine?application={app.name}&source=channel:{id}")
    await app.ask("DELETE", "playbacks/p1")
    await app.event("RecordingStarted")
    await app.ask("DELETE", f"channels/{id}")
    await app.ask("DELETE", "channels/o1")
    await app.event("ChannelDestroyed", id="o1")
    for event in app.events:
        fits.event(event)
