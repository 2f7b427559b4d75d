"""Measured callers: a few SIP calls beside the load whose delays are taken from the kernel's stamps on the packets.

A process of its own, `python -m bench.compare.probe JSON`; it prints the milliseconds. Two delays a call: from the
INVITE to the 200, and from the end of the digit (RFC 4733, the first packet with the end bit) to the first packet of
the second prompt that is not silence. Voice is sent all the time, as telephones do.
"""

import asyncio
import json
import random
import re
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

FRAME_S: Final = 0.02
SILENCE: Final = b"\xff" * 160
LOUD: Final = 0x50
"""Below this, a mu-law byte without its sign is louder than -40 dBFS: the curve is upside down."""
PRESS_AFTER_S: Final = 1.3
EVENT_FRAMES: Final = 5
GIVE_UP_S: Final = 8.0


@dataclass
class Call:
    """One measured caller."""

    id: str
    media: socket.socket
    invited: float
    answered: float = 0.0
    digit_ended: float = 0.0
    acted: float = 0.0
    over: float = 0.0
    heard_first: bool = False
    peer: tuple[str, int] | None = None
    frame: int = 0
    source: int = field(default_factory=lambda: random.getrandbits(32))

    @property
    def right(self) -> bool:
        """Both prompts were heard, and the hang-up came after the second."""
        return self.heard_first and self.acted > 0 and 0.8 < self.over - self.acted < 1.5


class Probe:
    """Callers at a steady rate on one SIP socket."""

    def __init__(self, port: int, number: str) -> None:
        self._to = ("127.0.0.1", port)
        self._number = number
        self._sip = _socket()
        self._here = self._sip.getsockname()[1]
        self._calls: dict[str, Call] = {}
        self.done: list[Call] = []

    async def run(self, rate: float, calls: int) -> None:
        """Make the calls and wait for their ends."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sip, self._hear_sip)
        ticking = asyncio.create_task(self._tick())
        began = loop.time()
        for n in range(calls):
            await asyncio.sleep(max(0.0, began + n / rate - loop.time()))
            self._invite(n)
        deadline = loop.time() + GIVE_UP_S
        while self._calls and loop.time() < deadline:  # noqa: ASYNC110 - looking is simpler than an event
            await asyncio.sleep(0.05)
        for call in list(self._calls.values()):
            self._end(call)
        ticking.cancel()
        loop.remove_reader(self._sip)

    def _invite(self, n: int) -> None:
        media = _socket()
        call = Call(f"probe{n}x{random.getrandbits(40)}", media, time.time())
        self._calls[call.id] = call
        asyncio.get_running_loop().add_reader(media, self._hear_media, call)
        sdp = (
            "v=0\r\no=probe 1 1 IN IP4 127.0.0.1\r\ns=call\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {media.getsockname()[1]} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
        )
        uri = f"sip:{self._number}@127.0.0.1:{self._to[1]}"
        more = f"Contact: <sip:+15550101@127.0.0.1:{self._here}>\r\nContent-Type: application/sdp\r\n"
        self._send("INVITE", uri, call.id, f"<{uri}>", more, sdp)

    def _send(self, method: str, uri: str, call: str, to: str, more: str = "", body: str = "") -> None:
        text = (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._here};rport;branch=z9hG4bK{method}{call}\r\n"
            f"From: <sip:+15550101@127.0.0.1>;tag={call}\r\nTo: {to}\r\nCall-ID: {call}\r\n"
            f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self._sip.sendto(text.encode(), self._to)

    def _hear_sip(self) -> None:
        for data, at in _received(self._sip):
            text = data.decode(errors="replace")
            call = self._calls.get(_header(text, "Call-ID"))
            if text.startswith("BYE"):
                answer = ["SIP/2.0 200 OK"]
                for name in ("Via", "From", "To", "Call-ID", "CSeq"):
                    answer.append(f"{name}: {_header(text, name)}")
                self._sip.sendto(
                    ("\r\n".join([*answer, "Content-Length: 0"]) + "\r\n\r\n").encode(), self._to
                )
                if call is not None:
                    call.over = at
                    self._end(call)
            elif call is not None and text.startswith("SIP/2.0 200"):
                uri = _header(text, "Contact").partition("<")[2].partition(">")[0]
                self._send("ACK", uri, call.id, _header(text, "To"))
                if not call.answered:
                    call.answered = at
                    port = re.search(r"^m=audio (\d+)", text, re.MULTILINE)
                    call.peer = ("127.0.0.1", int(port[1])) if port else None
            elif call is not None and re.match(r"SIP/2.0 [3-6]", text):
                self._end(call)

    def _hear_media(self, call: Call) -> None:
        for data, at in _received(call.media):
            if data[1] & 0x7F != 0 or call.acted:
                continue
            if not call.digit_ended and call.heard_first:
                continue
            if min(byte & 0x7F for byte in data[12::3]) < LOUD:
                if call.digit_ended:
                    call.acted = at
                else:
                    call.heard_first = True

    def _end(self, call: Call) -> None:
        del self._calls[call.id]
        asyncio.get_running_loop().remove_reader(call.media)
        call.media.close()
        self.done.append(call)

    async def _tick(self) -> None:
        """Send a frame of each call every 20 ms."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            for call in self._calls.values():
                if call.peer is not None:
                    self._speak(call, call.peer)

    def _speak(self, call: Call, peer: tuple[str, int]) -> None:
        pressed = call.frame - round(PRESS_AFTER_S / FRAME_S)
        stamp = call.frame * 160
        if 0 <= pressed <= EVENT_FRAMES:
            ends = pressed == EVENT_FRAMES
            begun = stamp - 160 * pressed
            event = struct.pack("!BBH", 5, 0x8A if ends else 0x0A, 160 * max(1, pressed))
            kind = 101 | (0x80 if pressed == 0 else 0)
            packets = [(kind, begun, event)] * (3 if ends else 1)
            if ends:
                call.digit_ended = time.time()
        else:
            packets = [(0, stamp, SILENCE)]
        for n, (kind, begun, payload) in enumerate(packets):
            sequence = call.frame + n + (2 if pressed > EVENT_FRAMES else 0)
            header = struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, begun, call.source)
            call.media.sendto(header + payload, peer)
        call.frame += 1


def _socket() -> socket.socket:
    """A UDP port whose packets are stamped by the kernel."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made


_TIMESTAMPNS: Final = 35  # SO_TIMESTAMPNS of Linux, for which Python has no name


def _received(source: socket.socket) -> list[tuple[bytes, float]]:
    """All that waits there, each with the time at which it came (seconds since the epoch)."""
    found: list[tuple[bytes, float]] = []
    while True:
        try:
            data, more, _, _ = source.recvmsg(4_096, 64)
        except BlockingIOError:
            return found
        at = time.time()
        for level, kind, value in more:
            if level == socket.SOL_SOCKET and kind == _TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                at = seconds + nanoseconds / 1e9
        found.append((data, at))


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def main(options: dict[str, Any]) -> dict[str, Any]:
    """Measure, and give the delays of the calls that went right, in milliseconds."""
    probe = Probe(options["port"], options["number"])
    asyncio.run(probe.run(options["rate"], options["calls"]))
    right = [call for call in probe.done if call.right]
    return {
        "wrong": len(probe.done) - len(right),
        "setup_ms": [(call.answered - call.invited) * 1_000 for call in right],
        "action_ms": [(call.acted - call.digit_ended) * 1_000 for call in right],
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
