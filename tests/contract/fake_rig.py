"""The contract on the fake ARI: the whole engine over HTTP and websocket, in real time, against scripted telephones."""

import asyncio
import tempfile
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

from flowengine.ari.settings import AriSettings
from simulator.fake_ari import FakeAri
from simulator.sip.sound import read_wav, tone_power
from tests.contract import cases
from tests.contract.ari_rig import Running, left_on, until
from tests.contract.asterisk_rig import _until_kept, _until_reachable
from tests.contract.cases import TONES, Case
from tests.contract.rig import Placed, Ran, place
from tests.contract.world_rig import STATUS, _Agent, _behaviour, _Caller, _script

CASE_S = 18.0
USER, PASSWORD = "engine", "a-secret"


class FakeRig:
    """All cases at the same time, on one fake ARI and one engine."""

    def __init__(self) -> None:
        self._leaks: list[str] = []

    async def run(self, cases: Iterable[Case]) -> dict[str, Ran]:
        """Play them."""
        placed = place(cases)
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            async with FakeAri(user=USER, password=PASSWORD) as ari:
                settings = AriSettings(url=ari.url, app="flowengine", username=USER, password=PASSWORD)
                async with Running(placed, Path(folder)).on(settings) as running:
                    results = await asyncio.gather(*(_play(each, ari, running) for each in placed))
                    self._leaks += await left_on(f"{ari.url}/ari", USER, PASSWORD)
                    self._leaks += running.leaks()
                world = ari.world
                self._leaks += [
                    *world.legs,
                    *world.bridges,
                    *world.playbacks,
                    *world.recordings,
                    *world.stored,
                ]
        return {each.case.name: ran for each, ran in zip(placed, results, strict=True)}

    async def leaks(self) -> list[str]:
        """What the fake ARI, its world, the desk and the engine had left when all was over."""
        return self._leaks


@cache
def tone_of(uri: str) -> str:
    """The name of the tone in a sound file, told by ear; empty for any other sound."""
    sound = read_wav(Path(uri.removeprefix("sound:") + ".wav"))
    return next((name for name, hz in TONES.items() if tone_power(sound, hz) > 0.9), "")


async def _play(placed: Placed, ari: FakeAri, running: Running) -> Ran:
    case = placed.case
    people = {}
    for name, does in case.agents.items():  # in line order: one after another
        user = placed.users[name]
        person = _Agent(ari.world, user.endpoints[0], _behaviour(does), registered=False)
        people[name] = person
        if not isinstance(does, cases.Absent):
            ari.act(partial(ari.world.register, person.endpoint, True))
            await _until_reachable(running, user.name)
    caller = _Caller(ari.world, _script(case.steps))
    leg = ari.act(lambda: caller.call(placed.number, "+819011112222"))
    await until(lambda: not leg.open, CASE_S)
    call = await running.wait_for(placed.number, 15) if case.known and case.published else None
    if call is not None:
        await _until_kept(running, call)
    kept = running.kept.get(call or "", [])
    return Ran(
        record=running.journal.records[call] if call else None,
        status=200 if caller.was_answered else STATUS[caller.cause or 0],
        heard=frozenset(tone_of(uri) for uri in caller.sounds),
        ended_by="caller" if caller.left else "switch",
        phones={name: person.seen for name, person in people.items()},
        messages_s=tuple(each.seconds for each in kept if each.purpose == "voicemail"),
        talks_s=tuple(each.seconds for each in kept if each.purpose == "talk"),
        voice=min((each.voice for each in kept if each.purpose == "voicemail"), default=1.0),
        crash=running.crashes.get(call or "", ""),
    )
