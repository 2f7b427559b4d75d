"""MP4 and M4A by their atoms (ISO/IEC 14496-12): sizes that fit into each other and into the file, tables that are as
long as they say, samples that are really there, and no sound that lies in another file."""

from collections.abc import Iterator
from typing import Final

from recordings.containers.source import NOTES_BYTES, PACKET_BYTES, SOUND_ALONE, Shape, Source

MAX_ATOMS: Final = 2_000
MAX_DEPTH: Final = 8
MAX_TABLE_ENTRIES: Final = 200_000
"""More than an hour of AAC."""
MAX_FILE_PARTS: Final = 1_000
WITHIN: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts"})
ENTRY_BYTES: Final = {
    b"stts": 8,
    b"ctts": 8,
    b"stsc": 12,
    b"stco": 4,
    b"co64": 8,
    b"stss": 4,
    b"stsz": 4,
    b"elst": 12,
}
FILMS: Final = {b"mp4v": "mpeg4", b"avc1": "h264", b"hvc1": "hevc", b"hev1": "hevc", b"vp09": "vp9"}
SELF_CONTAINED: Final = 1

Atom = tuple[bytes, int, int]
"""Kind, start and end of the content."""


def shape(source: Source, limit_ms: int) -> Shape:
    """Walk the atoms. Raises `BadAudio`."""
    tracks: list[dict[bytes, Atom]] = []
    sound_bytes = 0
    kinds: set[bytes] = set()
    for atom, depth in _walk(source, 0, source.size, 0, [0]):
        kind, start, end = atom
        if depth == 0:
            kinds.add(kind)
            sound_bytes += end - start if kind == b"mdat" else 0
            if kind == b"moov" and end - start > NOTES_BYTES:
                raise source.wordy()
        if kind == b"trak":
            tracks.append({})
        elif tracks and depth > 1:
            tracks[-1].setdefault(kind, atom)
        if kind in ENTRY_BYTES:
            _table(source, atom)
    if b"moof" in kinds:
        raise source.bad(
            "it is in fragments, made for a live stream", "export it again as plain M4A, WAV or FLAC"
        )
    if b"moov" not in kinds:
        raise source.broken_off("the part that describes the sound is missing")
    if b"mdat" not in kinds:
        raise source.broken_off("the sound itself is missing")
    sounds = [track for track in tracks if _handler(source, track) == b"soun"]
    for track in tracks:
        _belongs(source, track)
    if len(sounds) != 1:
        raise source.bad(f"there are {len(sounds)} sounds in it", SOUND_ALONE)
    return _sound(source, sounds[0], sound_bytes, limit_ms)


def _walk(source: Source, at: int, end: int, depth: int, count: list[int]) -> Iterator[tuple[Atom, int]]:
    """Every atom with its depth, parents before their children."""
    if depth > MAX_DEPTH:
        raise source.bad(f"its atoms lie more than {MAX_DEPTH} deep")
    while at < end:
        count[0] += 1
        if count[0] > MAX_ATOMS:
            raise source.bad(f"it is cut into more than {MAX_ATOMS} atoms")
        head = source.read(at, 8)
        length, kind, start = int.from_bytes(head[:4], "big"), head[4:], at + 8
        if length == 1:
            length, start = int.from_bytes(source.read(at + 8, 8), "big"), at + 16
        elif length == 0 and depth == 0:
            length = end - at
        if length < start - at:
            raise source.bad(f"an atom in it claims a length of {length}")
        if at + length > end:
            if end == source.size and depth == 0:
                raise source.broken_off(f"{at + length} bytes promised, {end} there")
            raise source.bad("an atom in it is bigger than the one around it")
        yield (kind, start, at + length), depth
        if kind in WITHIN:
            yield from _walk(source, start, at + length, depth + 1, count)
        at += length


