"""The contract through the engine itself: `Engine` and `AriSwitch`, whatever answers as Asterisk.

What the two ARI rigs share is everything but the telephones: a catalogue with all cases in it, a journal in memory,
prompts as files, a recording library on the disk, and at the end a look at what ARI says is still there.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import aiohttp

from flowengine.alarms import Alarms
from flowengine.ari import witness
from flowengine.ari.settings import AriSettings
from flowengine.ari.switch import AriSwitch
from flowengine.call.commands import KeepRecording
from flowengine.call.events import CallArrived, Event, Instant
from flowengine.call.record import CallRecord
from flowengine.clock import SystemClock
from flowengine.intake import Expected, Intake, Unlimited
from flowengine.routing.desk import MemoryDesk
from flowengine.runtime import Engine
from flowengine.store.ids import new_id
from recordings.library import RecordingLibrary
from recordings.prompts import PromptLibrary
from recordings.speech import EspeakSpeech
from simulator.sip.sound import read_sides, tone, tone_power, write_wav
from tests.contract.cases import SPEECH_HZ, TONE_S, TONES
from tests.contract.rig import Placed, catalog

SETTLED_S = 5.0


async def until(condition: Callable[[], bool], within_s: float) -> None:
    """Wait for something that nobody announces. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.02)


class MemoryJournal:
    """The Journal port over lists."""

    def __init__(self) -> None:
        self.entries: dict[str, list[tuple[Event, str]]] = {}
        self.records: dict[str, CallRecord] = {}

    async def open(
        self, call: str, account: str, flow: str, version: str, at: Instant, channel: str = ""
    ) -> None:
        self.entries[call] = []

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:
        assert len(self.entries[call]) == seq
        self.entries[call].append((event, digest))

    async def close(self, call: str, record: CallRecord) -> None:
        self.records[call] = record


class Heard(NamedTuple):
    """A recording in the library, by ear."""

    purpose: str
    seconds: float
    voice: float
    """How much of its sound is the caller's tone, 0 to 1."""
    complete: bool
    """The library knows of nothing that is missing."""


class _Rooms(Unlimited):
    """Room, but for the calls that shall have none."""

    def __init__(self, has_room: Callable[[str], bool]) -> None:
        self._has_room = has_room

    async def reserve(self, *asked: object) -> bool:
        _account, call, *_ = asked
        return self._has_room(str(call))


class Running:
    """An engine at work on some ARI."""

    def __init__(self, placed: list[Placed], folder: Path) -> None:
        self.journal = MemoryJournal()
        self.kept: dict[str, list[Heard]] = {}
        self.crashes: dict[str, str] = {}
        self._library = RecordingLibrary(folder / "recordings")
        self._catalog = catalog(placed)
        self._placed = placed
        self._folder = folder
        clock = SystemClock()
        self.engine = Engine(
            journal=self.journal,
            clock=clock,
            new_call_id=lambda: new_id("cal"),
            watch=self._watch,
        )
        full = {each.number for each in placed if not each.case.room}
        self._pauses = {each.number: each.case.pause for each in placed if each.case.pause}
        rooms = _Rooms(lambda call: self.engine.calls[call].call.number not in full)
        self.engine.storage = Intake(self.engine, rooms, self, Alarms())
        self.engine.catalog = self._catalog
        self.desk = MemoryDesk(self.engine.happened, self._catalog)
        self.engine.desk = self.desk
        self.engine.on_reachable = lambda endpoint, there: self.desk.reachable(endpoint, there, clock.now())
        self._clock = clock

    @contextlib.asynccontextmanager
    async def on(self, settings: AriSettings) -> AsyncIterator["Running"]:
        """Connect and serve calls."""
        for name, hz in TONES.items():
            write_wav(self._folder / f"{name}.wav", tone(hz, TONE_S))
        prompts = PromptLibrary(self._folder / "prompts", EspeakSpeech(), self._folder)
        sounds = {sound for each in self._placed for sound in each.flow.sounds()}
        await prompts.render_all([*sounds, "tone:beep", "builtin:hold-music"])

        def media(_: str, sound: str) -> str | None:
            rendered = prompts.lookup(sound)
            return f"sound:{rendered.media}" if rendered else None

        async with AriSwitch(settings, self.engine, media, self._clock) as switch:
            self.engine.switch = switch
            await switch.client.wait_ready(10)
            yield self
            await self.engine.drain(10)

    async def expect(self, account: str, call: str, command: KeepRecording) -> None:
        """The Keeper port: nothing here outlives the process."""

    async def lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        """The Keeper port: no case loses a recording."""
        raise AssertionError(f"{command.recording} of {call} was lost: {reason}")

    async def expected(self) -> list[Expected]:
        """The Keeper port."""
        return []

    async def keep(
        self, account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        """The Keeper port: into the library."""
        kept = await self._library.keep(
            f"{call}-{command.recording}", sound, int(command.limit_s * 1000) or None
        )
        voice = tone_power(read_sides(kept.path)[0], SPEECH_HZ)
        self.kept.setdefault(call, []).append(
            Heard(command.purpose, kept.duration_ms / 1000, voice, kept.complete)
        )

    def call_to(self, number: str) -> str | None:
        """The call that came to a number of the case, if it was taken."""
        return next((id for id, record in self.journal.records.items() if record.number == number), None)

    async def wait_for(self, number: str, within_s: float) -> str:
        """Wait until the call to this number is over and recorded."""
        await until(lambda: self.call_to(number) is not None, within_s)
        return self.call_to(number) or ""

    def _watch(self, call: str, machine: object, event: Event, said: object) -> None:
        if isinstance(event, CallArrived) and (pause := self._pauses.get(event.number)):
            for at_s, paused in zip(pause, (True, False), strict=True):
                later = partial(self.engine.pause_recording, call, paused=paused)
                asyncio.get_running_loop().call_later(at_s, later)
        crash = getattr(machine, "crash", "")
        if crash:
            self.crashes[call] = crash

    def leaks(self) -> list[str]:
        """What is left in the engine and at the desk."""
        found = [f"call {call}" for call in self.engine.calls]
        found += [f"reservation of {user}" for user in self.desk.held]
        return found + [f"place in line of {call}" for call in self.desk.waiting]


async def left_on(ari_url: str, user: str, password: str) -> list[str]:
    """What ARI says is still there, once nothing goes away any more."""
    login = aiohttp.encode_basic_auth(user, password)
    async with aiohttp.ClientSession(headers={"Authorization": login}) as session:
        deadline = asyncio.get_running_loop().time() + SETTLED_S
        while True:
            found = []
            for what, name in (("channels", "id"), ("bridges", "id"), ("recordings/stored", "name")):
                async with session.get(f"{ari_url.removesuffix('/ari')}/ari/{what}") as answer:
                    names = [each[name] for each in json.loads(await answer.text())]
                found += [f"{what} {each}" for each in names if not each.startswith(witness.PREFIX)]
            if not found or asyncio.get_running_loop().time() > deadline:
                return found
            await asyncio.sleep(0.1)
