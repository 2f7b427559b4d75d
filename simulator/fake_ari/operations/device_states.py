"""States of devices: all can be read, those of `Stasis:` can be set."""

from typing import Final

from simulator.fake_ari.devices import STATES
from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Table, path

TABLE: Final = Table("deviceStates", "States of devices")
DEVICE: Final = path("deviceName", "Name of the device")
ERRORS: Final = {404: "No device is named", 409: "The device is not one of `Stasis:`"}


@TABLE.operation(
    "GET", "/deviceStates", "list", "The devices whose state was set through ARI", returns="List[DeviceState]"
)
async def every(exchange: Exchange, _: Ask) -> Answer:
    """Show those that were set."""
    controlled = exchange.devices.controlled
    return Answer([{"name": name, "state": state} for name, state in controlled.items()])


@TABLE.operation(
    "GET", "/deviceStates/{deviceName}", "get", "The state of a device", DEVICE, returns="DeviceState"
)
async def get(exchange: Exchange, ask: Ask) -> Answer:
    """Show any."""
    name = ask.text("deviceName")
    return Answer({"name": name, "state": exchange.devices.state(name)})


@TABLE.operation(
    "PUT",
    "/deviceStates/{deviceName}",
    "update",
    "Set the state of a device",
    DEVICE,
    Parameter("deviceState", "The state", required=True, allowed=tuple(sorted(STATES))),
    errors=ERRORS,
)
async def update(exchange: Exchange, ask: Ask) -> Answer:
    """Set one."""
    exchange.devices.set(ask.text("deviceName"), ask.text("deviceState"))
    return DONE


@TABLE.operation(
    "DELETE", "/deviceStates/{deviceName}", "delete", "Let go of a device", DEVICE, errors=ERRORS
)
async def delete(exchange: Exchange, ask: Ask) -> Answer:
    """Let go of one; its state is not known then."""
    name = ask.text("deviceName")
    exchange.devices.check_controlled(name)
    exchange.devices.controlled.pop(name, None)
    exchange.devices.look_at(name)
    return DONE
