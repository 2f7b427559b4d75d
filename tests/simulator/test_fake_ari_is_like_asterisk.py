"""The fake ARI against a real Asterisk: the same requests, the same telephones, and nothing may differ.

Every scenario is played on both at once. Held against each other are all answers (status, phrase, body) and all
events: the order for each thing they are about, and every field, but for ids and instants. Where the two differ, the
fake is wrong.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from flowengine.ari import witness
from simulator.sip.sound import tone, write_wav
from tests.simulator import fits
from tests.simulator.ari_app import App, Reply, about
from tests.simulator.twins import FakeTwin, RealTwin, Twin, fake_twin, real_twin

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

SETTLED_S: Final = 0.3
IGNORED: Final = ("ChannelVarset", "ChannelDialplan", "ChannelConnectedLine", "ChannelCallerId")
Scenario = Callable[[App, Twin, Path], Awaitable[None]]


async def arrived(app: App) -> str:
    """The id of the caller's channel."""
    event = await app.event("StasisStart")
    return str(event["channel"]["id"])


async def gone(app: App, leg: str) -> None:
    """Wait until nothing of a leg is left: Asterisk may take a moment longer than its events say."""
    said = len(app.replies)
    async with asyncio.timeout(5):
        while (await app.ask("GET", f"channels/{leg}")).status != 404:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.02)
    del app.replies[said:]


