"""The media half of a test phone: sends voice and digits, keeps all that it hears.

Why here: SIPp sends captured packets but cannot keep what it receives, and needs raw sockets to send. So SIPp does
the signalling and this does RTP (RFC 3550) with G.711 mu-law and telephone events (RFC 4733) on a plain UDP port.
Like a real phone it sends silence when nobody speaks: some of Asterisk's clocks run on incoming packets.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import struct
from array import array
from collections import deque
from dataclasses import dataclass

from simulator.sip.sound import RATE, Sound, tone

FRAME_S = 0.02
FRAME = int(RATE * FRAME_S)
ULAW, TELEPHONE_EVENT = 0, 101
_EVENTS = {key: code for code, key in enumerate("0123456789*#ABCD")}
_DIGIT_FRAMES, _GAP_FRAMES = 5, 3  # 100 ms of digit, 60 ms of pause: a quick hand
_JUMP_S = 0.2


def _decode(byte: int) -> int:
    """One mu-law byte to a linear sample (ITU-T G.711)."""
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)
    return 0x84 - magnitude if byte & 0x80 else magnitude - 0x84


def _encode(sample: int) -> int:
    """One linear sample to mu-law (ITU-T G.711)."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    exponent = max(magnitude.bit_length() - 8, 0)
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


_DECODED = [_decode(byte) for byte in range(256)]
_SILENCE = bytes([_encode(0)]) * FRAME


@dataclass(frozen=True, slots=True)
class _Heard:
    at: float
    source: int
    sequence: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Digit:
    event: int
    duration: int
    ends: bool


class Media(asyncio.DatagramProtocol):
    """One RTP port. Times in seconds; ``heard`` begins at ``since``, a time of the event loop's clock."""

    def __init__(self, since: float, *, mute: bool = False) -> None:
        self.since = since
        self._mute = mute
        self._heard: list[_Heard] = []
        self._queue: deque[bytes | _Digit] = deque()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._peer: tuple[str, int] | None = None
        self._peers: set[object] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self._sender: asyncio.Task[None] | None = None
        self.port = 0

    async def open(self) -> None:
        """Take a free even port, and listen."""
        loop = asyncio.get_running_loop()
        while self.port == 0:
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            probe.bind(("127.0.0.1", 0))
            if probe.getsockname()[1] % 2:
                probe.close()
                continue
            self.port = probe.getsockname()[1]
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=probe)
        self._sender = asyncio.create_task(self._send_for_ever())

    async def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def aim(self, host: str, port: int) -> None:
        """Send to this address from now on, and listen to it."""
        self._peer = (host, port)
        self._peers.add(self._peer)

    def rest(self) -> None:
        """Send nothing more."""
        self._peer = None
        self._queue.clear()
        self._quiet.set()

    async def press(self, keys: str) -> None:
        """Press keys one after another; returns when the last is up."""
        for key in keys:
            event = _EVENTS[key]
            self._queue += [_Digit(event, FRAME * (i + 1), ends=False) for i in range(_DIGIT_FRAMES)]
            self._queue += [_Digit(event, FRAME * _DIGIT_FRAMES, ends=True)] * 3
            self._queue += [_SILENCE] * _GAP_FRAMES
        await self._drain()

    async def speak(self, hz: float, seconds: float) -> None:
        """Send a tone; returns when it is over."""
        samples = tone(hz, seconds).samples
        voice = bytes(map(_encode, samples)) + _SILENCE
        self._queue += [voice[i : i + FRAME] for i in range(0, len(samples), FRAME)]
        await self._drain()

    def heard(self) -> Sound:
        """All that was heard, on the time line of the call: gaps are silence."""
        out = array("h")
        last: dict[int, tuple[int, _Heard]] = {}  # source -> place of its last packet, and the packet
        for packet in self._heard:
            arrived = max(round((packet.at - self.since) * RATE), 0)
            place = arrived
            if packet.source in last:
                before, previous = last[packet.source]
                step = _difference(packet.timestamp, previous.timestamp)
                unbroken = step == FRAME * (packet.sequence - previous.sequence & 0xFFFF)
                # In an unbroken stream a late arrival is only our own slowness; after a break it is the truth.
                if unbroken or abs(before + step - arrived) < _JUMP_S * RATE:
                    place = max(before + step, 0)
            last[packet.source] = (place, packet)
            samples = array("h", (_DECODED[byte] for byte in packet.payload))
            out.extend(itertools.repeat(0, place + len(samples) - len(out)))
            out[place : place + len(samples)] = samples
        return Sound(out)

    @property
    def packets_heard(self) -> int:
        return len(self._heard)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if addr not in self._peers:
            return  # the rest of a call that had this port before us
        if len(data) > 12 and data[0] >> 6 == 2 and data[1] & 0x7F == ULAW:
            sequence, timestamp, source = struct.unpack_from("!HII", data, 2)
            at = asyncio.get_running_loop().time()
            self._heard.append(_Heard(at, source, sequence, timestamp, data[12 + 4 * (data[0] & 0x0F) :]))

    async def _drain(self) -> None:
        self._quiet.clear()
        await self._quiet.wait()

    async def _send_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        source = random.getrandbits(32)
        sequence, timestamp, digit_timestamp = random.getrandbits(15), random.getrandbits(31), 0
        due = loop.time()
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due += FRAME_S
            frame = self._queue.popleft() if self._queue else None
            if not self._queue:
                self._quiet.set()
            packets: list[tuple[int, int, bytes]] = []  # payload type and marker, timestamp, payload
            if isinstance(frame, _Digit):
                starts = frame.duration == FRAME
                digit_timestamp = timestamp if starts else digit_timestamp
                flags = 0x8A if frame.ends else 0x0A
                event = struct.pack("!BBH", frame.event, flags, frame.duration)
                packets = [(TELEPHONE_EVENT | 0x80 * starts, digit_timestamp, event)]
            elif frame is not None or not self._mute:
                packets = [(ULAW, timestamp, frame or _SILENCE)]
            for kind, stamp, payload in packets:
                sequence = (sequence + 1) & 0xFFFF
                header = struct.pack("!BBHII", 0x80, kind, sequence, stamp & 0xFFFFFFFF, source)
                if self._peer is not None and self._transport is not None:
                    self._transport.sendto(header + payload, self._peer)
            timestamp += FRAME


def _difference(later: int, earlier: int) -> int:
    """Signed distance of two 32-bit RTP timestamps."""
    return (later - earlier + 0x80000000) % 0x100000000 - 0x80000000
