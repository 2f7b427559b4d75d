"""Endpoints: the telephones, and the trunk by which calls come in."""

from typing import Final

from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.rest import Answer, Ask, Refused, Table, path

TABLE: Final = Table("endpoints", "Telephones and trunks")
TECHNOLOGY: Final = path("tech", "Technology, such as PJSIP")


@TABLE.operation("GET", "/endpoints", "list", "All endpoints", returns="List[Endpoint]")
async def every(exchange: Exchange, _: Ask) -> Answer:
    """Show all."""
    return Answer(exchange.devices.endpoints())


@TABLE.operation(
    "GET",
    "/endpoints/{tech}",
    "listByTech",
    "The endpoints of one technology",
    TECHNOLOGY,
    returns="List[Endpoint]",
    errors={404: "There is no such technology"},
)
async def of_technology(exchange: Exchange, ask: Ask) -> Answer:
    """Show some."""
    technology = ask.text("tech")
    found = [each for each in exchange.devices.endpoints() if each["technology"] == technology]
    if not found:
        raise Refused(404, f"No Endpoints found - invalid tech {technology}")
    return Answer(found)


@TABLE.operation(
    "GET",
    "/endpoints/{tech}/{resource}",
    "get",
    "One endpoint",
    TECHNOLOGY,
    path("resource", "Name of the endpoint"),
    returns="Endpoint",
    errors={404: "There is no such endpoint"},
)
async def get(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    name = f"{ask.text('tech')}/{ask.text('resource')}"
    if not exchange.devices.knows(name):
        raise Refused(404, "Endpoint not found")
    return Answer(exchange.devices.endpoint(name))
