"""An agent's phone: rings, and answers, rejects or keeps ringing as its person would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Literal

from simulator.sip.rtp import Media
from simulator.sip.scenarios import REJECTIONS, phone, register
from simulator.sip.sipp import Sipp
from simulator.sip.sound import Sound
from simulator.sip.wire import SipMessage, Wire


@dataclass(frozen=True)
class Answers:
    """Takes the call after ringing a while; may make a tone all the time, and may hang up."""

    after_s: float = 0.2
    speaks_hz: float | None = None
    hangs_up_after_s: float | None = None


@dataclass(frozen=True)
class Rejects:
    """Presses the red button (603), is on another call (486), does not want to be disturbed (480)."""

    status: int = 486
    after_s: float = 0.1

    def __post_init__(self) -> None:
        if self.status not in REJECTIONS:
            raise ValueError(f"a phone rejects with one of {REJECTIONS}, not {self.status}")


@dataclass(frozen=True)
class Rings:
    """Nobody is there: it rings until the caller's side gives up."""


Behaviour = Answers | Rejects | Rings


@dataclass
class PhoneCall:
    """One call that reached the phone. Times are of the event loop's clock, so phones and callers compare."""

    call_id: str
    caller: str
    """The From header: what the agent's display shows."""
    rang_at: float
    answered_at: float | None = None
    rejected_at: float | None = None
    cancelled_at: float | None = None
    cancel_reason: str = ""
    """The Reason header of the CANCEL, e.g. "Call completed elsewhere"."""
    ended_at: float | None = None
    ended_by: Literal["agent", "switch"] | None = None
    cause: int | None = None