async def prompt_and_key(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150100") as caller:
        leg = await arrived(app)
        await app.ask("GET", f"channels/{leg}")
        await app.ask("POST", f"channels/{leg}/ring")
        await app.ask("DELETE", f"channels/{leg}/ring")
        await app.ask("POST", f"channels/{leg}/answer")
        await app.ask("POST", f"channels/{leg}/answer")
        await app.ask("GET", f"channels/{leg}")
        await app.ask("POST", f"channels/{leg}/play/p1", media=f"sound:{sounds}/two")
        await app.event("PlaybackStarted")
        await app.ask("GET", "playbacks/p1")
        await caller.press("5")
        await app.event("ChannelDtmfReceived")
        await app.ask("DELETE", "playbacks/p1")
        await app.event("PlaybackFinished")
        await app.ask("GET", "playbacks/p1")
        for _ in range(2):  # Asterisk plays both
            await app.ask("POST", f"channels/{leg}/play/twice", media=f"sound:{sounds}/half")
        await app.until(lambda: len(app.of("PlaybackFinished", id="twice")) == 2, "both ends")
        await app.ask("DELETE", f"channels/{leg}", reason_code=16)
        await app.event("StasisEnd")


async def caller_hangs_up_in_a_prompt(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150101") as caller:
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        await app.ask("POST", f"channels/{leg}/play/q1", media=f"sound:{sounds}/two")
        await app.event("PlaybackStarted")
        await app.ask("POST", f"channels/{leg}/play/q2", media=f"sound:{sounds}/two")
        await app.ask("GET", "playbacks/q2")
        await app.ask("POST", f"channels/{leg}/record", name="too-late", format="wav")
        await caller.hang_up()
        await app.event("StasisEnd")
        await gone(app, leg)
        await app.ask("POST", f"channels/{leg}/play/q3", media=f"sound:{sounds}/two")


async def caller_gives_up(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150102") as caller:
        await arrived(app)
        await caller.cancel()
        await app.event("StasisEnd")


async def sounds_that_are_not_there(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150103"):
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        for at, media in enumerate((f"sound:{sounds}/never", f"sound:{sounds}/wide", "tone:never", "sound:")):
            await app.ask("POST", f"channels/{leg}/play/m{at}", media=media)
            await app.event("PlaybackFinished", id=f"m{at}")
        for at, media in enumerate(("never:mind", "recording:never")):  # Asterisk never tells their end
            await app.ask("POST", f"channels/{leg}/play/n{at}", media=media)
            await app.event("PlaybackStarted", id=f"n{at}")
        await app.ask("POST", f"channels/{leg}/play/last", media="sound:")
        await app.event("PlaybackFinished", id="last")
        await app.ask("DELETE", f"channels/{leg}", reason="no_answer")
        await app.event("StasisEnd")


async def lists_and_pauses(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150104"):
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        await app.ask("POST", f"channels/{leg}/play/l1", media=f"sound:{sounds}/half,sound:{sounds}/two")
        await app.until(lambda: len(app.of("PlaybackStarted")) == 2, "the second sound")
        await app.ask("GET", "playbacks/l1")
        await app.ask("POST", "playbacks/l1/control", operation="pause")
        await app.ask("GET", "playbacks/l1")
        await app.ask("POST", "playbacks/l1/control", operation="pause")
        await app.ask("POST", "playbacks/l1/control", operation="forward")
        await app.ask("POST", "playbacks/l1/control", operation="unpause")
        await app.ask("POST", "playbacks/l1/control", operation="unpause")
        await app.ask("POST", "playbacks/l1/control", operation="never")
        await app.ask("POST", "playbacks/l1/control")
        await app.ask("DELETE", "playbacks/l1")
        await app.event("PlaybackFinished")
        await app.ask("POST", f"channels/{leg}/play/t1", media="tone:ring;tonezone=us")
        await app.event("PlaybackStarted", id="t1")
        await app.ask("POST", f"channels/{leg}/play/t2", media=f"sound:{sounds}/half")
        await app.ask("POST", "playbacks/t2/control", operation="pause")
        await app.ask("DELETE", "playbacks/t1")
        await app.event("PlaybackFinished", id="t2")
        await app.ask("DELETE", f"channels/{leg}")
        await app.event("StasisEnd")


async def recordings(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150105") as caller:
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        record = f"channels/{leg}/record"
        await app.ask("POST", record, name="r1", format="wav", terminateOn="#", maxSilenceSeconds=5)
        await app.event("RecordingStarted")
        await app.ask("GET", "recordings/live/r1")
        await app.ask("POST", record, name="r1", format="wav")
        await app.ask("POST", "bridges/b-rec")
        await app.ask("POST", "bridges/b-rec/addChannel", channel=leg)
        await app.ask("DELETE", "bridges/b-rec")
        await caller.speak(1.4)
        await caller.press("#")
        await app.event("RecordingFinished")
        await app.ask("GET", "recordings/live/r1")
        await app.ask("GET", "recordings/stored")
        await app.ask("GET", "recordings/stored/r1")
        await app.ask("POST", record, name="r1", format="wav")
        await app.ask("POST", "recordings/stored/r1/copy", destinationRecordingName="r2")
        await app.ask("POST", "recordings/stored/r1/copy", destinationRecordingName="r2")
        await app.ask("POST", "recordings/stored/never/copy", destinationRecordingName="r2")
        await app.ask("DELETE", "recordings/stored/r1")
        await app.ask("DELETE", "recordings/stored/r2")
        await app.ask("DELETE", "recordings/stored/r2")
        await app.ask("POST", record, name="r3", format="wav")
        await app.event("RecordingStarted", id="r3")
        await app.ask("POST", "recordings/live/r3/pause")
        await app.ask("GET", "recordings/live/r3")
        await app.ask("DELETE", "recordings/live/r3/pause")
        await app.ask("POST", "recordings/live/r3/mute")
        await app.ask("DELETE", "recordings/live/r3/mute")
        await app.ask("DELETE", "recordings/live/r3")
        await app.event("RecordingFinished", id="r3")
        await app.ask("GET", "recordings/stored")
        await app.ask("POST", f"channels/{leg}/play/busy", media=f"sound:{sounds}/two")
        await app.ask("POST", record, name="r4", format="wav", maxDurationSeconds=1)
        await app.ask("GET", "recordings/live/r4")
        await app.ask("POST", "recordings/live/r4/pause")
        await app.event("RecordingFinished", id="r4")
        await app.ask("DELETE", "recordings/stored/r4")
        for wrong in (
            {"ifExists": "never"},
            {"terminateOn": "never"},
            {"maxDurationSeconds": -1},
            {"maxSilenceSeconds": -1},
            {"format": "never"},
            {"name": ""},
            {"name": "../r5"},
        ):
            await app.ask("POST", record, **({"name": "r5", "format": "wav"} | wrong))
        await app.ask("POST", record, format="wav")
        await app.ask("POST", record, name="still", format="wav", maxSilenceSeconds=1)
        await app.event("RecordingFinished", id="still")
        await app.ask("DELETE", "recordings/stored/still")
        await app.ask("POST", record, name="r6", format="wav")
        await app.event("RecordingStarted", id="r6")
        await caller.hang_up()
        await app.event("StasisEnd")
        await app.ask("GET", "recordings/stored")
        await app.ask("DELETE", "recordings/stored/r6")


async def a_talk(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.telephone("hanako", 0.3, talks_s=2.5), twin.call("+8150106") as caller:
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        query = {"endpoint": "PJSIP/hanako", "app": app.name, "appArgs": "dialled,x", "timeout": 10}
        await app.ask("POST", "channels/o1", callerId='"Bob" <+1555>', originator=leg, **query)
        await app.ask("POST", "channels/o1", **query)
        await app.event("StasisStart", id="o1")
        await app.ask("GET", "channels/o1")
        await app.ask("POST", "bridges/b1", type="mixing", name="a talk")
        await app.ask("POST", "bridges/b1", type="mixing")
        await app.ask("GET", "bridges/b1")
        await app.ask("POST", "bridges/b1/addChannel", channel=leg)
        await app.ask("POST", "bridges/b1/addChannel", channel="o1")
        await app.ask("POST", f"channels/{leg}/record", name="not-here", format="wav")
        await app.event("RecordingFailed")
        await caller.press("1")
        await app.ask("POST", "bridges/b1/record", name="talk", format="wav")
        await app.event("RecordingStarted", id="talk")
        await caller.press("2")  # heard only because the bridge is recorded
        await app.event("ChannelDtmfReceived", digit="2")
        await app.ask("GET", "recordings/live/talk")
        await app.ask("GET", "bridges")
        await app.event("StasisEnd", id="o1")
        await gone(app, "o1")
        await app.ask("DELETE", "channels/o1")
        await caller.hang_up()
        await app.event("RecordingFinished", id="talk")
        await app.event("StasisEnd", id=leg)
        await app.ask("DELETE", "bridges/b1")
        await app.event("BridgeDestroyed")
        await app.ask("DELETE", "bridges/b1")
        await app.ask("DELETE", "recordings/stored/talk")


async def in_and_out_of_bridges(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150107") as caller:
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        await app.ask("POST", "bridges/b2", type="mixing,dtmf_events")
        await app.ask("POST", "bridges/b3", type="never")
        await app.ask("POST", "bridges/b4", type="holding")
        await app.ask("POST", "bridges/b2/addChannel", channel="never")
        await app.ask("POST", "bridges/b2/addChannel")
        await app.ask("POST", "bridges/never/addChannel", channel=leg)
        await app.ask("POST", "bridges/b2/removeChannel", channel=leg)
        await app.ask("POST", f"channels/{leg}/play/late", media=f"sound:{sounds}/half")
        await app.event("PlaybackStarted", id="late")
        await app.ask("POST", "bridges/b2/addChannel", channel=leg)  # waits for the prompt
        await app.ask("GET", "playbacks/late")
        await caller.press("7")
        await app.event("ChannelDtmfReceived")
        await app.ask("POST", "bridges/b2/removeChannel", channel=leg)
        await app.ask("POST", "bridges/b2/removeChannel", channel=leg)
        await app.ask("POST", "bridges/b4/addChannel", channel=leg)
        await app.ask("POST", "bridges/b2/moh")
        await app.ask("DELETE", "bridges/b2/moh")
        await app.ask("DELETE", "bridges/b2/moh")
        await app.ask("DELETE", "bridges/b4")
        await app.until(lambda: len(app.of("ChannelLeftBridge")) == 2, "leaving b4")
        await app.ask("DELETE", "bridges/b2")
        await app.ask("GET", "bridges")
        await app.ask("DELETE", f"channels/{leg}")
        await app.event("StasisEnd")


async def dialling_in_vain(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.telephone("taro", 486), twin.telephone("yuki", 603), twin.telephone("jiro", None):
        for name in ("taro", "yuki", "jiro"):
            await app.ask("POST", f"channels/to-{name}", endpoint=f"PJSIP/{name}", app=app.name, timeout=1)
            await app.event("ChannelDestroyed", id=f"to-{name}")
            await gone(app, f"to-{name}")
            await app.ask("GET", f"channels/to-{name}")
        await app.ask("POST", "channels/given-up", endpoint="PJSIP/jiro", app=app.name)
        await app.event("ChannelStateChange", id="given-up")
        await app.ask("POST", "channels/given-up/play", media=f"sound:{sounds}/half")
        await app.ask("POST", "channels/given-up/answer")
        await app.ask("POST", "bridges/b5")
        await app.ask("POST", "bridges/b5/addChannel", channel="given-up")
        await app.ask("DELETE", "bridges/b5")
        await app.ask("DELETE", "channels/given-up", reason="answered_elsewhere")
        await app.event("ChannelDestroyed", id="given-up")
        await app.ask("POST", "channels/declined", endpoint="PJSIP/jiro", app=app.name)
        await app.event("ChannelStateChange", id="declined")
        await app.ask("DELETE", "channels/declined", reason_code=17)
        await app.event("ChannelDestroyed", id="declined")


async def created_and_dialled(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.telephone("hanako", 0.3), twin.telephone("taro", 486), twin.telephone("jiro", None):
        for name, timeout in (("hanako", 5), ("taro", 5), ("jiro", 1)):
            id = f"made-{name}"
            await app.ask(
                "POST",
                "channels/create",
                endpoint=f"PJSIP/{name}",
                app=app.name,
                appArgs="zz",
                channelId=id,
            )
            await app.event("StasisStart", id=id)
            await app.ask("GET", f"channels/{id}")
            await app.ask("POST", f"channels/{id}/answer")
            await app.ask("POST", f"channels/{id}/dial", timeout=timeout)
            if name == "hanako":
                await app.event("Dial", dialstatus="ANSWER", id=id)
                await app.ask("GET", f"channels/{id}")
                await app.ask("POST", f"channels/{id}/dial")
                await app.ask("DELETE", f"channels/{id}")
            await app.event("ChannelDestroyed", id=id)


async def registrations(app: App, twin: Twin, sounds: Path) -> None:
    subscription = f"applications/{app.name}/subscription"
    await app.ask("POST", subscription, eventSource="deviceState:PJSIP/hanako,endpoint:PJSIP/hanako")
    await app.ask("POST", subscription, eventSource="endpoint:PJSIP")
    await app.ask("GET", "deviceStates/PJSIP%2Fhanako")
    async with twin.telephone("hanako", 0.3):
        await app.event("ContactStatusChange")
        await app.event("DeviceStateChanged", id="PJSIP/hanako")
        await app.ask("GET", "endpoints/PJSIP/hanako")
        await app.ask("GET", "deviceStates/PJSIP%2Fhanako")
        await app.ask("DELETE", subscription, eventSource="endpoint:PJSIP")
        await app.ask("DELETE", subscription, eventSource="endpoint:PJSIP/hanako")
        await app.ask("POST", "channels/dev", endpoint="PJSIP/hanako", app=app.name)
        await app.event("StasisStart", id="dev")
        await app.ask("GET", "deviceStates/PJSIP%2Fhanako")
        await app.ask("DELETE", "channels/dev")
        await app.until(lambda: len(app.of("DeviceStateChanged")) == 3, "three states")
    await app.until(lambda: len(app.of("DeviceStateChanged")) == 4, "four states")


async def back_to_the_dialplan(app: App, twin: Twin, sounds: Path) -> None:
    async with twin.call("+8150108"):
        leg = await arrived(app)
        await app.ask("POST", f"channels/{leg}/answer")
        for what in ("hold", "moh", "silence"):
            await app.ask("POST", f"channels/{leg}/{what}")
            await app.ask("DELETE", f"channels/{leg}/{what}")
        await app.ask("POST", f"channels/{leg}/mute", direction="both")
        await app.ask("DELETE", f"channels/{leg}/mute", direction="both")
        await app.ask("POST", f"channels/{leg}/mute")
        await app.ask("POST", f"channels/{leg}/mute", direction="never")
        await app.ask("POST", f"channels/{leg}/dtmf", dtmf="12")
        await app.ask("POST", f"channels/{leg}/dtmf")
        await app.ask("POST", f"channels/{leg}/dial")
        await app.ask("POST", f"channels/{leg}/variable", variable="X", value="1")
        await app.ask("POST", f"channels/{leg}/variables", body={"variables": {"A": "1", "B": "2"}})
        await app.ask("GET", f"channels/{leg}/variable", variable="X")
        await app.ask("GET", f"channels/{leg}/variable", variable="NEVER")
        await app.ask("GET", f"channels/{leg}/variable", variable="CALLERID(num)")
        await app.ask("GET", f"channels/{leg}/variable", variable="NEVER(num)")
        await app.ask("GET", f"channels/{leg}/variable")
        await app.ask("POST", f"channels/{leg}/variable", value="1")
        await app.ask("GET", f"channels/{leg}/variables", variables="A,B")
        await app.ask("POST", f"channels/{leg}/play")
        await app.ask("POST", f"channels/{leg}/play", media="")
        await app.ask("POST", f"channels/{leg}/play", media="sound:x", offsetms=-1)
        await app.ask("DELETE", f"channels/{leg}", reason="never")
        await app.ask("DELETE", f"channels/{leg}", reason_code="never")
        await app.ask("POST", f"channels/{leg}/continue")
        await app.event("StasisEnd")


async def refusals(app: App, twin: Twin, sounds: Path) -> None:
    # First of all, for a thread of Asterisk that has seen a 409 says 409 instead of 500 from then on.
    for endpoint in ("PJSIP/hanako", "PJSIP/nobody", "NEVER/x"):
        await app.ask("POST", "channels/x", endpoint=endpoint, app=app.name)
        await app.ask("POST", "channels/create", endpoint=endpoint, app=app.name)
    for query in (
        {},
        {"endpoint": "PJSIP/hanako"},
        {"endpoint": "hanako", "app": app.name},
        {"endpoint": "PJSIP/", "app": app.name},
        {"endpoint": "PJSIP/hanako", "app": app.name, "channelId": "x" * 150},
        {"endpoint": "PJSIP/hanako", "app": app.name, "originator": "a", "formats": "ulaw"},
    ):
        await app.ask("POST", "channels", **query)
    await app.ask("POST", "channels/create", app=app.name)
    for method, path in (
        *(("GET", f"channels/never{path}") for path in ("", "/rtp_statistics", "/variable?variable=X")),
        *(
            ("DELETE", f"channels/never{path}")
            for path in ("", "/ring", "/hold", "/moh", "/silence", "/mute")
        ),
        *(
            ("POST", f"channels/never/{path}")
            for path in (
                "answer",
                "ring",
                "play",
                "play/x",
                "record",
                "dtmf",
                "mute",
                "hold",
                "moh",
                "silence",
            )
        ),
        *(
            ("POST", f"channels/never/{path}")
            for path in ("continue", "dial", "progress", "variable?variable=X")
        ),
        ("GET", "bridges/never"),
        ("DELETE", "bridges/never"),
        *(
            ("POST", f"bridges/never/{path}")
            for path in ("addChannel", "removeChannel", "play", "record", "moh")
        ),
        *(("GET", path) for path in ("playbacks/never", "recordings/stored/never", "recordings/live/never")),
        *(
            ("DELETE", path)
            for path in ("playbacks/never", "recordings/stored/never", "recordings/live/never")
        ),
        ("GET", "recordings/stored/never/file"),
        *(("POST", f"recordings/live/never/{path}") for path in ("stop", "pause", "mute")),
        ("POST", "playbacks/never/control?operation=pause"),
        ("GET", "endpoints/PJSIP/nobody"),
        ("GET", "endpoints/NEVER"),
        ("GET", "endpoints/NEVER/x"),
        ("GET", "deviceStates"),
        ("GET", "deviceStates/PJSIP%2Fnobody"),
        ("PUT", "deviceStates/PJSIP%2Fx?deviceState=BUSY"),
        ("PUT", "deviceStates/Stasis:x?deviceState=BUSY"),
        ("PUT", "deviceStates/Stasis:x?deviceState=NEVER"),
        ("GET", "deviceStates"),
        ("DELETE", "deviceStates/Stasis:x"),
        ("GET", "applications/never"),
        ("POST", "applications/never/subscription?eventSource=endpoint:PJSIP"),
        *(
            (method, f"applications/{app.name}/subscription?eventSource={source}")
            for method in ("POST", "DELETE")
            for source in ("never", "never:x", "channel:never", "bridge:never", "endpoint:PJSIP/never", "")
        ),
        ("GET", "asterisk/variable"),
        ("GET", "asterisk/variable?variable=NEVER"),
        ("POST", "asterisk/variable?variable=X&value=1"),
        ("GET", "asterisk/variable?variable=X"),
        ("GET", "asterisk/info?only=never"),
        ("GET", "sounds/never"),
        ("GET", "never"),
        ("GET", "channels/"),
        ("PUT", "channels"),
        ("POST", "asterisk/ping"),
        ("OPTIONS", "asterisk/ping"),
        ("GET", "asterisk/ping/more"),
        ("GET", "api-docs/never.json"),
        ("GET", "asterisk"),
        ("POST", f"events/user/hello?application={app.name}"),
        ("POST", "events/user/hello?application=never"),
        ("POST", "events/user/hello"),
        ("POST", f"events/user/hello?application={app.name}&source=channel:never"),
    ):
        await app.ask(method, path)
    for raw in (b"{never", b"x" * 41_000):
        await app.ask("POST", "bridges", raw=raw)
    await app.ask("POST", "bridges", {"bridgeId": "by-body", "name": "x"})
    await app.ask("DELETE", "bridges/by-body")
    for body in ({"disallowed": [{"type": "StasisEnd"}]}, {"allowed": "x"}, {"allowed": [{"x": 1}]}, [1], {}):
        await app.ask("PUT", f"applications/{app.name}/eventFilter", body)
    await app.ask("PUT", "applications/never/eventFilter", {})


async def on_the_websocket(app: App, twin: Twin, sounds: Path) -> None:
    ask = '{"type":"RESTRequest","request_id":"1",'
    for frame in (
        ask + '"transaction_id":"t","method":"GET","uri":"channels/never"}',
        ask + '"method":"GET","uri":"/ari/channels"}',
        ask + '"method":"GET","uri":"ari/channels"}',
        '{"type":"RESTRequest","method":"GET","uri":"channels"}',
        ask + '"uri":"channels"}',
        ask + '"method":"GET"}',
        ask + '"method":"get","uri":"channels"}',
        ask + '"method":5,"uri":"channels"}',
        ask + '"method":"GET","uri":"never"}',
        ask + '"method":"POST","uri":"asterisk/ping"}',
        ask + '"method":"OPTIONS","uri":"asterisk/ping"}',
        ask + '"method":"GET","uri":"asterisk/ping/"}',
        ask + '"method":"GET","uri":"events?app=x"}',
        ask + '"method":"GET","uri":"channels?x=%zz"}',
        '{"type":"RESTRequest","request_id":10,"method":"GET","uri":"channels"}',
        '{"type":"Never","request_id":"9"}',
        '{"never":1}',
        "[]",
        "not json",
        '"x"',
        ask + '"method":"POST","uri":"bridges","content_type":"application/json","message_body":"{never"}',
        ask + '"method":"POST","uri":"bridges","query_strings":[{"name":"bridgeId","value":"qs"}]}',
        ask + '"method":"DELETE","uri":"bridges/qs"}',
        ask
        + '"method":"POST","uri":"bridges","content_type":"application/json",'
        + '"message_body":"{\\"bridgeId\\":\\"js\\"}"}',
        ask + '"method":"DELETE","uri":"bridges/js"}',
        ask
        + '"method":"POST","uri":"bridges","content_type":"application/x-www-form-urlencoded",'
        + '"message_body":"bridgeId=form&type=mixing"}',
        ask + '"method":"DELETE","uri":"bridges/form"}',
    ):
        await app.send(frame)


SCENARIOS: Final[tuple[Scenario, ...]] = (
    refusals,
    on_the_websocket,
    prompt_and_key,
    caller_hangs_up_in_a_prompt,
    caller_gives_up,
    sounds_that_are_not_there,
    lists_and_pauses,
    recordings,
    a_talk,
    in_and_out_of_bridges,
    dialling_in_vain,
    created_and_dialled,
    registrations,
    back_to_the_dialplan,
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of half a second and two seconds, and one that Asterisk cannot play."""
    folder = tmp_path_factory.mktemp("sounds")
    write_wav(folder / "half.wav", tone(500, 0.5))
    write_wav(folder / "two.wav", tone(500, 2.0))
    wide = bytearray((folder / "half.wav").read_bytes())
    wide[24:28] = (16_000).to_bytes(4, "little")
    (folder / "wide.wav").write_bytes(wide)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeTwin]:
    async with fake_twin() as twin:
        yield twin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[RealTwin]:
    async with real_twin() as twin:
        yield twin


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_nothing_differs(scenario: Scenario, fake: FakeTwin, real: RealTwin, sounds: Path) -> None:
    async with asyncio.TaskGroup() as both:
        playing = [both.create_task(play(scenario, twin, sounds)) for twin in (fake, real)]
    simulated, seen = (each.result() for each in playing)
    assert answers(simulated) == answers(seen)
    assert courses(simulated) == courses(seen)
    for event in (*simulated.events, *seen.events):
        fits.event(event)


async def play(scenario: Scenario, twin: Twin, sounds: Path) -> App:
    """Let a scenario run on one of the two; the application then has all that was said."""
    async with App(twin.url, twin.user, twin.password) as app:
        await app.ask(
            "PUT", f"applications/{app.name}/eventFilter", {"disallowed": [{"type": t} for t in IGNORED]}
        )
        try:
            await scenario(app, twin, sounds)
            await asyncio.sleep(SETTLED_S)
        finally:
            await sweep(app)
    return app


async def sweep(app: App) -> None:
    """Leave nothing to the next scenario, and no word of that in what was said."""
    said = len(app.replies)
    for kind, key in (("channels", "id"), ("bridges", "id"), ("recordings/stored", "name")):
        for each in (await app.ask("GET", kind)).body:
            await app.ask("DELETE", f"{kind}/{each[key]}")
    del app.replies[said:]


def answers(app: App) -> list[tuple[str, Reply]]:
    """All answers, in a form in which those of two switches can be held against each other."""
    names = Names(app)
    return [
        (names.plain(asked), Reply(reply.status, reply.reason, names.plain(_lasting(asked, reply.body))))
        for asked, reply in app.replies
    ]


def _lasting(asked: str, body: Any) -> Any:
    """Without what is true for a moment: whether a sound that was asked for has begun already, and which lines the
    witness has left among the recordings."""
    if asked.startswith("GET recordings/stored ") and isinstance(body, list):
        return [each for each in body if not each["name"].startswith(witness.PREFIX)]
    begins = asked.startswith("POST") and re.search(r"/(play|record)\b", asked)
    return {**body, "state": ""} if begins and isinstance(body, dict) else body


def courses(app: App) -> dict[str, list[Any]]:
    """All events, by what they are about; of one thing they come in one order."""
    names = Names(app)
    found: dict[str, list[Any]] = {}
    legs = {event["channel"]["id"] for event in app.events if "channel" in event}
    for event in app.events:
        kind = event["type"]
        if kind == "RESTResponse" or about(event).startswith(("Announcer/", "Recorder/", "PJSIP/trunk")):
            continue
        family = kind if kind in ("Dial", "ChannelStateChange") else kind[:8]  # told by threads of their own
        found.setdefault(names.plain(f"{about(event)} {family}"), []).append(
            names.plain(_steady(event, legs))
        )
    for about_dial in (each for name, each in found.items() if name.endswith(" Dial")):
        # Its beginning is told by the thread that dials, the rest by that of the telephone.
        about_dial.sort(key=lambda event: event["dialstatus"] != "")
    return dict(sorted(found.items()))


def _steady(event: dict[str, Any], legs: set[str]) -> dict[str, Any]:
    """Without what another thread of Asterisk may or may not have done yet."""
    if event["type"] == "Dial":  # told a moment before or after the change of state
        return {**event, "peer": {**event["peer"], "state": ""}}
    if event["type"] == "RecordingFinished" and event["recording"]["target_uri"].startswith("bridge:"):
        return {**event, "recording": {**event["recording"], "duration": 0}}  # as long as SIP telephones take
    if event["type"] == "ChannelLeftBridge":  # the recorder's own channel shows for a moment
        present = [leg for leg in event["bridge"]["channels"] if leg in legs]
        return {**event, "bridge": {**event["bridge"], "channels": present}}
    return event


class Names:
    """Takes out what must differ: ids and names by the switch, instants."""

    _RULES: Final = (
        (re.compile(r"[A-Za-z]+-(\d+-)?\d{10}\.\d+"), "LEG"),
        (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+0000"), "INSTANT"),
        (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
        (re.compile(r"\d+-\d+@127\.0\.0\.1"), "UUID"),
        (re.compile(r"(PJSIP/[a-z]+)-[0-9a-f]{8}"), r"\1-N"),
        (re.compile(r"sip:([a-z]+)@127\.0\.0\.1(:\d+)?"), r"sip:\1"),
        (re.compile(r"127\.0\.0\.1:\d+"), "HERE"),
        (re.compile(r"02(:[0-9a-f]{2}){5}"), "SWITCH"),
    )

    def __init__(self, app: App) -> None:
        self._app = app

    def plain(self, value: Any) -> Any:
        """The same without them."""
        match value:
            case str():
                for pattern, instead in self._RULES:
                    value = pattern.sub(instead, value)
                return value
            case dict():
                return {
                    name: sorted(each) if name == "endpoint_ids" else self.plain(each)
                    for name, each in value.items()
                }
            case list():
                return [self.plain(each) for each in value]
            case _:
                return value
