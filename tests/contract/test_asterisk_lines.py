"""Many callers for few agents on a real Asterisk: who waits hears music, is served in order, and nothing is left.

`FLOWENGINE_CALLS=200` makes the last test as long as one likes.
"""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowengine.ari.devices import DeviceProvisioner, DeviceSpec, LineSettings, digest_of
from flowengine.ari.node import AsteriskNode, SipUser
from flowengine.ari.settings import AriSettings
from flowengine.ari.switch import AriSwitch
from flowengine.flow.document import parse
from flowengine.routing.directory import User
from simulator.sip import AgentPhone, Answers, Caller, Outcome, Rejects, Rings, seconds_of_tone
from tests.asterisk.node import running_node
from tests.contract.ari_rig import Running, left_on, until
from tests.contract.asterisk_rig import secret
from tests.contract.cases import TONES, Case, Expect, flow, group, prompt, say, user
from tests.contract.rig import ACCOUNT, Placed, path_of

pytestmark = pytest.mark.timeout(300)

LINE = {"max_waiting": 10, "notice": prompt("notice"), "music": prompt("music"), "music_cycles": 30}
CALLS = int(os.environ.get("FLOWENGINE_CALLS", "24"))


def placed(document: dict[str, Any], *names: str, number: str = "+815055550150") -> Placed:
    users = {name: User(name, (f"PJSIP/{name}",)) for name in names}
    return Placed(Case("lines", document, (), Expect()), number, parse(document), users, "team")


@contextlib.asynccontextmanager
async def office(where: Placed, *static: SipUser) -> AsyncIterator[tuple[Running, AsteriskNode]]:
    """An engine on a real Asterisk, and afterwards a look that nothing is left on either."""
    with tempfile.TemporaryDirectory(prefix="lines-") as folder:
        async with running_node(*static) as node:
            at = node.settings
            settings = AriSettings(url=at.ari_url, app=at.app, username=at.ari_user, password=at.ari_password)
            async with Running([where], Path(folder)).on(settings) as running:
                if not static:
                    await provision(running, *where.users)
                yield running, node
                await until(lambda: not running.engine.calls, 20)
                assert running.crashes == {}
                assert await left_on(at.ari_url, at.ari_user, at.ari_password) == []
                assert running.leaks() == []


async def provision(running: Running, *names: str) -> None:
    """Let the engine give each user a SIP account, as it does for users of its database."""
    switch = running.engine.switch
    assert isinstance(switch, AriSwitch)
    # SIPp answers no OPTIONS, so nobody is asked whether they are there.
    devices = DeviceProvisioner(switch.client, LineSettings(media_address="127.0.0.1", check_every_s=0))
    report = await devices.reconcile(
        [DeviceSpec(name=name, digest=digest_of(name, secret(name))) for name in names]
    )
    assert sorted(report.created) == sorted(names)


async def phone(
    stack: contextlib.AsyncExitStack,
    running: Running,
    node: AsteriskNode,
    name: str,
    does: Answers | Rejects | Rings,
) -> AgentPhone:
    """A telephone that registers with its password; returns when the desk knows."""
    made = AgentPhone(name, node.settings.sip_port, does, password=secret(name))
    await stack.enter_async_context(made)
    await until(lambda: running.desk.is_reachable(f"PJSIP/{name}"), 5)
    return made


async def call(where: Placed, node: AsteriskNode, number: int = 0) -> Outcome:
    """Call, and stay until the engine ends it."""
    caller = Caller(where.number, node.settings.sip_port, from_number=f"+8190111122{number:02}")
    return await caller.run(within=120)


async def test_five_callers_wait_for_one_agent_in_order_and_hear_music() -> None:
    where = placed(flow("boss", boss=user(queue=LINE), sorry=say("sorry")), "a")
    async with office(where) as (running, node), contextlib.AsyncExitStack() as stack:
        agent = await phone(stack, running, node, "a", Answers(0.1, hangs_up_after_s=2.0))
        callers = []
        for number in range(5):
            callers.append(asyncio.create_task(call(where, node, number)))
            await until(lambda n=number: len(running.engine.calls) + len(running.journal.records) > n, 5)  # type: ignore[misc]
            await asyncio.sleep(0.2)
        outcomes = await asyncio.gather(*callers)
        await until(lambda: len(running.journal.records) == 5, 10)
        rung = [each.caller.split("@")[0][-2:] for each in agent.calls]
    assert rung == ["00", "01", "02", "03", "04"], "not in the order in which they came"
    assert [path_of(record) for record in running.journal.records.values()] == [("boss:answered",)] * 5
    heard = [
        {name for name in ("notice", "music") if seconds_of_tone(each.heard, TONES[name]) >= 0.3}
        for each in outcomes
    ]
    assert heard[0] == set()
    assert heard[1] == heard[2] == heard[3] == heard[4] == {"notice", "music"}


