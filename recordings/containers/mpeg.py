"""MP3 (and its elder, layer II) by its frames: each says how long it is, and where the next one begins.

ISO/IEC 11172-3 and 13818-3 for the frames; the Xing, Info and VBRI frames are what encoders agree on for telling how
many frames there should be, which is how a cut-off upload is known.
"""

from dataclasses import dataclass
from typing import Final

from recordings.containers.source import NOTES_BYTES, Shape, Source

MAX_TAGS: Final = 8
TAG_BYTES: Final = 10
MAX_JUNK_BYTES: Final = 65_536
"""Padding and foreign tags between frames that are still forgiven."""
ENCODERS: Final = (b"LAME", b"Lavc", b"Lavf")
ENCODER_AT: Final = 120
"""From the mark of a frame of figures to the name of who wrote it."""
ENDINGS: Final = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")
LAYERS: Final = {2: 2, 1: 3}
"""Layer I is left out: nobody makes it, and a text in UTF-16 begins like it."""
RATES_HZ: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
KBITS: Final = {
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What the four bytes at the start of a frame say."""

    bytes: int
    samples: int
    rate_hz: int
    channels: int
    side_bytes: int
    """Of layer III: what lies between the header and a Xing or Info mark."""


def shape(source: Source, limit_ms: int) -> Shape:
    """Walk the frames, no further than `limit_ms`. Raises `BadAudio`."""
    at = _after_tags(source)
    known: dict[bytes, Frame | None] = {}
    first: Frame | None = None
    promised: int | None = None
    frames = junk = 0
    length_s = 0.0
    while at < source.size:
        head = source.some(at, 4)
        if head not in known:
            known[head] = _frame(head)
        frame = known[head]
        if frame is None:
            if head[0] == 0xFF and len(head) < 4:
                raise source.broken_off("its last frame is cut")
            if first and any(source.some(at, 11).startswith(ending) for ending in ENDINGS):
                break
            skipped = _next_sync(source, at)
            junk += skipped
            if junk > MAX_JUNK_BYTES:
                raise source.bad(
                    "there is something else than MP3 in it" if first else "there is no MP3 in it"
                )
            at += skipped
            continue
        if at + frame.bytes > source.size:
            raise source.broken_off("its last frame is cut")
        if first is None:
            first = frame
            promised = _promised(source.read(at, frame.bytes), frame)
        at += frame.bytes
        frames += 1
        length_s += frame.samples / frame.rate_hz
        if length_s * 1_000 > limit_ms + 1_000:
            raise source.too_long(limit_ms)
    if first is None or junk > at // 2:
        raise source.bad("there is hardly any MP3 in it")
    if promised is not None and frames < promised:
        raise source.broken_off(f"{promised} frames promised, {frames} there")
    return Shape(round(length_s * 1_000), first.channels, first.rate_hz, exact=False)


def _after_tags(source: Source) -> int:
    """Where the first frame may be: behind the ID3v2 tags, whose length has seven bits a byte."""
    at = 0
    for _ in range(MAX_TAGS):
        head = source.some(at, TAG_BYTES)
        if head[:3] != b"ID3":
            return at
        if len(head) < TAG_BYTES or max(head[6:]) > 0x7F:
            raise source.bad("its tag is malformed")
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += TAG_BYTES + length + (TAG_BYTES if head[5] & 0x10 else 0)
        if at > source.size:
            raise source.broken_off("its tag is longer than the file")
        if at > NOTES_BYTES:
            raise source.wordy()
    raise source.bad(f"it begins with more than {MAX_TAGS} tags")


def _frame(head: bytes) -> Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, LAYERS.get(head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version not in RATES_HZ or layer is None or not 1 <= bitrate <= 14 or rate == 3:
        return None
    first_version = version == 3
    rate_hz = RATES_HZ[version][rate]
    bits = KBITS[first_version, layer][bitrate - 1] * 1_000
    mono = head[3] >> 6 == 3
    samples = 1_152 if layer == 2 or first_version else 576
    size = samples // 8 * bits // rate_hz + padding
    side = (17 if mono else 32) if first_version else (9 if mono else 17)
    return Frame(size, samples, rate_hz, 1 if mono else 2, side)


def _next_sync(source: Source, at: int) -> int:
    """How many bytes to skip to the next place where a frame may begin; all, when there is none nearby."""
    near = source.some(at, 4_096)
    for skipped in range(1, len(near) - 3):
        if near[skipped] == 0xFF and (frame := _frame(near[skipped : skipped + 4])):
            behind = at + skipped + frame.bytes
            if behind == source.size or _frame(source.some(behind, 4)):
                return skipped
    return len(near)


def _promised(data: bytes, frame: Frame) -> int | None:
    """How many frames a first frame of figures promises, itself included.

    The usual encoders do not count it. Of others that is not known, and one frame (26 ms) is no reason to refuse.
    """
    at = 4 + frame.side_bytes
    if data[at : at + 4] in (b"Xing", b"Info") and len(data) >= at + 12 and data[at + 7] & 1:
        promised = int.from_bytes(data[at + 8 : at + 12], "big")
        return promised + 1 if data[at + ENCODER_AT : at + ENCODER_AT + 4] in ENCODERS else promised
    if data[36:40] == b"VBRI" and len(data) >= 54:
        return int.from_bytes(data[50:54], "big")
    return None