def _table(source: Source, atom: Atom) -> None:
    """A table that is as long as it says. `stsz` may have one size for all instead of a table."""
    kind, start, end = atom
    at = start + 4
    if kind == b"stsz":
        if source.read(at, 4) != bytes(4):
            return
        at += 4
    entries = int.from_bytes(source.read(at, 4), "big")
    size = 20 if kind == b"elst" and source.read(start, 1) == b"\1" else ENTRY_BYTES[kind]
    if entries > MAX_TABLE_ENTRIES or at + 4 + entries * size > end:
        raise source.bad(f"a table in it claims {entries} entries")


def _handler(source: Source, track: dict[bytes, Atom]) -> bytes:
    if b"hdlr" not in track:
        raise source.bad("there is a track in it that does not say what it is")
    return source.read(track[b"hdlr"][1] + 8, 4)


def _belongs(source: Source, track: dict[bytes, Atom]) -> None:
    """No film, and nothing that lies in another file."""
    if _handler(source, track) == b"vide":
        codec = source.read(track[b"stsd"][1] + 12, 4) if b"stsd" in track else b""
        raise source.bad(f"there is {FILMS.get(codec, 'a film')} in it", SOUND_ALONE)
    if b"dref" not in track:
        return
    _, start, end = track[b"dref"]
    entries = int.from_bytes(source.read(start + 4, 4), "big")
    at = start + 8
    for _ in range(entries):
        if at + 12 > end:
            raise source.bad(f"a table in it claims {entries} entries")
        if not source.read(at + 11, 1)[0] & SELF_CONTAINED:
            raise source.bad("its sound lies in another file", "export it again, with the sound in it")
        at += max(12, int.from_bytes(source.read(at, 4), "big"))


def _sound(source: Source, track: dict[bytes, Atom], sound_bytes: int, limit_ms: int) -> Shape:
    missing = [kind for kind in (b"mdhd", b"stsd", b"stts", b"stsz") if kind not in track]
    if missing:
        raise source.broken_off(f"the description of the sound lacks {missing[0].decode()}")
    wide = source.read(track[b"mdhd"][1], 1) == b"\1"
    scale = int.from_bytes(source.read(track[b"mdhd"][1] + (20 if wide else 12), 4), "big")
    entry = track[b"stsd"][1] + 8
    channels = int.from_bytes(source.read(entry + 24, 2), "big")
    rate_hz = int.from_bytes(source.read(entry + 32, 2), "big") or scale
    if not scale:
        raise source.bad("its clock stands still")
    packets, ticks = _times(source, track[b"stts"])
    if ticks * 1_000 > (limit_ms + 1_000) * scale:
        raise source.too_long(limit_ms)
    sized, size, largest = _sizes(source, track[b"stsz"])
    if largest > PACKET_BYTES:
        raise source.lumpy()
    if sized != packets:
        raise source.bad(f"it contradicts itself: {packets} packets of sound, {sized} with a size")
    if size > sound_bytes:
        raise source.broken_off(f"{size} bytes of sound promised, {sound_bytes} there")
    return Shape(ticks * 1_000 // scale, channels, rate_hz, exact=False)


def _times(source: Source, atom: Atom) -> tuple[int, int]:
    """Packets, and ticks of the clock that they last."""
    packets = ticks = 0
    entries = int.from_bytes(source.read(atom[1] + 4, 4), "big")
    table = source.read(atom[1] + 8, entries * 8)
    for at in range(0, len(table), 8):
        count = int.from_bytes(table[at : at + 4], "big")
        packets += count
        ticks += count * int.from_bytes(table[at + 4 : at + 8], "big")
    return packets, ticks


def _sizes(source: Source, atom: Atom) -> tuple[int, int, int]:
    """Packets, their bytes, and those of the largest."""
    each, entries = (int.from_bytes(source.read(atom[1] + at, 4), "big") for at in (4, 8))
    if each:
        return entries, each * entries, each
    table = source.read(atom[1] + 12, entries * 4)
    sizes = [int.from_bytes(table[at : at + 4], "big") for at in range(0, len(table), 4)]
    return entries, sum(sizes), max(sizes, default=0)
