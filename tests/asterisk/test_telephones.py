"""Callers and phones on a real Asterisk, without the engine: what they do and hear is what they claim.

These tests keep the test peers honest; the engine's own tests on Asterisk then may lean on them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flowengine.ari.node import AsteriskNode
from simulator.sip import (
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
from tests.asterisk.node import BareApp

NUMBER = "+81312345678"


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    """A prompt that is recognised when heard: one second of 600 Hz."""
    write_wav(tmp_path / "prompt.wav", tone(600, 1.0))
    return f"sound:{tmp_path}/prompt"


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


async def test_ringing_tones_are_those_of_the_country(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port) as caller:
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/answer")
        await caller.answered()
        await app.call("POST", f"channels/{channel}/play/ring", media="tone:ring;tonezone=jp")
        await caller.hears(400)
        await caller.hang_up()
        await caller.ended()


async def test_a_mute_caller_still_presses_keys(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port, mute=True) as caller:
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/answer")
        await caller.answered()
        await caller.press("5")
        await app.event("ChannelDtmfReceived", digit="5")
        await caller.hang_up()
        await caller.ended()


async def test_a_caller_who_vanishes_leaves_the_channel(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app, Caller(NUMBER, node.settings.sip_port) as caller:
        channel = (await app.event("StasisStart"))["channel"]["id"]
        await app.call("POST", f"channels/{channel}/answer")
        await caller.answered()
        caller.vanish()
        with pytest.raises(TimeoutError, match="no StasisEnd"):
            await app.event("StasisEnd", within=1)
        await app.call("DELETE", f"channels/{channel}")
        await app.event("StasisEnd")
