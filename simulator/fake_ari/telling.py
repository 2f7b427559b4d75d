"""Who is told what: events with what all events have, to every application that has a reason to hear of a thing."""

from typing import Any, Final

from simulator.fake_ari.apps import Application, Applications
from simulator.fake_ari.channel import Channel, stamp
from simulator.virtual_time import VirtualTime

ASTERISK_ID: Final = "02:00:00:00:00:01"


class Telling:
    """The part of the exchange that tells. Nothing here waits: a websocket has a queue of its own."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.apps = Applications()
        self.channels: dict[str, Channel] = {}

    def tell(self, kind: str, channel: Channel, **fields: Any) -> None:
        """Tell what happened to a channel to everybody who has a reason to hear of it."""
        self.tell_of_channel(kind, channel, fields | {"channel": channel.json()})

    def tell_of_channel(self, kind: str, channel: Channel, fields: dict[str, Any]) -> None:
        """Tell something that concerns a channel but does not show it."""
        for app in self.apps:
            for _ in range(app.reasons_for_channel(channel.id, channel.endpoint)):
                self.tell_app(app, kind, fields)

    def tell_of_new(self, channel: Channel, shown: dict[str, Any]) -> None:
        """Tell that a channel came into being to those who hear of all, or of all of its endpoint."""
        for app in self.apps:
            for _ in range(app.reasons_for_channel("", channel.endpoint)):
                self.tell_app(app, "ChannelCreated", {"channel": shown})

    def tell_of_bridge(self, kind: str, bridge_id: str, fields: dict[str, Any]) -> None:
        """Tell something that concerns a bridge."""
        for app in self.apps:
            if app.hears_bridge(bridge_id):
                self.tell_app(app, kind, fields)

    def tell_of_target(self, kind: str, target: str, fields: dict[str, Any]) -> None:
        """Tell something of a sound or a recording on `channel:ID` or `bridge:ID`."""
        what, _, id = target.partition(":")
        if what == "bridge":
            self.tell_of_bridge(kind, id, fields)
        elif id in self.channels:
            self.tell_of_channel(kind, self.channels[id], fields)

    def tell_app(self, app: Application, kind: str, fields: dict[str, Any]) -> None:
        """Tell one application an event, if somebody listens and its filter lets it through."""
        if app.listener is not None and app.passes(kind):
            app.listener.tell(self.event(kind, app.name, fields))

    def event(self, kind: str, app: str, fields: dict[str, Any]) -> dict[str, Any]:
        """An event with what all events have."""
        stamped = {"timestamp": stamp(self._time.now), "asterisk_id": ASTERISK_ID, "application": app}
        return {"type": kind} | fields | stamped
