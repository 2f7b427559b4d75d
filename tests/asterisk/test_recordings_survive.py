"""A recording that is being made when Asterisk dies: what there is of it comes home, and is not called complete."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from flowengine.ari.node import AsteriskNode, SipUser, local_settings
from flowengine.ari.settings import AriSettings
from simulator.sip import AgentPhone, Answers, Caller
from tests.contract.ari_rig import Running, until
from tests.contract.asterisk_rig import secret
from tests.contract.cases import SPEECH_HZ, Case, Expect, flow, user, voicemail
from tests.contract.cases import Answers as CaseAnswers
from tests.contract.rig import place

MESSAGE = Case("message", flow("mail", mail=voicemail(max_duration_s=60)), (), Expect())
TALK = Case("talk", flow("boss", boss=user(record=True)), (), Expect(), {"a": CaseAnswers()})
APART = Case(
    "apart", flow("boss", boss=user(record=True, recording_sides="apart")), (), Expect(), {"a": CaseAnswers()}
)


@pytest.fixture
async def node() -> AsyncIterator[AsteriskNode]:
    """An own Asterisk, as it is killed."""
    folder = Path(tempfile.mkdtemp(prefix="node-"))
    people = tuple(SipUser(f"c{at}-a", password=secret(f"c{at}-a")) for at in range(3))
    running = AsteriskNode(local_settings(folder, sip_users=people))
    try:
        await running.start()
        yield running
    finally:
        await running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("case", [MESSAGE, TALK, APART], ids=lambda case: case.name)
async def test_what_there_is_of_it_comes_home(node: AsteriskNode, tmp_path: Path, case: Case) -> None:
    placed = place([MESSAGE, TALK, APART])
    [mine] = [each for each in placed if each.case is case]
    settings = AriSettings(
        url=node.settings.ari_url,
        app=node.settings.app,
        username=node.settings.ari_user,
        password=node.settings.ari_password,
        reconnect_cap_s=0.3,
    )
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        running = await stack.enter_async_context(Running(placed, tmp_path).on(settings))
        for user_ in mine.users.values():
            phone = AgentPhone(
                user_.name,
                node.settings.sip_port,
                Answers(0.1, speaks_hz=700.0),
                password=secret(user_.name),
            )
            await stack.enter_async_context(phone)
            await until(partial(running.desk.is_reachable, user_.endpoints[0]), 5)
        caller = await stack.enter_async_context(Caller(mine.number, node.settings.sip_port))
        await caller.answered()
        speaking = asyncio.create_task(caller.speak(SPEECH_HZ, 20.0))
        await asyncio.sleep(8.0)
        await node.kill()
        speaking.cancel()
        await node.start()
        call = await running.wait_for(mine.number, 30)
        await until(lambda: bool(running.kept.get(call)), 20)
    [heard] = running.kept[call]
    assert not heard.complete
    assert heard.seconds > 0.5, "Asterisk writes a file in pieces: what was in the last one is lost"
    assert heard.voice > (0.3 if case is TALK else 0.9)
    assert running.leaks() == []
