"""Waiting lines: who waits for whom, strictly first come, first served. Pure.

All lines of an installation are one list in the order of joining; a line is those of it with one target. An agent
who becomes free goes to whoever has waited longest among all who may have them.
"""

from typing import Literal, NamedTuple

from flowengine.call.events import Instant

Kind = Literal["user", "group"]
Left = Literal["answered", "timeout", "abandoned", "full", "no_agents"]
"""Why a caller is not in a line any more: put through to an agent, waited long enough, hung up or went on, found
no room, or nobody to wait for was in reach any more."""


class Target(NamedTuple):
    """Whom a line is for."""

    account: str
    kind: Kind
    name: str


class Waiting(NamedTuple):
    """A caller in a line. `told` is the position they know."""

    target: Target
    call: str
    request: str
    since: Instant
    told: int = 0


class LineVisit(NamedTuple):
    """A caller's stay in a line, for reports. `joined_at` equals `left_at` for a line that was full."""

    target: Target
    call: str
    joined_at: Instant
    left_at: Instant
    left: Left


class HandlingTime:
    """How long an agent of a target is busy with one call, on a running average. Seconds."""

    WEIGHT = 0.2

    def __init__(self) -> None:
        self._mean_s: dict[Target, float] = {}

    def learn(self, target: Target, seconds: float) -> None:
        """A talk took so long."""
        known = self._mean_s.get(target, seconds)
        self._mean_s[target] = known + self.WEIGHT * (seconds - known)

    def wait_s(self, target: Target, position: int, agents: int) -> float | None:
        """The expected wait at a position with so many agents in reach; None while nothing is known."""
        mean_s = self._mean_s.get(target)
        return None if mean_s is None or agents < 1 else mean_s * position / agents
