"""Kinds that say at their start how much sound they hold: AIFF, AU, CAF; and AMR, whose frames are all alike."""

import math
import struct
from typing import Final

from recordings.containers.source import Shape, Source

MAX_CHUNKS: Final = 64
UNKNOWN: Final = 0xFFFF_FFFF
AU_BITS: Final = {1: 8, 2: 8, 3: 16, 4: 24, 5: 32, 6: 32, 7: 64, 27: 8}
AIFF_BITS: Final = {b"ulaw": 8, b"alaw": 8, b"ULAW": 8, b"ALAW": 8}
AMR_FRAMES: Final = {
    b"#!AMR\n": (8_000, (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)),
    b"#!AMR-WB\n": (16_000, (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)),
}
"""Rate, and bytes of a frame of 20 ms by its type, header included (RFC 4867)."""


def aiff(source: Source, limit_ms: int) -> Shape:
    """Judge the chunks of an AIFF or AIFC. Raises `BadAudio`."""
    kind = source.read(8, 4)
    at = 12
    shape: Shape | None = None
    promised = there = 0
    for _ in range(MAX_CHUNKS):
        if source.size - at < 8:
            break
        head = source.read(at, 8)
        length = int.from_bytes(head[4:], "big")
        if at + 8 + length > source.size:
            raise source.broken_off(f"{at + 8 + length} bytes promised, {source.size} there")
        if head[:4] == b"COMM":
            form = source.read(at + 8, min(length, 22))
            if len(form) < (22 if kind == b"AIFC" else 18):
                raise source.bad("the description of its sound is cut short")
            channels, frames = int.from_bytes(form[:2], "big"), int.from_bytes(form[2:6], "big")
            bits, rate_hz = int.from_bytes(form[6:8], "big"), _extended(form[8:18])
            promised = frames * channels * AIFF_BITS.get(form[18:22], (bits + 7) // 8 * 8) // 8
            shape = _bounded(source, frames, rate_hz, channels, limit_ms)
        elif head[:4] == b"SSND":
            there = length - 8
        at += 8 + length + length % 2
    else:
        raise source.bad(f"it is cut into more than {MAX_CHUNKS} chunks")
    if shape is None or there <= 0:
        raise source.broken_off("its sound or the description of it is missing")
    if promised > there and kind != b"AIFC":
        raise source.broken_off(f"{promised} bytes of sound promised, {there} there")
    return shape


def au(source: Source, limit_ms: int) -> Shape:
    """Judge the header of an AU (Sun audio). Raises `BadAudio`."""
    head = source.read(0, 24)
    start, length, encoding, rate_hz, channels = (
        int.from_bytes(head[at : at + 4], "big") for at in range(4, 24, 4)
    )
    if encoding not in AU_BITS:
        raise source.bad(f"its samples are in a form that is not known here ({encoding})")
    if length in (0, UNKNOWN):
        raise source.bad(f"its header was never completed: a length of {length}")
    if start < 24 or start + length > source.size:
        raise source.broken_off(f"{start + length} bytes promised, {source.size} there")
    return _bounded(source, length * 8 // (AU_BITS[encoding] * max(1, channels)), rate_hz, channels, limit_ms)


def caf(source: Source, limit_ms: int) -> Shape:
    """Judge the chunks of a CAF. Raises `BadAudio`."""
    at = 8
    frames = rate_hz = channels = packet_bytes = packet_frames = 0
    there: int | None = None
    for _ in range(MAX_CHUNKS):
        if source.size - at < 12:
            break
        head = source.read(at, 12)
        length = int.from_bytes(head[4:], "big", signed=True)
        if length < 0:
            raise source.bad(f"its header was never completed: a length of {length}")
        if at + 12 + length > source.size:
            raise source.broken_off(f"{at + 12 + length} bytes promised, {source.size} there")
        if head[:4] == b"desc":
            form = source.read(at + 12, 32)
            rate_hz = _real(form[:8])
            packet_bytes, packet_frames, channels = (
                int.from_bytes(form[place : place + 4], "big") for place in (16, 20, 24)
            )
        elif head[:4] == b"pakt":
            frames = int.from_bytes(source.read(at + 20, 8), "big")
        elif head[:4] == b"data":
            there = length - 4
        at += 12 + length
    else:
        raise source.bad(f"it is cut into more than {MAX_CHUNKS} chunks")
    if there is None or not rate_hz:
        raise source.broken_off("its sound or the description of it is missing")
    if packet_bytes:
        frames = there // packet_bytes * packet_frames
    return _bounded(source, frames, rate_hz, channels, limit_ms)


def amr(source: Source, limit_ms: int) -> Shape:
    """Walk the frames of an AMR. Raises `BadAudio`."""
    mark = next((mark for mark in AMR_FRAMES if source.some(0, len(mark)) == mark), None)
    if mark is None:
        raise source.bad("it is an AMR of several channels or of an unknown kind")
    rate_hz, lengths = AMR_FRAMES[mark]
    at, frames = len(mark), 0
    while at < source.size:
        length = lengths[source.read(at, 1)[0] >> 3 & 15]
        if not length:
            raise source.bad("there is something else than AMR in it")
        at += length
        frames += 1
        if frames * 20 > limit_ms + 1_000:
            raise source.too_long(limit_ms)
    if at > source.size:
        raise source.broken_off("its last frame is cut")
    return Shape(frames * 20, 1, rate_hz, exact=False)


def _bounded(source: Source, frames: int, rate_hz: int, channels: int, limit_ms: int) -> Shape:
    if frames * 1_000 > (limit_ms + 1_000) * max(1, rate_hz):
        raise source.too_long(limit_ms)
    return Shape(frames * 1_000 // max(1, rate_hz), channels, rate_hz)


def _extended(data: bytes) -> int:
    """An 80-bit floating-point number (IEEE 754 extended), as the nearest integer; 0 when it is no sample rate."""
    exponent, mantissa = int.from_bytes(data[:2], "big") - 16_383 - 63, int.from_bytes(data[2:], "big")
    return round(math.ldexp(mantissa, exponent)) if -64 < exponent < -32 else 0


def _real(data: bytes) -> int:

    value: float = struct.unpack(">d", data)[0]
    return round(value) if abs(value) < 1e9 else 0
