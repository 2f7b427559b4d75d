"""Channels: how they come, are answered and go. More rows are in `dialling`, `channel_media`, `channel_variables`."""

from typing import Final

from simulator.fake_ari.apps import Application
from simulator.fake_ari.channel import REASONS, Channel
from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, Table, path
from simulator.things import Gone
from simulator.world import NORMAL

TABLE: Final = Table("channels", "Legs of calls")
CHANNEL: Final = path("channelId", "Id of the channel")
MISSING: Final = {404: "There is no such channel"}
HELD: Final = MISSING | {
    409: "The channel is not in an application",
    412: "The channel is not in a state in which this can be done",
}

APP_ARGS: Final = Parameter("appArgs", "Its arguments, separated by commas")


def find(exchange: Exchange, ask: Ask) -> Channel:
    """The channel asked for. Raises `Refused` (404)."""
    channel = exchange.channels.get(ask.text("channelId"))
    if channel is None:
        raise Refused(404, "Channel not found")
    return channel


def held(exchange: Exchange, ask: Ask) -> Channel:
    """The channel asked for, in the hands of an application. Raises `Refused` (404, 409)."""
    channel = find(exchange, ask)
    if not channel.app:
        raise Refused(409, "Channel not in Stasis application")
    return channel


def ready(exchange: Exchange, ask: Ask) -> Channel:
    """The channel asked for, able to be answered or played to. Raises `Refused` (404, 409, 412)."""
    channel = held(exchange, ask)
    if channel.state in ("Down", "Ringing"):
        raise Refused(412, "Channel in invalid state")
    return channel


@TABLE.operation("GET", "/channels", "list", "All channels", returns="List[Channel]")
async def every(exchange: Exchange, _: Ask) -> Answer:
    """Show all."""
    return Answer([each.json() for each in exchange.channels.values()])


@TABLE.operation(
    "GET", "/channels/{channelId}", "get", "One channel", CHANNEL, returns="Channel", errors=MISSING
)
async def get(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    return Answer(find(exchange, ask).json())


@TABLE.operation(
    "DELETE",
    "/channels/{channelId}",
    "hangup",
    "Hang up",
    CHANNEL,
    Parameter("reason_code", "Why, as a Q.850 cause"),
    Parameter("reason", "Why, in a word", allowed=tuple(REASONS)),
    errors=MISSING | {400: "There is no such reason"},
)
async def hang_up(exchange: Exchange, ask: Ask) -> Answer:
    """End a leg, or give up dialling it."""
    channel = find(exchange, ask)
    cause = _cause(ask)
    if channel.leg is None:
        exchange.tell("ChannelHangupRequest", channel, cause=32, soft=True)
        exchange.leave(channel)
        exchange.gone(channel, cause, None)
        return DONE
    try:
        exchange.world.hang_up(channel.id, cause)
    except Gone:
        raise Refused(404, "Channel not found") from None
    return DONE


@TABLE.operation("POST", "/channels/{channelId}/answer", "answer", "Answer", CHANNEL, errors=HELD)
async def answer(exchange: Exchange, ask: Ask) -> Answer:
    """Answer a channel; one that is up is answered already."""
    channel = ready(exchange, ask)
    await exchange.idle(channel)
    if channel.id not in exchange.world.legs:
        raise Refused(404, "Channel not found")
    exchange.world.answer(channel.id)
    exchange.settle()
    return DONE


@TABLE.operation(
    "POST", "/channels/{channelId}/ring", "ring", "Let the caller hear ringing", CHANNEL, errors=HELD
)
async def ring(exchange: Exchange, ask: Ask) -> Answer:
    """Ring."""
    exchange.world.ring(ready(exchange, ask).id)
    return DONE


@TABLE.operation("DELETE", "/channels/{channelId}/ring", "ringStop", "End the ringing", CHANNEL, errors=HELD)
async def stop_ring(exchange: Exchange, ask: Ask) -> Answer:
    """Ring no more."""
    exchange.world.stop_ring(ready(exchange, ask).id)
    return DONE


@TABLE.operation(
    "POST", "/channels/{channelId}/progress", "progress", "Open the audio path", CHANNEL, errors=HELD
)
async def progress(exchange: Exchange, ask: Ask) -> Answer:
    """Nothing changes that anybody could see."""
    ready(exchange, ask)
    return DONE


@TABLE.operation(
    "POST",
    "/channels/{channelId}/continue",
    "continueInDialplan",
    "Give the channel back to the dialplan, which hangs up here",
    CHANNEL,
    Parameter("context", "Where to go on"),
    Parameter("extension", "Where to go on"),
    Parameter("priority", "Where to go on", type="int"),
    Parameter("label", "Where to go on"),
    errors=HELD,
)
async def go_on(exchange: Exchange, ask: Ask) -> Answer:
    """Leave the application. The dialplan behind it is one line: hang up."""
    channel = ready(exchange, ask)
    exchange.world.soon(_hand_over, exchange, channel, None, ())
    return DONE


@TABLE.operation(
    "POST",
    "/channels/{channelId}/move",
    "move",
    "Give the channel to another application",
    CHANNEL,
    Parameter("app", "Which", required=True),
    APP_ARGS,
    errors=MISSING | {409: "The channel is not in an application"},
)
async def move(exchange: Exchange, ask: Ask) -> Answer:
    """Change hands; to an application that nobody has, the dialplan takes over."""
    channel = held(exchange, ask)
    application = exchange.apps.active(ask.text("app"))
    exchange.world.soon(_hand_over, exchange, channel, application, tuple(ask.many("appArgs")))
    return DONE


def _hand_over(
    exchange: Exchange, channel: Channel, application: Application | None, args: tuple[str, ...]
) -> None:
    exchange.leave(channel)
    if application is not None:
        exchange.enter(channel, application, args)
    elif channel.id in exchange.world.legs:
        exchange.world.hang_up(channel.id)
    elif channel.leg is None:
        exchange.gone(channel, NORMAL, None)


def _cause(ask: Ask) -> int:
    code, reason = ask.text("reason_code"), ask.text("reason")
    if code:
        if not code.isdecimal() or not 0 <= int(code) <= 127:
            raise Refused(400, "Invalid reason for hangup reason code provided", "Invalid Reason Code")
        return int(code)
    if reason and reason not in REASONS:
        raise Refused(400, "Invalid reason for hangup reason provided", "Invalid Reason")
    return REASONS.get(reason, NORMAL)
