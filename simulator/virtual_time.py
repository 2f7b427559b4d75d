"""Virtual time: a heap of what is due and a queue of what is to be told, one loop over both."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Due = tuple[int, int, Callable[[Any], None], Any]
"""Instant, number, what to do, and with what."""


class VirtualTime:
    """Time that jumps from one due thing to the next.

    Args:
        start: the first instant, microseconds since the Unix epoch, UTC.
        latency_us: what `_later` waits, in microseconds.
    """

    def __init__(self, start: int, latency_us: int) -> None:
        self.now = start
        self._latency_us = latency_us
        self._heap: list[Due] = []
        self._fixed: dict[int, deque[Due]] = {}
        """Things that come due in the order in which they were planned, by their delay."""
        self._seq = 0
        self._ready: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    def after(self, delay_us: int, what: Callable[[Any], None], of: Any) -> None:
        """Do `what(of)` later. It cannot be taken back: `what` looks whether it still matters."""
        self._seq += 1
        heappush(self._heap, (self.now + delay_us, self._seq, what, of))

    def at(self, due: int, what: Callable[[Any], None], of: Any) -> None:
        """Do `what(of)` at an instant; at once when that has passed."""
        self._seq += 1
        heappush(self._heap, (due if due > self.now else self.now, self._seq, what, of))

    def after_fixed(self, delay_us: int, what: Callable[[Any], None], of: Any) -> None:
        """Like `after`, for a delay that many things have in common: of each such delay the heap holds one."""
        self._seq += 1
        queue = self._fixed.get(delay_us)
        if queue is None:
            queue = self._fixed[delay_us] = deque()
        due = self.now + delay_us
        queue.append((due, self._seq, what, of))
        if len(queue) == 1:
            heappush(self._heap, (due, self._seq, self._fixed_due, queue))

    def _fixed_due(self, queue: deque[Due]) -> None:
        _, _, what, of = queue.popleft()
        if queue:
            due, seq, _, _ = queue[0]
            heappush(self._heap, (due, seq, self._fixed_due, queue))
        what(of)

    def soon(self, what: Callable[..., None], *of: Any) -> None:
        """Do `what(*of)` at this instant, after everything that was told to happen before."""
        self._ready.append((what, of))

    @property
    def next_due(self) -> int | None:
        """When something will happen next; None when nothing ever will."""
        if self._ready:
            return self.now
        return self._heap[0][0] if self._heap else None

    @property
    def entries(self) -> int:
        """How many things were ever put into the heap."""
        return self._seq

    def run(self, until: int | None = None) -> None:
        """Let everything happen that is due up to `until` (without: everything), and be at that instant then."""
        heap, ready = self._heap, self._ready
        last = (1 << 63) if until is None else until
        while True:
            while ready:
                tell, told = ready.popleft()
                tell(*told)
            if not heap or heap[0][0] > last:
                break
            self.now, _, what, of = heappop(heap)
            what(of)
        if until is not None and until > self.now:
            self.now = until

    def _later(self, what: Callable[[Any], None], of: Any) -> None:
        if self._latency_us:
            self._seq += 1
            heappush(self._heap, (self.now + self._latency_us, self._seq, what, of))
        else:
            what(of)
