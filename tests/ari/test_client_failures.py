"""The client while things go wrong: every way the line to Asterisk can fail, and how it comes back."""

import asyncio
import dataclasses
import random
import socket

import pytest
from aiohttp import WSMsgType

from flowengine.ari.client import AriClient, AriSettings, AriTimeout, AriUnavailable
from flowengine.ari.messages import AnyEvent
from flowengine.ari.pacing import Backoff
from tests.ari.clock import HandClock
from tests.ari.fake_asterisk import PASSWORD, SILENCE, USERNAME, Asked, FakeAsterisk, Reply

RECONNECT = (0.125, 0.25)
"""The first wait of the default settings, in seconds."""


def ignore(event: AnyEvent) -> None:
    """A sink for tests that look at something else."""


async def ready_again(ari: AriClient, clock: HandClock, wait: tuple[float, float] = RECONNECT) -> None:
    clock.advance(await clock.armed(*wait))
    await ari.wait_ready(5)


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, rf"section \[{USERNAME}\]"),
        (403, "permit and deny"),
        (404, "res_ari_events.so"),
        (503, "starting or stopping"),
        (302, "is that Asterisk's HTTP server"),
    ],
)
async def test_a_refused_handshake_says_what_to_mend(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock, status: int, mend: str
) -> None:
    asterisk.refuse_websocket = status
    async with AriClient(settings, ignore, clock=clock) as ari:
        assert await asterisk.attempts.get() == status
        await clock.armed(*RECONNECT)
        with pytest.raises(AriUnavailable, match=mend):
            await ari.request("GET", "channels")
        assert not ari.ready
        asterisk.refuse_websocket = None  # mended while the engine runs
        await ready_again(ari, clock)
        assert ari.problem is None


