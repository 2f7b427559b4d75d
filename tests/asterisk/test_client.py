"""The ARI client against a real Asterisk: what the fake one in tests/ari takes on trust is proved here."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flowengine.ari.client import AriClient, AriRefused, AriSettings, AriUnavailable
from flowengine.ari.messages import AnyEvent, ChannelVarset, PlaybackFinished, StasisEnd, StasisStart
from flowengine.ari.node import AsteriskNode
from flowengine.ari.resources import Bridge, Channel
from tests.asterisk.node import running_node


def access(node: AsteriskNode) -> AriSettings:
    """The engine's settings for this node, with waits short enough for a test."""
    at = node.settings
    return AriSettings(
        url=at.ari_url,
        app=at.app,
        username=at.ari_user,
        password=at.ari_password,
        connect_timeout_s=0.5,
        ping_every_s=0.1,
        silent_after_s=0.5,
        stalled_after_s=20.0,
        reconnect_cap_s=0.25,
    )


def is_end_of(leg: str) -> Callable[[AnyEvent], bool]:
    return lambda event: isinstance(event, StasisEnd) and event.channel.id == leg


def is_start_of(leg: str) -> Callable[[AnyEvent], bool]:
    return lambda event: isinstance(event, StasisStart) and event.channel.id == leg


