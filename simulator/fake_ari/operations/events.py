"""Events: the websocket (served by the server itself), and events made by hand."""

from typing import Any, Final

from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, Table, path, variables
from simulator.fake_ari.rooms import shown

TABLE: Final = Table("events", "The stream of events")


@TABLE.operation(
    "GET",
    "/events",
    "eventWebsocket",
    "Events of one or more applications, on a websocket",
    Parameter("app", "Names of the applications", required=True, multiple=True),
    Parameter("subscribeAll", "Hear of everything, not of one's own channels alone", type="boolean"),
    returns="Message",
    websocket=True,
)
async def websocket(_: Exchange, __: Ask) -> Answer:
    """Only reached when what came is no websocket, or came by one."""
    raise Refused(400, "Can't upgrade to websocket from a websocket", "Bad request")


@TABLE.operation(
    "POST",
    "/events/user/{eventName}",
    "userEvent",
    "Send an application an event of one's own",
    path("eventName", "Name of the event"),
    Parameter("application", "Who is to have it", required=True),
    Parameter("source", "What it is about: channel:ID, bridge:ID or endpoint:TECHNOLOGY/NAME", multiple=True),
    variables("What the event carries"),
    errors={
        400: "No application is named, or a source is malformed",
        404: "There is no such application",
        422: "A source does not exist",
    },
)
async def user_event(exchange: Exchange, ask: Ask) -> Answer:
    """Pass one on."""
    if not ask.text("application"):
        raise Refused(400, "Missing parameter application")
    application = exchange.apps.find(ask.text("application"))
    name = ask.text("eventName")
    fields: dict[str, Any] = {"eventname": name, "userevent": ask.variables() | {"eventname": name}}
    for source in ask.many("source"):
        kind, _, id = source.partition(":")
        fields[kind] = _source(exchange, kind, id)
    exchange.tell_app(application, "ChannelUserevent", fields)
    return DONE


def _source(exchange: Exchange, kind: str, id: str) -> dict[str, Any]:
    missing = Refused(422, "Event source was not found")
    match kind:
        case "channel" if id in exchange.channels:
            return exchange.channels[id].json()
        case "bridge" if id in exchange.world.bridges:
            return shown(exchange.world.bridges[id])
        case "endpoint" if exchange.devices.knows(id):
            return exchange.devices.endpoint(id)
        case "channel" | "bridge" | "endpoint":
            raise missing
        case _:
            raise Refused(400, "Invalid event source URI scheme")
