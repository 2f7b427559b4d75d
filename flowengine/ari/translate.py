"""Between the words of a call and the words of ARI, without any state: the three tables everything rests on.

- `event_of`: what Asterisk reports, as an event of a call;
- `request_of`: what a call wants, as a request to Asterisk;
- `refused`: what it means for a call that Asterisk refused a request.

The oddities of Asterisk end here (docs/asterisk-notes.md has the measurements): a declined call is told by its
cause and never by its dial status; an inbound channel has no ChannelDestroyed, so leaving Stasis is its end; a
dialled leg is ours when it enters Stasis, not when it is up; a thing that is not there (404) has ended already.
"""

import math
from collections.abc import Container, Mapping
from typing import Final, assert_never

import msgspec

from flowengine.ari import messages
from flowengine.ari.messages import AnyEvent
from flowengine.ari.names import (
    called_number,
    caller_id,
    caller_number,
    display_name,
    full_id,
    is_addressable,
    is_dialable,
    split_id,
)
from flowengine.ari.resources import Channel, LiveRecording
from flowengine.ari.rest import Method, QueryValue
from flowengine.call import causes, commands
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import (
    CALLER,
    CommandFailed,
    DigitPressed,
    Event,
    Instant,
    LegAnswered,
    LegHungUp,
    LegRinging,
    PlaybackEnded,
    RecordingEnded,
)
from flowengine.ports import Arrival

DIALLED: Final = "dialled"
"""The Stasis argument of legs this engine dialled; an inbound call has the called number there."""

NOT_FOUND: Final = 404
CONFLICT: Final = 409

_DIGITS: Final = frozenset("0123456789*#ABCD")


class Request(msgspec.Struct, frozen=True):
    """One ARI request, its path still plain: quoting is the client's."""

    method: Method
    path: str
    query: Mapping[str, QueryValue] = {}


class Where(msgspec.Struct, frozen=True):
    """What a command alone does not say: our application, the caller's channel, which short ids are bridges."""

    app: str
    caller: str
    bridges: Container[str] = ()


class Impossible(Exception):
    """A command that must not be sent at all; the message says why."""


# What Asterisk reports


def arrival_of(channel: Channel, args: list[str]) -> Arrival | None:
    """An inbound leg in Stasis, its numbers and name cleaned; None when it is a leg we dialled."""
    if split_id(channel.id) or args[:1] == [DIALLED] or not is_addressable(channel.id):
        return None
    return Arrival(
        channel.id,
        called_number(args[0] if args else channel.dialplan.exten),
        caller_number(channel.caller.number),
        display_name(channel.caller.name),
    )


def event_of(message: AnyEvent, at: Instant, callers: Mapping[str, str]) -> tuple[str, Event] | None:
    """The event of a call that this message is, with the call's id; None when it is none.

    `callers` names the call of each inbound channel. One end may be told by more than one message: telling it
    once is up to whoever keeps the picture of the call. The message that ends an inbound leg has no cause, so it
    is NORMAL here.
    """
    match message:
        case messages.StasisStart(channel=channel) if ours := split_id(channel.id):
            return ours[0], LegAnswered(at, ours[1])
        case messages.StasisEnd(channel=channel) if call := callers.get(channel.id):
            return call, LegHungUp(at, CALLER, causes.NORMAL)
        case messages.ChannelStateChange(channel=channel) if ours := _leg(channel, callers):
            call, leg = ours
            if channel.state == "Ringing" and leg != CALLER:
                return call, LegRinging(at, leg)
            return (call, LegAnswered(at, leg)) if channel.state == "Up" and leg == CALLER else None
        case messages.ChannelDestroyed(channel=channel, cause=cause) if ours := _leg(channel, callers):
            return ours[0], LegHungUp(at, ours[1], known_cause(cause))
        case messages.ChannelDtmfReceived(channel=channel, digit=digit) if ours := _leg(channel, callers):
            return (ours[0], DigitPressed(at, ours[1], digit)) if digit in _DIGITS else None
        case messages.PlaybackFinished(playback=playback) if ours := split_id(playback.id):
            return ours[0], PlaybackEnded(at, ours[1], playback.state == "done")
        case messages.RecordingFinished(recording=recording) if ours := split_id(recording.name):
            return ours[0], _recorded(at, ours[1], recording)
        case messages.RecordingFailed(recording=recording) if ours := split_id(recording.name):
            return ours[0], RecordingEnded(at, ours[1], 0, ok=False)
        case messages.BridgeDestroyed(bridge=bridge) if ours := split_id(bridge.id):
            return ours[0], CommandFailed(at, ours[1], "the bridge is gone")
        case _:
            return None


