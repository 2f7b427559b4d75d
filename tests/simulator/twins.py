"""One telephone world twice: simulated behind the fake ARI, and made of SIP telephones behind a real Asterisk."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from flowengine.ari.node import AsteriskNode, SipUser
from flowengine.call.causes import USER_BUSY
from simulator import sip
from simulator.fake_ari import FakeAri, LoggedCaller
from simulator.phones import Behaviour, seconds
from simulator.things import Leg
from tests.asterisk.node import running_node

CALLER = "+15550100"
AGENTS = ("hanako", "taro", "yuki", "jiro")
Does = float | int | None
"""What a telephone does when rung: answers after seconds (float), declines with a SIP status (int), or nothing."""


class Person(Protocol):
    """Somebody on the line."""

    async def press(self, keys: str) -> None: ...
    async def speak(self, seconds: float) -> None: ...
    async def hang_up(self) -> None: ...
    async def cancel(self) -> None: ...


class Twin(Protocol):
    """A switch with telephones."""

    name: str
    url: str
    user: str
    password: str

    def call(self, number: str) -> contextlib.AbstractAsyncContextManager[Person]: ...
    def telephone(
        self, name: str, does: Does, talks_s: float | None = None
    ) -> contextlib.AbstractAsyncContextManager[None]: ...


class FakePerson:
    """Somebody in the simulated world."""

    def __init__(self, ari: FakeAri, leg: Leg) -> None:
        self._ari = ari
        self.leg = leg

    async def press(self, keys: str) -> None:
        us = self._ari.act(lambda: self._ari.world.press(self.leg, keys))
        await asyncio.sleep(us / 1_000_000)

    async def speak(self, seconds: float) -> None:
        self._ari.act(lambda: self._ari.world.talk(self.leg, True))
        await asyncio.sleep(seconds)
        self._ari.act(lambda: self._ari.world.talk(self.leg, False))

    async def hang_up(self) -> None:
        self._ari.act(lambda: self._ari.world.leave(self.leg))

    cancel = hang_up


class FakeTwin:
    """The simulated one."""

    name = "fake"

    def __init__(self, ari: FakeAri, user: str, password: str) -> None:
        self.url, self.user, self.password = ari.url, user, password
        self.ari = ari

    @contextlib.asynccontextmanager
    async def call(self, number: str) -> AsyncIterator[Person]:
        leg = self.ari.place_call(number, CALLER, [])
        assert isinstance(leg.phone, LoggedCaller)
        person = FakePerson(self.ari, leg)
        yield person
        await person.hang_up()

    @contextlib.asynccontextmanager
    async def telephone(self, name: str, does: Does, talks_s: float | None = None) -> AsyncIterator[None]:
        match does:
            case float():
                behaviour = Behaviour(
                    answers_after_us=seconds(does), talks_us=None if talks_s is None else seconds(talks_s)
                )
            case int():
                behaviour = Behaviour(declines_after_us=100_000, cause=USER_BUSY if does == 486 else 21)
            case None:
                behaviour = Behaviour()
        self.ari.add_phone(f"PJSIP/{name}", [behaviour])
        yield
        self.ari.act(lambda: self.ari.world.register(f"PJSIP/{name}", False))


class RealPerson:
    """Somebody on a SIP telephone."""

    def __init__(self, caller: sip.Caller) -> None:
        self._caller = caller

    async def press(self, keys: str) -> None:
        await self._caller.press(keys)

    async def speak(self, seconds: float) -> None:
        await self._caller.speak(400.0, seconds)

    async def hang_up(self) -> None:
        await self._caller.hang_up()

    async def cancel(self) -> None:
        await self._caller.cancel()


class RealTwin:
    """The real one."""

    name = "real"

    def __init__(self, node: AsteriskNode) -> None:
        at = node.settings
        self.url, self.user, self.password = at.ari_url, at.ari_user, at.ari_password
        self._port = at.sip_port

    @contextlib.asynccontextmanager
    async def call(self, number: str) -> AsyncIterator[Person]:
        async with sip.Caller(number, self._port, from_number=CALLER) as caller:
            yield RealPerson(caller)

    @contextlib.asynccontextmanager
    async def telephone(self, name: str, does: Does, talks_s: float | None = None) -> AsyncIterator[None]:
        match does:
            case float():
                behaviour: sip.Behaviour = sip.Answers(does, hangs_up_after_s=talks_s)
            case int():
                behaviour = sip.Rejects(does)
            case None:
                behaviour = sip.Rings()
        async with sip.AgentPhone(name, self._port, behaviour, password=f"{name}-secret"):
            yield


@contextlib.asynccontextmanager
async def fake_twin() -> AsyncIterator[FakeTwin]:
    """A fake ARI whose agents are known and not registered."""
    async with FakeAri(user="engine", password="a-secret") as ari:
        for name in AGENTS:
            ari.add_phone(f"PJSIP/{name}", registered=False)
        yield FakeTwin(ari, "engine", "a-secret")


@contextlib.asynccontextmanager
async def real_twin() -> AsyncIterator[RealTwin]:
    """An Asterisk with the same agents."""
    async with running_node(*(SipUser(name, password=f"{name}-secret") for name in AGENTS)) as node:
        yield RealTwin(node)
