"""Ends that Asterisk tells wrongly, late or not at all, set right: recordings by their files, legs by waiting.

Why here: these are the only things of the switch that take time. Each is a look, a moment after the end is
certain, at whether it has been told; never a guess before.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Final

import structlog

from flowengine.ari import stored
from flowengine.ari.client import AriClient, AriError, AriRefused
from flowengine.ari.names import full_id
from flowengine.ari.picture import CallPicture
from flowengine.ari.translate import NOT_FOUND
from flowengine.call import causes
from flowengine.call.events import Event, LegHungUp, RecordingEnded
from flowengine.ports import Clock, RecordingMissing

log = structlog.get_logger(__name__)

LOST_EVENT_S: Final = 1.0
"""How long an end may stay untold after it is certain; then its event was lost."""

MEASURING_S: Final = 2.0
"""How long the events of a call may wait for the length of a recording."""


class Endings:
    """Watches over ends. `tell` gives an event to its call, unless the call knows it already."""

    def __init__(
        self,
        client: AriClient,
        clock: Clock,
        pictures: Mapping[str, CallPicture],
        tell: Callable[[str, Event], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._pictures = pictures
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    async def close(self) -> None:
        """Stop watching."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expect_leg(self, call: str, leg: str) -> None:
        """A dialled leg has left Stasis: its end must be told soon, with its cause."""
        self.later(LOST_EVENT_S, lambda: self._tell(call, LegHungUp(self._clock.now(), leg, causes.NORMAL)))

    def expect_recording(self, call: str, recording: str) -> None:
        """A recording is over by all we know: its end must be told soon."""
        self.later(LOST_EVENT_S, lambda: self.find(call, recording))

    def find_leg(self, call: str, leg: str) -> None:
        """Look whether a dialled leg is there, which Asterisk refused as if it were: 409 may be left over on a
        connection from an earlier request, and then stands for an endpoint that cannot be reached."""
        self._start(self._find_leg(call, leg))

    def find(self, call: str, recording: str) -> None:
        """Tell the end of a recording by its file, unless it was told."""
        picture = self._pictures.get(call)
        if picture is not None and recording in picture.things:
            self._start(self._find(call, recording))

    def measure(self, call: str, ended: RecordingEnded, then: Callable[[str, RecordingEnded], None]) -> None:
        """Set the end of a recording right that had silence detection: its lengths are wrong by a second."""
        self._start(self._measure(call, ended, then))

    def later(self, delay_s: float, do: Callable[[], None]) -> None:
        """Do something after a while, unless closed before."""

        def due() -> None:
            self._timers.discard(timer)
            do()

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(timer)

    async def _find_leg(self, call: str, leg: str) -> None:
        try:
            await self._client.send("GET", f"channels/{full_id(call, leg)}", lane=call)
        except AriRefused as refused:
            if refused.status == NOT_FOUND:
                self._tell(call, LegHungUp(self._clock.now(), leg, causes.SUBSCRIBER_ABSENT))
        except AriError:
            return  # the next connect brings the next look

    async def _find(self, call: str, recording: str) -> None:
        whole, made_by = full_id(call, recording), self._pictures[call].things[recording].made_by
        names = stored.names(whole, made_by)
        try:
            if await stored.is_there_as_a_whole(self._client, whole, made_by):
                names = (whole,)
            if any([await stored.runs(self._client, name) for name in names]):
                self.expect_recording(call, recording)
                return
            length_ms = max([await stored.length_ms(self._client, name) for name in names])
            ended = RecordingEnded(self._clock.now(), recording, length_ms)
        except (RecordingMissing, AriError) as error:
            if isinstance(error, AriError) and not self._client.ready:
                return  # the next connect brings the next look
            ended = RecordingEnded(self._clock.now(), recording, 0, ok=False)
        self._tell(call, ended)

    async def _measure(
        self, call: str, ended: RecordingEnded, then: Callable[[str, RecordingEnded], None]
    ) -> None:
        try:
            async with asyncio.timeout(MEASURING_S):
                length_ms = await stored.length_ms(self._client, full_id(call, ended.recording))
        except (RecordingMissing, AriError, TimeoutError) as error:
            log.warning("recording not measured", call=call, recording=ended.recording, why=str(error))
        else:
            talking_ms = min(ended.talking_ms or 0, length_ms)
            ended = RecordingEnded(ended.at, ended.recording, length_ms, talking_ms=talking_ms)
        then(call, ended)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
