"""Engines that die, on a switch that does not: the whole engine over the fake ARI, in virtual time and one process.

`Ground` is what outlives an engine: the fake ARI with its people, the journal, the desk, room and library. A `Life` is
one engine on it, from its connecting to its death. A dead one says nothing, hears nothing and writes nothing, like a
process after kill -9; what it had sent and the switch had not yet read is lost, as the worst case.
"""

import asyncio
import contextlib
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl

import msgspec
import pytest

from flowengine.alarms import Alarms
from flowengine.ari.client import AriClient, AriRefused, AriResponse, AriSettings, AriUnavailable
from flowengine.ari.messages import AnyEvent, decode
from flowengine.ari.rest import Method, QueryValue, build, settle
from flowengine.ari.switch import AriSwitch
from flowengine.call.commands import Command, DeskCommand, KeepRecording
from flowengine.call.events import Event, Instant
from flowengine.call.machine import CallMachine
from flowengine.call.record import CallRecord
from flowengine.flow.document import Flow
from flowengine.intake import Expected, Intake
from flowengine.resuming.rebuilt import Row, rebuild
from flowengine.routing.desk import MemoryDesk, Outlets
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.runtime import Engine
from simulator.fake_ari import FakeAri
from simulator.fake_ari import real_time as real_time_module
from simulator.fake_ari.real_time import RealTime
from simulator.phones import Behaviour, Step
from simulator.sip.sound import tone, write_wav
from simulator.things import Leg
from tests.live_world import ACCOUNT, CALLER, NUMBER, LoopClock, until

SOUND_S = 2.0
APP = "flowengine"
ORPHANS_S = 20.0
"""After so long the switch is to be clean of what belongs to nobody."""
REQUEST_S = 0.001
"""How long a request is on its way to the switch."""


class _LoopTime:
    """The clock of the fake ARI: that of the virtual loop."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Death:
    """When to kill an engine: at a row of a call's journal, before it is stored or after, and how much later."""

    row: int
    stored: bool = True
    later_s: float = 0.0
    call: str = "cal_1"


@dataclass
class StoredCall:
    """A call as the database has it."""

    channel: str
    rows: list[Row] = field(default_factory=list)
    record: CallRecord | None = None


class Ground:
    """What outlives an engine."""

    def __init__(self, flow: Flow, users: Mapping[str, Behaviour], sounds: Path) -> None:
        self.published = PublishedFlow("flw_test", ACCOUNT, flow.sha256(), flow)
        self.catalog = Catalog(
            numbers={NUMBER: self.published},
            users={ACCOUNT: {name: User(name, (f"PJSIP/{name}",)) for name in users}},
            groups={ACCOUNT: {"team": tuple(users)}},
        )
        self.calls: dict[str, StoredCall] = {}
        self.rooms: dict[tuple[str, str], float] = {}
        self.expected: dict[tuple[str, str], Expected] = {}
        self.kept: dict[tuple[str, str], int] = {}
        self.lost: dict[tuple[str, str], str] = {}
        self.is_upgraded = False
        """The next engine has other machines than the one that died."""
        self.upgrade: Callable[[], None] = lambda: None
        """Called between two engines."""
        self.clock = LoopClock()
        self._sounds = sounds
        self._heard: dict[str, str] = {}
        self.ari = FakeAri(app=APP, heard_as=lambda uri: self._heard.get(uri, uri))
        self.ari._time = RealTime(self.ari.world, 1.0, _fail)
        self.desk = MemoryDesk(lambda _call, _event: None, self.catalog)
        for name, does in users.items():
            self.ari.add_phone(f"PJSIP/{name}", (does,))

    def media(self, _call: str, sound: str) -> str:
        """A sound of `SOUND_S`, whatever its key."""
        name = blake2b(sound.encode(), digest_size=6).hexdigest()
        file = self._sounds / f"{name}.wav"
        if not file.exists():
            write_wav(file, tone(500, SOUND_S))
        uri = f"sound:{self._sounds / name}"
        self._heard[uri] = sound
        return uri

    def calls_in(self, script: Iterable[Step]) -> Leg:
        """Somebody calls."""
        return self.ari.place_call(NUMBER, CALLER, list(script))

    def leaks(self) -> list[str]:
        """What is left anywhere."""
        world = self.ari.world
        things = (world.legs, world.playbacks, world.recordings, world.stored, world.bridges)
        found = [str(each) for several in things for each in several]
        found += [f"room for {recording}" for _, recording in self.rooms]
        found += [f"expected {recording}" for _, recording in self.expected]
        found += [f"open call {id}" for id, call in self.calls.items() if call.record is None]
        return found + list(self.desk.held) + list(self.desk.waiting)


