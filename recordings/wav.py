"""WAV files by their header: is it true, how long is the sound, cut it, repair it. Nothing is decoded here.

A WAV header is believed only where the file bears it out. Two lies matter: a length longer than the file (a
broken upload would be cut short and called complete) and a length of 0 (Asterisk writes the lengths when it
closes the file, so a switch that dies while recording leaves zeros). RIFF layout: Microsoft "Multimedia
Programming Interface and Data Specifications 1.0" and WAVE_FORMAT_EXTENSIBLE.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from recordings.errors import BadAudio, NoSound
from recordings.files import replacing

PCM: Final = 1
FLOAT: Final = 3
EXTENSIBLE: Final = 0xFFFE
LENGTH_UNKNOWN: Final = 0xFFFF_FFFF
MAX_CHUNKS: Final = 64
MAX_CHANNELS: Final = 8
RATES_HZ: Final = range(1_000, 384_001)
STRAY_BYTES: Final = 1_024
"""Bytes after the sound that belong to no chunk (tags, padding) and are still forgiven."""
COPY_BYTES: Final = 1 << 16
EXPORT_AGAIN: Final = "export or upload it again as 16-bit PCM WAV"


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a WAV file says, and how many bytes of sound can really be there."""

    codec: int
    channels: int
    rate_hz: int
    bits: int
    frame_bytes: int
    """One sample of every channel; of compressed sound, one block."""
    data_at: int
    declared_bytes: int
    bytes_there: int
    """From the start of the sound to the end of the file."""
    riff_bytes: int
    """What the header gives for all of the file, behind its first eight bytes."""

    @property
    def pcm(self) -> bool:
        """Plain samples, which can be cut anywhere."""
        return self.codec == PCM

    @property
    def frames(self) -> int:
        """Whole frames the header declares."""
        return self.declared_bytes // self.frame_bytes

    @property
    def duration_ms(self) -> int:
        """Length of PCM sound, to the nearest millisecond."""
        return (self.frames * 1_000 + self.rate_hz // 2) // self.rate_hz


def whole(path: Path) -> Header:
    """The header of a WAV file that keeps what it promises.

    Raises `NoSound` when it is empty, `BadAudio` when it is not WAV, impossible, cut off or not closed.
    """
    with path.open("rb") as file:
        return judged(file, path.name)


def judged(file: BinaryIO, name: str) -> Header:
    """`whole` of an open file, which is spoken of by `name`."""
    header = _parse(file, name)
    followed = _followed_by_chunks(file, header, name)
    declared, there = header.declared_bytes, header.bytes_there
    if declared == 0 and followed:
        raise NoSound(name, "it holds no sound", "record or export it again")
    if declared in (0, LENGTH_UNKNOWN):
        reason = f"its header was never completed: {there} bytes of sound under a length of {declared}"
        raise BadAudio(name, reason, "save it to a file, not through a pipe, and let the program finish")
    if declared > there:
        raise BadAudio(name, f"it breaks off: {declared} bytes promised, {there} there", EXPORT_AGAIN)
    if not followed:
        reason = f"its header gives {declared} bytes of sound, but {there} follow it"
        raise BadAudio(name, reason, EXPORT_AGAIN)
    if header.frames == 0:
        raise NoSound(name, "it holds no sound", "record or export it again")
    if header.riff_bytes != LENGTH_UNKNOWN and header.riff_bytes > header.data_at + there + STRAY_BYTES:
        reason = f"it breaks off: {header.riff_bytes} bytes promised in all, {header.data_at + there} there"
        raise BadAudio(name, reason, EXPORT_AGAIN)
    return header


def duration_ms(path: Path) -> int:
    """Length of a PCM WAV file. Raises `BadAudio` like `whole`, and for compressed WAV."""
    return _pcm(path).duration_ms


def trim(path: Path, limit_ms: int) -> bool:
    """Cut a PCM WAV file, in place and atomically, so that it never exceeds `limit_ms`. True when cut."""
    header = _pcm(path)
    frames = limit_ms * header.rate_hz // 1_000
    if header.frames <= frames:
        return False
    left = frames * header.frame_bytes
    with path.open("rb") as source, replacing(path) as part, part.open("xb") as target:
        part.chmod(path.stat().st_mode & 0o777)
        source.seek(header.data_at)
        target.write(header_bytes(left, header.rate_hz, header.channels, header.bits))
        while left:
            block = source.read(min(COPY_BYTES, left))
            if not block:
                raise BadAudio(path.name, "it shrank while it was being cut", "keep it again")
            target.write(block)
            left -= len(block)
    return True


def repair(path: Path) -> bool:
    """Give a WAV file whose writer died its true lengths, in place. True when there was something to repair.

    Only a length of 0 or "unknown" is repaired; a header that promises more than there is stays refused,
    for then sound is missing and not just the figure. Repeating a repair is harmless.
    """
    with path.open("r+b") as file:
        header = _parse(file, path.name)
        sound = header.bytes_there - header.bytes_there % header.frame_bytes
        if header.declared_bytes not in (0, LENGTH_UNKNOWN) or not sound:
            return False
        if header.declared_bytes == 0 and _followed_by_chunks(file, header, path.name):
            return False
        end = header.data_at + sound
        file.truncate(end)
        for at, length in ((header.data_at - 4, sound), (4, end - 8)):
            file.seek(at)
            file.write(struct.pack("<I", length))
    return True


def header_bytes(data_bytes: int, rate_hz: int, channels: int = 1, bits: int = 16) -> bytes:
    """The 44-byte header of a plain PCM WAV file."""
    frame = channels * bits // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + data_bytes, b"WAVE"),
        *(b"fmt ", 16, PCM, channels, rate_hz, rate_hz * frame, frame, bits),
        *(b"data", data_bytes),
    )


