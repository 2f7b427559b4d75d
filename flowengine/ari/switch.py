"""The switch over Asterisk: commands of calls go out, what happens to them comes back as events.

Everything hangs on three separate things: `translate` knows the words, a `CallPicture` a call knows what is up,
the client carries both ways. This file only connects them, and keeps the promise of the port: nothing that goes
wrong for one call is raised, it is an event of that call; and nothing here ever waits.

After each connect it looks at what Asterisk has (`resync`): calls hear what they missed, inbound legs that nobody
has seen are reported, and legs and bridges of calls that this engine does not know are ended after
`orphan_grace_s`, in which `resume` may still claim them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog

from flowengine.ari import messages, resync
from flowengine.ari.client import AriClient, AriError, AriRefused, AriResponse, AriSettings, AriUnavailable
from flowengine.ari.messages import AnyEvent
from flowengine.ari.names import full_id, split_id
from flowengine.ari.picture import CallPicture
from flowengine.ari.resources import Channel, Endpoint
from flowengine.ari.translate import (
    NOT_FOUND,
    Impossible,
    Where,
    arrival_of,
    event_of,
    known_cause,
    leaves_in_doubt,
    reachability,
    refused,
    request_of,
    undoing,
)
from flowengine.call import causes, commands, events
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import CALLER, Event
from flowengine.ports import Arrival, Clock, RecordingMissing, SwitchListener

log = structlog.get_logger(__name__)

ORPHAN_GRACE_S: Final = 15.0
WAV_HEADER_BYTES: Final = 44
WAV_BYTES_A_MS: Final = 16
"""Asterisk's `wav`: 16-bit mono at 8 kHz."""
FAILED: Final = 500
"""The status that stands for a request which had no answer, or could not be sent at all."""


class MakeClient(Protocol):
    """How to come by a line to Asterisk; `AriClient` itself is one."""

    def __call__(
        self,
        settings: AriSettings,
        on_event: Callable[[AnyEvent], None],
        on_connected: Callable[[AriClient], Coroutine[Any, Any, None]],
    ) -> AriClient: ...