class Life:
    """One engine on the ground, until it is killed. While it lives it is its own journal, desk, rooms and keeper."""

    def __init__(self, ground: Ground, death: Death | None = None) -> None:
        self.ground = ground
        self.death = death
        self.dead = asyncio.Event()
        self.engine = Engine(journal=self, clock=ground.clock, new_call_id=self._new_id, watch=self._watch)
        self.engine.catalog = ground.catalog
        self.engine.desk = self
        self.engine.on_reachable = lambda endpoint, there: ground.desk.reachable(
            endpoint, there, ground.clock.now()
        )
        self.engine.storage = Intake(self.engine, self, self, Alarms())
        ground.desk.outlets = Outlets(self.happened)
        self.switch = AriSwitch(
            AriSettings(app=APP, username="engine", password="secret"),
            self.engine,
            ground.media,
            ground.clock,
            make_client=lambda *given: cast("AriClient", Line(self, *given)),
        )
        self.engine.switch = self.switch

    async def begin(self) -> None:
        """Take back what there is, and connect."""
        back = []
        for id, call in self.ground.calls.items():
            if call.record is None and call.rows:
                rebuilt = rebuild(self.ground.published.flow, call.rows)
                changed = rebuilt.diverged_at is not None
                assert changed == self.ground.is_upgraded
                self.engine.take_back(id, self.ground.published, rebuilt.machine, rebuilt.events)
                self.switch.resume(
                    rebuilt.arrival(call.channel),
                    id,
                    rebuilt.history(),
                    rebuilt.unsure(),
                    is_doubtful=changed,
                )
                back.append((id, rebuilt))
        for id in [id for id, call in self.ground.calls.items() if not call.rows]:
            del self.ground.calls[id]
        self.alarms = asyncio.create_task(self._tick())
        await self.switch.__aenter__()
        await cast("Line", self.switch.client).connect()
        for id, rebuilt in back:
            known = {rec for call, rec in (*self.ground.kept, *self.ground.expected) if call == id}
            if (talk := self.switch.talk_in(id)) is not None:
                self.engine.outlast_talk(id, rebuilt.steps, *talk)
            else:
                self.engine.go_on(id, rebuilt.steps, rebuilt.again(known))
        for each in list(self.ground.expected.values()):
            self.engine.storage.perform(each.account, each.call, each.command)

    async def end(self) -> None:
        """Clear away the corpse, or end an engine that has nothing to do any more."""
        self.kill()
        self.alarms.cancel()
        tasks = [self.alarms, *self.engine._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.switch.__aexit__(None, None, None)

    def kill(self) -> None:
        """From now on nothing goes in or out."""
        self.dead.set()
        cast("Line", self.switch.client).cut()

    async def alive(self) -> None:
        """Never return in a dead process."""
        if self.dead.is_set():
            await asyncio.Event().wait()

    def _new_id(self) -> str:
        return f"cal_{len(self.ground.calls) + 1}"

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.ground.desk.tick(self.ground.clock.now())

    def _watch(self, call: str, machine: CallMachine, event: Event, said: list[Command]) -> None:
        assert not machine.crash, machine.crash

    def happened(self, call: str, event: Event) -> None:
        """What the desk says."""
        if not self.dead.is_set():
            self.engine.happened(call, event)

    # The journal

    async def open(
        self, call: str, account: str, flow: str, version: str, at: Instant, channel: str = ""
    ) -> None:
        await self.alive()
        self.ground.calls[call] = StoredCall(channel)

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:
        await self.alive()
        rows = self.ground.calls[call].rows
        assert len(rows) == seq
        death = self.death
        if death is None or (call, seq) != (death.call, death.row):
            rows.append(Row(seq, event, digest))
            return
        self.death = None
        if death.stored:
            rows.append(Row(seq, event, digest))
        if death.later_s:
            asyncio.get_running_loop().call_later(death.later_s, self.kill)
        else:
            self.kill()
            await self.alive()

    async def close(self, call: str, record: CallRecord) -> None:
        await self.alive()
        assert self.ground.calls[call].record is None
        self.ground.calls[call].record = record

    # The desk

    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None:
        self._at_the_desk(lambda desk: desk.perform(account, call, command, at))

    def call_ended(self, account: str, call: str, at: Instant) -> None:
        self._at_the_desk(lambda desk: desk.call_ended(account, call, at))

    def _at_the_desk(self, do: Callable[[MemoryDesk], None]) -> None:
        """Not before the one who asks has finished, as a desk behind a database; nothing for the dead."""

        def soon() -> None:
            if not self.dead.is_set():
                do(self.ground.desk)

        asyncio.get_running_loop().call_soon(soon)

    # Rooms and keeper

    async def reserve(self, account: str, call: str, recording: str, limit_s: float) -> bool:
        await self.alive()
        self.ground.rooms[call, recording] = limit_s
        return True

    async def release(self, account: str, call: str, recording: str) -> None:
        await self.alive()
        self.ground.rooms.pop((call, recording), None)

    async def expect(self, account: str, call: str, command: KeepRecording) -> None:
        await self.alive()
        assert (call, command.recording) not in self.ground.kept
        self.ground.expected.setdefault((call, command.recording), Expected(account, call, command))

    async def keep(
        self, account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        size = sum([len(piece) async for piece in sound])
        await self.alive()
        self.ground.kept[call, command.recording] = size
        self.ground.rooms.pop((call, command.recording), None)
        self.ground.expected.pop((call, command.recording), None)

    async def lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        await self.alive()
        self.ground.lost[call, command.recording] = reason
        self.ground.expected.pop((call, command.recording), None)

    async def expected(self) -> list[Expected]:
        return list(self.ground.expected.values())


class Line:
    """An ARI client without a network: requests arrive one after another, a moment after they were sent."""

    def __init__(
        self,
        life: Life,
        settings: AriSettings,
        on_event: Callable[[AnyEvent], None],
        on_connected: Callable[[AriClient], Awaitable[None]],
    ) -> None:
        self.ready = False
        self._life = life
        self._ari = life.ground.ari
        self._on_event = on_event
        self._on_connected = on_connected
        self._waiting: deque[tuple[Any, asyncio.Future[AriResponse]]] = deque()
        self._some = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._start(self._carry_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def connect(self) -> None:
        self._ari._exchange.apps.connect([APP], self, everything=False)
        await self._on_connected(cast("AriClient", self))
        self.ready = True

    def cut(self) -> None:
        """The process is gone, and its end of the connection with it."""
        self.ready = False
        self._ari._exchange.apps.disconnect(self)
        self._waiting.clear()

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event, on its way."""
        asyncio.get_running_loop().call_soon(self._hear, msgspec.json.encode(event))

    def _hear(self, raw: bytes) -> None:
        if not self._life.dead.is_set() and (event := decode(raw)) is not None:
            self._on_event(cast("AnyEvent", event))

    def send(
        self,
        method: Method,
        path: str,
        query: Mapping[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        lane: str = "",
        over: str = "auto",
    ) -> "asyncio.Future[AriResponse]":
        answer: asyncio.Future[AriResponse] = asyncio.get_running_loop().create_future()
        if self._life.dead.is_set():
            settle(answer, AriUnavailable("dead"))
        elif over == "http":
            self._start(self._carry(build(method, path, query, body), answer))
        else:
            self._waiting.append((build(method, path, query, body), answer))
            self._some.set()
        return answer

    async def request(self, method: Method, path: str, *given: Any, **more: Any) -> AriResponse:
        return await self.send(method, path, *given, **more)

    async def download(self, path: str) -> AsyncIterator[bytes]:
        await self._life.alive()
        answer = await self._ari.carry("GET", path, {}, None)
        if answer.status >= 400:
            raise AriRefused(answer.status, "not there")
        for piece in answer.pieces:
            yield piece

    async def _carry_all(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                await asyncio.sleep(REQUEST_S)
                if not self._waiting:
                    break
                await self._carry(*self._waiting.popleft())

    async def _carry(self, request: Any, answer: "asyncio.Future[AriResponse]") -> None:
        if self._life.dead.is_set():
            return
        path, _, query = request.uri.partition("?")
        body = msgspec.json.decode(request.body) if request.body else None
        said = await self._ari.carry(request.method, path, dict(parse_qsl(query)), body)
        self._ari._catch_up()
        content = msgspec.json.encode(said.content) if said.content is not None else b""
        if not self._life.dead.is_set():
            settle(answer, AriResponse(said.status, said.reason, content))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fail(error: Exception) -> None:
    raise error


@contextlib.contextmanager
def on_virtual_ground() -> Iterator[Path]:
    """The fake ARI goes by the virtual loop; gives a folder for its sounds."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(real_time_module, "time", _LoopTime)
        yield Path(folder)


@dataclass
class Comes:
    """Somebody who calls, so many seconds after the first engine began."""

    script: tuple[Step, ...]
    after_s: float = 0.0


async def live_through(
    ground: Ground, callers: Iterable[Comes], deaths: Iterable[Death], gap_s: float
) -> int:
    """Let people call while engines die; returns how many did. It is over when the calls are, and their recordings."""
    loop = asyncio.get_running_loop()
    legs: list[Leg] = []
    coming = list(callers)
    waiting = iter(deaths)
    life = Life(ground, next(waiting, None))
    await life.begin()
    for each in coming:
        loop.call_later(each.after_s, lambda script: legs.append(ground.calls_in(script)), each.script)

    def is_over() -> bool:
        gone = len(legs) == len(coming) and not any(leg.open for leg in legs)
        return gone and all(call.record for call in ground.calls.values()) and not life.engine.calls

    def is_dead_or_over() -> bool:
        return life.dead.is_set() or is_over()

    died = 0
    try:
        await until(is_dead_or_over, 600)
        while life.dead.is_set():
            died += 1
            await life.end()
            ground.upgrade()
            await asyncio.sleep(gap_s)
            life = Life(ground, next(waiting, None))
            await life.begin()
            await until(is_dead_or_over, 600)
        await until(lambda: not (ground.expected or ground.rooms or ground.desk.held), 60)
        await asyncio.sleep(ORPHANS_S)
    finally:
        await life.end()
    return died
