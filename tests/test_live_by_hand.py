"""What an operator does by hand over HTTP: agents told, recordings paused, calls ended; and the alarms they see."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from flowengine.call.commands import AgentTaken, OfferAgents
from flowengine.call.events import SECOND
from flowengine.flow.document import UserTransfer
from flowengine.live.client import (
    Refused,
    hang_up,
    look,
    tell_recording,
)
from simulator.phones import Behaviour, Wait, seconds
from tests.call.driving import announcement, flow
from tests.live_served import HEADERS, Served, serving
from tests.live_world import LiveWorld, in_virtual_time
from tests.test_live import pictured


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as served:
        yield served


# Agents by hand


async def test_an_agent_is_paused_signed_out_and_in(here: Served) -> None:
    for wish, state, reason in (
        ("pause", "paused", "by_hand"),
        ("leave", "offline", "signed_out"),
        ("work", "available", ""),
    ):
        with capture_logs() as logs:
            status, agent = await here.ask("/live/agents/acc_1/hanako", "POST", json={"wish": wish})
        assert (status, agent["state"], agent["reason"], agent["wish"]) == (200, state, reason, wish)
        assert here.desk.agent("acc_1", "hanako").state == state
        assert [(log["user"], log["wish"]) for log in logs] == [("hanako", wish)]


async def test_what_takes_effect_after_the_call_is_shown_at_once(here: Served) -> None:
    here.desk.perform("acc_1", "cal_1", OfferAgents("ask-1", "user", "hanako"), 7 * SECOND)
    here.desk.perform("acc_1", "cal_1", AgentTaken("hanako"), 7 * SECOND)
    status, agent = await here.ask("/live/agents/acc_1/hanako", "POST", json={"wish": "pause"})
    assert (status, agent["state"], agent["wish"]) == (200, "talking", "pause")
    shown = here.picture.agent("acc_1", "hanako")
    assert shown is not None
    assert shown.wish == "pause"


@pytest.mark.parametrize(
    "body",
    [
        '{"wish": "sleep"}',
        '{"wish": 1}',
        "{}",
        "",
        "wish=work",
        '["work"]',
        '{"wish": "work", "more": 1}',
        "\udc80",
    ],
)
async def test_a_wish_that_is_none_is_answered_with_those_there_are(here: Served, body: str) -> None:
    data = body.encode("utf-8", "surrogateescape")
    status, answer = await here.ask("/live/agents/acc_1/hanako", "POST", data=data)
    assert (status, answer["code"]) == (400, "no_wish")
    for wish in ("work", "pause", "leave"):
        assert wish in answer["title"]
    assert here.desk.agent("acc_1", "hanako").state == "available"


@pytest.mark.parametrize("where", ["acc_1/nobody", "acc_2/hanako", "acc_1/%20"])
async def test_an_unknown_agent_is_named(here: Served, where: str) -> None:
    status, answer = await here.ask(f"/live/agents/{where}", "POST", json={"wish": "work"})
    assert (status, answer["code"]) == (404, "unknown_agent")
    assert where.partition("/")[0] in answer["title"]


# Calls by hand


async def test_a_recording_is_paused_and_resumed_and_a_call_ended(here: Served) -> None:
    asked: list[tuple[str, str, dict[str, Any], str]] = [
        ("POST", "/recording", {"json": {"paused": True}}, "pause"),
        ("POST", "/recording", {"json": {"paused": False}}, "resume"),
        ("DELETE", "", {}, "hang_up"),
    ]
    for method, path, how, told in asked:
        with capture_logs() as logs:
            status, body = await here.ask(f"/live/calls/cal_1{path}", method, **how)
        assert (status, body) == (200, {"call": "cal_1", "told": told})
        assert here.told[-1] == ("cal_1", told)
        assert [log["call"] for log in logs] == ["cal_1"]


@pytest.mark.parametrize(
    "body", ["", "{}", '{"paused": "yes"}', '{"paused": 1}', '{"paused": true, "x": 1}', "[]"]
)
async def test_what_is_no_pause_is_answered_with_those_there_are(here: Served, body: str) -> None:
    status, answer = await here.ask("/live/calls/cal_1/recording", "POST", data=body)
    assert (status, answer["code"]) == (400, "no_pause")
    assert '{"paused": true}' in answer["title"]
    assert here.told == []


@pytest.mark.parametrize("call", ["cal_2", "a%2Fb", "%20"])
async def test_a_call_that_does_not_run_is_named(here: Served, call: str) -> None:
    for method, path in (("POST", "/recording"), ("DELETE", "")):
        where = URL(f"{here.address}/live/calls/{call}{path}", encoded=True)
        async with (
            aiohttp.ClientSession(headers=HEADERS) as session,
            session.request(method, where, json={"paused": True}) as response,
        ):
            answer = await response.json(content_type=None)
        assert (response.status, answer["code"]) == (404, "unknown_call")
        assert unquote(call) in answer["title"]
    assert here.told == []


async def test_the_client_tells_calls(here: Served) -> None:
    await tell_recording(here.settings, "cal_1", paused=True)
    await hang_up(here.settings, "cal_1")
    assert here.told == [("cal_1", "pause"), ("cal_1", "hang_up")]
    with pytest.raises(Refused, match="no call cal_9 is running here"):
        await hang_up(here.settings, "cal_9")


# Alarms


async def test_alarms_are_shown_as_long_as_they_stand(here: Served) -> None:
    here.alarms.raise_("recordings_library", "/srv/recordings: gone; mount it")
    assert (await here.ask("/live"))[1]["alarms"] == {"recordings_library": "/srv/recordings: gone; mount it"}
    assert (await look(here.settings)).alarms["recordings_library"].startswith("/srv/recordings")
    async with here.following() as socket:
        assert "recordings_library" in (await socket.receive_json(timeout=5))["about"]["alarms"]
    here.alarms.clear("recordings_library")
    assert (await look(here.settings)).alarms == {}


# A pause in the picture


def test_a_pause_is_shown_until_it_is_taken_back_or_the_call_goes_on() -> None:
    async def main() -> None:
        first = UserTransfer(user="hanako", record=True, ring_timeout_s=5, connections={"timeout": "then"})
        live = LiveWorld(
            flow(ring=first, then=announcement("Nobody")),
            {"hanako": Behaviour(answers_after_us=seconds(60))},
        )
        picture = pictured(live)
        live.call(Wait(seconds(3_600)))
        await asyncio.sleep(1)

        def shown() -> tuple[str, bool]:
            [call] = picture.snapshot().calls
            return call.state, call.paused

        for paused in (True, False, True):
            assert live.engine.pause_recording("cal_1", paused=paused)
            await asyncio.sleep(0.1)
            assert shown() == ("ring", paused)
        seen = [shown()]
        while seen[-1][0] == "ring":
            await asyncio.sleep(0.05)
            seen.append(shown())
        assert set(seen) == {("ring", True), ("then", False)}
        await live.over()

    in_virtual_time(main())