class Seen:
    """A sink that can be waited on."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, event: AnyEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, wanted: Callable[[AnyEvent], bool]) -> None:
        async with asyncio.timeout(5):
            while not any(wanted(event) for event in self.events):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def ari(node: AsteriskNode, seen: Seen) -> AsyncIterator[AriClient]:
    async with AriClient(access(node), seen) as client:
        await client.wait_ready(5)
        yield client


@contextlib.asynccontextmanager
async def answered_leg(ari: AriClient, seen: Seen, app: str) -> AsyncIterator[str]:
    """A leg in our hands, answered; its far end goes through the dialplan and comes to us too."""
    query = {"endpoint": "Local/100@from-phone", "app": app, "channelId": "near", "otherChannelId": "far"}
    await ari.request("POST", "channels", query)
    await seen.until(is_start_of("far"))
    await ari.request("POST", "channels/far/answer")
    await seen.until(is_start_of("near"))
    yield "near"
    for leg in ("near", "far"):
        ari.send("DELETE", f"channels/{leg}")
    for leg in ("near", "far"):
        await seen.until(is_end_of(leg))


@pytest.fixture
async def leg(ari: AriClient, node: AsteriskNode, seen: Seen) -> AsyncIterator[str]:
    async with answered_leg(ari, seen, node.settings.app) as name:
        yield name


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (a state of the client, which announces nothing)
            await asyncio.sleep(0.01)


def prompt(folder: Path, seconds: int) -> str:
    with wave.open(str(folder / "prompt.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 8000 * seconds))
    return f"sound:{folder / 'prompt'}"


async def test_requests_travel_on_the_websocket(ari: AriClient) -> None:
    assert ari.transport == "websocket"
    answer = await ari.request("POST", "bridges/b 1;ü", {"type": "mixing,dtmf_events", "name": "a&b=c+d é"})
    made = answer.read(Bridge)
    assert (made.id, made.name, made.bridge_type) == ("b 1;ü", "a&b=c+d é", "mixing")
    over_http = await ari.request("GET", "bridges/b 1;ü", over="http")
    assert over_http.read(Bridge).name == "a&b=c+d é"
    assert (await ari.request("DELETE", "bridges/b 1;ü")).status == 204


async def test_a_body_is_read(ari: AriClient) -> None:
    query = {"endpoint": "Local/101@from-phone", "app": "nobody", "channelId": "with-body"}
    made = await ari.request("POST", "channels", query, {"variables": {"GREETING": "hello, é"}})
    assert made.read(Channel).id == "with-body"
    got = await ari.request("GET", "channels/with-body/variable", {"variable": "GREETING"})
    assert got.body == {"value": "hello, é"}
    await ari.request("DELETE", "channels/with-body")


@pytest.mark.parametrize("over", ["auto", "http"])
async def test_a_refusal_is_in_asterisks_own_words(ari: AriClient, over: str) -> None:
    with pytest.raises(AriRefused, match="Channel not found") as refused:
        await ari.request("DELETE", "channels/nobody", over="http" if over == "http" else "auto")
    assert refused.value.status == 404


async def test_a_request_as_long_as_allowed_is_read_and_the_line_stays(ari: AriClient) -> None:
    with pytest.raises(AriRefused, match="not found"):
        await ari.request("POST", "channels/nobody/play", {"media": "x" * 64_000})
    with pytest.raises(AriRefused, match="Asterisk reads 65000"):
        await ari.request("POST", "channels/nobody/play", {"media": "x" * 65_500})
    assert ari.ready
    assert ari.stats.drops == 0


@pytest.mark.parametrize("filtered", [True, False])
async def test_the_event_filter_works(node: AsteriskNode, seen: Seen, filtered: bool) -> None:
    settings = access(node)
    if not filtered:
        settings = dataclasses.replace(settings, disallowed_events=())
    async with AriClient(settings, seen) as ari:
        await ari.wait_ready(5)
        async with answered_leg(ari, seen, node.settings.app) as leg:
            await ari.request("POST", f"channels/{leg}/variable", {"variable": "X", "value": "1"})
    names = [event.variable for event in seen.events if isinstance(event, ChannelVarset)]
    assert ("X" in names) is not filtered


async def test_a_wrong_password_says_which_user_of_ari_conf(node: AsteriskNode) -> None:
    wrong = dataclasses.replace(access(node), password="wrong")
    async with AriClient(wrong, Seen()) as ari:
        with pytest.raises(AriUnavailable, match=r"section \[flowengine\] .* of ari\.conf"):
            await ari.wait_ready(0.3)
        assert not ari.ready


async def test_a_recording_is_downloaded_whole(ari: AriClient, node: AsteriskNode) -> None:
    sound = os.urandom(300_000)
    (node.settings.spool / "recording" / "kept.wav").write_bytes(sound)
    assert b"".join([piece async for piece in ari.download("recordings/stored/kept/file")]) == sound
    with pytest.raises(AriRefused) as refused:
        await anext(ari.download("recordings/stored/never/file"))
    assert refused.value.status == 404


async def test_a_second_engine_on_the_application_displaces_the_first(
    ari: AriClient, node: AsteriskNode
) -> None:
    async with AriClient(access(node), Seen()) as second:
        await second.wait_ready(5)
        await until(lambda: ari.stats.displaced == 1)
        assert not ari.ready
        assert ari.problem is not None
        assert "another engine" in ari.problem
        assert second.ready


async def test_a_request_that_waits_for_a_prompt_holds_up_the_websocket_but_not_http(
    ari: AriClient, leg: str, seen: Seen, tmp_path: Path
) -> None:
    await ari.request("POST", "bridges/b1", {"type": "mixing"})
    await ari.request("POST", f"channels/{leg}/play/p1", {"media": prompt(tmp_path, seconds=2)})
    await seen.until(lambda event: type(event).__name__ == "PlaybackStarted")
    begun = time.monotonic()
    added = ari.send("POST", "bridges/b1/addChannel", {"channel": leg})
    behind = ari.send("GET", "asterisk/ping")
    await ari.request("GET", "asterisk/ping", over="http")
    assert not behind.done()
    await until(lambda: not ari.ready)  # pongs wait as well: true, and not worth a reconnect
    await behind
    assert time.monotonic() - begun > 1.0
    assert (await added).status == 204
    await until(lambda: ari.ready)
    assert ari.stats.drops == 0
    await ari.request("DELETE", "bridges/b1")


async def test_stopping_the_prompt_first_lets_the_same_request_through(
    ari: AriClient, leg: str, seen: Seen, tmp_path: Path
) -> None:
    await ari.request("POST", "bridges/b2", {"type": "mixing"})
    await ari.request("POST", f"channels/{leg}/play/p2", {"media": prompt(tmp_path, seconds=5)})
    await seen.until(lambda event: type(event).__name__ == "PlaybackStarted")
    begun = time.monotonic()
    ari.send("DELETE", "playbacks/p2")
    await ari.request("POST", "bridges/b2/addChannel", {"channel": leg})
    assert time.monotonic() - begun < 1.0
    await seen.until(lambda event: isinstance(event, PlaybackFinished) and event.playback.id == "p2")
    await ari.request("DELETE", "bridges/b2")


async def test_it_comes_back_after_a_kill_and_sets_the_filter_again() -> None:
    async with running_node() as node:
        caught_up = 0

        async def catch_up(ari: AriClient) -> None:
            nonlocal caught_up
            caught_up += 1

        async with AriClient(access(node), Seen(), catch_up) as ari:
            await ari.wait_ready(5)
            await node.kill()
            answer = ari.send("GET", "channels")
            with pytest.raises(AriUnavailable):
                await answer
            await until(lambda: ari.problem is not None and "cannot be reached" in ari.problem)
            await node.start()
            await ari.wait_ready(10)
            app = (await ari.request("GET", f"applications/{node.settings.app}")).body
            assert {"type": "ChannelVarset"} in app["events_disallowed"]
            assert caught_up == 2


async def test_an_asterisk_that_stands_still_is_noticed_and_taken_back() -> None:
    async with running_node() as node:
        assert node.pid is not None
        async with AriClient(access(node), Seen()) as ari:
            await ari.wait_ready(5)
            os.kill(node.pid, signal.SIGSTOP)
            try:
                await until(lambda: ari.stats.drops == 1)
                assert not ari.ready
                await until(lambda: "did not answer" in (ari.problem or ""))
            finally:
                os.kill(node.pid, signal.SIGCONT)
            await ari.wait_ready(10)
            assert (await ari.request("GET", "asterisk/ping")).status == 200
        await node.kill()  # a polite stop of an Asterisk that stood still takes ten seconds