def known_cause(cause: int | None) -> int:
    """A Q.850 cause; NORMAL for what is none, as Asterisk leaves it out of a plain hang-up."""
    return cause if cause is not None and 1 <= cause <= 127 else causes.NORMAL


def _leg(channel: Channel, callers: Mapping[str, str]) -> tuple[str, str] | None:
    call = callers.get(channel.id)
    return (call, CALLER) if call else split_id(channel.id)


def _recorded(at: Instant, id: str, recording: LiveRecording) -> RecordingEnded:
    talking_s = recording.talking_duration
    talking_ms = None if talking_s is None else 1_000 * max(0, talking_s)
    return RecordingEnded(at, id, 1_000 * max(0, recording.duration or 0), talking_ms=talking_ms)


# What a call wants


def request_of(call: str, command: SwitchCommand, where: Where, media: str = "") -> Request:
    """The request that carries a command out; `media` is the URI of the sound of a Play.

    Raises:
        Impossible: the endpoint is not one endpoint, or there is no sound.
    """

    def channel(leg: str) -> str:
        return f"channels/{where.caller if leg == CALLER else full_id(call, leg)}"

    def bridge(id: str) -> str:
        return f"bridges/{full_id(call, id)}"

    match command:
        case commands.Answer(leg=leg):
            return Request("POST", f"{channel(leg)}/answer")
        case commands.Ring(leg=leg):
            return Request("POST", f"{channel(leg)}/ring")
        case commands.StopRing(leg=leg):
            return Request("DELETE", f"{channel(leg)}/ring")
        case commands.HangUp(leg=leg, cause=cause):
            return Request("DELETE", channel(leg), {"reason_code": cause})
        case commands.Dial(leg=leg):
            return Request("POST", channel(leg), _dial(command, where))
        case commands.Play(playback=id, leg=leg):
            if not media or "," in media:  # ARI takes a comma for the beginning of a second sound
                raise Impossible("there is no such sound")
            return Request("POST", f"{channel(leg)}/play/{full_id(call, id)}", {"media": media})
        case commands.StopPlay(playback=id):
            return Request("DELETE", f"playbacks/{full_id(call, id)}")
        case commands.Record(on=on):
            target = bridge(on) if on in where.bridges else channel(on)
            return Request(
                "POST", f"{target}/record", record_query(full_id(call, command.recording), command)
            )
        case commands.StopRecord(recording=id):
            return Request("POST", f"recordings/live/{full_id(call, id)}/stop")
        case commands.PauseRecord(recording=id):
            return Request("POST", f"recordings/live/{full_id(call, id)}/pause")
        case commands.ResumeRecord(recording=id):
            return Request("DELETE", f"recordings/live/{full_id(call, id)}/pause")
        case commands.OpenBridge(bridge=id):
            return Request("POST", bridge(id), {"type": "mixing"})
        case commands.Join(bridge=id, leg=leg):
            member = where.caller if leg == CALLER else full_id(call, leg)
            return Request("POST", f"{bridge(id)}/addChannel", {"channel": member})
        case commands.CloseBridge(bridge=id):
            return Request("DELETE", bridge(id))
        case _:
            assert_never(command)


