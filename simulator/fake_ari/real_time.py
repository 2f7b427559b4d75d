"""Real time for a world: virtual time follows a monotonic clock, and the event loop wakes when something is due."""

import asyncio
import time
from collections.abc import Callable

from simulator.virtual_time import VirtualTime


class RealTime:
    """Runs a world as wall time passes.

    Args:
        world: what happens.
        speed: how many seconds of the world a second of the clock is.
        failed: told of an exception out of the world; it goes on then.
    """

    def __init__(self, world: VirtualTime, speed: float, failed: Callable[[Exception], None]) -> None:
        self._world = world
        self._speed = speed
        self._failed = failed
        self._began_at = world.now
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def now(self) -> int:
        """The instant it is in the world by the clock, microseconds since the Unix epoch."""
        return self._began_at + int((time.monotonic() - self._began) * self._speed * 1_000_000)

    def catch_up(self) -> None:
        """Let everything happen that is due by now, and come back when more is."""
        try:
            self._world.run(until=self.now)
        except Exception as error:
            self._failed(error)
        self._arm()

    def soon(self) -> None:
        """Catch up as soon as the present task has let go."""
        if not self._stopped:
            asyncio.get_running_loop().call_soon(self.catch_up)

    def stop(self) -> None:
        """Let time stand still for good."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._world.next_due
        if due is not None and not self._stopped:
            delay_s = max(0.0, (due - self.now) / 1_000_000 / self._speed)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.catch_up)
