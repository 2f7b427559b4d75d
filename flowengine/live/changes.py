"""The bus of one process: numbered changes, and subscriptions that never grow.

Everything happens on the event loop. Telling a change costs a little for each subscriber and nothing without one, and
waits for nobody: a subscription that is full loses its oldest change, and says so before the next one it gives.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Final, Literal

import msgspec

from flowengine.call.events import Instant
from flowengine.live.views import About, AgentGone, AgentView, CallOver, CallView, LineView, Totals

HELD: Final = 1_000
"""How many changes a subscription holds for a slow reader."""

Kind = Literal["call", "call_over", "agent", "agent_gone", "line", "totals"]
KINDS: Final[dict[type, Kind]] = {
    CallView: "call",
    CallOver: "call_over",
    AgentView: "agent",
    AgentGone: "agent_gone",
    LineView: "line",
    Totals: "totals",
}


class Change(msgspec.Struct, frozen=True):
    """One thing is another now. `seq` counts all changes of this engine, without a hole."""

    seq: int
    at: Instant
    kind: Kind
    about: About


class Gap(msgspec.Struct, frozen=True, tag_field="kind", tag="gap"):
    """So many changes were lost here, because they were not read in time. What is shown now is stale: look anew."""

    lost: int


class Subscription:
    """Changes in order, from the moment of subscribing. Iterate it; leave its context, and the bus forgets it."""

    def __init__(self, bus: "Bus", held: int) -> None:
        self._bus = bus
        self._held = held
        self._changes: deque[Change] = deque()
        self._lost = 0
        self._news = asyncio.Event()
        self._open = True

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Change | Gap:
        """The next change, or what was lost before it. Ends when the subscription is closed."""
        while self._open and not self._changes:
            self._news.clear()
            await self._news.wait()
        if not self._open:
            raise StopAsyncIteration
        if self._lost:
            gap, self._lost = Gap(self._lost), 0
            return gap
        return self._changes.popleft()

    def tell(self, change: Change) -> None:
        """Take a change; of too many, the oldest goes."""
        if len(self._changes) >= self._held:
            self._changes.popleft()
            self._lost += 1
        self._changes.append(change)
        self._news.set()

    def close(self) -> None:
        """End it; whoever waits for the next change is told."""
        self._open = False
        self._changes.clear()
        self._bus.forget(self)
        self._news.set()


class Bus:
    """Numbers changes and tells them to whoever has subscribed."""

    def __init__(self) -> None:
        self.seq = 0
        """The number of the last change."""
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self, held: int = HELD) -> Subscription:
        """Take part from now on, holding `held` unread changes at most (at least one)."""
        subscription = Subscription(self, max(1, held))
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """This one is closed."""
        self._subscriptions.discard(subscription)

    def tell(self, at: Instant, about: About) -> None:
        """Something is another now."""
        self.seq += 1
        if self._subscriptions:
            change = Change(self.seq, at, KINDS[type(about)], about)
            for subscription in self._subscriptions:
                subscription.tell(change)
