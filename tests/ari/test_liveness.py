"""Whether an Asterisk lives: what counts as a proof of life, and what as one of death."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.ari.client import AriResponse, AriUnavailable, Over
from flowengine.ari.errors import AriError
from flowengine.ari.liveness import (
    LOST_AFTER_S,
    SILENT_AFTER_S,
    Life,
    LifeWatch,
    Restarted,
    SameLife,
    Unknown,
)
from flowengine.ari.rest import Method, QueryValue
from flowengine.ari.witness import instant_of

SECOND = 1_000_000
NOW = 1_795_000_000 * SECOND
STARTED = "2026-11-21T21:31:22.245+0000"
AGAIN = "2026-11-21T21:40:00.000+0000"


def seconds(count: float) -> int:
    return NOW + round(count * SECOND)


def life() -> Life:
    """A life heard of at second 0."""
    begun = Life()
    begun.connected(STARTED, NOW, "one")
    return begun


def watched(of: Life, until: float, first: float = 1) -> int | None:
    """Look once a second; what the last look says."""
    said = None
    for second in range(round(first), round(until) + 1):
        said = of.lost_since(seconds(second))
    return said


def test_an_asterisk_never_heard_of_is_not_lost() -> None:
    assert Life().lost_since(NOW) is None


def test_the_first_meeting_says_when_it_started() -> None:
    assert Life().connected(STARTED, NOW) == Unknown(instant_of(STARTED))


def test_the_same_start_is_the_same_life() -> None:
    assert life().connected(STARTED, seconds(50), "one") == SameLife()


def test_another_start_is_another_life_and_the_first_ended_when_last_heard() -> None:
    before = life()
    before.heard(seconds(7))
    assert before.connected(AGAIN, seconds(20), "one") == Restarted(seconds(7), instant_of(AGAIN))
    assert before.connected(AGAIN, seconds(21), "one") == SameLife()


def test_another_machine_at_the_same_address_is_another_life() -> None:
    assert isinstance(life().connected(STARTED, seconds(5), "two"), Restarted)


def test_where_nobody_listens_it_is_lost_after_ten_seconds() -> None:
    dead = life()
    dead.heard(seconds(3))
    dead.refused()
    assert watched(dead, 3 + LOST_AFTER_S - 1) is None
    assert watched(dead, 3 + LOST_AFTER_S, 3 + LOST_AFTER_S) == seconds(3)


def test_silence_alone_is_not_taken_for_death_so_soon() -> None:
    silent = life()
    assert watched(silent, SILENT_AFTER_S - 1) is None
    assert watched(silent, SILENT_AFTER_S, SILENT_AFTER_S) == NOW


def test_how_long_to_wait_can_be_chosen() -> None:
    silent = Life(silent_after_s=10)
    silent.connected(STARTED, NOW)
    assert watched(silent, 9) is None
    assert watched(silent, 10, 10) == NOW


def test_five_seconds_of_silence_are_nothing() -> None:
    paused = life()
    assert watched(paused, 5) is None
    paused.heard(seconds(5))
    assert watched(paused, 14, 6) is None


def test_whoever_is_heard_again_listens_again() -> None:
    back = life()
    back.refused()
    back.heard(seconds(9))
    assert watched(back, 30) is None


def test_what_is_heard_late_does_not_turn_time_back() -> None:
    late = life()
    late.heard(seconds(5))
    late.heard(seconds(2))
    assert late.last_heard == seconds(5)


def test_an_engine_that_stood_still_does_not_take_its_deafness_for_death() -> None:
    deaf = life()
    deaf.refused()
    assert watched(deaf, 2) is None
    assert deaf.lost_since(seconds(60)) is None
    assert watched(deaf, 69, 61) is None
    assert watched(deaf, 70, 70) == NOW  # and then the loss is as old as the last proof


def test_an_engine_that_has_just_started_waits_before_it_judges() -> None:
    earlier = Life()
    earlier.heard(NOW)  # by the engine before this one, long ago
    earlier.refused()
    assert watched(earlier, 1_009, 1_000) is None
    assert watched(earlier, 1_010, 1_010) == NOW


@given(st.lists(st.tuples(st.integers(0, 40 * SECOND), st.sampled_from(["heard", "refused", "look"]))))
def test_a_loss_is_never_told_within_ten_seconds_of_a_sign_and_never_dated_after_it(
    history: list[tuple[int, str]],
) -> None:
    now, sign, any_life = NOW, NOW, life()
    for pause, what in history:
        now += pause
        match what:
            case "heard":
                any_life.heard(now)
                sign = now
            case "refused":
                any_life.refused()
            case _:
                lost = any_life.lost_since(now)
                assert lost is None or (lost == sign and now - sign >= LOST_AFTER_S * SECOND)


def test_a_start_that_is_no_time_is_named() -> None:
    with pytest.raises(AriError, match="yesterday"):
        Life().connected("yesterday", NOW)


class Node:
    """An Asterisk that answers while `alive`; time passes by hand."""

    def __init__(self) -> None:
        self.ready = True
        self.alive = True
        self.started = STARTED
        self.at = NOW
        self.lost: list[int] = []
        self.asked = asyncio.Event()

    def now(self) -> int:
        return self.at

    def send(
        self,
        method: Method,
        path: str,
        query: Mapping[str, QueryValue] | None = None,
        *,
        lane: str = "",
        over: Over = "auto",
    ) -> "asyncio.Future[AriResponse]":
        self.asked.set()
        answer: asyncio.Future[AriResponse] = asyncio.get_running_loop().create_future()
        if self.alive:
            body = f'{{"status":{{"startup_time":"{self.started}"}}}}'
            answer.set_result(AriResponse(200, content=body))
        else:
            answer.set_exception(AriUnavailable("as wanted"))
        return answer


async def test_a_loss_is_told_once_and_the_next_one_again() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()  # a port where nobody listens
    node = Node()
    watch = LifeWatch(node, f"http://127.0.0.1:{port}", Life(), node, node.lost.append)
    assert isinstance(await watch.greet(node), Unknown)
    await watch.look()
    for restarts in (1, 2):
        died = node.at
        node.ready = node.alive = False
        for _ in range(15):
            node.at += SECOND
            await watch.look()
        assert len(node.lost) == restarts
        assert node.lost[-1] == died
        node.ready = node.alive = True
        node.started = AGAIN.replace("40", f"4{restarts}")
        assert isinstance(await watch.greet(node), Restarted)


async def test_a_connected_asterisk_that_answers_nothing_is_silent_and_not_gone() -> None:
    node = Node()
    watch = LifeWatch(node, "http://127.0.0.1:9", Life(), node, node.lost.append)
    await watch.greet(node)
    node.alive = False
    for _ in range(round(SILENT_AFTER_S) - 1):
        node.at += SECOND
        await watch.look()
    assert node.lost == []
    node.at += SECOND
    await watch.look()
    assert node.lost == [NOW]


async def test_a_door_that_opens_is_no_proof_of_life_nor_of_death() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1")
    async with server:
        node = Node()
        port = server.sockets[0].getsockname()[1]
        watch = LifeWatch(node, f"http://127.0.0.1:{port}", Life(), node, node.lost.append)
        await watch.greet(node)
        node.ready = False
        for _ in range(30):
            node.at += SECOND
            await watch.look()
    assert node.lost == []


async def test_it_keeps_looking_until_cancelled() -> None:
    node = Node()
    watch = LifeWatch(node, "http://127.0.0.1:9", Life(), node, node.lost.append)
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(2):
        await node.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
