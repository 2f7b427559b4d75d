"""Ogg by its pages (RFC 3533): numbered, the last one marked as such, each saying how far the sound has come."""

import struct
from typing import Final

from recordings.containers.source import SOUND_ALONE, Shape, Source
from recordings.wav import STRAY_BYTES

MAX_PAGES: Final = 60_000
"""Ten minutes of 20 ms packets, each on a page of its own, are 30,000."""
BEGINS: Final = 0x02
ENDS: Final = 0x04
HEAD: Final = struct.Struct("<4sBBqIIIB")
OPUS_HZ: Final = 48_000
"""Opus counts at this rate whatever it was made from (RFC 7845)."""


def shape(source: Source, limit_ms: int) -> Shape:
    """Walk the pages of the one stream there may be. Raises `BadAudio`."""
    at = flags = serial = channels = rate_hz = before = reached = 0
    for number in range(MAX_PAGES):
        head = source.some(at, HEAD.size)
        if at and flags & ENDS and source.size - at <= STRAY_BYTES and head[:4] != b"OggS":
            break
        if len(head) < HEAD.size:
            raise source.broken_off("its last page does not say that it is the last")
        mark, version, flags, granule, stream, sequence, _, segments = HEAD.unpack(head)
        if mark != b"OggS" or version != 0:
            raise source.bad("there is something else than Ogg in it")
        length = sum(source.read(at + HEAD.size, segments))
        body = at + HEAD.size + segments
        if body + length > source.size:
            raise source.broken_off()
        if number == 0:
            serial, (channels, rate_hz, before) = stream, _described(source, source.read(body, length))
        elif stream != serial or flags & BEGINS:
            raise source.bad("there is more than one sound in it", SOUND_ALONE)
        if sequence != number:
            raise source.bad(f"a part of it is missing (page {number})")
        reached = max(reached, granule)
        if (reached - before) * 1_000 > (limit_ms + 1_000) * rate_hz:
            raise source.too_long(limit_ms)
        at = body + length
    else:
        raise source.bad(f"it is cut into more than {MAX_PAGES} pages")
    return Shape(max(0, reached - before) * 1_000 // rate_hz, channels, rate_hz, exact=False)


def _described(source: Source, packet: bytes) -> tuple[int, int, int]:
    """Channels, samples a second and samples to be dropped at the start, from the first packet."""
    if packet[:7] == b"\x01vorbis" and len(packet) >= 30:
        channels, rate_hz = struct.unpack_from("<BI", packet, 11)
        return channels, rate_hz or 1, 0
    if packet[:8] == b"OpusHead" and len(packet) >= 19:
        channels, before = struct.unpack_from("<BH", packet, 9)
        return channels, OPUS_HZ, before
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 51:
        figures = int.from_bytes(packet[27:31], "big")
        return (figures >> 9 & 7) + 1, figures >> 12 or 1, 0
    raise source.bad("there is no sound in it that is known here", "give Ogg with Vorbis or Opus")
