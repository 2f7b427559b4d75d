"""Channels: how they come, ring, are answered and go. What is played and recorded on them is in `channel_media`."""

from typing import Final

from simulator.fake_ari.apps import Application
from simulator.fake_ari.channel import REASONS, Channel, caller_id
from simulator.fake_ari.exchange import OUTGOING, Exchange
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, Table, path, variables
from simulator.things import Gone
from simulator.world import NORMAL

TABLE: Final = Table("channels", "Legs of calls")
CHANNEL: Final = path("channelId", "Id of the channel")
MISSING: Final = {404: "There is no such channel"}
HELD: Final = MISSING | {
    409: "The channel is not in an application",
    412: "The channel is not in a state in which this can be done",
}
LONGEST_ID: Final = 149
SECOND: Final = 1_000_000

_ENDPOINT: Final = Parameter("endpoint", "Whom to dial: TECHNOLOGY/NAME", required=True)
_APP: Final = Parameter("app", "The application that gets the channel")
_APP_ARGS: Final = Parameter("appArgs", "Its arguments, separated by commas")
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
    _APP_ARGS,
    Parameter("callerId", "What the telephone shows: NAME <NUMBER>"),
    Parameter("timeout", "Seconds to ring, -1 for ever", type="int", default=30),
    _VARIABLES,
    _OTHER_ID,
    _ORIGINATOR,
    _FORMATS,
)
_REFUSALS: Final = {400: "Something is missing or cannot be", 409: "There is a channel with that id"}


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
    _APP_ARGS,
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
    _APP_ARGS,
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


def _cause(ask: Ask) -> int:
    code, reason = ask.text("reason_code"), ask.text("reason")
    if code:
        if not code.isdecimal() or not 0 <= int(code) <= 127:
            raise Refused(400, "Invalid reason for hangup reason code provided", "Invalid Reason Code")
        return int(code)
    if reason and reason not in REASONS:
        raise Refused(400, "Invalid reason for hangup reason provided", "Invalid Reason")
    return REASONS.get(reason, NORMAL)