class AgentPhone:
    """A phone on its own port. Without a password it is reached at its static ``contact``; with one it registers.

    ``behaviour`` may be changed between calls. Beside it, a test may act itself: `answer`, `reject`, `hang_up`.
    """

    def __init__(
        self,
        name: str,
        sip_port: int,
        behaviour: Behaviour | None = None,
        *,
        password: str | None = None,
        port: int = 0,
    ) -> None:
        self.name = name
        self.behaviour: Behaviour = behaviour or Answers()
        self.calls: list[PhoneCall] = []
        self._asterisk = sip_port
        self._password = password
        self._port = port
        self._wire = Wire(sip_port, self._see)
        self._sipp = Sipp(self._wire)
        self._media: Media | None = None
        self._acting: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> AgentPhone:
        self._media = Media(asyncio.get_running_loop().time())
        await self._media.open()
        await self._wire.open(self._port)
        try:
            if self._password is not None:
                await self.register(self._password)
            keys: dict[str, str | int] = {"name": self.name, "media": self._media.port}
            await self._sipp.start(phone(), keys)
            await self._sipp.listening()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._password is not None:
            with contextlib.suppress(Exception):
                await self.register(self._password, expires_s=0)
        await self._close()

    @property
    def contact(self) -> str:
        """The URI for a static contact in Asterisk."""
        return f"sip:{self.name}@127.0.0.1:{self._wire.port or self._port}"

    @property
    def heard(self) -> Sound:
        """All this phone heard since it was started."""
        assert self._media is not None
        return self._media.heard()

    async def register(self, password: str, *, expires_s: int = 300) -> None:
        """Register with digest; ``expires_s`` 0 removes the registration. Raises AssertionError if refused."""
        await self._sipp.close()
        registering = Sipp(self._wire)
        keys: dict[str, str | int] = {
            "name": self.name,
            "password": password,
            "expires": expires_s,
            "asterisk": self._asterisk,
        }
        try:
            await registering.start(register(), keys, "-m", "1", "-au", self.name, "-ap", password)
            await registering.ended(within=5)
        finally:
            await registering.close()

    async def rings(self, within: float = 5.0, *, call: int = 0) -> PhoneCall:
        """Wait until it rings (for the ``call``-th time, from 0). Raises TimeoutError."""
        await self.until(lambda: len(self.calls) > call, within)
        return self.calls[call]

    async def until(self, condition: Callable[[], bool], within: float = 5.0) -> None:
        """Wait until something about `calls` is true. Raises TimeoutError with what the phone saw."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.name}: not within {within} s; wire: {self._wire.summary()}") from None

    def answer(self, call: int = -1) -> None:
        """Take the call."""
        self._tell("XANSWER", self.calls[call])

    def reject(self, status: int = 486, call: int = -1) -> None:
        """Refuse the call with a SIP status of `REJECTIONS`."""
        self._tell(f"XREJECT{status}", self.calls[call])

    def hang_up(self, call: int = -1) -> None:
        """End the answered call."""
        self._tell("XBYE", self.calls[call])

    async def press(self, keys: str) -> None:
        """Press keys during the call."""
        assert self._media is not None
        await self._media.press(keys)

    async def speak(self, hz: float, seconds: float) -> None:
        """Make a tone."""
        assert self._media is not None
        await self._media.speak(hz, seconds)

    def _tell(self, method: str, call: PhoneCall) -> None:
        first = next(m for m in self._wire.messages if m.method == "INVITE" and m.call_id == call.call_id)
        ringing = next(m for m in self._wire.messages if m.status == 180 and m.call_id == call.call_id)
        headers = {"Via": first.header("Via"), "Call-ID": call.call_id, "CSeq": f"1 {method}"}
        if method == "XBYE":  # a request of ours: the sides of the INVITE change places
            headers |= {"From": ringing.header("To"), "To": ringing.header("From")}
        else:
            headers |= {"From": first.header("From"), "To": first.header("To")}
        self._wire.tell_sipp(method, headers)

    def _see(self, message: SipMessage) -> None:
        """Keep the books of the calls, and start to act on a new one."""
        call = next((c for c in self.calls if c.call_id == message.call_id), None)
        match message.method:
            case "INVITE" if call is None:
                call = PhoneCall(message.call_id, message.header("From"), message.at)
                self.calls.append(call)
            case "CANCEL" if call:
                call.cancelled_at, call.cancel_reason = message.at, message.header("Reason")
            case "BYE" if call and call.ended_at is None:
                call.ended_at = message.at
                call.ended_by = "agent" if message.sent else "switch"
                call.cause = message.q850_cause
                if self._media:
                    self._media.rest()
            case None if call and message.about == "INVITE" and message.sent:
                self._responded(call, message)
        self._changed.set()

    def _responded(self, call: PhoneCall, message: SipMessage) -> None:
        status = message.status or 0
        if status == 180:
            self._act(self._behave(call, self.behaviour))
        elif status == 200 and call.answered_at is None:
            call.answered_at = message.at
            offer = next(m for m in self._wire.messages if m.method == "INVITE" and m.call_id == call.call_id)
            if self._media and offer.media_address:
                self._media.aim(*offer.media_address)
        elif status >= 300 and call.rejected_at is None and call.cancelled_at is None:
            call.rejected_at = message.at

    async def _behave(self, call: PhoneCall, behaviour: Behaviour) -> None:
        number = self.calls.index(call)
        match behaviour:
            case Rings():
                return
            case Rejects(status=status, after_s=after_s):
                await asyncio.sleep(after_s)
                if call.cancelled_at is None:
                    self.reject(status, number)
            case Answers():
                await asyncio.sleep(behaviour.after_s)
                if call.cancelled_at is not None:
                    return
                self.answer(number)
                await self.until(lambda: call.answered_at is not None)
                if behaviour.speaks_hz is not None:
                    self._act(self._speak_on(call, behaviour.speaks_hz))
                if behaviour.hangs_up_after_s is not None:
                    await asyncio.sleep(behaviour.hangs_up_after_s)
                    if call.ended_at is None:
                        self.hang_up(number)

    async def _speak_on(self, call: PhoneCall, hz: float) -> None:
        while call.ended_at is None:
            await self.speak(hz, 1.0)

    def _act(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    async def _close(self) -> None:
        for task in [*self._acting]:
            task.cancel()
        await asyncio.gather(*self._acting, return_exceptions=True)
        await self._sipp.close()
        self._wire.close()
        if self._media is not None:
            await self._media.close()
