"""Channels: how they are dialled. The rows belong to the table of `channels`."""

from typing import Final

from simulator.fake_ari.channel import Channel, caller_id
from simulator.fake_ari.exchange import OUTGOING, Exchange
from simulator.fake_ari.operations.channels import APP_ARGS, CHANNEL, MISSING, TABLE, held
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, path, variables
from simulator.world import NORMAL

SECOND: Final = 1_000_000
LONGEST_ID: Final = 149

_ENDPOINT: Final = Parameter("endpoint", "Whom to dial: TECHNOLOGY/NAME", required=True)
_APP: Final = Parameter("app", "The application that gets the channel")
_NEW_ID: Final = Parameter("channelId", "The id of the new channel")
_OTHER_ID: Final = Parameter("otherChannelId", "The id of the far half of a channel with two halves")
_ORIGINATOR: Final = Parameter("originator", "The channel on whose behalf it is dialled")
_FORMATS: Final = Parameter("formats", "Codecs to offer, separated by commas")
_VARIABLES: Final = variables("Variables of the new channel")
_ORIGINATE: Final = (
    _ENDPOINT,
    Parameter("extension", "Extension of the dialplan, where no application is named"),
    Parameter("context", "Context of the extension"),
    Parameter("priority", "Priority of the extension", type="long"),
    Parameter("label", "Label of the extension"),
    _APP,
    APP_ARGS,
    Parameter("callerId", "What the telephone shows: NAME <NUMBER>"),
    Parameter("timeout", "Seconds to ring, -1 for ever", type="int", default=30),
    _VARIABLES,
    _OTHER_ID,
    _ORIGINATOR,
    _FORMATS,
)
_REFUSALS: Final = {400: "Something is missing or cannot be", 409: "There is a channel with that id"}


@TABLE.operation(
    "POST", "/channels", "originate", "Dial", *_ORIGINATE, _NEW_ID, returns="Channel", errors=_REFUSALS
)
@TABLE.operation(
    "POST",
    "/channels/{channelId}",
    "originateWithId",
    "Dial, with an id of one's own",
    path("channelId", "The id of the new channel"),
    *_ORIGINATE,
    returns="Channel",
    errors=_REFUSALS,
)
async def originate(exchange: Exchange, ask: Ask) -> Answer:
    """Dial; the channel enters the application when it is answered."""
    id, endpoint, dialstring = _new(exchange, ask)
    if not ask.text("app") and not ask.text("extension"):
        raise Refused(400, "Application or extension must be specified")
    originator = ask.text("originator")
    if originator and originator not in exchange.channels:
        raise Refused(400, "Provided originator channel was not found")
    given = ask.variables()
    _refuse_unreachable(exchange, endpoint)
    channel = exchange.new_channel(id, endpoint)
    channel.dialstring = dialstring
    channel.caller = channel.connected = caller_id(ask.text("callerId"))
    channel.app_name, channel.app_data = OUTGOING
    channel.wanted_app = (ask.text("app"), tuple(ask.many("appArgs")))
    channel.variables |= given
    application = exchange.apps.active(ask.text("app"))
    if application is not None:
        application.channels[id] += 1
    answer = Answer(channel.json())
    exchange.world.soon(exchange.tell_of_new, channel, answer.content)
    _ring(exchange, channel, channel.caller, ask.number("timeout"))
    return answer


@TABLE.operation(
    "POST",
    "/channels/create",
    "create",
    "Make a channel, to be dialled later",
    _ENDPOINT,
    Parameter("app", "The application that gets the channel", required=True),
    APP_ARGS,
    _NEW_ID,
    _OTHER_ID,
    _ORIGINATOR,
    _FORMATS,
    _VARIABLES,
    returns="Channel",
    errors=_REFUSALS,
)
async def create(exchange: Exchange, ask: Ask) -> Answer:
    """Make one; it enters the application at once."""
    id, endpoint, dialstring = _new(exchange, ask)
    given = ask.variables()
    _refuse_unreachable(exchange, endpoint)
    channel = exchange.new_channel(id, endpoint)
    channel.dialstring = dialstring
    channel.variables |= given
    answer = Answer(channel.json())
    soon = exchange.world.soon
    soon(exchange.tell_of_new, channel, answer.content)
    application = exchange.apps.active(ask.text("app"))
    if application is None:
        soon(exchange.gone, channel, NORMAL, None)
    else:
        application.channels[id] += 1
        soon(exchange.enter, channel, application, tuple(ask.many("appArgs")))
    return answer


@TABLE.operation(
    "POST",
    "/channels/{channelId}/dial",
    "dial",
    "Dial a channel that was made by `create`",
    CHANNEL,
    Parameter("caller", "The channel on whose behalf it is dialled"),
    Parameter("timeout", "Seconds to ring, 0 for ever", type="int", default=0),
    errors=MISSING | {409: "The channel is not one to be dialled"},
)
async def dial(exchange: Exchange, ask: Ask) -> Answer:
    """Dial it."""
    channel = held(exchange, ask)
    if channel.leg is not None:
        raise Refused(409, "Channel is not in the 'Down' state")
    caller = exchange.channels.get(ask.text("caller"))
    _refuse_unreachable(exchange, channel.endpoint)
    _ring(exchange, channel, caller.caller if caller else ("", ""), ask.number("timeout"))
    return DONE


def _new(exchange: Exchange, ask: Ask) -> tuple[str, str, str]:
    """Id, endpoint and dial string of a channel to be. Raises `Refused`."""
    id = ask.text("channelId") or exchange.new_id()
    if max(len(id), len(ask.text("otherChannelId"))) > LONGEST_ID:
        raise Refused(400, f"Uniqueid length exceeds maximum of {LONGEST_ID}")
    endpoint = ask.text("endpoint")
    if not endpoint:
        raise Refused(400, "Endpoint must be specified")
    if ask.text("originator") and ask.text("formats"):
        raise Refused(400, "Originator and formats can't both be specified")
    technology, _, resource = endpoint.partition("/")
    if not technology or not resource:
        raise Refused(400, "Invalid endpoint specified")
    if id in exchange.channels:
        raise Refused(409, "Channel with given unique ID already exists")
    return id, endpoint, resource


def _refuse_unreachable(exchange: Exchange, endpoint: str) -> None:
    phone = exchange.world.phones.get(endpoint)
    if phone is None or not phone.registered:
        raise _allocation_failed()


def _ring(exchange: Exchange, channel: Channel, shown: tuple[str, str], timeout_s: int) -> None:
    """Ring a telephone. It may react before this returns, so the beginning is told first."""
    exchange.world.soon(exchange.tell_of_channel, "Dial", channel, exchange.dialling(channel, ""))
    name, number = shown
    leg = exchange.world.dial(
        channel.id,
        channel.endpoint,
        caller=number,
        caller_name=name,
        timeout_us=max(0, timeout_s) * SECOND,
    )
    leg.tag = channel
    channel.leg = leg


def _allocation_failed() -> Refused:
    """The one refusal that Asterisk words under another name."""
    return Refused(500, "Allocation failed", member="error")
