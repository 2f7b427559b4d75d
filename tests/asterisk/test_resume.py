"""kill -9 of the engine with calls in every state on a real Asterisk: the next one carries all of them on.

Ten callers at once: in a prompt, in the silence of a menu, ringing, talking, in recorded talks, leaving messages, one
of them hanging up while no engine is there, and in a waiting line. Their telephones are SIPp, and hear whether
anything was dropped, cut or doubled.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from flowengine.ari.node import AsteriskNode, SipUser
from flowengine.config import Settings
from flowengine.publishing import apply_account
from flowengine.store import tables
from flowengine.store.database import open_database
from simulator.sip import AgentPhone, Answers, Caller, Outcome, seconds_of_tone
from simulator.sip.phone import Behaviour
from simulator.sip.sound import tone, write_wav
from tests.asterisk.engine_process import GO_ON, SERVING, EngineProcess
from tests.asterisk.node import running_node
from tests.contract.ari_rig import left_on, until

LONG_HZ, SHORT_HZ, BYE_HZ, MUSIC_HZ, NOTED_HZ = 500, 700, 1_500, 1_700, 900
VOICE_HZ, AGENT_HZ = 400.0, 1_100.0
LONG_S, SHORT_S, MUSIC_S = 6.0, 1.0, 10.0
AGENTS = ("talker", "ringer", "recorded", "apart", "wanted")
RESUMED_S = 5.0
"""The longest from the first line of the next engine's work until all calls go on."""


def audio(name: str) -> dict[str, str]:
    return {"audio": f"sounds/{name}.wav"}


def flow(start: str, **states: dict[str, Any]) -> dict[str, Any]:
    """A flow, with the announcements its exits lead to."""
    wanted = {target for state in states.values() for target in state["exits"].values()}
    for name in sorted(wanted - states.keys()):
        states[name] = {"type": "announcement", "prompt": audio(name), "exits": {}}
    return {
        "format": "flowengine/1",
        "name": start,
        "start": start,
        "goodbye": audio("bye"),
        "states": states,
    }


def transfer(user: str, **more: Any) -> dict[str, Any]:
    return {"type": "user_transfer", "user": user, "ring_timeout_s": 20, "exits": {"timeout": "bye"}, **more}


def menu(prompt: str) -> dict[str, Any]:
    exits = {"1": "noted", "timeout": "bye"}
    return {"type": "ivr", "prompt": audio(prompt), "timeout_s": 5, "exits": exits}


MAIL = {"type": "voicemail", "prompt": audio("short"), "max_duration_s": 60, "silence_s": 10, "exits": {}}
FLOWS: dict[str, dict[str, Any]] = {
    "prompt": flow("menu", menu=menu("long")),
    "silence": flow("menu", menu=menu("short")),
    "ringing": flow("boss", boss=transfer("ringer")),
    "talk": flow("boss", boss=transfer("talker")),
    "recorded": flow("boss", boss=transfer("recorded", record=True)),
    "apart": flow("boss", boss=transfer("apart", record=True, recording_sides="apart")),
    "message": flow("mail", mail=MAIL),
    "leaver": flow("mail", mail=MAIL),
    "busy": flow("boss", boss=transfer("wanted")),
    "line": flow(
        "boss",
        boss=transfer(
            "wanted", queue={"max_waiting": 5, "music": audio("music"), "music_cycles": 4, "notice": None}
        ),
    ),
}
NUMBERS = {name: f"+8150555501{at:02}" for at, name in enumerate(FLOWS, start=10)}