def _pcm(path: Path) -> Header:
    header = whole(path)
    if not header.pcm:
        raise BadAudio(path.name, f"its samples are compressed (WAV codec {header.codec})", EXPORT_AGAIN)
    return header


def _parse(file: BinaryIO, name: str) -> Header:
    """Walk the chunks up to the sound. Raises `BadAudio`; lengths of the sound are not judged here."""
    size = file.seek(0, 2)
    file.seek(0)
    top = file.read(12)
    if top[:4] != b"RIFF" or top[8:] != b"WAVE":
        raise BadAudio(name, "it is not a WAV file" if size else "it is empty (0 bytes)", EXPORT_AGAIN)
    form: bytes | None = None
    at = 12
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        start = file.read(8)
        if len(start) < 8:
            break
        kind, length = start[:4], int.from_bytes(start[4:], "little")
        if kind == b"data":
            if form is None:
                raise BadAudio(name, "the sound comes before its description", EXPORT_AGAIN)
            riff = int.from_bytes(top[4:8], "little")
            return _described(form, name, at + 8, length, size, riff)
        if kind == b"fmt ":
            form = file.read(min(length, 40))
        at += 8 + length + length % 2
    else:
        raise _shredded(name)
    raise BadAudio(name, "it has a WAV header but no sound data in it", EXPORT_AGAIN)


def _described(form: bytes, name: str, data_at: int, declared: int, size: int, riff: int) -> Header:
    if len(form) < 16:
        raise BadAudio(name, "the description of its sound is cut short", EXPORT_AGAIN)
    codec, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", form[:16])
    if codec == EXTENSIBLE and len(form) >= 26:
        codec = int.from_bytes(form[24:26], "little")
    if rate not in RATES_HZ:
        reason = f"its header gives a sample rate of {rate} Hz"
        raise BadAudio(name, reason, f"export it again with {RATES_HZ.start} to {RATES_HZ.stop - 1} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        reason = f"its header gives {channels} channels"
        raise BadAudio(name, reason, f"export it again with 1 to {MAX_CHANNELS} channels")
    if frame == 0 or (
        codec in (PCM, FLOAT) and (bits not in (8, 16, 24, 32, 64) or frame != channels * bits // 8)
    ):
        reason = f"its header contradicts itself: {channels} channels of {bits} bits in {frame} bytes"
        raise BadAudio(name, reason, EXPORT_AGAIN)
    return Header(codec, channels, rate, bits, frame, data_at, declared, max(0, size - data_at), riff)


def _followed_by_chunks(file: BinaryIO, header: Header, name: str) -> bool:
    """Whether nothing but further chunks (or a few stray bytes) comes after the declared sound."""
    at = header.data_at + header.declared_bytes + header.declared_bytes % 2
    end = header.data_at + header.bytes_there
    for _ in range(MAX_CHUNKS):
        if end - at < 8:
            return True
        file.seek(at)
        start = file.read(8)
        length = int.from_bytes(start[4:], "little")
        if not (start[:4].isascii() and start[:4].decode().isprintable()) or length > end - at - 8:
            break
        at += 8 + length + length % 2
    else:
        raise _shredded(name)
    return header.declared_bytes > 0 and end - at <= STRAY_BYTES


def _shredded(name: str) -> BadAudio:
    return BadAudio(name, f"it is cut into more than {MAX_CHUNKS} chunks", EXPORT_AGAIN)
