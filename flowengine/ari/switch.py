"""The switch over Asterisk: commands of calls go out, what happens to them comes back as events.

Everything hangs on three separate things: `translate` knows the words, a `CallPicture` a call knows what is up,
the client carries both ways. This file only connects them, and keeps the promise of the port: nothing that goes
wrong for one call is raised, it is an event of that call; and nothing here ever waits.

After each connect it looks at what Asterisk has (`resync`): calls hear what they missed, inbound legs that nobody
has seen are reported, and legs and bridges of calls that this engine does not know are ended after
`orphan_grace_s`, in which `resume` may still claim them. So it takes one engine to an Asterisk.

It is one file of more than 300 lines because it is one object: the port, its two streams and their common state.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from types import TracebackType
from typing import Final, Literal, Protocol, Self

import structlog

from flowengine.ari import messages, resync, sides
from flowengine.ari.client import AriClient, AriRefused, AriResponse, AriSettings, AriUnavailable
from flowengine.ari.endings import Endings
from flowengine.ari.inbound import InboundChannels
from flowengine.ari.messages import AnyEvent
from flowengine.ari.names import full_id, split_id, whole_of
from flowengine.ari.picture import CallPicture
from flowengine.ari.reach import LOOK_EVERY_S, Reach
from flowengine.ari.resources import Channel
from flowengine.ari.translate import (
    CONFLICT,
    NOT_FOUND,
    Impossible,
    Where,
    arrival_of,
    event_of,
    known_cause,
    leaves_in_doubt,
    refused,
    request_of,
    undoing,
)
from flowengine.call import causes, commands, events
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import CALLER, Event
from flowengine.ports import Arrival, Clock, SwitchListener

log = structlog.get_logger(__name__)

ORPHAN_GRACE_S: Final = 15.0
ECHO_S: Final = 2.0
"""How long a new connection has to show that events arrive on it."""
FAILED: Final = 500
"""The status that stands for a request which had no answer, or could not be sent at all."""


class MakeClient(Protocol):
    """How to come by a line to Asterisk; `AriClient` itself is one."""

    def __call__(
        self,
        settings: AriSettings,
        on_event: Callable[[AnyEvent], None],
        on_connected: Callable[[AriClient], Awaitable[None]],
    ) -> AriClient: ...


class AriSwitch:
    """`flowengine.ports.Switch` over one Asterisk. Use as `async with AriSwitch(...) as switch:`.

    Args:
        settings: which Asterisk, and as whom.
        listener: hears arrivals, events of calls and devices.
        media: the media URI of a sound key in a call, such as `sound:/folder/name`; None when there is none.
        clock: stamps events, at their receipt.
        make_client: for tests.
        orphan_grace_s: how long legs of unknown calls may wait for `resume`, in seconds.
        look_every_s: how late a device that comes into reach may be noticed, in seconds.

    Attributes:
        client: the line to Asterisk; says whether it is `ready`, and why not.
    """

    def __init__(
        self,
        settings: AriSettings,
        listener: SwitchListener,
        media: Callable[[str, str], str | None],
        clock: Clock,
        *,
        make_client: MakeClient = AriClient,
        orphan_grace_s: float = ORPHAN_GRACE_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.client = make_client(settings, self._on_event, self._on_connected)
        self.on_ready: Callable[[], None] = lambda: None
        """Called after each connect, when everything missed has been told."""
        self._app = settings.app
        self._listener = listener
        self._media = media
        self._clock = clock
        self._orphan_grace_s = orphan_grace_s
        self._pictures: dict[str, CallPicture] = {}
        self._inbound = InboundChannels()
        self._held: dict[str, list[Event]] = {}
        """Events of calls that wait until a recording is measured."""
        self._own_device = f"Stasis:{settings.app}"
        self._echo = asyncio.Event()
        self._sides = sides.SidesApart(self.client, settings.app, self._send)
        self._endings = Endings(self.client, clock, self._pictures, self._tell)
        self._reach = Reach(self.client, listener.reachable, look_every_s)

    async def __aenter__(self) -> Self:
        """Start to connect; `client.wait_ready` waits until that is done."""
        await self.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of Asterisk; everything on it stays as it is."""
        await self._reach.close()
        await self._endings.close()
        await self.client.__aexit__(kind, error, trace)

    # The port

    def adopt(self, arrival: Arrival, call: str) -> None:
        """From now on this inbound leg is the caller of `call`."""
        self._pictures[call] = CallPicture(call, arrival.channel)
        if not self._inbound.adopt(arrival.channel, call):
            self._tell_soon(call, events.LegHungUp(self._clock.now(), CALLER, causes.NORMAL))

    def reject(self, arrival: Arrival, cause: int) -> None:
        """End an inbound leg before it is answered, with a Q.850 cause."""
        if arrival.channel in self._inbound:
            self._end_inbound(arrival.channel, cause)

    def perform(self, call: str, commands: Sequence[SwitchCommand]) -> None:
        """Carry out commands in this order. Returns at once; failures come back as events."""
        picture = self._pictures.get(call)
        if picture is None:
            log.error("commands for a call that is not here", call=call, commands=len(commands))
            return
        for command in commands:
            if picture.commanded(command):
                self._send(picture, command)

    def release(self, call: str) -> None:
        """Forget a call that is done; whatever it still has on Asterisk is ended."""
        self._sides.forget(call)
        picture = self._pictures.pop(call, None)
        if picture is None:
            return
        for id, thing in picture.things.items():
            end = undoing(thing.made_by) if thing.made_by else commands.HangUp(id, causes.NORMAL)
            if thing.ended_by is None and end is not None:
                self._send(picture, end)
        if picture.channel in self._inbound.calls:
            self._inbound.drop(picture.channel, causes.NORMAL)

    def fetch(self, call: str, recording: str) -> AsyncIterator[bytes]:
        """Read a finished recording as WAV. Raises `RecordingMissing`, and `AriError` without Asterisk."""
        return sides.read_any(self.client, full_id(call, recording))

    async def discard(self, call: str, recording: str) -> None:
        """Delete a finished recording; one that is not there is deleted already. Raises `AriError`."""
        await sides.delete_any(self.client, full_id(call, recording))

    def resume(
        self,
        arrival: Arrival,
        call: str,
        history: Iterable[SwitchCommand | Event],
        unsure: Iterable[str] = (),
        *,
        is_doubtful: bool = False,
    ) -> None:
        """Take over a call of an earlier life of this engine: before `async with`, or in the orphans' grace.

        `history` is what the call said and heard, in order, and `unsure` what it may have said to nobody; the next
        look at Asterisk tells what it missed, and makes of the unsure things what is not there. The history of a
        doubtful call may be wrong: whom its caller talks to all the same is then told by `talk_in`.
        """
        picture = self._pictures[call] = CallPicture(call, arrival.channel)
        picture.recall(history, unsure)
        picture.is_doubtful = is_doubtful
        self._inbound.claim(arrival.channel, call)

    def talk_in(self, call: str) -> tuple[str, str] | None:
        """Bridge and leg of a caller who talks, where the history of a resumed call knows of no such thing."""
        picture = self._pictures.get(call)
        return None if picture is None else picture.unknown_talk

    # Commands

    def _send(self, picture: CallPicture, command: SwitchCommand) -> None:
        if self._sides.takes(picture, command):
            return
        where = Where(self._app, picture.channel, picture.bridges)
        try:
            request = request_of(picture.call, command, where, self._sound(picture.call, command))
        except Impossible as reason:
            log.error("command not sent", call=picture.call, command=type(command).__name__, why=str(reason))
            for event in refused(command, FAILED, str(reason), self._clock.now()):
                self._tell_soon(picture.call, event)
            return
        # On the websocket Asterisk serves one request after another: there, a request that waits for a sound to
        # end would make all calls wait.
        over: Literal["auto", "http"] = "http" if picture.would_wait(command) else "auto"
        answer = self.client.send(request.method, request.path, request.query, lane=picture.call, over=over)
        answer.add_done_callback(partial(self._on_answer, picture.call, command))

    def _sound(self, call: str, command: SwitchCommand) -> str:
        if not isinstance(command, commands.Play):
            return ""
        media = self._media(call, command.sound)
        if media is None:
            # The key may hold what an account wants to be said: not for a log.
            kind, digest = command.sound.split(":", 1)[0][:16], blake2b(command.sound.encode(), digest_size=8)
            log.error("sound missing", call=call, kind=kind, sound=digest.hexdigest())
        return media or ""

    def _on_answer(self, call: str, command: SwitchCommand, answer: "asyncio.Future[AriResponse]") -> None:
        picture = self._pictures.get(call)
        if picture is None or answer.cancelled():
            return
        match answer.exception():
            case None:
                self._carried_out(picture, command)
            case AriRefused(status=status, reason=reason):
                self._on_refusal(picture, command, status, reason)
            case AriUnavailable() if not self.client.ready:
                picture.lost(command)
            case error:
                # It may still be carried out, after the call was told that it was not.
                self._on_refusal(picture, command, FAILED, str(error))
                if (undo := undoing(command)) is not None:
                    self._send(picture, undo)

    def _carried_out(self, picture: CallPicture, command: SwitchCommand) -> None:
        picture.confirmed(command)
        match command:
            case commands.Answer(leg=leg):  # a leg that was up already has no event of it
                self._tell(picture.call, events.LegAnswered(self._clock.now(), leg))
            case commands.StopRecord(recording=recording):
                self._endings.expect_recording(picture.call, recording)
            case commands.CloseBridge(bridge=bridge):
                picture.things.pop(bridge, None)
                for recording in picture.recordings_on(bridge):
                    self._endings.expect_recording(picture.call, recording)
            case _:
                pass

    def _on_refusal(self, picture: CallPicture, command: SwitchCommand, status: int, reason: str) -> None:
        recording = leaves_in_doubt(command, status)
        if recording is not None:
            self._endings.expect_recording(picture.call, recording)
            return
        if isinstance(command, commands.Dial) and status == CONFLICT:
            self._endings.find_leg(picture.call, command.leg)
            return
        heard = refused(command, status, reason, self._clock.now())
        if not heard:
            self._carried_out(picture, command)
        elif status != NOT_FOUND:
            kind = type(command).__name__
            log.warning("command refused", call=picture.call, command=kind, status=status, why=reason)
        for event in heard:
            self._tell(picture.call, event)

    # Events

    def _on_event(self, message: AnyEvent) -> None:
        match message:
            case messages.StasisStart(channel=channel) if self._sides.entered(channel.id):
                pass
            case messages.StasisStart(channel=channel, args=args) if self._is_strange(channel):
                self._entered(channel, args)
            case messages.StasisEnd(channel=channel) if channel.id in self._inbound.idle:
                self._inbound.ended(channel.id)
            case messages.StasisEnd(channel=channel) if ours := split_id(channel.id):
                self._endings.expect_leg(*ours)
            case messages.ChannelHangupRequest(channel=channel, cause=cause, soft=False):
                self._caller_hangs_up(channel.id, known_cause(cause))
            case messages.DeviceStateChanged(device_state=device) if device.name == self._own_device:
                self._echo.set()
            case _:
                if (happened := event_of(message, self._clock.now(), self._inbound.calls)) is not None:
                    self._tell(*happened)

    def _is_strange(self, channel: Channel) -> bool:
        """Whether a channel in Stasis is no leg of a call that waits for it."""
        ours = split_id(channel.id)
        picture = self._pictures.get(ours[0]) if ours else None
        return ours is None or picture is None or ours[1] not in picture.things

    def _entered(self, channel: Channel, args: list[str]) -> None:
        ours = split_id(channel.id)
        if ours is None:
            self._arrived(channel, args)
        elif (picture := self._pictures.get(ours[0])) is not None:
            # The call was told that dialling failed, and forgot about it.
            self._send(picture, commands.HangUp(ours[1], causes.NORMAL))
        else:
            self._end_later("channels", channel.id)

    def _arrived(self, channel: Channel, args: list[str]) -> None:
        arrival = arrival_of(channel, args)
        if arrival is None:
            log.error("an inbound channel that cannot be served", channel=channel.id[:64])
        elif channel.id not in self._inbound:
            self._inbound.arrived(channel.id)
            self._listener.arrived(arrival)

    def _tell(self, call: str, event: Event) -> None:
        """Give an event to its call, in order: while a recording is measured, what comes later waits."""
        if isinstance(event, events.RecordingEnded):
            if (recording := whole_of(event.recording)) is not None:
                self._endings.expect_recording(call, recording)  # the end of the other side may be lost
            if (whole := self._sides.heard(call, event)) is None:
                return
            event = whole
        if (waiting := self._held.get(call)) is not None:
            waiting.append(event)
        elif isinstance(event, events.RecordingEnded) and event.ok and event.talking_ms is not None:
            self._held[call] = []
            self._endings.measure(call, event, self._measured)
        else:
            self._pass_on(call, event)

    def _measured(self, call: str, ended: events.RecordingEnded) -> None:
        waiting = self._held.pop(call, [])
        self._pass_on(call, ended)
        for event in waiting:
            self._tell(call, event)

    def _pass_on(self, call: str, event: Event) -> None:
        picture = self._pictures.get(call)
        if picture is None:
            return
        if isinstance(event, events.LegHungUp) and event.leg == CALLER:
            event = self._caller_left(picture, event.at)
        if picture.is_news(event):
            self._listener.happened(call, event)

    def _caller_hangs_up(self, channel: str, cause: int) -> None:
        """Tell the end of the caller at its request: what it cuts short is reported before the leg is gone, and
        would lead a call on, to ring agents for nobody."""
        call = self._inbound.calls.get(channel)
        if call is not None:
            self._inbound.hangs_up(channel, cause)
            self._tell(call, events.LegHungUp(self._clock.now(), CALLER, cause))

    def _caller_left(self, picture: CallPicture, at: int) -> events.LegHungUp:
        """The caller's end with its cause: ours if we hung up, else what the other side said."""
        cause = self._inbound.ended(picture.channel)
        leg = picture.things.get(CALLER)
        if leg is not None and isinstance(leg.ended_by, commands.HangUp):
            cause = leg.ended_by.cause
        return events.LegHungUp(at, CALLER, cause)

    def _tell_soon(self, call: str, event: Event) -> None:
        """Not before the one who is calling us now has finished."""
        asyncio.get_running_loop().call_soon(self._tell, call, event)

    # After a gap

    async def _on_connected(self, client: AriClient) -> None:
        """Look at what Asterisk has. Raises `AriError`: then the client connects anew."""
        # By its name: a subscription to all devices can lock Asterisk up when this connection ends (see `reach`).
        await client.request(
            "POST",
            f"applications/{self._app}/subscription",
            {"eventSource": f"deviceState:{self._own_device}"},
        )
        await self._reach.look()
        before = {call: frozenset(picture.things) for call, picture in self._pictures.items()}
        idle = self._inbound.idle
        snapshot = await resync.look(client, self._pictures)
        for call, things in before.items():
            if (picture := self._pictures.get(call)) is not None:
                judged = resync.mend(picture, things, snapshot)
                self._catch_up(picture, resync.compare(picture, judged, snapshot, self._clock.now()))
        for channel_id in idle - snapshot.channels.keys():
            self._inbound.ended(channel_id)
        for channel in snapshot.channels.values():
            self._found(channel)
        for bridge in snapshot.bridges:
            if (ours := split_id(bridge)) is not None and ours[0] not in self._pictures:
                self._end_later("bridges", bridge)

        await self._hear_ourselves(client)
        self._reach.watch()
        self.on_ready()

    async def _hear_ourselves(self, client: AriClient) -> None:
        """Make sure that events come: a websocket opened while Asterisk tidies up after the last may be mute."""
        self._echo.clear()
        for state in ("INUSE", "NOT_INUSE"):  # one of the two is a change, and only a change is an event
            await client.request("PUT", f"deviceStates/{self._own_device}", {"deviceState": state})
        try:
            async with asyncio.timeout(ECHO_S):
                await self._echo.wait()
        except TimeoutError:
            raise AriUnavailable("Asterisk answers, but its events do not arrive") from None

    def _catch_up(self, picture: CallPicture, found: resync.Findings) -> None:
        if found.events or found.again:
            log.info("caught up", call=picture.call, missed=len(found.events), again=len(found.again))
        for event in found.events:
            self._tell(picture.call, event)
        for command in found.again:
            self._send(picture, command)
        for recording in found.ended_recordings:
            self._endings.find(picture.call, recording)

    def _found(self, channel: Channel) -> None:
        """A channel seen while looking: end it, take it for the arrival whose event was lost, or let it be."""
        ours = split_id(channel.id)
        if ours is not None:
            if ours[0] not in self._pictures:
                self._end_later("channels", channel.id)
        elif channel.id in self._inbound:
            if channel.id in self._inbound.unwanted:
                self._end_inbound(channel.id, self._inbound.unwanted[channel.id])
        elif resync.is_in_stasis(channel, self._app):
            if channel.state == "Up":  # nobody but an earlier life of this engine can have answered it
                self._end_later("channels", channel.id)
            else:
                self._arrived(channel, resync.stasis_args(channel))

    def _end_inbound(self, channel: str, cause: int) -> None:
        self._inbound.drop(channel, cause)
        self.client.send("DELETE", f"channels/{channel}", {"reason_code": cause}, lane=channel)

    def _end_later(self, kind: str, id: str) -> None:
        """End what belongs to no call, unless its call is resumed meanwhile."""
        self._endings.later(self._orphan_grace_s, lambda: self._end_orphan(kind, id))

    def _end_orphan(self, kind: str, id: str) -> None:
        ours = split_id(id)
        if id not in self._inbound and (ours is None or ours[0] not in self._pictures):
            log.warning("ended what belongs to no call", kind=kind, id=id)
            self.client.send("DELETE", f"{kind}/{id}", lane=id)
