"""A clock that stands still until a test turns it."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class HandTimer:
    """A callback waiting for the hand."""

    def __init__(self, delay: float, callback: Callable[[], object]) -> None:
        self.delay = delay
        self.callback = callback
        self.over = False

    def cancel(self) -> None:
        """Never mind."""
        self.over = True


class HandClock:
    """`flowengine.ari.pacing.Clock`, turned by `advance`."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._heap: list[tuple[float, int, HandTimer]] = []
        self._order = count()
        self._armed = asyncio.Event()

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> HandTimer:
        timer = HandTimer(delay, callback)
        heapq.heappush(self._heap, (self._now + delay, next(self._order), timer))
        self._armed.set()
        return timer

    def advance(self, seconds: float) -> None:
        """Turn the hand, calling everything on its way at its own time."""
        end = self._now + seconds
        while self._heap and self._heap[0][0] <= end:
            due, _, timer = heapq.heappop(self._heap)
            self._now = max(self._now, due)
            if not timer.over:
                timer.over = True
                timer.callback()
        self._now = end

    def skip(self, seconds: float) -> None:
        """Let time pass in which nobody ran, as when the machine slept; then what is due comes late."""
        self._now += seconds
        self.advance(0)

    async def armed(self, shortest: float, longest: float) -> float:
        """Wait until somebody waits for between `shortest` and `longest` seconds; returns for how many."""
        while True:
            for _, _, timer in self._heap:
                if not timer.over and shortest <= timer.delay <= longest:
                    return timer.delay
            self._armed.clear()
            await self._armed.wait()
