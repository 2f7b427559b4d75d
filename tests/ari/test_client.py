"""The client while all goes well: handshake, filter, readiness, events in order, requests in order."""

import asyncio
import dataclasses

import pytest

from flowengine.ari.client import AriClient, AriError, AriRefused, AriSettings, AriUnavailable
from flowengine.ari.messages import AnyEvent, ChannelDtmfReceived, StasisStart
from flowengine.ari.resources import Bridge
from tests.ari.clock import HandClock
from tests.ari.fake_asterisk import PASSWORD, SILENCE, Asked, FakeAsterisk, Reply


async def test_connects_with_the_password_in_a_header_only(ari: AriClient, asterisk: FakeAsterisk) -> None:
    [handshake] = asterisk.handshakes
    assert handshake.query_string == "app=flowengine&subscribeAll=false"
    assert PASSWORD not in str(handshake.url)
    assert handshake.headers["Authorization"].startswith("Basic ")
    assert ari.ready
    assert ari.problem is None
    assert ari.transport == "websocket"


async def test_sets_the_event_filter_before_it_is_ready(ari: AriClient, asterisk: FakeAsterisk) -> None:
    probe, put = asterisk.all_asked
    assert probe.path == "asterisk/ping"
    assert (put.via, put.method, put.path) == ("websocket", "PUT", "applications/flowengine/eventFilter")
    assert {"type": "ChannelVarset"} in put.body["disallowed"]
    assert "allowed" not in put.body  # a list of allowed events would silence the answers to requests


async def test_is_not_ready_before_the_owner_has_caught_up(
    asterisk: FakeAsterisk, settings: AriSettings, events: list[AnyEvent]
) -> None:
    seen: list[tuple[bool, int]] = []
    go_on = asyncio.Event()
    caught = asyncio.Event()

    async def catch_up(ari: AriClient) -> None:
        answer = await ari.request("GET", "channels")
        caught.set()
        await go_on.wait()
        seen.append((ari.ready, answer.status))

    async with AriClient(settings, events.append, catch_up) as ari:
        await caught.wait()
        line = await asterisk.lines.get()
        await line.event("StasisStart", channel={"id": "c1"}, args=[])
        assert (await ari.request("GET", "bridges")).status == 200  # answered after the event, so it was read
        assert [event.channel.id for event in events if isinstance(event, StasisStart)] == ["c1"]
        assert not ari.ready
        go_on.set()
        await ari.wait_ready(5)
        assert seen == [(False, 200)]
        assert ari.ready


async def test_gives_events_in_order_and_passes_over_those_it_does_not_know(
    ari: AriClient, asterisk: FakeAsterisk, events: list[AnyEvent]
) -> None:
    line = await asterisk.lines.get()
    for key in "123":
        await line.event("ChannelDtmfReceived", digit=key, duration_ms=90, channel={"id": "c1", "new": {}})
        await line.event("FromAFutureAsterisk", channel=7)
    await ari.request("GET", "channels")
    assert [event.digit for event in events if isinstance(event, ChannelDtmfReceived)] == ["1", "2", "3"]
    assert (ari.stats.events, ari.stats.unknown, ari.stats.malformed) == (3, 3, 0)


async def test_a_request_travels_whole(ari: AriClient, asterisk: FakeAsterisk) -> None:
    asterisk.reply = lambda asked: Reply(200, {"id": "b1", "channels": ["c1"]})
    answer = await ari.request(
        "POST",
        "/bridges/b 1;2/addChannel",
        {"channel": ["c1", "c2"], "mute": False, "role": None, "name": "a&b=c+d é", "n": 3},
        {"variables": {"X": "1"}},
    )
    asked = asterisk.all_asked[-1]
    assert asked.path == "bridges/b 1;2/addChannel"
    assert asked.query == {"channel": "c1,c2", "mute": "false", "name": "a&b=c+d é", "n": "3"}
    assert asked.body == {"variables": {"X": "1"}}
    assert answer.body == {"id": "b1", "channels": ["c1"]}
    assert answer.read(Bridge).channels == ["c1"]


