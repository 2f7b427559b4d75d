"""Matroska and WebM by their elements (RFC 8794, RFC 9559).

What a browser records has no lengths and no duration, so the length is that of the last block; what refers to other
files is refused.
"""

import struct
from collections.abc import Iterator
from typing import Final

from recordings.containers.source import NOTES_BYTES, PACKET_BYTES, SOUND_ALONE, Shape, Source

MAX_ELEMENTS: Final = 80_000
"""Ten minutes of 20 ms packets are 30,000."""
LONGEST_HEAD: Final = 12
SEGMENT: Final = 0x18538067
CLUSTER: Final = 0x1F43B675
INFO: Final = 0x1549A966
TRACKS: Final = 0x1654AE6B
TRACK: Final = 0xAE
AUDIO: Final = 0xE1
BLOCK_GROUP: Final = 0xA0
CHAPTERS: Final = 0x1043A770
EDITION: Final = 0x45B9
CHAPTER: Final = 0xB6
WITHIN: Final = frozenset(
    {SEGMENT, CLUSTER, INFO, TRACKS, TRACK, AUDIO, BLOCK_GROUP, CHAPTERS, EDITION, CHAPTER}
)
UNBOUNDED: Final = frozenset({SEGMENT, CLUSTER})
"""Those whose length may be unknown."""
TOP: Final = frozenset({CLUSTER, INFO, TRACKS, CHAPTERS, 0x114D9B74, 0x1C53BB6B, 0x1254C367, 0x1941A469})
"""Children of the segment: the start of one ends a cluster of unknown length."""
ELSEWHERE: Final = frozenset({0x3CB923, 0x3C83AB, 0x3EB923, 0x3E83BB, 0x6E67, 0x6EBC})
"""Previous and next segment, by number or by file name, and chapters in other segments."""
PACKED: Final = 0x6D80
"""Content encodings: blocks that are compressed once more, or encrypted."""
TIMESTAMP_SCALE: Final = 0x2AD7B1
TRACK_TYPE: Final = 0x83
SAMPLING_HZ: Final = 0xB5
CHANNELS: Final = 0x9F
CLUSTER_TIME: Final = 0xE7
BLOCKS: Final = frozenset({0xA3, 0xA1})
PADDING: Final = frozenset({0xEC, 0xBF})
SOUND: Final = 2


def shape(source: Source, limit_ms: int) -> Shape:
    """Walk the elements. Raises `BadAudio`."""
    scale_ns, cluster, reached, channels, rate_hz = 1_000_000, 0, 0, 1, 8_000
    kinds: list[int] = []
    blocks = 0
    notes = 0
    for kind, at, length in _elements(source):
        notes += 0 if kind in BLOCKS or kind in PADDING else length
        if notes > NOTES_BYTES:
            raise source.wordy()
        if kind in ELSEWHERE:
            raise source.bad("a part of it lies in another file", "export it again, with all the sound in it")
        if kind == PACKED:
            raise source.bad("its sound is packed once more, or locked", SOUND_ALONE)
        if kind == TIMESTAMP_SCALE:
            scale_ns = _number(source, at, length)
        elif kind == TRACK_TYPE:
            kinds.append(_number(source, at, length))
        elif kind == CHANNELS:
            channels = _number(source, at, length)
        elif kind == SAMPLING_HZ:
            rate_hz = _real(source, at, length)
        elif kind == CLUSTER_TIME:
            cluster = _number(source, at, length)
        elif kind in BLOCKS:
            blocks += 1
            if length > PACKET_BYTES:
                raise source.lumpy()
            # Behind the number of the track, one byte for all tracks there may be here.
            reached = max(reached, cluster + int.from_bytes(source.read(at + 1, 2), "big", signed=True))
            if reached * scale_ns > (limit_ms + 1_000) * 1_000_000:
                raise source.too_long(limit_ms)
    if kinds != [SOUND]:
        raise source.bad(
            "there is more than sound in it" if len(kinds) > 1 else "there is no sound in it", SOUND_ALONE
        )
    if not blocks:
        raise source.broken_off("the sound itself is missing")
    if not 1_000 <= scale_ns <= 1_000_000_000:
        raise source.bad("its clock makes no sense")
    return Shape(reached * scale_ns // 1_000_000, channels, rate_hz, exact=False)


def _elements(source: Source) -> Iterator[tuple[int, int, int]]:
    """Kind, place and length of each element that is not merely around others."""
    at = 0
    ends: list[int] = []
    """Of the elements around this place; of unknown length means to the end of the one around."""
    unbounded: list[bool] = []
    for _ in range(MAX_ELEMENTS):
        while ends and at >= ends[-1]:
            ends.pop()
            unbounded.pop()
        if at >= source.size:
            return
        head = source.some(at, LONGEST_HEAD)
        kind, width = _vint(source, head, marked=True)
        while len(ends) > 1 and unbounded[-1] and kind in TOP:
            ends.pop()
            unbounded.pop()
        length, more = _vint(source, head[width:], marked=False)
        start = at + width + more
        around = ends[-1] if ends else source.size
        known = length >= 0
        end = start + length if known else around
        if not known and kind not in UNBOUNDED:
            raise source.bad("an element in it does not say how long it is")
        if end > around:
            if around == source.size:
                raise source.broken_off(f"{end} bytes promised, {around} there")
            raise source.bad("an element in it is bigger than the one around it")
        if kind in WITHIN:
            ends.append(end)
            unbounded.append(not known)
            at = start
        else:
            yield kind, start, length
            at = end
    raise source.bad(f"it is cut into more than {MAX_ELEMENTS} elements")


def _vint(source: Source, head: bytes, *, marked: bool) -> tuple[int, int]:
    """A number that says its own width in its first bits, and that width; -1 when all ones: unknown."""
    width = 9 - head[0].bit_length() if head else 1
    if width > (4 if marked else 8):
        raise source.bad("there is something else than Matroska in it")
    if len(head) < width:
        raise source.broken_off()
    value = int.from_bytes(head[:width], "big")
    if not marked:
        ones = (1 << 7 * width) - 1
        value &= ones
        value = -1 if value == ones else value
    return value, width


def _number(source: Source, at: int, length: int) -> int:
    if length > 8:
        raise source.bad("a number in it is too long")
    return int.from_bytes(source.read(at, length), "big")


def _real(source: Source, at: int, length: int) -> int:
    """A floating-point number, as the nearest integer; 0 for one that is none."""
    if length not in (4, 8):
        return 0
    value: float = struct.unpack(">f" if length == 4 else ">d", source.read(at, length))[0]
    return round(value) if abs(value) < 1e9 else 0