class AriSwitch:
    """`flowengine.ports.Switch` over one Asterisk. Use as `async with AriSwitch(...) as switch:`.

    Args:
        settings: which Asterisk, and as whom.
        listener: hears arrivals, events of calls and devices.
        media: the media URI of a sound key, such as `sound:/folder/name`; None when there is no such sound.
        clock: stamps events, at their receipt.
        make_client: for tests.
        orphan_grace_s: how long legs of unknown calls may wait for `resume`, in seconds.
    """

    def __init__(
        self,
        settings: AriSettings,
        listener: SwitchListener,
        media: Callable[[str], str | None],
        clock: Clock,
        *,
        make_client: MakeClient = AriClient,
        orphan_grace_s: float = ORPHAN_GRACE_S,
    ) -> None:
        self.client = make_client(settings, self._on_event, self._on_connected)
        self._app = settings.app
        self._listener = listener
        self._media = media
        self._clock = clock
        self._orphan_grace_s = orphan_grace_s
        self._pictures: dict[str, CallPicture] = {}
        self._callers: dict[str, str] = {}
        """The call of each adopted inbound channel."""
        self._waiting: set[str] = set()
        """Inbound channels that were reported and are neither adopted nor rejected yet."""
        self._unwanted: dict[str, int] = {}
        """Inbound channels that must end, with the cause, until they have."""
        self._said: dict[str, int] = {}
        """The cause in the hang-up request of an inbound channel."""
        self._reachable: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.__aexit__(kind, error, trace)

    # The port

    def adopt(self, arrival: Arrival, call: str) -> None:
        """From now on this inbound leg is the caller of `call`."""
        self._pictures[call] = CallPicture(call, arrival.channel)
        if arrival.channel in self._waiting:
            self._waiting.discard(arrival.channel)
            self._callers[arrival.channel] = call
        else:
            self._tell_soon(call, events.LegHungUp(self._clock.now(), CALLER, causes.NORMAL))

    def reject(self, arrival: Arrival, cause: int) -> None:
        """End an inbound leg before it is answered, with a Q.850 cause."""
        if arrival.channel in self._waiting:
            self._waiting.discard(arrival.channel)
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
        picture = self._pictures.pop(call, None)
        if picture is None:
            return
        for id, thing in picture.things.items():
            if thing.ended_by is None:
                end = undoing(thing.made_by) if thing.made_by else commands.HangUp(id, causes.NORMAL)
                if end is not None:
                    self._send(picture, end)
        self._said.pop(picture.channel, None)
        if self._callers.pop(picture.channel, None) is not None:
            self._unwanted[picture.channel] = causes.NORMAL

    async def fetch(self, call: str, recording: str) -> AsyncIterator[bytes]:
        """Read a finished recording as WAV. Raises `RecordingMissing`, and `AriError` when Asterisk is away."""
        name = full_id(call, recording)
        try:
            async for piece in self.client.download(f"recordings/stored/{name}/file"):
                yield piece
        except AriRefused as refusal:
            if refusal.status == NOT_FOUND:
                raise RecordingMissing(f"Asterisk has no recording {name}") from None
            raise

    async def discard(self, call: str, recording: str) -> None:
        """Delete a finished recording; one that is not there is deleted already. Raises `AriError`."""
        try:
            await self.client.request(
                "DELETE", f"recordings/stored/{full_id(call, recording)}", lane=full_id(call, recording)
            )
        except AriRefused as refusal:
            if refusal.status != NOT_FOUND:
                raise

    def resume(self, arrival: Arrival, call: str, history: Iterable[SwitchCommand | Event]) -> None:
        """Take over a call of an earlier life of this engine, before the connection stands or in the grace.

        `history` is what the call said and heard, in order; the next look at Asterisk tells what it missed.
        """
        picture = self._pictures[call] = CallPicture(call, arrival.channel)
        picture.recall(history)
        self._waiting.discard(arrival.channel)
        self._callers[arrival.channel] = call

    # Commands

    def _send(self, picture: CallPicture, command: SwitchCommand) -> None:
        where = Where(self._app, picture.channel, picture.bridges)
        try:
            request = request_of(picture.call, command, where, self._sound(picture.call, command))
        except Impossible as reason:
            log.error(
                "command not sent", call=picture.call, command=type(command).__name__, reason=str(reason)
            )
            for event in refused(command, FAILED, str(reason), self._clock.now()):
                self._tell_soon(picture.call, event)
            return
        answer = self.client.send(request.method, request.path, request.query, lane=picture.call)
        answer.add_done_callback(partial(self._on_answer, picture.call, command))

    def _sound(self, call: str, command: SwitchCommand) -> str:
        if not isinstance(command, commands.Play):
            return ""
        media = self._media(command.sound)
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
                picture.done(command)
                if isinstance(command, commands.Answer):  # a leg that is up already has no event of it
                    self._tell(call, events.LegAnswered(self._clock.now(), command.leg))
            case AriRefused(status=status, reason=reason):
                self._on_refusal(picture, command, status, reason)
            case AriUnavailable() if not self.client.ready:
                picture.lost(command)
            case error:
                # It may still be carried out, after the call was told that it was not.
                self._on_refusal(picture, command, FAILED, str(error))
                if (undo := undoing(command)) is not None:
                    self._send(picture, undo)

    def _on_refusal(self, picture: CallPicture, command: SwitchCommand, status: int, reason: str) -> None:
        recording = leaves_in_doubt(command, status)
        if recording is not None:
            self._look_for(picture.call, recording)
            return
        heard = refused(command, status, reason, self._clock.now())
        if not heard:
            picture.done(command)
        elif status not in {NOT_FOUND, FAILED}:
            log.warning("refused", call=picture.call, command=type(command).__name__, status=status)
        for event in heard:
            self._tell(picture.call, event)

    # Events

    def _on_event(self, message: AnyEvent) -> None:
        match message:
            case messages.StasisStart(channel=channel, args=args):
                self._entered(channel, args)
            case messages.StasisEnd(channel=channel) if channel.id not in self._callers:
                self._waiting.discard(channel.id)
                self._unwanted.pop(channel.id, None)
            case messages.ChannelHangupRequest(channel=channel, cause=cause, soft=False):
                if channel.id in self._callers:
                    self._said.setdefault(channel.id, known_cause(cause))
            case messages.DeviceStateChanged(device_state=device):
                if (found := reachability(device.name, device.state)) is not None:
                    self._saw_device(*found)
            case _:
                if (happened := event_of(message, self._clock.now(), self._callers)) is not None:
                    self._tell(*happened)

    def _entered(self, channel: Channel, args: list[str]) -> None:
        ours = split_id(channel.id)
        if ours is None:
            self._arrived(channel, args)
            return
        call, leg = ours
        picture = self._pictures.get(call)
        if picture is None:
            self._end_later("channels", channel.id)
        elif leg in picture.things:
            self._tell(call, events.LegAnswered(self._clock.now(), leg))
        else:
            self._send(picture, commands.HangUp(leg, causes.NORMAL))

    def _arrived(self, channel: Channel, args: list[str]) -> None:
        arrival = arrival_of(channel, args)
        if arrival is None:
            log.error("an inbound channel that cannot be served", channel=channel.id[:64])
        elif not self._is_known(channel.id):
            self._waiting.add(channel.id)
            self._listener.arrived(arrival)

    def _is_known(self, channel: str) -> bool:
        return channel in self._callers or channel in self._waiting or channel in self._unwanted

    def _tell(self, call: str, event: Event) -> None:
        picture = self._pictures.get(call)
        if picture is None:
            return
        if isinstance(event, events.LegHungUp) and event.leg == CALLER:
            event = self._caller_left(picture, event)
        if picture.is_news(event):
            self._listener.happened(call, event)

    def _caller_left(self, picture: CallPicture, event: events.LegHungUp) -> events.LegHungUp:
        """The caller's end with its true cause: ours if we hung up, else what the hang-up request said."""
        self._callers.pop(picture.channel, None)
        cause = self._said.pop(picture.channel, event.cause)
        leg = picture.things.get(CALLER)
        if leg is not None and isinstance(leg.ended_by, commands.HangUp):
            cause = leg.ended_by.cause
        return events.LegHungUp(event.at, CALLER, cause)

    def _tell_soon(self, call: str, event: Event) -> None:
        """Not before the one who is calling us now has finished."""
        asyncio.get_running_loop().call_soon(self._tell, call, event)

    def _saw_device(self, endpoint: str, is_reachable: bool) -> None:
        if self._reachable.get(endpoint) is not is_reachable:
            self._reachable[endpoint] = is_reachable
            self._listener.reachable(endpoint, is_reachable)

    # After a gap

    async def _on_connected(self, client: AriClient) -> None:
        """Look at what Asterisk has. Raises `AriError`: then the client connects anew."""
        # Device states and not endpoints: who subscribes to an endpoint hears every event of its legs twice.
        await client.request(
            "POST", f"applications/{self._app}/subscription", {"eventSource": "deviceState:"}
        )
        judged = {call: frozenset(picture.things) for call, picture in self._pictures.items()}
        inbound = self._waiting | self._unwanted.keys()
        endpoints = client.send("GET", "endpoints", lane=resync.LANE)
        snapshot = await resync.look(client, self._pictures)
        for endpoint in (await endpoints).read(list[Endpoint]):
            self._saw_device(f"{endpoint.technology}/{endpoint.resource}", endpoint.state == "online")
        for call, things in judged.items():
            if (picture := self._pictures.get(call)) is not None:
                self._catch_up(picture, resync.compare(picture, things, snapshot, self._clock.now()))
        for channel_id in inbound - snapshot.channels.keys():
            self._waiting.discard(channel_id)
            self._unwanted.pop(channel_id, None)
        for channel in snapshot.channels.values():
            self._found(channel)
        for bridge in snapshot.bridges:
            if (ours := split_id(bridge)) is not None and ours[0] not in self._pictures:
                self._end_later("bridges", bridge)

    def _catch_up(self, picture: CallPicture, found: resync.Findings) -> None:
        if found.events or found.again:
            log.info("caught up", call=picture.call, missed=len(found.events), again=len(found.again))
        for event in found.events:
            self._tell(picture.call, event)
        for command in found.again:
            self._send(picture, command)
        for recording in found.ended_recordings:
            self._look_for(picture.call, recording)

    def _found(self, channel: Channel) -> None:
        """A channel seen while looking: end it, take it for the arrival whose event was lost, or let it be."""
        ours = split_id(channel.id)
        if ours is not None:
            if ours[0] not in self._pictures:
                self._end_later("channels", channel.id)
        elif channel.id in self._unwanted:
            self._end_inbound(channel.id, self._unwanted[channel.id])
        elif resync.is_in_stasis(channel, self._app) and not self._is_known(channel.id):
            if channel.state == "Up":  # nobody but an earlier life of this engine can have answered it
                self._end_later("channels", channel.id)
            else:
                self._arrived(channel, resync.stasis_args(channel))

    def _end_inbound(self, channel: str, cause: int) -> None:
        self._unwanted[channel] = cause
        self.client.send("DELETE", f"channels/{channel}", {"reason_code": cause}, lane=channel)

    def _end_later(self, kind: str, id: str) -> None:
        """End what belongs to no call, unless its call is resumed meanwhile."""
        self._later(self._orphan_grace_s, self._end_orphan, kind, id)

    def _end_orphan(self, kind: str, id: str) -> None:
        ours = split_id(id)
        if id in self._callers or (ours is not None and ours[0] in self._pictures):
            return
        log.warning("ended what belongs to no call", kind=kind, id=id)
        self.client.send("DELETE", f"{kind}/{id}", lane=id)

    def _later(self, delay_s: float, do: Callable[..., None], *of: object) -> None:
        def due() -> None:
            self._timers.discard(timer)
            do(*of)

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(timer)

    def _look_for(self, call: str, recording: str) -> None:
        task = asyncio.create_task(self._find_recording(call, recording))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_recording(self, call: str, recording: str) -> None:
        """Tell the end of a recording whose own event was lost, its length by the size of its file."""
        try:
            if await resync.is_there(self.client.send("GET", f"recordings/live/{full_id(call, recording)}")):
                return
            size = 0
            async for piece in self.fetch(call, recording):
                size += len(piece)
            ended = events.RecordingEnded(
                self._clock.now(), recording, max(0, size - WAV_HEADER_BYTES) // WAV_BYTES_A_MS
            )
        except (RecordingMissing, AriError) as error:
            if isinstance(error, AriError) and not self.client.ready:
                return  # the next look at Asterisk comes with the next connect
            ended = events.RecordingEnded(self._clock.now(), recording, 0, ok=False)
        self._tell(call, ended)
