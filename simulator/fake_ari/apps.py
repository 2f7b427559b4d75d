"""Stasis applications: who listens, to what, and through which websocket.

An application hears of a thing as often as it has a reason to: once for the channels and bridges it holds, and once
more for each subscription to their endpoint or technology, as Asterisk does. Without a websocket it hears nothing, and
nothing is kept for later; when there is nothing left that it would hear of, it is forgotten with its event filter.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from simulator.fake_ari.rest import Refused

EVERY_DEVICE: Final = "__AST_DEVICE_STATE_ALL_TOPIC"
EVERY_CHANNEL: Final = "__AST_CHANNEL_ALL_TOPIC"
EVERY_BRIDGE: Final = "__AST_BRIDGE_ALL_TOPIC"
EVERY_ENDPOINT: Final = "__AST_ENDPOINT_ALL_TOPIC"

Event = Mapping[str, Any]


class Listener(Protocol):
    """A websocket that takes events."""

    def tell(self, event: Event) -> None:
        """Send one event; never waits."""


class Application:
    """One application."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listener: Listener | None = None
        self.held: set[str] = set()
        """Ids of channels that are in the application's hands."""
        self.channels: Counter[str] = Counter()
        """Reasons to hear of a channel."""
        self.bridges: Counter[str] = Counter()
        self.endpoints: dict[str, None] = {}
        """Endpoints (`PJSIP/hanako`) and technologies (`PJSIP`) subscribed to."""
        self.devices: dict[str, None] = {}
        self.allowed: list[Any] = []
        self.disallowed: list[Any] = []

    def json(self) -> dict[str, Any]:
        """The application as ARI shows it."""
        return {
            "name": self.name,
            "channel_ids": list(+self.channels),
            "bridge_ids": list(+self.bridges),
            "endpoint_ids": list(self.endpoints),
            "device_names": list(self.devices),
            "events_allowed": self.allowed,
            "events_disallowed": self.disallowed,
        }

    @property
    def is_concerned(self) -> bool:
        """Whether there is anything it would hear of."""
        return bool(self.held or +self.channels or +self.bridges or self.endpoints or self.devices)

    def passes(self, kind: str) -> bool:
        """Whether the event filter lets events of this type through."""
        if any(each["type"] == kind for each in self.disallowed):
            return False
        return not self.allowed or any(each["type"] == kind for each in self.allowed)

    def set_filter(self, wanted: Any) -> None:
        """Take a new filter: `{}` opens it, a missing list stays as it is. Raises `Refused`."""
        if not isinstance(wanted, dict):
            raise Refused(400, "Invalid format definition")
        lists: dict[str, list[Any]] = {}
        for name in ("allowed", "disallowed"):
            value = wanted.get(name, getattr(self, name) if wanted else [])
            if not isinstance(value, list) or not all(
                isinstance(each, dict) and isinstance(each.get("type"), str) for each in value
            ):
                raise Refused(400, "Invalid format definition")
            lists[name] = value
        self.allowed, self.disallowed = lists["allowed"], lists["disallowed"]

    def reasons_for_channel(self, channel: str, endpoint: str) -> int:
        """How often an event of this channel is heard."""
        count = int(self.channels[channel] > 0 or EVERY_CHANNEL in self.channels)
        return count + (endpoint in self.endpoints) + (endpoint.split("/", maxsplit=1)[0] in self.endpoints)

    def hears_bridge(self, bridge: str) -> bool:
        """Whether events of this bridge are heard."""
        return self.bridges[bridge] > 0 or EVERY_BRIDGE in self.bridges

    def reasons_for_endpoint(self, endpoint: str) -> int:
        """How often an event of this endpoint is heard."""
        wanted = (endpoint, endpoint.split("/", maxsplit=1)[0], EVERY_ENDPOINT)
        return sum(each in self.endpoints for each in wanted)

    def hears_device(self, device: str) -> bool:
        """Whether the states of this device are heard."""
        return device in self.devices or EVERY_DEVICE in self.devices

    def forget_channel(self, channel: str) -> None:
        """A channel is gone for good."""
        self.held.discard(channel)
        del self.channels[channel]

    def subscribe_to_all(self) -> None:
        """Hear of everything, as a websocket with `subscribeAll=true` does."""
        self.channels[EVERY_CHANNEL] = 1
        self.bridges[EVERY_BRIDGE] = 1
        self.endpoints[EVERY_ENDPOINT] = None
        self.devices[EVERY_DEVICE] = None


class Applications:
    """All applications, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Application] = {}

    def __iter__(self) -> Iterator[Application]:
        return iter(list(self._by_name.values()))

    def find(self, name: str) -> Application:
        """The application of this name. Raises `Refused` (404)."""
        application = self._by_name.get(name)
        if application is None:
            raise Refused(404, "Application not found")
        return application

    def active(self, name: str) -> Application | None:
        """The application, if somebody listens."""
        application = self._by_name.get(name)
        return application if application is not None and application.listener is not None else None

    def connect(self, names: Sequence[str], listener: Listener, everything: bool) -> list[Listener]:
        """A websocket takes applications; returns who had them until now and is mute from here on."""
        replaced = []
        for name in names:
            application = self._by_name.setdefault(name, Application(name))
            if application.listener is not None:
                replaced.append(application.listener)
            application.listener = listener
            if everything:
                application.subscribe_to_all()
        return replaced

    def disconnect(self, listener: Listener) -> None:
        """A websocket is gone."""
        for application in self:
            if application.listener is listener:
                application.listener = None
                self.tidy(application)

    def tidy(self, application: Application) -> None:
        """Forget an application that nobody listens to and that has nothing to hear of."""
        if application.listener is None and not application.is_concerned:
            self._by_name.pop(application.name, None)
