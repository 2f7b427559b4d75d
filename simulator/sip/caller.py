"""A caller: one INVITE into Asterisk, and whatever a person does with it.

Two ways to use it::

    outcome = await Caller("+81312345678", port).run(wait(1), press("1"), hang_up())

    async with Caller("+81312345678", port) as call:
        await call.answered()
        await call.press("1")
        outcome = await call.ended(within=10)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from simulator.sip.rtp import Media
from simulator.sip.scenarios import caller
from simulator.sip.sipp import Sipp
from simulator.sip.sound import Sound, seconds_of_tone
from simulator.sip.wire import SipMessage, Wire


@dataclass(frozen=True)
class Outcome:
    """How a call went. Times are seconds after the INVITE, None for what did not happen."""

    status: int
    """The final SIP status of the INVITE; 487 after a cancel."""
    ringing_at: float | None
    early_media_at: float | None
    """When 183 came."""
    answered_at: float | None
    ended_at: float
    ended_by: Literal["caller", "switch"]
    cause: int | None
    """Q.850 cause of Asterisk's BYE or final response."""
    heard: Sound = field(repr=False)
    """All audio from Asterisk; its second 0 is the INVITE."""


@dataclass(frozen=True)
class Step:
    """One thing a caller does."""

    do: Callable[[Caller], Awaitable[None]]
    while_ringing: bool = False


def wait(seconds: float) -> Step:
    """Do nothing for a while."""
    return Step(lambda _call: asyncio.sleep(seconds))


def press(keys: str) -> Step:
    """Press keys in one breath."""
    return Step(lambda call: call.press(keys))


def speak(hz: float, seconds: float) -> Step:
    """Make a tone instead of words."""
    return Step(lambda call: call.speak(hz, seconds))


def hang_up() -> Step:
    """End the answered call."""
    return Step(lambda call: call.hang_up())


def cancel() -> Step:
    """Give up while it rings. A script with this step begins at the INVITE, any other at the answer."""
    return Step(lambda call: call.cancel(), while_ringing=True)


