"""The Asterisk that demo and tests run on: it starts, talks ARI, carries calls with audio and digits, and ends."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from flowengine.ari.node import AsteriskNode, NodeError, SipUser, local_settings
from tests.asterisk.node import BareApp, running_node
from tests.asterisk.sip import (
    AgentPhone,
    Answers,
    Caller,
    Rejects,
    Rings,
    cancel,
    dominant_hz,
    hang_up,
    is_silent,
    press,
    read_wav,
    seconds_of_tone,
    speak,
    tone,
    tone_power,
    wait,
    write_wav,
)

NUMBER = "+81312345678"


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    """A prompt that is recognised when heard: one second of 600 Hz."""
    write_wav(tmp_path / "prompt.wav", tone(600, 1.0))
    return f"sound:{tmp_path}/prompt"


async def test_ari_answers_and_tells_its_version(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app:
        info = await app.call("GET", "asterisk/info")
    assert int(info["system"]["version"].split(".")[0]) >= 20


async def test_ari_wants_the_password(node: AsteriskNode) -> None:
    wrong = {"Authorization": aiohttp.encode_basic_auth("flowengine", "wrong")}
    async with (
        aiohttp.ClientSession(headers=wrong) as http,
        http.get(f"{node.settings.ari_url}/ari/asterisk/info") as answer,
    ):
        assert answer.status == 401


async def test_a_caller_hears_a_prompt_and_presses_keys(node: AsteriskNode, prompt: str) -> None:
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port) as caller:
        start = await app.event("StasisStart")
        channel = start["channel"]["id"]
        assert start["args"] == [NUMBER]
        await app.call("POST", f"channels/{channel}/ring")
        await caller.ringing()
        await app.call("POST", f"channels/{channel}/answer")
        await caller.answered()
        await app.call("POST", f"channels/{channel}/play/p1", media=prompt)
        await app.event("PlaybackFinished")
        await caller.press("1#*")
        digits = await app.until(
            lambda: (d := [e["digit"] for e in app.events if e["type"] == "ChannelDtmfReceived"])[2:] and d,
            within=3,
            what="three digits",
        )
        assert digits == ["1", "#", "*"]
        await app.call("DELETE", f"channels/{channel}", reason_code=16)
        outcome = await caller.ended()

    assert (outcome.status, outcome.ended_by, outcome.cause) == (200, "switch", 16)
    assert outcome.ringing_at is not None
    assert outcome.answered_at is not None
    assert 0 <= outcome.ringing_at <= outcome.answered_at < outcome.ended_at
    assert seconds_of_tone(outcome.heard, 600) == pytest.approx(1.0, abs=0.25)
    assert dominant_hz(outcome.heard) == pytest.approx(600, abs=10)
    assert tone_power(outcome.heard, 600) > 0.9
    assert tone_power(outcome.heard, 1000) < 0.05


async def test_asterisk_records_what_a_caller_says(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port) as caller:
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/answer")
        await caller.answered()
        await app.call("POST", f"channels/{channel}/record", name="message-1", format="wav", terminateOn="#")
        await app.event("RecordingStarted")
        await caller.speak(1000, 1.0)
        await caller.press("#")
        await app.event("RecordingFinished")
        await caller.hang_up()
        outcome = await caller.ended()
    recording = read_wav(node.settings.spool / "recording" / "message-1.wav")
    assert seconds_of_tone(recording, 1000) == pytest.approx(1.0, abs=0.25)
    assert is_silent(outcome.heard)
    assert outcome.ended_by == "caller"


async def test_a_script_plays_a_whole_call(node: AsteriskNode) -> None:
    caller = Caller(NUMBER, node.settings.sip_port)
    async with BareApp(node.settings) as app:
        call = asyncio.create_task(caller.run(wait(0.2), press("12"), speak(800, 0.3), hang_up()))
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/answer")
        await app.event("ChannelDtmfReceived", digit="2")
        await app.event("StasisEnd")
        outcome = await call
    assert outcome.status == 200
    assert outcome.ended_by == "caller"
    assert outcome.ended_at > 0.8


async def test_a_caller_who_gives_up_while_it_rings(node: AsteriskNode) -> None:
    caller = Caller(NUMBER, node.settings.sip_port)
    async with BareApp(node.settings) as app:
        call = asyncio.create_task(caller.run(wait(0.5), cancel()))
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/ring")
        await app.event("StasisEnd")
        outcome = await call
    assert (outcome.status, outcome.answered_at, outcome.ended_by) == (487, None, "caller")
    assert outcome.ended_at >= 0.5


async def test_a_refused_call_leaves_with_the_status_of_its_cause(node: AsteriskNode) -> None:
    caller = Caller(NUMBER, node.settings.sip_port)
    async with BareApp(node.settings) as app:
        call = asyncio.create_task(caller.run())
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("DELETE", f"channels/{channel}", reason_code=1)
        outcome = await call
    assert (outcome.status, outcome.cause) == (404, 1)


async def test_without_an_engine_the_carrier_is_sent_elsewhere(node: AsteriskNode) -> None:
    outcome = await Caller(NUMBER, node.settings.sip_port).run()
    assert (outcome.status, outcome.cause) == (503, 42)


async def test_the_witness_writes_down_every_end(node: AsteriskNode) -> None:
    caller = Caller(NUMBER, node.settings.sip_port)
    async with BareApp(node.settings) as app:
        call = asyncio.create_task(caller.run())
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("DELETE", f"channels/{channel}", reason_code=17)
        await call
        await app.until(lambda: f" {channel} " in _text(node.settings.ended_log), within=5, what="witness")
    at, _, cause = next(
        line for line in _text(node.settings.ended_log).splitlines() if channel in line
    ).split()
    assert float(at) > 1_600_000_000
    assert cause == "17"


async def test_an_agent_registers_answers_and_talks_with_the_caller(node: AsteriskNode) -> None:
    port = node.settings.sip_port
    agent = AgentPhone("hanako", port, Answers(0.3, speaks_hz=500), password="hanako-secret")
    async with BareApp(node.settings) as app, agent, Caller(NUMBER, port) as caller:
        inbound = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{inbound}/answer")
        await app.call("POST", "channels/leg-2", endpoint="PJSIP/hanako", app="flowengine", callerId=NUMBER)
        rung = await agent.rings()
        assert NUMBER in rung.caller
        await app.until(
            lambda: any(e["type"] == "StasisStart" and e["channel"]["id"] == "leg-2" for e in app.events),
            within=5,
            what="second leg",
        )
        await app.call("POST", "bridges/b1", type="mixing")
        await app.call("POST", "bridges/b1/addChannel", channel=f"{inbound},leg-2")
        await caller.speak(900, 1.0)
        await caller.hears(500)
        agent.hang_up()
        await app.event("ChannelLeftBridge")
        await agent.until(lambda: rung.ended_at is not None)
        await app.call("DELETE", f"channels/{inbound}")
        await app.call("DELETE", "bridges/b1")
        await caller.ended()
    assert rung.ended_by == "agent"
    assert rung.answered_at is not None
    assert rung.answered_at - rung.rang_at == pytest.approx(0.3, abs=0.25)
    assert seconds_of_tone(agent.heard, 900) > 0.7


async def test_an_agent_who_rejects_and_one_who_only_rings(node: AsteriskNode) -> None:
    port = node.settings.sip_port
    busy = AgentPhone("taro", port, Rejects(486), password="taro-secret")
    away = AgentPhone("yuki", port, Rings(), password="yuki-secret")
    async with BareApp(node.settings) as app, busy, away:
        await app.call("POST", "channels/to-taro", endpoint="PJSIP/taro", app="flowengine")
        await app.call("POST", "channels/to-yuki", endpoint="PJSIP/yuki", app="flowengine")
        await app.event("ChannelDestroyed", cause=17)
        await busy.until(lambda: busy.calls[0].rejected_at is not None)
        ringing = await away.rings()
        await app.call("DELETE", "channels/to-yuki", reason="answered_elsewhere")
        await away.until(lambda: ringing.cancelled_at is not None)
    assert "completed elsewhere" in ringing.cancel_reason  # or each phone shows a missed call
    assert ringing.answered_at is None


async def test_a_phone_with_a_wrong_password_is_refused(node: AsteriskNode) -> None:
    with pytest.raises(AssertionError, match="401"):
        async with AgentPhone("hanako", node.settings.sip_port, password="wrong"):
            pytest.fail("registered with a wrong password")


async def test_a_static_contact_is_called_without_registration(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app, AgentPhone("desk", node.settings.sip_port) as phone:
        await app.call("POST", "channels/to-desk", endpoint=f"PJSIP/trunk/{phone.contact}", app="flowengine")
        await phone.until(lambda: bool(phone.calls) and phone.calls[0].answered_at is not None)
        await app.call("DELETE", "channels/to-desk")
        await phone.until(lambda: phone.calls[0].ended_at is not None)
    assert phone.calls[0].ended_by == "switch"


async def test_two_nodes_run_side_by_side_and_stop_without_a_trace() -> None:
    user = SipUser("solo", contact="sip:solo@127.0.0.1:5999")
    async with running_node(user, app="one") as one, running_node(app="two") as two:
        assert "solo" in await one.cli("pjsip show endpoints")
        assert "solo" not in await two.cli("pjsip show endpoints")
        async with (
            BareApp(one.settings) as app_one,
            BareApp(two.settings) as app_two,
            Caller("100", one.settings.sip_port) as caller,
        ):
            await app_one.event("StasisStart")
            assert app_two.events == []
            await caller.cancel()
            await caller.ended()
        pids = [one.pid, two.pid]
        folders = [one.settings.directory, two.settings.directory]
    for pid, folder in zip(pids, folders, strict=True):
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not folder.exists()


async def test_a_setting_that_breaks_out_of_its_line_is_refused(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    for bad, message in (
        (replace(settings, app="x\nload = app_system.so"), "app: use 1 to 64"),
        (replace(settings, ari_password="a;b"), "ari_password: use 1 to 128"),
        (replace(settings, sip_users=(SipUser("a]b"),)), "sip user 'a]b': use 1 to 64"),
        (replace(settings, directory=tmp_path / ("x" * 100)), "path is too long"),
    ):
        node = AsteriskNode(bad)
        with pytest.raises(NodeError, match=message):
            await node.start()
        assert node.pid is None


async def test_a_command_it_does_not_take_is_named(tmp_path: Path) -> None:
    node = AsteriskNode(local_settings(tmp_path))
    with pytest.raises(NodeError, match="core show channels"):
        await node.cli("core show channels")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
