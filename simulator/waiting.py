"""The waiting line as plain arithmetic: what each caller's wait has to be, given when they came and how long they talk.

For callers served in order of arrival by agents who are all alike the waits follow from one another (Lindley 1952 for
one agent, Kiefer and Wolfowitz 1955 for several). No engine, no time, no chance is in here, so a run of the engine can
be held against it call by call, to the microsecond, where a comparison of means would need a million calls.
"""

from collections.abc import Iterable
from heapq import heapreplace
from typing import NamedTuple


class Need(NamedTuple):
    """One caller: when they come, how long they would wait, and how long they keep an agent busy. Microseconds."""

    at: int
    patience: int
    keeps: int
    """Talk and wrap-up."""


def waits(agents: int, callers: Iterable[Need]) -> list[int | None]:
    """Give each caller's wait in microseconds, None for those whose patience ends first.

    Args:
        agents: how many answer.
        callers: in order of arrival. What those who give up would have kept an agent busy does not matter.
    """
    free_from = [0] * agents
    """When each agent is free next, the soonest first."""
    found: list[int | None] = []
    for at, patience, keeps in callers:
        wait = max(0, free_from[0] - at)
        if wait > patience:
            found.append(None)
            continue
        found.append(wait)
        heapreplace(free_from, at + wait + keeps)
    return found
