"""Time as the ARI client sees it: a clock that tests can turn by hand, and waits that grow with failure."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that is still to come."""

    def cancel(self) -> None:
        """Let it not come."""


class Clock(Protocol):
    """The two things of an event loop that the client tells time by; `asyncio`'s own loop is one."""

    def time(self) -> float:
        """Seconds, never going back, from an arbitrary start."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` once, `delay` seconds from now."""


async def pause(clock: Clock, seconds: float) -> None:
    """Wait for `seconds` of the clock."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


class Backoff:
    """Waits that double from `first_s` to `cap_s`, each shortened at random by up to a half.

    The chance part keeps many engines from knocking on a restarted Asterisk in the same instant.
    """

    def __init__(self, first_s: float, cap_s: float, chance: random.Random) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._chance = chance
        self._next_s = first_s

    def next(self) -> float:
        """The wait before the next attempt, in seconds."""
        wait = min(self._next_s, self._cap_s)
        self._next_s = min(2 * wait, self._cap_s)
        return wait * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._next_s = self._first_s
