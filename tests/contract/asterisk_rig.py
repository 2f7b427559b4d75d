"""The contract on a real Asterisk: SIPp calls in, SIPp phones register and ring, tones are heard as RTP."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from flowengine.ari.node import AsteriskNode, SipUser
from flowengine.ari.settings import AriSettings
from simulator import sip
from simulator.sip import AgentPhone, Caller, Outcome, seconds_of_tone
from tests.asterisk.node import running_node
from tests.contract import cases
from tests.contract.ari_rig import Running, left_on, until
from tests.contract.cases import SPEECH_HZ, TONES, Case, Does, Step
from tests.contract.rig import Phone, Placed, Ran, place

AT_ONCE: Final = 6
CASE_S: Final = 30.0


class AsteriskRig:
    """All cases on one Asterisk and one engine, some at the same time."""

    def __init__(self) -> None:
        self._leaks: list[str] = []

    async def run(self, cases: Iterable[Case]) -> dict[str, Ran]:
        """Play them."""
        placed = place(cases)
        users = tuple(
            SipUser(user.name, password=secret(user.name)) for each in placed for user in each.users.values()
        )
        turns = asyncio.Semaphore(AT_ONCE)
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            async with running_node(*users) as node:
                settings = AriSettings(
                    url=node.settings.ari_url.removesuffix("/ari"),
                    app=node.settings.app,
                    username=node.settings.ari_user,
                    password=node.settings.ari_password,
                )
                async with Running(placed, Path(folder)).on(settings) as running:

                    async def one(each: Placed) -> Ran:
                        async with turns, asyncio.timeout(CASE_S):
                            return await _play(each, node, running)

                    results = await asyncio.gather(*(one(each) for each in placed))
                    at = node.settings
                    self._leaks += await left_on(at.ari_url, at.ari_user, at.ari_password)
                    self._leaks += running.leaks()
        return {each.case.name: ran for each, ran in zip(placed, results, strict=True)}

    async def leaks(self) -> list[str]:
        """What Asterisk, the desk and the engine had left when all was over."""
        return self._leaks


async def _play(placed: Placed, node: AsteriskNode, running: Running) -> Ran:
    port = node.settings.sip_port
    async with contextlib.AsyncExitStack() as stack:
        phones: dict[str, AgentPhone] = {}
        for name, does in placed.case.agents.items():  # in line order: one after another
            user = placed.users[name].name
            if not isinstance(does, cases.Absent):
                phone = AgentPhone(user, port, _behaviour(does), password=secret(user))
                phones[name] = await stack.enter_async_context(phone)
                await _until_reachable(running, user)
        outcome = await Caller(placed.number, port).run(*_script(placed.case.steps), within=CASE_S)
        answered = placed.case.known and placed.case.published
        call = await running.wait_for(placed.number, 15) if answered else None
        if call is not None:
            await _until_kept(running, call)
    return _ran(call, outcome, running, phones, placed)


def _ran(
    call: str | None, outcome: Outcome, running: Running, phones: dict[str, AgentPhone], placed: Placed
) -> Ran:
    kept = running.kept.get(call or "", [])
    seen = {name: Phone() for name in placed.case.agents}
    for name, phone in phones.items():
        cancelled = sum(ring.cancelled_at is not None for ring in phone.calls)
        seen[name] = Phone(len(phone.calls), cancelled)
    return Ran(
        record=running.journal.records[call] if call else None,
        status=outcome.status,
        heard=frozenset(name for name, hz in TONES.items() if seconds_of_tone(outcome.heard, hz) >= 0.2),
        ended_by=outcome.ended_by,
        phones=seen,
        messages_s=tuple(each.seconds for each in kept if each.purpose == "voicemail"),
        talks_s=tuple(each.seconds for each in kept if each.purpose == "talk"),
        voice=min((each.voice for each in kept if each.purpose == "voicemail"), default=1.0),
        crash=running.crashes.get(call or "", ""),
    )


async def _until_reachable(running: Running, user: str) -> None:
    await until(lambda: running.desk.is_reachable(f"PJSIP/{user}"), 5)


async def _until_kept(running: Running, call: str) -> None:
    """The record is written a moment before the recording has been fetched."""
    wanted = len(running.journal.records[call].recordings)
    await until(lambda: len(running.kept.get(call, [])) >= wanted, 10)


def secret(user: str) -> str:
    """The SIP password of a user."""
    return f"{user}-secret-of-a-test"


def _script(steps: tuple[Step, ...]) -> list[sip.Step]:
    script: list[sip.Step] = []
    for step in steps:
        match step:
            case cases.Wait(seconds):
                script.append(sip.wait(seconds))
            case cases.Press(keys):
                script.append(sip.press(keys))
            case cases.Speak(seconds):
                script.append(sip.speak(SPEECH_HZ, seconds))
            case cases.HangUp():
                script.append(sip.hang_up())
            case cases.Cancel(after_s):
                script += [sip.wait(after_s), sip.cancel()]
    return script


def _behaviour(does: Does) -> sip.Behaviour:
    match does:
        case cases.Answers(after_s, talks_s):
            return sip.Answers(after_s, hangs_up_after_s=talks_s)
        case cases.Rejects(status):
            return sip.Rejects(status)
        case cases.Rings() | cases.Absent():
            return sip.Rings()