def account(folder: Path) -> Path:
    """The account, its flows and its sounds: tones that a test can tell apart."""
    (folder / "sounds").mkdir(parents=True)
    for name, hz, seconds in (
        ("long", LONG_HZ, LONG_S),
        ("short", SHORT_HZ, SHORT_S),
        ("bye", BYE_HZ, 1.0),
        ("music", MUSIC_HZ, MUSIC_S),
        ("noted", NOTED_HZ, 1.0),
    ):
        write_wav(folder / "sounds" / f"{name}.wav", tone(hz, seconds))
    for name, document in FLOWS.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    about = {"key": "resume", "name": "Resume", "country": "JP", "language": "en-US"}
    document = {
        "format": "flowengine-account/1",
        "account": about | {"time_zone": "Asia/Tokyo", "currency": "JPY"},
        "numbers": list(NUMBERS.values()),
        "users": {name: {"devices": [f"PJSIP/{name}"]} for name in AGENTS},
        "flows": {
            name: {"file": f"{name}.json", "numbers": [NUMBERS[name]], "publish": True} for name in FLOWS
        },
    }
    file = folder / "account.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


class Office:
    """An account on an Asterisk, with people, and engines that come and go."""

    def __init__(self, node: AsteriskNode, folder: Path, stack: AsyncExitStack) -> None:
        self.node = node
        self.folder = folder
        self.settings = Settings.model_validate({"data_dir": folder / "var", "switch": "asterisk"})
        self.engines: list[EngineProcess] = []
        self._stack = stack

    async def engine(self, **more: str) -> EngineProcess:
        """Start the next engine."""
        made = EngineProcess(self.node, self.folder, str(len(self.engines)), **more)
        self.engines.append(made)
        self._stack.push_async_callback(made.stop)
        await made.start()
        return made

    async def phone(self, user: str, behaviour: Behaviour) -> AgentPhone:
        phone = AgentPhone(user, self.node.settings.sip_port, behaviour, password=f"{user}-secret")
        return await self._stack.enter_async_context(phone)

    async def caller(self, name: str) -> Caller:
        caller = Caller(NUMBERS[name], self.node.settings.sip_port)
        return await self._stack.enter_async_context(caller)

    async def calls(self) -> dict[str, tables.Call]:
        """The calls by the name of their flow."""
        async with open_database(self.settings.database) as database, database.reading() as session:
            found = {call.number: call for call in await session.scalars(select(tables.Call))}
        names = {number: name for name, number in NUMBERS.items()}
        return {names[number]: call for number, call in found.items()}

    async def recordings(self) -> dict[str, tables.Recording]:
        """The recordings by the name of the flow of their call."""
        calls = await self.calls()
        names = {call.id: name for name, call in calls.items()}
        async with open_database(self.settings.database) as database, database.reading() as session:
            return {names[row.call_id]: row for row in await session.scalars(select(tables.Recording))}

    async def held(self) -> list[str]:
        """Agents that somebody still holds, places in line, and room."""
        async with open_database(self.settings.database) as database, database.reading() as session:
            agents = await session.scalars(
                select(tables.DeskAgent.user_name).where(tables.DeskAgent.call_id != "")
            )
            visits = await session.scalars(
                select(tables.LineVisit.call_id).where(tables.LineVisit.left_by.is_(None))
            )
            rooms = await session.scalars(select(tables.Hold.key))
            return [*agents, *visits, *rooms]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    users = tuple(SipUser(name, password=f"{name}-secret") for name in AGENTS)
    async with running_node(*users) as node, AsyncExitStack() as stack:
        made = Office(node, tmp_path, stack)
        await apply_account(made.settings, account(tmp_path / "account"))
        yield made


async def eventually(condition: Callable[[], Awaitable[object]], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.2)


async def nothing_left(office: Office) -> None:
    """Every call is closed, every recording home, nobody held, and Asterisk empty."""

    async def is_over() -> bool:
        rows = (await office.recordings()).values()
        calls = (await office.calls()).values()
        return all(call.disposition for call in calls) and all(row.status == "kept" for row in rows)

    await eventually(is_over)
    at = office.node.settings
    left = await left_on(at.ari_url, at.ari_user, at.ari_password)
    assert [each for each in left if not each.startswith("recordings/stored") or "cal_" in each] == []

    async def is_free() -> bool:
        return not await office.held()

    await eventually(is_free)
    assert [trouble for engine in office.engines for trouble in engine.troubles()] == []


