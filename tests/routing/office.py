"""Several calls, one desk, and the people behind it: a small company in one process, without clocks or threads.

Calls are driven as scripts (every step audited); what they tell the desk reaches it at once, and what the desk
answers goes through one inbox, in order, as in a running engine. `Bookkeeper` sees both directions and knows the rules.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from flowengine.call.commands import DeskCommand
from flowengine.call.events import Event, Instant
from flowengine.flow.document import Flow
from flowengine.routing.agents import Wish
from flowengine.routing.desk import MemoryDesk
from flowengine.routing.directory import Catalog, User
from tests.call.driving import T0, Driven, drive

ACCOUNT = "acc"
_DESK = DeskCommand.__args__


class Bookkeeper(Protocol):
    """Sees what a call tells the desk before the desk does, and what the desk tells a call before the call does."""

    def asked(self, call: str, command: DeskCommand) -> None: ...

    def told(self, call: str, event: Event) -> None: ...


class Office:
    """A desk, its users (name -> number of devices) and its calls."""

    def __init__(
        self, users: dict[str, int], groups: dict[str, tuple[str, ...]], books: Bookkeeper | None = None
    ) -> None:
        self.devices = {
            name: tuple(f"PJSIP/{name}" + (f"-{at}" if at > 1 else "") for at in range(1, devices + 1))
            for name, devices in users.items()
        }
        catalog = Catalog(
            users={ACCOUNT: {name: User(name, devices) for name, devices in self.devices.items()}},
            groups={ACCOUNT: groups},
        )
        self.desk = MemoryDesk(self._deliver, catalog)
        self.calls: dict[str, Driven] = {}
        self.finished: dict[str, Driven] = {}
        self.now: Instant = T0
        self.books = books
        self._inbox: deque[tuple[str, Event]] = deque()
        self._heard: dict[str, int] = {}
        self._arrived = 0

    def arrives(self, flow: Flow) -> str:
        """A call comes in; gives its name."""
        self._arrived += 1
        name = f"call-{self._arrived}"
        self.calls[name] = drive(flow)
        self._heard[name] = 0
        self.does(name, lambda call: call.arrives())
        return name

    def does(self, name: str, action: Callable[[Driven], object]) -> None:
        """Something happens to a call; then everything it led to, until all is quiet."""
        call = self.calls[name]
        call.now = self.now
        action(call)
        self._settle()

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        self.desk.reachable(endpoint, is_reachable, self.now)
        self._settle()

    def wishes(self, user: str, wish: Wish) -> None:
        self.desk.wish(ACCOUNT, user, wish, self.now)
        self._settle()

    def waits(self, seconds: float) -> None:
        """Time passes for everybody, to the next timer and the next, in order of their deadlines."""
        until = self.now + round(seconds * 1_000_000)
        while True:
            due = [
                (call.audit.due[timer], name)
                for name, call in self.calls.items()
                for timer in call.audit.of_kind("timer")
                if call.audit.due[timer] <= until
            ]
            if not due:
                break
            at, name = min(due)
            self.now = max(self.now, at)
            self.does(name, lambda call: call.waits(0))
        self.now = until

    def _deliver(self, name: str, event: Event) -> None:
        if self.books is not None:
            self.books.told(name, event)
        self._inbox.append((name, event))

    def _settle(self) -> None:
        while True:
            self._pass_on()
            if not self._inbox:
                return
            name, event = self._inbox.popleft()
            if (call := self.calls.get(name)) is not None:
                call.now = self.now
                call.happens(event)

    def _pass_on(self) -> None:
        for name, call in list(self.calls.items()):
            while self._heard[name] < len(call.all_said):
                command = call.all_said[self._heard[name]]
                self._heard[name] += 1
                if isinstance(command, _DESK):
                    if self.books is not None:
                        self.books.asked(name, command)
                    self.desk.perform(ACCOUNT, name, command, self.now)
            if call.is_over():
                self.finished[name] = self.calls.pop(name)
                self.desk.call_ended(ACCOUNT, name, self.now)
