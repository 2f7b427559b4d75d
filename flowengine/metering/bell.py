"""What wakes a loop that sleeps until something is due."""

import asyncio
import contextlib

from flowengine.call.events import SECOND


class Bell:
    """Rung by whoever has something new for the sleeper."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the sleeper."""
        self._rung.set()

    async def sleep(self, within: int | None) -> None:
        """Sleep for so many microseconds (None: for ever), or until the next ringing."""
        self._rung.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if within is None else max(0, within) / SECOND):
                await self._rung.wait()