async def test_an_answer_of_another_shape_is_an_error_with_a_name(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    asterisk.reply = lambda asked: Reply(200, ["no bridge"])
    answer = await ari.request("GET", "bridges/b1")
    with pytest.raises(AriError, match="Bridge"):
        answer.read(Bridge)
    assert (await ari.request("GET", "bridges/b1")).body == ["no bridge"]


async def test_an_empty_answer_has_no_body(ari: AriClient, asterisk: FakeAsterisk) -> None:
    asterisk.reply = lambda asked: Reply(204)
    assert (await ari.request("DELETE", "channels/c1")).body is None


async def test_a_refusal_carries_status_and_asterisks_own_words(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    asterisk.reply = lambda asked: Reply(404, {"message": "Channel not found"})
    with pytest.raises(AriRefused, match="Channel not found") as refused:
        await ari.request("DELETE", "channels/c1")
    assert refused.value.status == 404
    assert refused.value.reason == "Channel not found"
    assert ari.stats.refused == 1


async def test_many_requests_fly_at_once_in_the_order_of_the_calls(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    asterisk.reply = lambda asked: SILENCE
    line = await asterisk.lines.get()
    answers = [ari.send("POST", f"channels/c{n}/answer") for n in range(50)]
    asked = [await asterisk.next_asked(f"channels/c{n}/answer") for n in range(50)]
    assert not any(answer.done() for answer in answers)
    for one in reversed(asked):  # answers find their requests by id, not by order
        await line.answer(one, Reply(200, {"for": one.path}))
    for n, answer in enumerate(answers):
        assert (await answer).body == {"for": f"channels/c{n}/answer"}


async def test_who_sends_without_waiting_need_not_collect_the_failure(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    asterisk.reply = lambda asked: Reply(404 if asked.method == "DELETE" else 200)
    ari.send("DELETE", "channels/gone")
    await ari.request("GET", "channels")
    assert ari.stats.refused == 1
    assert complaints == []


async def test_an_answer_given_twice_or_never_asked_for_is_passed_over(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    asterisk.reply = lambda asked: SILENCE
    line = await asterisk.lines.get()
    first, second = ari.send("GET", "channels"), ari.send("GET", "bridges")
    asked = await asterisk.next_asked("channels")
    await line.answer(asked, Reply(200, "first"))
    await line.answer(asked, Reply(200, "again"))
    await line.answer(Asked("websocket", "GET", "channels", {}, None, "4711"), Reply())
    await line.answer(await asterisk.next_asked("bridges"), Reply(200, "second"))
    assert (await second).body == "second"
    assert (await first).body == "first"
    assert ari.stats.orphans == 2


async def test_a_cancelled_caller_disturbs_nobody(ari: AriClient, asterisk: FakeAsterisk) -> None:
    asterisk.reply = lambda asked: SILENCE
    line = await asterisk.lines.get()
    waiting = asyncio.create_task(ari.request("GET", "channels"))
    asked = await asterisk.next_asked("channels")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await line.answer(asked, Reply())
    asterisk.reply = lambda asked: Reply()
    assert (await ari.request("GET", "bridges")).status == 200


async def test_too_long_a_request_is_refused_here_and_costs_no_connection(
    ari: AriClient, asterisk: FakeAsterisk
) -> None:
    before = len(asterisk.all_asked)
    with pytest.raises(AriRefused, match="40960") as body:
        await ari.request("POST", "channels", body={"variables": {"X": "x" * 50_000}})
    with pytest.raises(AriRefused, match="65000") as uri:
        await ari.request("POST", "channels", {"appArgs": "x" * 70_000})
    assert body.value.status == uri.value.status == 413
    assert len(asterisk.all_asked) == before
    assert ari.ready


async def test_a_sink_that_raises_costs_one_event(
    asterisk: FakeAsterisk, settings: AriSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[str] = []

    def sink(event: AnyEvent) -> None:
        assert isinstance(event, ChannelDtmfReceived)
        if event.digit == "5":
            raise RuntimeError(f"{event.channel.caller.number} pressed 5")
        taken.append(event.digit)

    async with AriClient(settings, sink) as ari:
        await ari.wait_ready(5)
        line = await asterisk.lines.get()
        for key in "456":
            channel = {"id": "c1", "caller": {"number": "0312345678"}}
            await line.event("ChannelDtmfReceived", digit=key, channel=channel)
        await ari.request("GET", "channels")
        assert taken == ["4", "6"]
        assert ari.stats.sink_errors == 1
        assert ari.ready
    logged = capsys.readouterr().out
    assert "RuntimeError" in logged
    assert "0312345678" not in logged


async def test_closing_fails_what_is_in_flight(asterisk: FakeAsterisk, settings: AriSettings) -> None:
    async with AriClient(settings, lambda event: None) as ari:
        await ari.wait_ready(5)
        asterisk.reply = lambda asked: SILENCE
        by_websocket, by_http = ari.send("GET", "channels"), ari.send("GET", "bridges", over="http")
        await asterisk.next_asked("bridges")
    with pytest.raises(AriUnavailable, match="closed by this engine"):
        await by_websocket
    with pytest.raises(AriUnavailable, match="closed"):
        await by_http
    assert not ari.ready
    assert ari.problem == "closed"
    with pytest.raises(AriUnavailable, match="closed"):
        await ari.request("GET", "channels")


async def test_says_goodbye_in_order(asterisk: FakeAsterisk, settings: AriSettings) -> None:
    async with AriClient(settings, lambda event: None) as ari:
        await ari.wait_ready(5)
        line = await asterisk.lines.get()
    await asyncio.wait_for(line.closed.wait(), 5)
    assert line.websocket.close_code == 1000


def test_the_password_is_in_no_text_about_the_settings() -> None:
    settings = AriSettings(app="a", username="u", password="hunter2")
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("wrong", "mend"),
    [
        ({"url": "ws://127.0.0.1"}, "http://HOST:8088"),
        ({"url": "127.0.0.1:8088"}, "http://HOST:8088"),
        ({"url": "http://user:secret@127.0.0.1"}, "their own settings"),
        ({"app": ""}, "Stasis"),
        ({"app": "two,apps"}, "without commas"),
        ({"username": ""}, "ari.conf"),
        ({"username": "a:b"}, "without ':'"),
        ({"password": ""}, "ari.conf"),
        ({"disallowed_events": ("RESTResponse",)}, "take RESTResponse out"),
        ({"ping_every_s": 20.0}, "ping_every_s < silent_after_s"),
    ],
)
def test_wrong_settings_are_named_with_their_mend(wrong: dict[str, object], mend: str) -> None:
    right: dict[str, object] = {"app": "a", "username": "u", "password": "secret"}
    with pytest.raises(ValueError, match=mend) as error:
        AriSettings(**{**right, **wrong})  # type: ignore[arg-type]
    assert "secret" not in str(error.value)


def test_the_url_may_name_the_server_or_its_ari(clock: HandClock) -> None:
    plain = AriSettings(app="a", username="u", password="p", url="http://h:8088/pbx")
    assert plain.rest_url == "http://h:8088/pbx/ari"
    assert dataclasses.replace(plain, url="http://h:8088/pbx/ari/").rest_url == plain.rest_url


async def test_numbers_of_a_request_id_never_repeat(ari: AriClient, asterisk: FakeAsterisk) -> None:
    for _ in range(20):
        await ari.request("GET", "channels")
    ids = [asked.request_id for asked in asterisk.all_asked]
    assert len(set(ids)) == len(ids)