class Caller:
    """One call from the trunk. ``mute`` sends no RTP but digits and tones, as silence suppression does."""

    def __init__(
        self, number: str, sip_port: int, *, from_number: str = "+15550100", mute: bool = False
    ) -> None:
        self.number = number
        self._from = from_number
        self._asterisk = sip_port
        self._mute = mute
        self._wire = Wire(sip_port, self._see)
        self._sipp = Sipp(self._wire)
        self._media: Media | None = None
        self._start = 0.0

    async def __aenter__(self) -> Caller:
        self._start = asyncio.get_running_loop().time()
        self._media = Media(self._start, mute=self._mute)
        await self._media.open()
        await self._wire.open()
        keys: dict[str, str | int] = {
            "number": self.number,
            "from": self._from,
            "media": self._media.port,
            "asterisk": self._asterisk,
        }
        invite = await self._invite(keys)
        self._start = invite.at
        self._media.since = invite.at
        return self

    async def _invite(self, keys: dict[str, str | int]) -> SipMessage:
        """Start SIPp, and once more if it sends nothing: of some thousand starts one did, beside other SIPps."""
        for last in (False, True):
            await self._sipp.start(caller(), keys, "-m", "1")
            try:
                return await self._wire.wait_for(lambda m: m.method == "INVITE", within=5)
            except TimeoutError:
                if last:
                    raise
                await self._sipp.close()
                self._sipp = Sipp(self._wire)
        raise AssertionError("the second try returns or raises")

    async def __aexit__(self, *_: object) -> None:
        if self._sipp.runs:  # an aborted test must not leave a channel in Asterisk
            with contextlib.suppress(Exception):
                await (self.hang_up() if self._first(self._final) else self.cancel())
                await self._sipp.ended(within=1)
        await self._sipp.close()
        self._wire.close()
        if self._media is not None:
            await self._media.close()

    async def run(self, *steps: Step, within: float = 60.0) -> Outcome:
        """Make the call, do the steps, wait for its end. Raises TimeoutError after ``within`` seconds."""
        async with asyncio.timeout(within), self:
            if steps and not any(step.while_ringing for step in steps):
                await self.answered(within=within)
            for step in steps:
                await step.do(self)
            return await self.ended(within=within)

    async def ringing(self, within: float = 5.0) -> float:
        """Wait for 180; returns seconds after the INVITE."""
        return (await self._wire.wait_for(lambda m: m.status == 180, within)).at - self._start

    async def answered(self, within: float = 5.0) -> float:
        """Wait for the answer; returns seconds after the INVITE. A refusal raises AssertionError."""
        final = await self._wire.wait_for(self._final, within)
        assert final.status == 200, f"{self.number} was not answered: {self._wire.summary()}"
        return final.at - self._start

    async def hears(self, hz: float, within: float = 5.0, *, seconds: float = 0.3) -> None:
        """Wait until the tone sounded for so long altogether. Raises TimeoutError."""
        try:
            async with asyncio.timeout(within):
                while seconds_of_tone(self.heard, hz) < seconds:  # noqa: ASYNC110 - every packet would be too often
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise TimeoutError(f"no tone of {hz} Hz within {within} s") from None

    @property
    def heard(self) -> Sound:
        """What was heard so far; second 0 is the INVITE."""
        assert self._media is not None
        return self._media.heard()

    @property
    def now(self) -> float:
        """Seconds since the INVITE."""
        return asyncio.get_running_loop().time() - self._start

    async def press(self, keys: str) -> None:
        """Press keys in one breath; returns when the last is up."""
        assert self._media is not None
        await self._media.press(keys)

    async def speak(self, hz: float, seconds: float) -> None:
        """Make a tone; returns when it is over."""
        assert self._media is not None
        await self._media.speak(hz, seconds)

    async def hang_up(self) -> None:
        """Send BYE and wait until it is answered, unless Asterisk was first."""
        await self._tell("XBYE", lambda m: m.about == "BYE" and m.status == 200)

    async def cancel(self) -> None:
        """Send CANCEL and wait for the final response of the INVITE."""
        await self._tell("XCANCEL", self._final)

    def vanish(self) -> None:
        """Lose the network: no BYE, no RTP, no answer to anything any more."""
        self._wire.close()
        if self._media is not None:
            self._media.rest()

    async def ended(self, within: float = 10.0) -> Outcome:
        """Wait for the end of the call, whoever ends it."""
        await self._sipp.ended(within)
        final = self._first(self._final)
        bye = self._first(lambda m: m.method == "BYE")
        cancelled = self._first(lambda m: m.method == "CANCEL")
        assert final is not None
        assert final.status is not None
        end = bye or final
        return Outcome(
            status=final.status,
            ringing_at=self._when(lambda m: m.status == 180),
            early_media_at=self._when(lambda m: m.status == 183),
            answered_at=final.at - self._start if final.status == 200 else None,
            ended_at=end.at - self._start,
            ended_by="caller" if cancelled or end.sent else "switch",
            cause=None if end.sent else end.q850_cause,
            heard=self.heard,
        )

    async def _tell(self, method: str, done: Callable[[SipMessage], bool]) -> None:
        invite = self._first(lambda m: m.method == "INVITE")
        assert invite is not None
        headers = {name: invite.header(name) for name in ("Via", "From", "To", "Call-ID")}
        self._wire.tell_sipp(method, {**headers, "CSeq": f"1 {method}"})
        await self._wire.wait_for(done, within=5)

    def _see(self, message: SipMessage) -> None:
        media = self._media
        if media is None:
            return
        if message.method == "BYE" or (message.status or 0) >= 300:
            media.rest()
        elif message.about == "INVITE" and not message.sent and message.media_address:
            media.aim(*message.media_address)

    def _first(self, wanted: Callable[[SipMessage], bool]) -> SipMessage | None:
        return next(filter(wanted, self._wire.messages), None)

    def _when(self, wanted: Callable[[SipMessage], bool]) -> float | None:
        message = self._first(wanted)
        return message.at - self._start if message else None

    @staticmethod
    def _final(message: SipMessage) -> bool:
        return message.about == "INVITE" and (message.status or 0) >= 200