async def test_a_full_line_and_an_agent_who_goes_away() -> None:
    document = flow("boss", boss=user(queue=LINE | {"max_waiting": 1}), sorry=say("sorry"))
    where = placed(document, "a")
    async with office(where) as (running, node), contextlib.AsyncExitStack() as stack:
        agent = await phone(stack, running, node, "a", Answers(0.1))
        callers = []
        for number in range(3):
            callers.append(asyncio.create_task(call(where, node, number)))
            await until(lambda n=number: len(running.engine.calls) + len(running.journal.records) > n, 5)  # type: ignore[misc]
            await asyncio.sleep(0.5)
        await until(lambda: len(running.journal.records) == 1, 10)
        [full] = running.journal.records.values()
        assert path_of(full) == ("boss:busy", "sorry:next")
        running.desk.wish(ACCOUNT, "a", "leave", running.engine.clock.now())
        await until(lambda: len(running.journal.records) == 2, 10)
        assert path_of(list(running.journal.records.values())[1]) == ("boss:unavailable", "sorry:next")
        agent.hang_up()
        await asyncio.gather(*callers)


async def test_five_ring_at_once_and_two_answer_within_a_millisecond() -> None:
    names = ("a", "b", "c", "d", "e")
    where = placed(flow("team", team=group(), sorry=say("sorry")), *names)
    async with office(where) as (running, node), contextlib.AsyncExitStack() as stack:
        answers = Answers(0.5, hangs_up_after_s=1.0)
        does: list[Answers | Rejects | Rings] = [answers, answers, Rings(), Rings(), Rings()]
        phones = [
            await phone(stack, running, node, name, each) for name, each in zip(names, does, strict=True)
        ]
        await call(where, node)
        await until(lambda: len(running.journal.records) == 1, 10)
        [record] = running.journal.records.values()
        assert path_of(record) == ("team:answered",)
        assert len(record.agents) == 1
        assert [len(each.calls) for each in phones] == [1, 1, 1, 1, 1]
        assert all(each.calls[0].cancelled_at is not None for each in phones[2:])
        assert all("elsewhere" in each.calls[0].cancel_reason for each in phones[2:])


async def test_one_after_another_past_the_absent_the_busy_the_declining_and_the_silent() -> None:
    names = ("absent", "busy", "declines", "silent", "answers")
    where = placed(flow("team", team=group("sequential"), sorry=say("sorry")), *names)
    async with office(where) as (running, node), contextlib.AsyncExitStack() as stack:
        does: dict[str, Answers | Rejects | Rings]
        does = {"busy": Rejects(486), "declines": Rejects(603), "silent": Rings()}
        phones = {
            name: await phone(stack, running, node, name, does.get(name, Answers(0.2, hangs_up_after_s=0.5)))
            for name in names[1:]
        }
        await call(where, node)
        await until(lambda: len(running.journal.records) == 1, 10)
        [record] = running.journal.records.values()
        assert path_of(record) == ("team:answered",)
        assert record.agents == ("answers",)
        assert {name: len(each.calls) for name, each in phones.items()} == dict.fromkeys(names[1:], 1)
        rang = [phones[name].calls[0].rang_at for name in names[1:]]
        assert rang == sorted(rang), "not in the order in which they came online"
        assert phones["silent"].calls[0].cancelled_at is not None


async def test_an_outside_number_is_rung_through_its_carrier() -> None:
    where = placed(flow("boss", boss=user(), sorry=say("sorry")), "a")
    where.users["a"] = User("a", ("PJSIP/+819012345678@carrier",))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    carrier = SipUser("carrier", contact=f"sip:127.0.0.1:{port}")
    async with office(where, carrier) as (running, node), contextlib.AsyncExitStack() as stack:
        does = Answers(0.3, hangs_up_after_s=0.8)
        mobile = await stack.enter_async_context(
            AgentPhone("carrier", node.settings.sip_port, does, port=port)
        )
        await call(where, node)
        await until(lambda: len(running.journal.records) == 1, 10)
        [record] = running.journal.records.values()
        assert path_of(record) == ("boss:answered",)
        assert [each.answered_at is not None for each in mobile.calls] == [True]
        running.desk.wish(ACCOUNT, "a", "leave", running.engine.clock.now())
        await call(where, node, 1)
        await until(lambda: len(running.journal.records) == 2, 10)
        assert path_of(list(running.journal.records.values())[1]) == ("boss:unavailable", "sorry:next")
        assert len(mobile.calls) == 1


async def test_many_callers_share_few_agents_and_nothing_is_left() -> None:
    where = placed(flow("team", team=group(queue=LINE), sorry=say("sorry")), "a", "b", "c")
    async with office(where) as (running, node), contextlib.AsyncExitStack() as stack:
        for name in where.users:
            await phone(stack, running, node, name, Answers(0.05, hangs_up_after_s=0.4))
        at_once = asyncio.Semaphore(8)

        async def one(number: int) -> Outcome:
            async with at_once:
                return await call(where, node, number % 100)

        outcomes = await asyncio.gather(*(one(number) for number in range(CALLS)))
        await until(lambda: len(running.journal.records) == CALLS, 20)
    assert {outcome.status for outcome in outcomes} == {200}
    assert {path_of(record) for record in running.journal.records.values()} == {("team:answered",)}
