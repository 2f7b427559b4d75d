"""The demo company: who calls it, who picks up, and how that is told on the terminal.

On the embedded switch the people are simulated. On a real Asterisk they are SIPp calls and telephones, so what is
shown there has gone over the wire.
"""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import schemas
from flowengine.ari.node import AsteriskNode, SipUser, local_settings
from flowengine.ari.settings import AriSettings
from flowengine.call.causes import USER_BUSY
from flowengine.call.commands import Command
from flowengine.call.events import Event
from flowengine.call.machine import CallMachine
from flowengine.config import Settings
from flowengine.serve import Installation
from simulator.fake_ari import FakeAri
from simulator.fake_ari.script import steps_of
from simulator.phones import Behaviour, seconds
from simulator.sip import AgentPhone, Answers, Caller, read_wav, tone_power
from simulator.timeline import narrate

NUMBER: Final = "+815055550100"
COUNTRY: Final = "JP"
"""Its numbers may be dialled as they are in Japan."""
AGENTS: Final = ("hanako", "taro", "ken")
VOICE_HZ: Final = 440.0
CALL_S: Final = 90.0

Play = Callable[[Installation], Awaitable[None]]
"""Lets people call; returns when their calls are over."""


def say(text: str) -> None:
    """Write a line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def account_file() -> Path:
    """The demo company as code, as it is shipped."""
    return Path(schemas.__file__).parent / "examples" / "demo-account.yaml"


@dataclass
class Stage:
    """Tells calls on the terminal while they happen."""

    settings: Settings
    _events: dict[str, list[Event]] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)

    def watch(self, call: str, machine: CallMachine, event: Event, said: list[Command]) -> None:
        """Take note of a step and tell what is new."""
        del said
        events = self._events.setdefault(call, [])
        events.append(event)
        lines = narrate(machine.flow, events)
        for line in lines[self._told.get(call, 0) :]:
            say(f"  {line}")
        self._told[call] = len(lines)
        if machine.done:
            del self._events[call], self._told[call]

    async def run(self, here: Installation, play: Play) -> None:
        """Let the people of the demo call."""
        say(
            f"\nThe engine is up on the {self.settings.switch} switch; health is told at {here.address}/readyz\n"
        )
        await play(here)

    def invite(self, here: Installation) -> None:
        """Tell how to call it oneself."""
        say("\nCall it yourself:")
        if self.settings.switch == "embedded":
            say(
                f"  .venv/bin/flowengine dial {NUMBER}              type keys and Enter, h and Enter hangs up"
            )
            say(f"  .venv/bin/flowengine dial {NUMBER} --press 1@2 --hang-up 12")
        say(f"\nRecordings are kept in {here.settings.recordings_dir}. Ctrl-C ends.\n")


def embedded(world: FakeAri) -> Play:
    """Put the agents' telephones into the simulated world; nobody has time for the first caller."""
    decline = Behaviour(declines_after_us=seconds(2))
    busy = Behaviour(rings=False, declines_after_us=seconds(0.2), cause=USER_BUSY)
    answer = Behaviour(answers_after_us=seconds(3))
    for agent, behaviour in zip(AGENTS, (decline, busy, decline), strict=True):
        world.add_phone(f"PJSIP/{agent}", (behaviour, answer))
    script = [
        {"hear": "press 1"},
        {"wait": 2},
        {"press": "1"},
        {"hear_to_end": "beep"},
        {"speak": 4},
        {"press": "#"},
    ]

    async def play(here: Installation) -> None:
        del here
        await _until(lambda: all(f"PJSIP/{agent}" in world.world.phones for agent in AGENTS))
        say("A simulated caller dials; everybody in sales is busy, so there will be a message:\n")
        leg = world.place_call(NUMBER, "+819012345678", steps_of(script))
        await _until(lambda: not leg.open)
        await asyncio.sleep(0.3)

    return play


@contextlib.asynccontextmanager
async def on_asterisk(settings: Settings) -> AsyncIterator[tuple[AriSettings, Play]]:
    """Start an Asterisk of our own, with an account for each agent."""
    users = tuple(SipUser(agent, password=secrets.token_urlsafe(12)) for agent in AGENTS)
    folder = (settings.data_dir / "asterisk").resolve()
    async with AsteriskNode(local_settings(folder, app=settings.ari_app, sip_users=users)) as node:
        at = node.settings
        ari = AriSettings(app=at.app, username=at.ari_user, password=at.ari_password, url=at.ari_url)

        async def play(here: Installation) -> None:
            await _sip_calls(here, node)
            say(
                f"\nReal SIP on 127.0.0.1:{at.sip_port}: call sip:{NUMBER}@127.0.0.1:{at.sip_port} with any softphone,"
            )
            say("and register as one of the agents to be rung:")
            for user in users:
                say(f"  sip:{user.name}@127.0.0.1:{at.sip_port}   password {user.password}")

        yield ari, play


async def _sip_calls(here: Installation, node: AsteriskNode) -> None:
    """A SIPp call that reaches an agent, and one that leaves a message."""
    at = node.settings
    hanako = next(user for user in at.sip_users if user.name == AGENTS[0])
    say("A SIPp caller presses 1 and reaches hanako, whose telephone is SIPp, too:\n")
    async with AgentPhone(
        hanako.name, at.sip_port, Answers(2.0, hangs_up_after_s=3.0), password=hanako.password
    ):
        await _until(lambda: here.desk.is_reachable(f"PJSIP/{hanako.name}"))
        async with Caller(NUMBER, at.sip_port) as call:
            await call.answered()
            await asyncio.sleep(2)
            await call.press("1")
            await call.ended(within=CALL_S)
    say("\nAnother presses * and leaves a message, which is a tone of 440 Hz:\n")
    kept = set(here.settings.recordings_dir.rglob("*.wav"))
    async with Caller(NUMBER, at.sip_port) as call:
        await call.answered()
        await asyncio.sleep(2)
        await call.press("*")
        await _until(lambda: _records(here))
        await call.speak(VOICE_HZ, 4.0)
        await call.press("#")
        await call.ended(within=CALL_S)
    await _until(lambda: bool(set(here.settings.recordings_dir.rglob("*.wav")) - kept))
    message = next(iter(set(here.settings.recordings_dir.rglob("*.wav")) - kept))
    power = tone_power(read_wav(message), VOICE_HZ)
    say(f"\nThe message is {message}; {power:.0%} of its sound is the caller's tone.")


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(CALL_S):
        while not condition():  # noqa: ASYNC110 - a demo looks at many things, none of which tells
            await asyncio.sleep(0.05)


def _records(here: Installation) -> bool:
    """Whether some caller is being recorded now."""
    return any(
        thing.startswith("rec-")
        for machine in here.engine.calls.values()
        for thing in machine.call.open_things
    )
