"""Sounds that come with the switch: this one has none, prompts are played by their path."""

from typing import Final

from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.rest import Answer, Ask, Parameter, Refused, Table, path

TABLE: Final = Table("sounds", "Sounds of the switch")


@TABLE.operation(
    "GET",
    "/sounds",
    "list",
    "All sounds",
    Parameter("lang", "Only those in this language"),
    Parameter("format", "Only those in this format"),
    returns="List[Sound]",
)
async def every(_: Exchange, __: Ask) -> Answer:
    """Show none."""
    return Answer([])


@TABLE.operation(
    "GET",
    "/sounds/{soundId}",
    "get",
    "One sound",
    path("soundId", "Id of the sound"),
    returns="Sound",
    errors={404: "There is no such sound"},
)
async def get(_: Exchange, __: Ask) -> Answer:
    """There is none."""
    raise Refused(404, "Sound not found")
