"""A listener that notes what a switch reports, and can be waited for."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from flowengine.call.events import Event
from flowengine.ports import Arrival

_Found = TypeVar("_Found")
_Kind = TypeVar("_Kind", bound=Event)


class Hearing:
    """Everything heard, in order."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.events: list[tuple[str, Event]] = []
        self.devices: dict[str, bool] = {}
        self._changed = asyncio.Event()

    def arrived(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        self._changed.set()

    def happened(self, call: str, event: Event) -> None:
        self.events.append((call, event))
        self._changed.set()

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        self.devices[endpoint] = is_reachable
        self._changed.set()

    def of(self, kind: type[_Kind], **fields: object) -> list[_Kind]:
        """The events of a kind whose named fields have these values."""
        return [
            event
            for _, event in self.events
            if isinstance(event, kind) and all(getattr(event, name) == want for name, want in fields.items())
        ]

    async def event(self, kind: type[_Kind], within: float = 5.0, **fields: object) -> _Kind:
        """The first such event, past or to come."""
        return await self.until(
            lambda: next(iter(self.of(kind, **fields)), None), within, f"{kind.__name__} {fields}"
        )

    async def arrival(self, within: float = 5.0) -> Arrival:
        """The last arrival, past or to come."""
        return await self.until(lambda: self.arrivals[-1] if self.arrivals else None, within, "arrival")

    async def until(self, look: Callable[[], _Found | None], within: float, what: str) -> _Found:
        """Wait until `look` finds something. Raises TimeoutError with what was heard instead."""
        try:
            async with asyncio.timeout(within):
                while not (found := look()):
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError:
            heard = ", ".join(str(event) for _, event in self.events)
            raise TimeoutError(f"no {what} within {within} s; heard: {heard}") from None
