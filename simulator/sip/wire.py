"""The wire between one SIPp process and Asterisk: passes every SIP message on, notes it with its time.

Why here: SIPp plays a fixed scenario, while a test wants to decide during the call and to know exactly who said
what when. So SIPp talks to Asterisk through this relay, and the relay can speak to SIPp itself: a request with
an own method (``XBYE``, ``XANSWER``) takes the scenario to the next branch. Asterisk never sees those.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class SipMessage:
    """One message as it passed. ``at`` is a time of the event loop's clock, in seconds."""

    at: float
    sent: bool
    """True if it came from SIPp, False if from Asterisk."""
    text: str = field(repr=False)

    @cached_property
    def method(self) -> str | None:
        """The method of a request, None of a response."""
        first = self.text.split(" ", 1)[0]
        return None if first == "SIP/2.0" else first

    @cached_property
    def status(self) -> int | None:
        """The status of a response, None of a request."""
        return int(self.text.split(" ", 2)[1]) if self.method is None else None

    def header(self, name: str) -> str:
        """The first header of that name, or an empty string."""
        found = re.search(rf"^{re.escape(name)}\s*:[ \t]*(.*?)\r?$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    @property
    def call_id(self) -> str:
        return self.header("Call-ID")

    @property
    def about(self) -> str:
        """The method that this request is, or that this response answers."""
        return self.header("CSeq").rpartition(" ")[2]

    @property
    def media_address(self) -> tuple[str, int] | None:
        """Where the sender of this message's SDP wants its RTP."""
        host = re.search(r"^c=IN IP4 (\S+)", self.text, re.MULTILINE)
        port = re.search(r"^m=audio (\d+)", self.text, re.MULTILINE)
        return (host[1], int(port[1])) if host and port else None

    @property
    def q850_cause(self) -> int | None:
        """The cause of a Reason header (RFC 3326)."""
        found = re.search(r"Q\.850\s*;\s*cause\s*=\s*(\d+)", self.header("Reason"), re.IGNORECASE)
        return int(found[1]) if found else None


class Wire:
    """A relay with two UDP ports: ``port`` faces Asterisk, ``sipp_side`` faces SIPp at ``sipp_port``."""

    def __init__(self, asterisk_port: int, on_message: Callable[[SipMessage], None]) -> None:
        self.messages: list[SipMessage] = []
        self._on_message = on_message
        self._changed = asyncio.Event()
        self._asterisk = ("127.0.0.1", asterisk_port)
        self._transports: list[asyncio.DatagramTransport] = []
        self.sipp_port = _free_udp_port()
        self.port = 0
        self.sipp_side = 0

    async def open(self, port: int = 0) -> None:
        """Listen; ``port`` 0 takes any free one."""
        loop = asyncio.get_running_loop()
        for local, sent in ((port, False), (0, True)):
            transport, _ = await loop.create_datagram_endpoint(
                lambda sent=sent: _Side(self, sent=sent),  # type: ignore[misc]
                local_addr=("127.0.0.1", local),
            )
            self._transports.append(transport)
        self.port, self.sipp_side = (t.get_extra_info("sockname")[1] for t in self._transports)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    def tell_sipp(self, method: str, headers: Mapping[str, str]) -> None:
        """Send SIPp a request that takes its scenario to the branch waiting for ``method``."""
        lines = [f"{method} sip:sipp SIP/2.0", *(f"{name}: {value}" for name, value in headers.items())]
        text = "\r\n".join([*lines, "Content-Length: 0", "", ""])
        self._transports[1].sendto(text.encode(), ("127.0.0.1", self.sipp_port))

    async def wait_for(self, wanted: Callable[[SipMessage], bool], within: float) -> SipMessage:
        """The first message, past or to come, that is wanted. Raises TimeoutError with what passed instead."""
        seen = 0
        try:
            async with asyncio.timeout(within):
                while True:
                    for message in self.messages[seen:]:
                        if wanted(message):
                            return message
                    seen = len(self.messages)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {within} s; on the wire: {self.summary()}") from None

    def summary(self) -> str:
        """All messages in short, for a failed test."""
        return ", ".join(
            f"{'>' if m.sent else '<'}{m.status or m.method} {m.about if m.status else ''}".strip()
            for m in self.messages
        )

    def pass_on(self, data: bytes, *, sent: bool) -> None:
        """Note a datagram and hand it to the other side."""
        target = self._asterisk if sent else ("127.0.0.1", self.sipp_port)
        self._transports[0 if sent else 1].sendto(data, target)
        if not data.strip():
            return  # a keep-alive
        message = SipMessage(asyncio.get_running_loop().time(), sent, data.decode(errors="replace"))
        self.messages.append(message)
        self._on_message(message)
        self._changed.set()


class _Side(asyncio.DatagramProtocol):
    def __init__(self, wire: Wire, *, sent: bool) -> None:
        self._wire = wire
        self._sent = sent

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:  # noqa: ARG002 - asyncio names it
        self._wire.pass_on(data, sent=self._sent)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
