"""Time for live calls: the wall clock read once, then carried on by the monotonic one.

A machine's clock that is set back or forward while calls run must neither fire nor hold up their timers.
"""

import time

from flowengine.call.events import Instant


class SystemClock:
    """The Clock port over the operating system."""

    def __init__(self) -> None:
        self._offset_us = (time.time_ns() - time.monotonic_ns()) // 1_000

    def now(self) -> Instant:
        """Microseconds since the Unix epoch, UTC; never backwards."""
        return time.monotonic_ns() // 1_000 + self._offset_us