def _dial(command: commands.Dial, where: Where) -> dict[str, QueryValue]:
    if not is_dialable(command.endpoint):
        raise Impossible("the endpoint is not one device: write it as TECHNOLOGY/NAME, e.g. PJSIP/hanako")
    return {
        "endpoint": command.endpoint,
        "app": where.app,
        "appArgs": DIALLED,
        "callerId": caller_id(command.caller, command.caller_name),
        "timeout": max(1, math.ceil(command.timeout_s)),
        "originator": where.caller,
    }


def record_query(name: str, command: commands.Record) -> dict[str, QueryValue]:
    """How to record, under a name."""
    return {
        "name": name,
        "format": "wav",
        "ifExists": "fail",
        "maxDurationSeconds": math.ceil(command.limit_s),
        "maxSilenceSeconds": math.ceil(command.silence_s),
        "terminateOn": command.end_on or "none",
        "beep": "false",
    }


# What a refusal means


def refused(command: SwitchCommand, status: int, reason: str, at: Instant) -> tuple[Event, ...]:
    """The events that stand for a refused command; none where the refusal only says "done already".

    A thing that is not there cannot be hung up, stopped or closed, and need not be: 404 on those is success.
    A thing whose id is taken is ours, for nobody else uses our ids: 409 on making it is success, too. A command
    to a leg that is not there is the leg's end, in case its own event was lost.
    """
    match command:
        case commands.HangUp(leg=leg, cause=cause):
            return (LegHungUp(at, leg, cause),) if status == NOT_FOUND else (CommandFailed(at, leg, reason),)
        case commands.Answer(leg=leg) | commands.Ring(leg=leg) | commands.StopRing(leg=leg):
            return _gone(leg, status, at) or (CommandFailed(at, leg, reason),)
        case commands.Dial(leg=leg):
            # 500 stands for all of: nobody registered, no such endpoint, no such technology.
            return () if status == CONFLICT else (LegHungUp(at, leg, causes.SUBSCRIBER_ABSENT),)
        case commands.Play(playback=id, leg=leg):
            return (*_gone(leg, status, at), PlaybackEnded(at, id, ok=False))
        case commands.Record(recording=id):
            return (RecordingEnded(at, id, 0, ok=False),)
        case commands.Join(bridge=id, leg=leg):
            # The one request that says 400 for a channel, since its 404 is about the bridge.
            return (LegHungUp(at, leg, causes.NORMAL),) if status == 400 else (CommandFailed(at, id, reason),)
        case commands.StopPlay(playback=id) | commands.StopRecord(recording=id):
            return () if status == NOT_FOUND else (CommandFailed(at, id, reason),)
        case commands.PauseRecord() | commands.ResumeRecord():
            return ()  # it has ended, or was paused already; that it ended is told by its own event
        case commands.OpenBridge(bridge=id):
            return () if status == CONFLICT else (CommandFailed(at, id, reason),)
        case commands.CloseBridge(bridge=id):
            # 409, "not in Stasis", is what a bridge says that is just being destroyed.
            return () if status in {NOT_FOUND, CONFLICT} else (CommandFailed(at, id, reason),)
        case _:
            assert_never(command)


def undoing(command: SwitchCommand) -> SwitchCommand | None:
    """The command that ends what this one makes; None for one that makes nothing."""
    match command:
        case commands.Dial(leg=id):
            return commands.HangUp(id, causes.NORMAL)
        case commands.Play(playback=id):
            return commands.StopPlay(id)
        case commands.Record(recording=id):
            return commands.StopRecord(id)
        case commands.OpenBridge(bridge=id):
            return commands.CloseBridge(id)
        case _:
            return None


def leaves_in_doubt(command: SwitchCommand, status: int) -> str | None:
    """The recording that may be stored although this was refused: it exists, or does not run any more."""
    match command, status:
        case commands.Record(recording=id), 409:
            return id
        case commands.StopRecord(recording=id), 404:
            return id
        case _:
            return None


def _gone(thing: str, status: int, at: Instant) -> tuple[Event, ...]:
    return (LegHungUp(at, thing, causes.NORMAL),) if status == NOT_FOUND else ()
