"""One trial: a contender gets calls at a rate for some seconds, and what became of them is counted."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from bench.compare import sip_load
from bench.compare.contenders import Contender
from bench.compare.ground import PROMPT_S, Ground, told
from bench.compare.processes import Strangers, cpu_s

Line = Literal["sip", "local"]

MENU_S: Final = 3.5
"""The longest that a call of a clean trial takes, in seconds."""
BEHIND_S: Final = 1.0
"""How far a clean trial may fall behind its pace."""
PROBES: Final = 10.0
"""Measured callers a second."""
PRESSED_S: Final = 0.05
"""What SendDTMF waits after the digit's end."""
RIGHT_S: Final = (0.8, 2.0)
"""How long after the digit a right call ends; the second prompt takes one."""

_runs = itertools.count()


@dataclass(frozen=True)
class Trial:
    """What was seen."""

    rate: float
    calls: int
    wrong: int
    retransmissions: int
    behind_s: float
    asterisk_cpu_ms: float
    """Processor time of Asterisk by call, in milliseconds."""
    controller_cpu_ms: float
    strangers: float
    """Cores that processes of others used meanwhile."""
    setup_ms: list[float] = field(default_factory=list, repr=False)
    action_ms: list[float] = field(default_factory=list, repr=False)

    @property
    def clean(self) -> bool:
        """All calls right, nothing sent twice, the pace kept."""
        return not self.wrong and not self.retransmissions and self.behind_s < BEHIND_S


async def trial(
    here: Ground, who: Contender, line: Line, rate: float, seconds: float, *, probed: bool
) -> Trial:
    """Give a contender calls.

    Args:
        here: where all runs.
        who: the contender.
        line: SIP with RTP, or Local channels.
        rate: calls a second.
        seconds: for how long calls come.
        probed: whether a few of the SIP callers measure delays; on Local channels all do.
    """
    await here.quiet()
    pids = [here.asterisk] + ([here.controllers[who.name]] if who.name in here.controllers else [])
    used = [cpu_s(pid) for pid in pids]
    strangers = Strangers()
    loop = asyncio.get_running_loop()
    began = loop.time()
    run = _sip if line == "sip" else _local
    calls, wrong, again, behind_s, setup_ms, action_ms = await run(here, who, rate, seconds, probed=probed)
    await here.quiet()
    took_s = loop.time() - began
    spent = [(cpu_s(pid) - before) * 1_000 / calls for pid, before in zip(pids, used, strict=True)]
    return Trial(
        rate,
        calls,
        wrong,
        again,
        behind_s,
        spent[0],
        spent[1] if len(spent) > 1 else 0.0,
        strangers.cores(took_s),
        setup_ms,
        action_ms,
    )


Counted = tuple[int, int, int, float, list[float], list[float]]


async def _sip(here: Ground, who: Contender, rate: float, seconds: float, *, probed: bool) -> Counted:
    port = here.node.settings.sip_port
    probes = min(PROBES, rate / 2) if probed else 0.0
    calls, measured = max(1, round((rate - probes) * seconds)), round(probes * seconds)
    work = sip_load.load(port, who.short, rate - probes, calls)
    seen: dict[str, Any] = {"wrong": 0, "setup_ms": [], "action_ms": []}
    if probed:
        options = {"port": port, "number": who.short, "rate": probes, "calls": measured}
        run, seen = await asyncio.gather(work, told("probe", options, seconds + 30))
    else:
        run = await work
    return (
        calls + measured,
        run.wrong + seen["wrong"],
        run.retransmissions,
        run.took_s - seconds - MENU_S,
        seen["setup_ms"],
        seen["action_ms"],
    )


async def _local(here: Ground, who: Contender, rate: float, seconds: float, *, probed: bool) -> Counted:
    del probed  # they all are
    here.log.unlink(missing_ok=True)
    calls = max(1, round(rate * seconds))
    options = {
        **here.ari(),
        "number": who.short,
        "rate": rate,
        "calls": calls,
        "does": "press",
        "run": next(_runs),
    }
    loaded = await told("local_load", options, seconds + 40)
    await here.quiet()
    setup_ms, action_ms = [], []
    lines = here.log.read_text(encoding="ascii").splitlines() if here.log.exists() else []
    for line in lines:
        words = line.split()
        asked = loaded["asked"].get(words[0])
        if asked is None or len(words) != 4:  # never answered, or hung up before the digit
            continue
        up, pressed, over = map(float, words[1:])
        after_s = over - pressed + PRESSED_S
        if RIGHT_S[0] < after_s < RIGHT_S[1]:
            setup_ms.append((up - asked) * 1_000)
            action_ms.append((after_s - PROMPT_S) * 1_000)
    return calls, calls - len(setup_ms), 0, loaded["late_s"], setup_ms, action_ms
