"""Applications: what they hold, what they hear of."""

from collections.abc import Callable
from typing import Any, Final

from simulator.fake_ari.apps import (
    EVERY_BRIDGE,
    EVERY_CHANNEL,
    EVERY_DEVICE,
    EVERY_ENDPOINT,
    Application,
)
from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.rest import Answer, Ask, Parameter, Refused, Table, path

TABLE: Final = Table("applications", "Stasis applications")
APPLICATION: Final = path("applicationName", "Name of the application")
SOURCE: Final = Parameter(
    "eventSource",
    "What to hear of: channel:ID, bridge:ID, endpoint:TECHNOLOGY/NAME, deviceState:NAME; all without a name",
    required=True,
    multiple=True,
)

_Change = Callable[[], object]


@TABLE.operation("GET", "/applications", "list", "All applications", returns="List[Application]")
async def every(exchange: Exchange, _: Ask) -> Answer:
    """Show all."""
    return Answer([each.json() for each in exchange.apps])


@TABLE.operation(
    "GET",
    "/applications/{applicationName}",
    "get",
    "One application",
    APPLICATION,
    returns="Application",
    errors={404: "There is no such application"},
)
async def get(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    return Answer(exchange.apps.find(ask.text("applicationName")).json())


@TABLE.operation(
    "PUT",
    "/applications/{applicationName}/eventFilter",
    "filter",
    "Choose by type which events are sent: lists of {type} under `allowed` and `disallowed`",
    APPLICATION,
    Parameter("filter", "The lists; an empty object lets everything through", "body", "object"),
    returns="Application",
    errors={400: "The lists are malformed", 404: "There is no such application"},
)
async def set_filter(exchange: Exchange, ask: Ask) -> Answer:
    """Take a filter."""
    application = exchange.apps.find(ask.text("applicationName"))
    application.set_filter(ask.whole_body)
    return Answer(application.json())


@TABLE.operation(
    "POST",
    "/applications/{applicationName}/subscription",
    "subscribe",
    "Hear of more than one's own channels",
    APPLICATION,
    SOURCE,
    returns="Application",
    errors={
        400: "No event source is named, or of no known kind",
        404: "There is no such application",
        422: "The event source does not exist",
    },
)
async def subscribe(exchange: Exchange, ask: Ask) -> Answer:
    """Hear of more."""
    return _change(exchange, ask, _subscribing, "Event source does not exist")


@TABLE.operation(
    "DELETE",
    "/applications/{applicationName}/subscription",
    "unsubscribe",
    "Hear of something no more",
    APPLICATION,
    SOURCE,
    returns="Application",
    errors={
        400: "No event source is named, or of no known kind",
        404: "There is no such application",
        422: "The application has not subscribed to it",
    },
)
async def unsubscribe(exchange: Exchange, ask: Ask) -> Answer:
    """Hear of less."""
    return _change(exchange, ask, _unsubscribing, "Event source was not subscribed to")


def _change(
    exchange: Exchange,
    ask: Ask,
    find: Callable[[Exchange, Application, str, str], _Change | None],
    missing: str,
) -> Answer:
    """All sources or none."""
    sources = ask.many("eventSource") or [""]
    if not ask.told("eventSource"):
        raise Refused(400, "Missing parameter eventSource")
    application = exchange.apps.find(ask.text("applicationName"))
    changes = []
    for source in sources:
        kind, colon, name = source.partition(":")
        if not colon or kind not in ("channel", "bridge", "endpoint", "deviceState"):
            raise Refused(400, "Invalid event source URI scheme")
        change = find(exchange, application, kind, name)
        if change is None:
            raise Refused(422, missing)
        changes.append(change)
    for change in changes:
        change()
    return Answer(application.json())


def _subscribing(exchange: Exchange, app: Application, kind: str, name: str) -> _Change | None:
    match kind:
        case "channel":
            known = not name or name in exchange.channels
            return (lambda: app.channels.update([name or EVERY_CHANNEL])) if known else None
        case "bridge":
            known = not name or name in exchange.world.bridges
            return (lambda: app.bridges.update([name or EVERY_BRIDGE])) if known else None
        case "endpoint":
            known = not name or name == "PJSIP" or exchange.devices.knows(name)
            return (lambda: app.endpoints.setdefault(name or EVERY_ENDPOINT)) if known else None
        case _:
            return lambda: app.devices.setdefault(name or EVERY_DEVICE)


def _unsubscribing(_: Exchange, app: Application, kind: str, name: str) -> _Change | None:
    match kind:
        case "channel":
            return _less(app.channels, name or EVERY_CHANNEL)
        case "bridge":
            return _less(app.bridges, name or EVERY_BRIDGE)
        case "endpoint":
            return _drop(app.endpoints, name or EVERY_ENDPOINT)
        case _:
            if EVERY_DEVICE in app.devices and name:
                return lambda: None  # who hears of all goes on to hear of this one
            return _drop(app.devices, name or EVERY_DEVICE)


def _less(counted: Any, name: str) -> _Change | None:
    return (lambda: counted.subtract([name])) if counted[name] > 0 else None


def _drop(named: dict[str, None], name: str) -> _Change | None:
    return (lambda: named.pop(name)) if name in named else None