def heard_throughout(outcome: Outcome, hz: float) -> bool:
    """Whether the other party was heard from the answer to the end. On a busy machine telephones stutter."""
    begins, ends = int(outcome.answered_at or 0) + 1, int(outcome.ended_at) - 1
    good = [seconds_of_tone(outcome.heard.part(at, at + 2), hz) > 0.3 for at in range(begins, ends - 1)]
    return len(good) > 2 and sum(good) >= 0.8 * len(good) and any(good[-3:])


def holds_all(recorded_ms: int, talked_s: float) -> bool:
    """Whether a recording goes from the answer to the end; a switch short of processor time leaves out some frames."""
    return 0.6 * talked_s <= recorded_ms / 1_000 <= talked_s + 1.5


@pytest.mark.timeout(180)
async def test_calls_in_every_state_go_on_after_kill_9(office: Office) -> None:
    first = await office.engine()
    talkers = {
        "talker": await office.phone("talker", Answers(0.1, speaks_hz=AGENT_HZ)),
        "recorded": await office.phone("recorded", Answers(0.1, speaks_hz=AGENT_HZ)),
        "apart": await office.phone("apart", Answers(0.1, speaks_hz=AGENT_HZ)),
        "wanted": await office.phone("wanted", Answers(0.1, hangs_up_after_s=None)),
        "ringer": await office.phone("ringer", Answers(9.0, speaks_hz=AGENT_HZ)),
    }
    await first.until(SERVING)
    await asyncio.sleep(1.0)  # all devices in reach
    names = ("talk", "recorded", "apart", "busy", "message", "leaver", "ringing", "silence")
    on = {name: await office.caller(name) for name in names}
    await asyncio.gather(*(on[name].answered() for name in ("talk", "recorded", "apart", "busy")))
    on["line"] = await office.caller("line")
    await on["silence"].answered()
    await asyncio.sleep(1.5)
    on["prompt"] = await office.caller("prompt")
    await on["prompt"].answered()
    for name in ("message", "leaver"):
        await on[name].hears(1_000, within=10)  # the tone before the message
    speaking = [
        asyncio.create_task(on[name].speak(VOICE_HZ, 30.0))
        for name in ("talk", "recorded", "apart", "message", "leaver")
    ]
    await asyncio.sleep(1.5)
    await first.kill()
    await asyncio.sleep(0.7)
    await on["leaver"].hang_up()
    await asyncio.sleep(0.3)

    second = await office.engine()
    took_s = await second.until(GO_ON)
    [told] = second.said(GO_ON)
    assert told["calls"] == 10
    assert told["took_s"] < RESUMED_S, took_s

    await asyncio.sleep(0.5)
    await on["prompt"].press("1")
    ended: dict[str, Outcome] = {"prompt": await on["prompt"].ended(within=15)}
    ended["silence"] = await on["silence"].ended(within=15)
    await on["ringing"].hears(AGENT_HZ, within=15)
    talkers["wanted"].hang_up(0)
    await until(lambda: len(talkers["wanted"].calls) == 2, 15)
    await asyncio.sleep(1.0)
    for task in speaking:
        task.cancel()
    for name in ("talk", "recorded", "apart", "message", "ringing", "line"):
        await on[name].hang_up()
    for name in on.keys() - ended.keys():
        ended[name] = await on[name].ended(within=15)
    await nothing_left(office)

    calls, recordings = await office.calls(), await office.recordings()
    ends = {name: (call.disposition, call.end_reason) for name, call in calls.items()}
    assert ends == {
        "prompt": ("self_served", "completed"),
        "silence": ("self_served", "completed"),
        "message": ("message", "caller_hung_up"),
        "leaver": ("message", "caller_hung_up"),
        "busy": ("answered", "completed"),
    } | dict.fromkeys(("ringing", "talk", "recorded", "apart", "line"), ("answered", "caller_hung_up"))
    assert {name: (call.record or {})["faults"] for name, call in calls.items()} == {
        name: [] for name in calls
    }
    # Nobody was dropped, and nothing was played twice or cut short.
    assert seconds_of_tone(ended["prompt"].heard, LONG_HZ) < LONG_S
    assert seconds_of_tone(ended["prompt"].heard, NOTED_HZ) == pytest.approx(1.0, abs=0.2)
    assert seconds_of_tone(ended["silence"].heard, SHORT_HZ) == pytest.approx(SHORT_S, abs=0.2)
    assert seconds_of_tone(ended["silence"].heard, BYE_HZ) == pytest.approx(1.0, abs=0.2)
    for name in ("talk", "recorded", "apart"):
        assert heard_throughout(ended[name], AGENT_HZ)
        assert ended[name].ended_by == "caller"
        assert len(talkers[name if name != "talk" else "talker"].calls) == 1
    for name in ("recorded", "apart"):
        talked_s = ((calls[name].ended_at or 0) - (calls[name].answered_at or 0)) / 1_000_000
        assert holds_all(recordings[name].duration_ms, talked_s)


