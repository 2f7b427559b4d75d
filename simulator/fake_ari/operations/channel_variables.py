"""Channels: their variables. The rows belong to the table of `channels`."""

from typing import Final

from simulator.fake_ari.channel import Channel
from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.operations.channels import CHANNEL, MISSING, TABLE, held
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, variables

_VARIABLE: Final = Parameter("variable", "Name of the variable, or a function", required=True)


@TABLE.operation(
    "GET",
    "/channels/{channelId}/variable",
    "getChannelVar",
    "The value of a variable or function",
    CHANNEL,
    _VARIABLE,
    returns="Variable",
    errors=MISSING | {400: "No variable is named"},
)
async def get_variable(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    name = ask.text("variable")
    if not name:
        raise Refused(400, "Variable name is required")
    return Answer({"value": _value(_variables_of(exchange, ask), name)})


@TABLE.operation(
    "GET",
    "/channels/{channelId}/variables",
    "getChannelVars",
    "The values of several variables",
    CHANNEL,
    Parameter("variables", "Their names", required=True, multiple=True),
    returns="Variables",
    errors=MISSING | {400: "No variable is named"},
)
async def get_variables(exchange: Exchange, ask: Ask) -> Answer:
    """Show some."""
    names = ask.many("variables")
    if not names:
        raise Refused(400, "At least one variable name is required")
    channel = _variables_of(exchange, ask)
    return Answer({"variables": {name: _value(channel, name) for name in names}})


@TABLE.operation(
    "POST",
    "/channels/{channelId}/variable",
    "setChannelVar",
    "Set a variable",
    CHANNEL,
    _VARIABLE,
    Parameter("value", "The value"),
    errors=MISSING | {400: "No variable is named", 409: "The channel is not in an application"},
)
async def set_variable(exchange: Exchange, ask: Ask) -> Answer:
    """Set one."""
    channel = held(exchange, ask)
    name = ask.text("variable")
    if not name:
        raise Refused(400, "Variable name is required")
    await _set(exchange, channel, {name: ask.text("value")})
    return DONE


@TABLE.operation(
    "POST",
    "/channels/{channelId}/variables",
    "setChannelVars",
    "Set several variables",
    CHANNEL,
    variables("Names and values"),
    errors=MISSING | {400: "No variable is named", 409: "The channel is not in an application"},
)
async def set_variables(exchange: Exchange, ask: Ask) -> Answer:
    """Set some."""
    channel = held(exchange, ask)
    given = ask.variables()
    if not given:
        raise Refused(400, "At least one variable must be set")
    await _set(exchange, channel, given)
    return DONE


def _variables_of(exchange: Exchange, ask: Ask) -> Channel:
    channel = exchange.channels.get(ask.text("channelId"))
    if channel is None:
        raise Refused(404, "Provided channel was not found", "Channel Not Found")
    return channel


async def _set(exchange: Exchange, channel: Channel, values: dict[str, str]) -> None:
    await exchange.idle(channel)
    if channel.id not in exchange.channels:
        raise Refused(404, "Channel not found")
    exchange.set_variables(channel, values.items())


def _value(channel: Channel, name: str) -> str:
    functions = {
        "CALLERID(num)": channel.caller[1],
        "CALLERID(name)": channel.caller[0],
        "CHANNEL(name)": channel.name,
        "CHANNEL(state)": channel.state,
    }
    if name.endswith(")"):
        if name not in functions:
            raise Refused(500, "Unable to read provided function", "Error With Function")
        return functions[name]
    if name not in channel.variables:
        raise Refused(404, "Provided variable was not found", "Variable Not Found")
    return channel.variables[name]
