"""Endpoints and the states of devices, as they follow from who is registered and who is on a call."""

from typing import TYPE_CHECKING, Any, Final

from simulator.fake_ari.rest import Refused

if TYPE_CHECKING:
    from simulator.fake_ari.exchange import Exchange

CONTROLLED: Final = "Stasis:"
"""Devices whose state is set by applications."""
STATES: Final = frozenset(
    {"UNKNOWN", "NOT_INUSE", "INUSE", "BUSY", "INVALID", "UNAVAILABLE", "RINGING", "RINGINUSE", "ONHOLD"}
)
TRUNK: Final = "PJSIP/trunk"


class Devices:
    """All devices of one exchange."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._told: dict[str, str] = {}
        self.controlled: dict[str, str] = {}

    def state(self, name: str) -> str:
        """The state of a device, in Asterisk's words."""
        if name.startswith(CONTROLLED):
            return self.controlled.get(name, "UNKNOWN")
        legs = [leg for leg in self._exchange.world.legs.values() if leg.tag and leg.tag.endpoint == name]
        if name == TRUNK:
            return "INUSE" if any(leg.up for leg in legs) else "UNAVAILABLE"
        phone = self._exchange.world.phones.get(name)
        if phone is None:
            return "INVALID"
        if any(leg.up or leg.rings for leg in legs):
            return "BUSY"
        return "NOT_INUSE" if phone.registered else "UNAVAILABLE"

    def set(self, name: str, state: str) -> None:
        """Set the state of a controlled device. Raises `Refused` as Asterisk does: 409, 500."""
        self.check_controlled(name)
        if state not in STATES:
            raise Refused(500, "Unknown device")
        self.controlled[name] = state
        self.look_at(name)

    def check_controlled(self, name: str) -> None:
        """Raise `Refused` (409) for a device whose state is not for applications to set."""
        if not name.startswith(CONTROLLED):
            raise Refused(409, "Uncontrolled device specified")

    def look_at(self, name: str) -> None:
        """Tell the state of a device if it has changed."""
        state = self.state(name)
        unknown = "UNKNOWN" if name.startswith(CONTROLLED) else "UNAVAILABLE"
        if self._told.get(name, unknown) != state:
            self._told[name] = state
            for app in self._exchange.apps:
                if app.hears_device(name):
                    fields = {"device_state": {"name": name, "state": state}}
                    self._exchange.tell_app(app, "DeviceStateChanged", fields)

    def registered(self, endpoint: str, is_reachable: bool) -> None:
        """Tell a registration, or its end."""
        self.look_at(endpoint)
        _, _, resource = endpoint.partition("/")
        shown = {"endpoint": self.endpoint(endpoint)}
        contact = {
            "uri": f"sip:{resource}@127.0.0.1",
            "contact_status": "NonQualified" if is_reachable else "Removed",
            "aor": resource,
            "roundtrip_usec": "0",
        }
        self._tell("EndpointStateChange", endpoint, shown)
        status = "Reachable" if is_reachable else "Unreachable"
        self._tell("PeerStatusChange", endpoint, shown | {"peer": {"peer_status": status}})
        self._tell("ContactStatusChange", endpoint, shown | {"contact_info": contact})

    def endpoints(self) -> list[dict[str, Any]]:
        """All endpoints as ARI shows them."""
        return [self.endpoint(name) for name in (TRUNK, *self._exchange.world.phones)]

    def knows(self, endpoint: str) -> bool:
        """Whether there is such an endpoint."""
        return endpoint == TRUNK or endpoint in self._exchange.world.phones

    def endpoint(self, name: str) -> dict[str, Any]:
        """An endpoint as ARI shows it."""
        technology, _, resource = name.partition("/")
        phone = self._exchange.world.phones.get(name)
        channels = [each.id for each in self._exchange.channels.values() if each.endpoint == name]
        return {
            "technology": technology,
            "resource": resource,
            "state": "online" if phone is not None and phone.registered else "offline",
            "channel_ids": channels,
        }

    def _tell(self, kind: str, endpoint: str, fields: dict[str, Any]) -> None:
        for app in self._exchange.apps:
            for _ in range(app.reasons_for_endpoint(endpoint)):
                self._exchange.tell_app(app, kind, fields)