async def test_a_wrong_password_names_the_user_and_never_the_password(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = dataclasses.replace(settings, password="wrong horse")
    async with AriClient(wrong, ignore, clock=clock) as ari:
        clock.advance(await clock.armed(*RECONNECT))
        await clock.armed(0.25, 0.5)
        assert ari.problem is not None
        assert "ari.conf" in ari.problem
        assert "wrong horse" not in ari.problem
    logged = capsys.readouterr().out
    assert logged.count("ari.unavailable") == 1  # the same complaint is not repeated at each attempt
    assert "wrong horse" not in logged
    assert PASSWORD not in logged


async def test_nobody_listening_is_told_with_the_address(clock: HandClock) -> None:
    async with FakeAsterisk() as gone:
        url = gone.url
    async with AriClient(
        AriSettings(url=url, app="a", username="u", password="p"), ignore, clock=clock
    ) as ari:
        await clock.armed(*RECONNECT)
        assert ari.problem is not None
        assert url in ari.problem
        assert "bindport" in ari.problem


async def test_a_server_that_accepts_and_says_nothing_is_given_up(clock: HandClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings = AriSettings(url=url, app="a", username="u", password="p", connect_timeout_s=0.05)
        async with AriClient(settings, ignore, clock=clock) as ari:
            await clock.armed(*RECONNECT)
            assert ari.problem is not None
            assert "did not answer within 0.05 s" in ari.problem


async def test_an_asterisk_that_withholds_the_websocket_alone_is_to_be_restarted(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    asterisk.withhold_websocket = True
    async with AriClient(dataclasses.replace(settings, connect_timeout_s=0.2), ignore, clock=clock) as ari:
        await clock.armed(*RECONNECT)
        assert ari.problem is not None
        assert "answers requests" in ari.problem
        assert "restart Asterisk" in ari.problem
        asterisk.withhold_websocket = False
        await ready_again(ari, clock)


async def test_wait_ready_tells_the_problem(asterisk: FakeAsterisk, settings: AriSettings) -> None:
    asterisk.refuse_websocket = 401
    async with AriClient(settings, ignore) as ari:
        with pytest.raises(AriUnavailable, match=r"ari\.conf"):
            await ari.wait_ready(0.1)


async def test_a_user_that_may_only_read_is_told_so(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    asterisk.reply = lambda asked: Reply(403 if asked.method == "PUT" else 200)
    async with AriClient(settings, ignore, clock=clock) as ari:
        await clock.armed(*RECONNECT)
        assert not ari.ready
        assert ari.problem is not None
        assert "read_only=no" in ari.problem


async def test_a_drop_fails_everything_in_flight_at_once_and_the_line_comes_back(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    asterisk.reply = lambda asked: SILENCE
    line = await asterisk.lines.get()
    answers = [ari.send("GET", "channels"), ari.send("GET", "bridges")]
    by_http = ari.send("GET", "endpoints", over="http")
    await asterisk.next_asked("endpoints")
    line.drop()
    for answer in (*answers, by_http):  # the clock stands still, so no timeout did this
        with pytest.raises(AriUnavailable, match="was lost"):
            await answer
    await clock.armed(*RECONNECT)
    assert not ari.ready
    with pytest.raises(AriUnavailable):
        await ari.request("GET", "channels")
    asterisk.reply = lambda asked: Reply()
    await ready_again(ari, clock)
    assert asterisk.paths("websocket").count("applications/flowengine/eventFilter") == 2
    assert (ari.stats.connects, ari.stats.drops, ari.stats.unavailable) == (2, 1, 4)


async def test_the_owner_catches_up_after_every_connect(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    caught_up = 0

    async def catch_up(ari: AriClient) -> None:
        nonlocal caught_up
        caught_up += 1

    async with AriClient(settings, ignore, catch_up, clock=clock) as ari:
        await ari.wait_ready(5)
        (await asterisk.lines.get()).drop()
        await ready_again(ari, clock)
    assert caught_up == 2


@pytest.mark.parametrize("fault", [RuntimeError("0312345678"), AriTimeout("no answer")])
async def test_a_failed_catching_up_is_not_ready_and_is_tried_again(
    asterisk: FakeAsterisk,
    settings: AriSettings,
    clock: HandClock,
    fault: Exception,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults = [fault]

    async def catch_up(ari: AriClient) -> None:
        if faults:
            raise faults.pop()

    async with AriClient(settings, ignore, catch_up, clock=clock) as ari:
        await clock.armed(*RECONNECT)
        assert not ari.ready
        assert ari.stats.connects == 0
        await ready_again(ari, clock)
    assert "0312345678" not in capsys.readouterr().out


async def test_catching_up_has_a_deadline(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    async def catch_up(ari: AriClient) -> None:
        await asyncio.Event().wait()

    hasty = dataclasses.replace(settings, resync_timeout_s=0.05)
    async with AriClient(hasty, ignore, catch_up, clock=clock) as ari:
        await clock.armed(*RECONNECT)
        assert ari.problem is not None
        assert "catching up took over 0.05 s" in ari.problem


async def test_a_drop_while_catching_up_does_not_wait_for_the_owner(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def catch_up(ari: AriClient) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with AriClient(settings, ignore, catch_up, clock=clock) as ari:
        await begun.wait()
        (await asterisk.lines.get()).drop()
        await cancelled.wait()
        await clock.armed(*RECONNECT)
        assert not ari.ready


async def test_a_half_open_socket_is_noticed(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    (await asterisk.lines.get()).freeze()
    clock.advance(11.9)
    readiness = [ari.ready]
    clock.advance(0.2)
    readiness.append(ari.ready)
    assert readiness == [True, False]  # before the socket is given up, at the ping that follows
    clock.advance(3)
    await ready_again(ari, clock)
    assert ari.stats.drops == 1


async def test_a_live_but_idle_line_stays(ari: AriClient, asterisk: FakeAsterisk, clock: HandClock) -> None:
    line = await asterisk.lines.get()
    for _ in range(20):
        clock.advance(5)
        # the pong comes before this answer, as the ping went before this request
        assert (await ari.request("GET", "channels")).status == 200
        assert ari.ready
    assert ari.stats.drops == 0
    assert not line.closed.is_set()


async def test_an_engine_that_stood_still_itself_does_not_blame_asterisk(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    clock.skip(60)
    assert (await ari.request("GET", "channels")).status == 200
    assert ari.ready
    assert ari.stats.drops == 0


async def test_asterisk_busy_with_one_request_is_not_taken_for_dead(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    line = await asterisk.lines.get()
    line.freeze()  # addChannel waits for the end of a prompt, and pongs wait behind it
    answer = ari.send("POST", "bridges/b1/addChannel", {"channel": "c1"}, timeout_s=60)
    clock.advance(30)
    readiness = [ari.ready]
    line.listening.set()
    assert (await answer).status == 200
    readiness.append(ari.ready)
    assert readiness == [False, True]
    assert ari.stats.drops == 0


async def test_asterisk_busy_for_too_long_is_given_up(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    (await asterisk.lines.get()).freeze()
    answer = ari.send("POST", "bridges/b1/addChannel", timeout_s=600)
    clock.advance(45)
    with pytest.raises(AriUnavailable, match="silent for 40 s"):
        await answer
    await ready_again(ari, clock)


async def test_an_answer_too_late_is_a_timeout_and_then_passed_over(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    asterisk.reply = lambda asked: SILENCE
    line = await asterisk.lines.get()
    quick, slow = ari.send("GET", "channels", timeout_s=2), ari.send("GET", "bridges")
    asked = await asterisk.next_asked("channels")
    clock.advance(3)
    with pytest.raises(AriTimeout, match="within 2 s"):
        await quick
    await line.answer(asked, Reply())
    await line.answer(await asterisk.next_asked("bridges"), Reply())
    assert (await slow).status == 200
    assert (ari.stats.timeouts, ari.stats.orphans, ari.stats.drops) == (1, 1, 0)


async def test_asterisk_that_stops_reading_blocks_nobody(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    bounded = dataclasses.replace(settings, max_in_flight=1000)
    async with AriClient(bounded, ignore, clock=clock) as ari:
        await ari.wait_ready(5)
        line = await asterisk.lines.get()
        line.freeze()
        fill = {"variables": {"X": "x" * 30_000}}  # 30 MB: more than any socket buffer
        answers = [ari.send("POST", "channels", body=fill) for _ in range(1000)]
        with pytest.raises(AriUnavailable, match="1000 requests wait"):
            await ari.request("GET", "channels")
        clock.advance(10.1)
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {AriTimeout}
        clock.advance(5)
        await ready_again(ari, clock)


async def test_a_flood_of_events_is_taken_whole_and_in_order(
    ari: AriClient, asterisk: FakeAsterisk, events: list[AnyEvent]
) -> None:
    line = await asterisk.lines.get()
    for n in range(5000):
        await line.event("PlaybackStarted", playback={"id": str(n)})
    await ari.request("GET", "channels")
    assert [event.playback.id for event in events] == [str(n) for n in range(5000)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"type":"StasisStart"',
        b'{"type":"StasisStart","channel":5}',
        b'{"type":"StasisStart","channel":{"id":7}}',
        b'{"type":"StasisStart","channel":{"id":"\xff"}}',
        b'{"type":"ChannelDestroyed","cause":1e400,"channel":{"id":"c"}}',
        b'{"type":"ChannelDestroyed","cause":' + b"9" * 5000 + b',"channel":{"id":"c"}}',
        b'{"type":"ChannelDestroyed","cause":99999999999,"channel":{"id":"c"}}',
        b'{"type":"RESTResponse","request_id":3,"status_code":"x"}',
        b'{"type":"StasisEnd","deep":' + b"[" * 100_000,
        b'{"type":{}}',
    ],
)
async def test_garbage_is_counted_and_dropped(
    ari: AriClient,
    asterisk: FakeAsterisk,
    events: list[AnyEvent],
    frame: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = await asterisk.lines.get()
    await line.raw(frame)
    await line.raw(frame, WSMsgType.BINARY)
    assert (await ari.request("GET", "channels")).status == 200
    assert ari.stats.malformed == 2
    assert events == []
    assert ari.ready
    logged = capsys.readouterr().out
    assert "ari.malformed_frame" in logged
    assert "StasisStart" not in logged


async def test_a_frame_beyond_all_bounds_costs_the_connection_not_the_memory(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    tight = dataclasses.replace(settings, max_frame_bytes=100_000)
    async with AriClient(tight, ignore, clock=clock) as ari:
        await ari.wait_ready(5)
        await (await asterisk.lines.get()).raw(b'{"type":"' + b"x" * 200_000)
        await ready_again(ari, clock)
        assert ari.stats.drops == 1


async def test_a_ping_of_asterisks_own_is_answered(ari: AriClient, asterisk: FakeAsterisk) -> None:
    line = await asterisk.lines.get()
    await line.websocket.ping(b"WS_CLIENT_PING")
    await line.ponged.wait()
    assert line.pongs == [b"WS_CLIENT_PING"]


async def test_displaced_it_says_so_and_does_not_fight(
    ari: AriClient,
    asterisk: FakeAsterisk,
    clock: HandClock,
    events: list[AnyEvent],
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = await asterisk.lines.get()
    asterisk.reply = lambda asked: SILENCE
    waiting = ari.send("GET", "channels")
    await line.event("ApplicationReplaced")
    with pytest.raises(AriUnavailable, match="another engine"):
        await waiting
    wait = await clock.armed(30, 60)
    assert not ari.ready
    assert ari.problem is not None
    assert "'flowengine'" in ari.problem
    assert "an application of its own" in ari.problem
    assert [type(event).__name__ for event in events] == ["ApplicationReplaced"]
    assert "ari.displaced" in capsys.readouterr().out

    attempts = asterisk.attempts.qsize()
    clock.advance(wait - 0.1)
    assert asterisk.attempts.qsize() == attempts
    asterisk.reply = lambda asked: Reply()
    clock.advance(0.2)
    await ari.wait_ready(5)
    line = await asterisk.lines.get()
    await line.event("ApplicationReplaced")
    await clock.armed(60.001, 120)  # the second stay is longer
    assert ari.stats.displaced == 2


def test_waits_double_up_to_the_cap_and_are_shortened_by_chance() -> None:
    backoff = Backoff(0.25, 10.0, random.Random(7))
    waits = [backoff.next() for _ in range(10)]
    for wait, longest in zip(waits, [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == 10
    again = Backoff(0.25, 10.0, random.Random(7))
    assert [again.next() for _ in range(10)] == waits
    backoff.reset()
    assert backoff.next() <= 0.25


async def test_a_line_that_stood_long_comes_back_quickly_a_flapping_one_slowly(
    ari: AriClient, asterisk: FakeAsterisk, clock: HandClock
) -> None:
    for longest in (0.25, 0.5, 1.0):
        (await asterisk.lines.get()).drop()
        await ready_again(ari, clock, (longest / 2, longest))
    line = await asterisk.lines.get()
    clock.advance(5)
    await ari.request("GET", "channels")
    clock.advance(5)
    line.drop()
    await ready_again(ari, clock)


async def test_a_fault_of_our_own_costs_one_connection(
    ari: AriClient,
    asterisk: FakeAsterisk,
    clock: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def faulty(raw: bytes) -> None:
        raise RuntimeError(f"cannot read {raw!r}")

    line = await asterisk.lines.get()
    with monkeypatch.context() as patch:
        patch.setattr("flowengine.ari.connection.decode", faulty)
        await line.event("StasisEnd", channel={"id": "c1", "caller": {"number": "0312345678"}})
        await clock.armed(*RECONNECT)
    await ready_again(ari, clock)
    logged = capsys.readouterr().out
    assert "ari.connection_fault" in logged
    assert "0312345678" not in logged


async def test_a_fault_of_our_own_in_connecting_does_not_end_the_trying(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_: object) -> None:
        raise KeyError("surprise")

    with monkeypatch.context() as patch:
        patch.setattr("flowengine.ari.link.open_websocket", faulty)
        async with AriClient(settings, ignore, clock=clock) as ari:
            await clock.armed(*RECONNECT)
            assert ari.problem == "connecting met a fault in this engine: KeyError"
            patch.undo()
            await ready_again(ari, clock)


async def test_without_a_start_there_is_a_clear_answer(settings: AriSettings) -> None:
    ari = AriClient(settings, ignore)
    with pytest.raises(AriUnavailable, match="not started"):
        await ari.request("GET", "channels")
    await ari.close()


async def test_a_late_probe_answer_harms_nothing(
    asterisk: FakeAsterisk, settings: AriSettings, clock: HandClock
) -> None:
    def slow_to_ping(asked: Asked) -> Reply | None:
        return SILENCE if asked.path == "asterisk/ping" else Reply()

    asterisk.reply = slow_to_ping
    async with AriClient(settings, ignore, clock=clock) as ari:
        probe = await asterisk.next_asked("asterisk/ping")
        clock.advance(await clock.armed(2, 2))
        await ari.wait_ready(5)
        assert ari.transport == "http"
        await (await asterisk.lines.get()).answer(probe, Reply())
        assert (await ari.request("GET", "channels")).status == 200