@pytest.mark.timeout(180)
async def test_a_talk_and_a_message_outlive_four_engines(office: Office) -> None:
    """Three are killed, at once after they went on or a moment later, and one hands over at SIGTERM."""
    engine = await office.engine()
    phone = await office.phone("recorded", Answers(0.1, speaks_hz=AGENT_HZ))
    await engine.until(SERVING)
    await asyncio.sleep(1.0)
    on = {name: await office.caller(name) for name in ("recorded", "message")}
    await on["recorded"].answered()
    await on["message"].hears(1_000, within=10)
    speaking = [asyncio.create_task(each.speak(VOICE_HZ, 90.0)) for each in on.values()]
    took = []
    for pause_s in (1.0, 0.0, 0.3, None):
        if pause_s is None:
            await engine.until(SERVING)
            await engine.stop()
        else:
            await asyncio.sleep(pause_s)
            await engine.kill()
        engine = await office.engine()
        await engine.until(GO_ON)
        took += [line["took_s"] for line in engine.said(GO_ON)]
    assert max(took) < RESUMED_S
    await asyncio.sleep(1.0)
    for task in speaking:
        task.cancel()
    ended = {}
    for name, caller in on.items():
        await caller.hang_up()
        ended[name] = await caller.ended(within=10)
    await nothing_left(office)
    calls, recordings = await office.calls(), await office.recordings()
    assert {name: call.disposition for name, call in calls.items()} == {
        "recorded": "answered",
        "message": "message",
    }
    talked_s = ended["recorded"].ended_at - (ended["recorded"].answered_at or 0)
    assert heard_throughout(ended["recorded"], AGENT_HZ)
    assert holds_all(recordings["recorded"].duration_ms, talked_s)
    assert len(phone.calls) == 1
    assert [(call.record or {})["faults"] for call in calls.values()] == [[], []]


@pytest.mark.timeout(120)
async def test_an_agent_who_answered_nobody_is_rung_again(office: Office) -> None:
    """Asterisk hangs up on who answers while no engine is there; the caller hears ringing until one is."""
    first = await office.engine()
    phone = await office.phone("ringer", Answers(1.5, speaks_hz=AGENT_HZ))
    await first.until(SERVING)
    await asyncio.sleep(1.0)
    caller = await office.caller("ringing")
    await phone.rings()
    await first.kill()
    await phone.until(lambda: phone.calls[0].ended_at is not None)
    assert phone.calls[0].answered_at is not None
    second = await office.engine()
    await second.until(GO_ON)
    await caller.hears(AGENT_HZ, within=15)
    await caller.hang_up()
    await caller.ended()
    await nothing_left(office)
    assert len(phone.calls) == 2
    [call] = (await office.calls()).values()
    assert call.disposition == "answered"
