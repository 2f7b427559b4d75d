"""How much a live call weighs: calls on Local channels wait for a key, and memory is read from /proc."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.compare.contenders import Contender
from bench.compare.ground import Ground, NoGround, ground, told
from bench.compare.processes import cpu_s, memory_kb
from bench.compare.trial import trial
from flowengine.ari.node import NodeError

RATE: Final = 80.0
"""Calls a second while the held calls are made."""
SETTLE_S: Final = 2.5
WATCH_S: Final = 3.0
WARM_CALLS_S: Final = 3.0
UP: Final = 0.99
"""The share of the calls that must be up for a figure to count."""

_runs = itertools.count()


@dataclass(frozen=True)
class Held:
    """So many live calls at once."""

    wanted: int
    up: int
    asterisk_kb: float
    """By call, of Asterisk's own memory; two Local channels a call."""
    controller_kb: float
    asterisk_cores: float
    """Processor time in use while they wait."""
    controller_cores: float

    @property
    def reached(self) -> bool:
        """The machine carried them."""
        return self.up >= UP * self.wanted


async def held(who: Contender, steps: Sequence[int]) -> list[Held]:
    """Weigh a contender at these numbers of calls, on an Asterisk of its own; stops where calls are not up."""
    found: list[Held] = []
    async with ground([who]) as here:
        await trial(here, who, "local", 10.0, WARM_CALLS_S, probed=False)
        pids = [here.asterisk] + ([here.controllers[who.name]] if who.name in here.controllers else [])
        await asyncio.sleep(SETTLE_S)
        empty = [memory_kb(pid) for pid in pids]
        for wanted in steps:
            try:
                found.append(await _weighed(here, who, wanted, pids, empty))
            except (NodeError, NoGround):  # Asterisk has no time left for a question
                found.append(Held(wanted, 0, 0.0, 0.0, 0.0, 0.0))
            if not found[-1].reached:
                break
            await here.node.cli("channel request hangup all")
            await here.quiet(20)
    return found


async def _weighed(
    here: Ground, who: Contender, wanted: int, pids: Sequence[int], empty: Sequence[float]
) -> Held:
    await _more(here, who, wanted)
    up = await here.channels() // 2
    before = [cpu_s(pid) for pid in pids]
    await asyncio.sleep(WATCH_S)
    cores = [(cpu_s(pid) - was) / WATCH_S for pid, was in zip(pids, before, strict=True)] + [0.0]
    grown = [(memory_kb(pid) - was) / max(1, up) for pid, was in zip(pids, empty, strict=True)] + [0.0]
    return Held(wanted, up, grown[0], grown[1], cores[0], cores[1])


async def _more(here: Ground, who: Contender, calls: int) -> None:
    options = {
        **here.ari(),
        "number": who.long,
        "rate": RATE,
        "calls": calls,
        "does": "hold",
        "run": f"held{next(_runs)}y",
    }
    await told("local_load", options, calls / RATE + 60)
    await asyncio.sleep(SETTLE_S)
