"""FLAC (RFC 9639) by its first block, which says how many samples there are, and its last frame, which must be the one
that completes them. A crafted FLAC of some bytes decodes to hours; one whose end is missing says nothing of it."""

from typing import Final

from recordings.containers.source import NOTES_BYTES, Shape, Source

MAX_BLOCKS: Final = 128
LARGEST_FRAME: Final = 1 << 18
MAX_CANDIDATES: Final = 8
"""Places that look like the last frame; by chance there is one in some millions of files."""
ID3V1_BYTES: Final = 128


def shape(source: Source, limit_ms: int) -> Shape:
    """Judge the header and the end. Raises `BadAudio`."""
    at = 4
    streaminfo = b""
    for number in range(MAX_BLOCKS):
        head = source.read(at, 4)
        length = int.from_bytes(head[1:], "big")
        if number == 0:
            if head[0] & 0x7F or length != 34:
                raise source.bad("it does not begin with its description")
            streaminfo = source.read(at + 4, length)
        at += 4 + length
        if at > NOTES_BYTES:
            raise source.wordy()
        if head[0] & 0x80:
            break
    else:
        raise source.bad(f"it begins with more than {MAX_BLOCKS} blocks of notes")
    figures = int.from_bytes(streaminfo[10:18], "big")
    rate_hz, channels, samples = figures >> 44, (figures >> 41 & 7) + 1, figures & 0xF_FFFF_FFFF
    if not samples or not rate_hz:
        mend = "save it to a file, not through a pipe, and let the program finish"
        raise source.bad(f"its header was never completed: {samples} samples at {rate_hz} Hz", mend)
    if samples * 1_000 > limit_ms * rate_hz:
        raise source.too_long(limit_ms)
    if not _ends_at(source, at, samples, streaminfo):
        raise source.broken_off(f"{samples} samples promised, and the last of them are not there")
    return Shape(round(samples * 1_000 / rate_hz), channels, rate_hz)


def _ends_at(source: Source, start: int, samples: int, streaminfo: bytes) -> bool:
    """Whether the file ends with a whole frame that completes this number of samples."""
    block = int.from_bytes(streaminfo[:2], "big")
    largest = int.from_bytes(streaminfo[7:10], "big") or LARGEST_FRAME
    end = source.size
    if end - start > ID3V1_BYTES and source.read(end - ID3V1_BYTES, 3) == b"TAG":
        end -= ID3V1_BYTES
    begin = max(start, end - min(largest, LARGEST_FRAME) - 16)
    tail = source.read(begin, max(0, end - begin))
    sync = source.read(start, 2)  # The same for all frames: blocks of one size, or of several.
    at, candidates = len(tail), 0
    while candidates < MAX_CANDIDATES and (at := tail.rfind(sync, 0, at)) >= 0:
        if _completes(tail[at : at + 16], block, samples):
            candidates += 1
            if _crc(tail[at:], CRC16, 16) == 0:
                return True
    return False


def _completes(head: bytes, block: int, samples: int) -> bool:
    """Whether a frame with this header ends with the last sample."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return False
    extra = 8 - (head[4] ^ 0xFF).bit_length()  # How many leading ones: the length of a number as in UTF-8.
    if extra == 1 or extra > 7:
        return False
    number = head[4] & (0x7F >> extra)
    at = 5
    for _ in range(extra - 1):
        number = number << 6 | head[at] & 0x3F
        at += 1
    size_code = head[2] >> 4
    match size_code:
        case 0:
            return False
        case 1:
            size = 192
        case 6:
            size, at = head[at] + 1, at + 1
        case 7:
            size, at = int.from_bytes(head[at : at + 2], "big") + 1, at + 2
        case _ if size_code < 6:
            size = 576 << size_code - 2
        case _:
            size = 256 << size_code - 8
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    begin = number if head[1] & 1 else number * block
    return len(head) > at and begin + size == samples and _crc(head[: at + 1], CRC8, 8) == 0


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return tuple(table)


CRC8: Final = _table(0x07, 8)
CRC16: Final = _table(0x8005, 16)


def _crc(data: bytes, table: tuple[int, ...], bits: int) -> int:
    """The remainder of data that ends with its own checksum: 0 when they agree."""
    value, mask, shift = 0, (1 << bits) - 1, bits - 8
    for byte in data:
        value = value << 8 & mask ^ table[value >> shift ^ byte]
    return value
