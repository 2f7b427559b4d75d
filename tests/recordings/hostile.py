"""Files that mean harm, made byte by byte: lies, bombs, shreds and things that are two things at once."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

from tests.recordings.sounds import quiet, sine, wav_bytes

TONE = sine(8_000, 1.0, (440, 0.3))
WAV = wav_bytes(TONE)
HOURS = 2 * 3_600


def crc(data: bytes, polynomial: int, bits: int) -> int:
    """A checksum, bit by bit, most significant first: FLAC's two and Ogg's."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    value = 0
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
    return value


def zipped(content: bytes, name: str = "a.txt") -> bytes:
    """A zip archive of one file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file."""
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def with_chunks(*before: bytes, after: bytes = b"") -> bytes:
    """A true WAV with chunks around its sound."""
    body = WAV[12:36] + b"".join(before) + WAV[36:] + after
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def flac_frame(number: int, size: int = 65_535) -> bytes:
    """A frame of silence at 8 kHz, mono, 16 bit: some 14 bytes for 8 seconds."""
    if number < 0x80:
        coded = bytes([number])
    elif number < 0x800:
        coded = bytes([0xC0 | number >> 6, 0x80 | number & 0x3F])
    else:
        coded = bytes([0xE0 | number >> 12, 0x80 | number >> 6 & 0x3F, 0x80 | number & 0x3F])
    head = b"\xff\xf8\x74\x08" + coded + struct.pack(">H", size - 1)
    frame = head + bytes([crc(head, 0x07, 8)]) + b"\x00\x00\x00"
    return frame + struct.pack(">H", crc(frame, 0x8005, 16))


def flac(frames: int, samples: int | None = None, tail: bytes = b"") -> bytes:
    """A FLAC of so many frames of 8 seconds; `samples` is what its header claims instead of the truth."""
    claimed = frames * 65_535 if samples is None else samples
    figures = (8_000 << 44 | 15 << 36 | claimed).to_bytes(8, "big")
    info = struct.pack(">HH", 65_535, 65_535) + bytes(6) + figures + bytes(16)
    return b"fLaC\x80\x00\x00\x22" + info + b"".join(map(flac_frame, range(frames))) + tail


def ogg_page(number: int, granule: int, packets: list[bytes], flags: int = 0, serial: int = 7) -> bytes:
    """A page of whole packets, each shorter than 255 bytes."""
    table = bytes(map(len, packets))
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(packets)) + table
    page = head + b"".join(packets)
    return page[:22] + struct.pack("<I", crc(page, 0x04C11DB7, 32)) + page[26:]


def opus(pages: int, granule: Callable[[int], int], packets: int = 255) -> bytes:
    """Ogg Opus with hardly a byte for 120 ms; `granule` says how far the sound has come after a page."""
    silence = b"\x0b\x06"  # Six frames of 20 ms, of no bytes each.
    head = ogg_page(0, 0, [b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, 8_000, 0, 0)], flags=2)
    tags = ogg_page(1, 0, [b"OpusTags" + struct.pack("<II", 0, 0)])
    body = (
        ogg_page(2 + at, granule(at + 1), [silence] * packets, flags=4 if at == pages - 1 else 0)
        for at in range(pages)
    )
    return head + tags + b"".join(body)


def opus_pages(count: int) -> Iterator[bytes]:
    """Pages of nothing."""
    yield opus(1, lambda _: 0)[: 28 + 19]
    for number in range(1, count):
        yield struct.pack("<4sBBqIIIB", b"OggS", 0, 0, 0, 7, number, 0, 0)


def atom(kind: bytes, *content: bytes) -> bytes:
    """An atom of an MP4."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def table(kind: bytes, *figures: int) -> bytes:
    """An atom of version 0 with 32-bit figures."""
    return atom(kind, bytes(4), struct.pack(f">{len(figures)}I", *figures))


def m4a(
    *,
    stts: bytes = table(b"stts", 1, 10, 1_024),
    stsz: bytes = table(b"stsz", 0, 10, *[20] * 10),
    dref: bytes = atom(b"dref", bytes(4), struct.pack(">I", 1), atom(b"url ", b"\0\0\0\1")),
    handler: bytes = b"soun",
    sound: bytes = bytes(200),
    before: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """An M4A of ten packets, or with one lie in it."""
    entry = atom(b"mp4a", bytes(6), b"\0\1", bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16))
    stbl = atom(b"stbl", atom(b"stsd", bytes(4), struct.pack(">I", 1), entry), stts, stsz)
    minf = atom(b"minf", atom(b"dinf", dref), stbl)
    mdhd = table(b"mdhd", 0, 0, 16_000, 10_240, 0)
    hdlr = atom(b"hdlr", bytes(8), handler, bytes(12))
    moov = atom(b"moov", atom(b"trak", atom(b"mdia", mdhd, hdlr, minf)), more)
    return atom(b"ftyp", b"M4A \0\0\0\0") + before + moov + atom(b"mdat", sound)


def nested(depth: int) -> bytes:
    """Atoms within atoms."""
    inner = b""
    for _ in range(depth):
        inner = atom(b"trak", inner)
    return atom(b"ftyp", b"M4A \0\0\0\0") + atom(b"moov", inner) + atom(b"mdat", bytes(100))


def element(kind: int, content: bytes) -> bytes:
    """An element of a Matroska."""
    mark = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return mark + (1 << 56 | len(content)).to_bytes(8, "big") + content


def matroska(*more: bytes, blocks: bytes = b"", info: bytes = b"", codec: bytes = b"A_PCM/INT/LIT") -> bytes:
    """A Matroska of a second of PCM, with more elements in its segment."""
    sound = element(0xE1, element(0xB5, struct.pack(">d", 8_000.0)) + element(0x9F, b"\1"))
    track = element(0xAE, element(0xD7, b"\1") + element(0x83, b"\2") + element(0x86, codec) + sound)
    cluster = element(0x1F43B675, element(0xE7, b"\0") + (blocks or element(0xA3, b"\x81\0\0\x80" + TONE)))
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    body = element(0x1549A966, element(0x2AD7B1, b"\x0f\x42\x40") + info) + element(0x1654AE6B, track)
    return head + element(0x18538067, body + b"".join(more) + cluster)


def mp3_frames(count: int) -> bytes:
    """Frames of 8 kbit/s at 8 kHz: 72 bytes for 72 ms."""
    return (b"\xff\xe3\x18\xc0" + bytes(68)) * count


def refused() -> Iterator[tuple[str, bytes, str]]:
    """Name, content and a part of the reason, of files that are refused by their structure alone."""
    zip_file = zipped(b"hello" * 100)
    bomb = zipped(zipped(bytes(5_000_000)), "inner.zip")
    page = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
    short = b"ID3\x04\x00\x00\x00\x00\x0f\x7f" + page + bytes(2_047 - len(page)) + mp3_frames(50)
    # Nothing, text, other things.
    yield "empty.wav", b"", "0 bytes"
    yield "one_byte.wav", b"R", "not audio"
    yield "zip_bomb.wav", bomb, "not audio"
    yield "gif_and_page.wav", b"GIF89a/*" + page + b"*/", "not audio"
    yield "gif_and_mp3.mp3", b"GIF89a" + mp3_frames(100), "not audio"
    yield "playlist.wav", b"#EXTM3U\nfile:///etc/hostname\n", "not audio"
    yield "concat.wav", b"ffconcat version 1.0\nfile /etc/hostname\n", "not audio"
    yield "utf16.mp3", b"\xff\xfe" + "hello".encode("utf-16-le") * 100, "not audio"
    # WAV that lies.
    yield "four_gigabytes.wav", wav_bytes(TONE, declared=0xFFFF_FFFE), "breaks off"
    yield "unknown_length.wav", wav_bytes(TONE, declared=0xFFFF_FFFF), "never completed"
    yield "four_gigabytes_in_all.wav", WAV[:4] + b"\xf0\xff\xff\xff" + WAV[8:], "breaks off"
    yield "length_as_script.wav", b"RIFF=1/*WAVE" + WAV[12:] + b"*/;alert(1)", "breaks off"
    yield "no_rate.wav", wav_bytes(TONE, 0), "0 Hz"
    yield "255_channels.wav", wav_bytes(TONE, channels=255), "255 channels"
    yield "65535_channels.wav", wav_bytes(TONE, channels=65_535, bits=8), "channels"
    yield "cut.wav", WAV[:9_000], "breaks off"
    yield "chunks_before.wav", with_chunks(*[chunk(b"junk", b"x")] * 10_000), "more than 64 chunks"
    yield "chunks_after.wav", with_chunks(after=chunk(b"junk", b"x") * 10_000), "more than 64 chunks"
    yield "empty_chunks.wav", with_chunks(*[chunk(b"LIST", b"")] * 10_000), "more than 64 chunks"
    yield "mp3_inside.wav", wav_bytes(TONE, codec=0x55), "MP3"
    yield "too_long.wav", wav_bytes(bytes(700 * 8_000), 8_000, 1, 8), "too long"
    # Two things at once.
    yield "wav_and_zip.wav", WAV + zip_file, "zip"
    yield "wav_and_zip_chunk.wav", with_chunks(after=chunk(b"junk", zip_file)), "zip"
    yield "wav_and_zip_bomb.wav", with_chunks(after=chunk(b"junk", bomb)), "zip"
    yield "wav_and_page.wav", with_chunks(chunk(b"junk", page)), "a web page"
    yield "wav_and_php.wav", with_chunks(after=chunk(b"junk", b"<?php system('id');")), "a script"
    yield "wav_and_pdf.wav", with_chunks(chunk(b"junk", b"%PDF-1.4")), "PDF"
    yield "wav_and_playlist.wav", with_chunks(chunk(b"junk", b"#EXTM3U\nhttp://127.0.0.1/\n")), "a playlist"
    yield "playlist_as_sound.wav", wav_bytes(b"#EXTM3U\nfile:///etc/hostname\n" * 9), "a playlist"
    yield "mp3_and_page.mp3", short, "a web page"
    yield "mp3_and_zip.mp3", mp3_frames(50) + zip_file, "zip"
    # Bombs: little, and hours of it.
    yield "hours.flac", flac(HOURS // 8), "too long"
    yield "hours_under_a_second.flac", flac(HOURS // 8, 8_000), "breaks off"
    yield "hours.mp3", mp3_frames(HOURS * 1_000 // 72), "too long"
    yield "hours.ogg", opus(HOURS // 30, lambda page: page * 255 * 5_760), "too long"
    yield "hours.m4a", m4a(stts=table(b"stts", 1, 0xFFFF_FFFF, 1_024)), "too long"
    yield (
        "hours.mka",
        matroska(blocks=element(0xE7, b"\xff\xff\xff") + element(0xA3, b"\x81\0\0\x80")),
        "long",
    )
    # Cut off.
    yield "cut.flac", flac(10)[:-1], "breaks off"
    yield "cut_before_a_frame.flac", flac(9, 10 * 65_535), "breaks off"
    yield "cut_header.flac", flac(9)[:30], "breaks off"
    yield "cut.mp3", mp3_frames(50)[:-1], "breaks off"
    yield "cut.ogg", opus(3, lambda page: page * 5_760)[:-1], "breaks off"
    yield (
        "cut_before_a_page.ogg",
        opus(3, lambda page: page * 5_760)[: -len(ogg_page(4, 0, [b"xx"] * 255))],
        "off",
    )
    yield "cut.m4a", m4a()[:-1], "breaks off"
    yield "cut.mka", matroska()[:-1], "breaks off"
    yield "cut.amr", b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50 + b"\x3c", "breaks off"
    yield "page_missing.ogg", opus(1, lambda _: 5_760) + ogg_page(9, 9_999, [b"xx"], 4), "missing (page 3)"
    # Atoms, elements, pages and frames that are hostile.
    yield "atom_of_seven.m4a", m4a(before=struct.pack(">I", 7) + b"free"), "a length of 7"
    yield "atom_of_nothing.m4a", m4a(before=struct.pack(">I", 1) + b"free" + bytes(8)), "a length of 0"
    yield "atom_of_exabytes.m4a", m4a(before=struct.pack(">I", 1) + b"free" + b"\xff" * 8), "breaks off"
    yield "atoms.m4a", m4a(before=atom(b"free") * 10_000), "more than 2000 atoms"
    yield "deep.m4a", nested(1_000), "8 deep"
    yield "table_of_samples.m4a", m4a(stsz=table(b"stsz", 0, 0xFFFF_FFFF)), "claims 4294967295 entries"
    yield "table_of_times.m4a", m4a(stts=table(b"stts", 0x7FFF_FFFF, 1, 1)), "claims 2147483647 entries"
    yield "contradiction.m4a", m4a(stts=table(b"stts", 1, 9, 1_024)), "contradicts"
    yield "sound_missing.m4a", m4a(sound=bytes(100)), "breaks off"
    elsewhere = atom(
        b"dref", bytes(4), struct.pack(">I", 1), atom(b"url ", bytes(4), b"file:///etc/hostname\0")
    )
    yield "elsewhere.m4a", m4a(dref=elsewhere), "another file"
    alias = atom(b"dref", bytes(4), struct.pack(">I", 2), atom(b"url ", b"\0\0\0\1"), atom(b"alis", bytes(9)))
    yield "elsewhere_too.m4a", m4a(dref=alias), "another file"
    yield "references.m4a", m4a(dref=table(b"dref", 0xFFFF_FFFF)), "claims 4294967295 entries"
    yield "film.m4a", m4a(handler=b"vide"), "a film"
    yield "next_file.mka", matroska(info=element(0x3E83BB, b"/etc/hostname")), "another file"
    yield "previous_file.mka", matroska(info=element(0x3CB923, bytes(16))), "another file"
    chapter = element(0xB6, element(0x6E67, bytes(16)))
    yield "chapter_elsewhere.mka", matroska(element(0x1043A770, element(0x45B9, chapter))), "another file"
    yield "elements.mka", matroska(element(0xEC, b"") * 90_000), "more than 80000 elements"
    yield "element_too_big.mka", matroska(b"\xec\x01\x7f\xff\xff\xff\xff\xff\xff"), "breaks off"
    yield "no_mark.mka", matroska(b"\0" * 50), "something else"
    yield "pages.ogg", b"".join(opus_pages(60_010)), "more than 60000 pages"
    yield "two_sounds.ogg", opus(1, lambda _: 5_760) * 2, "more than one sound"
    yield (
        "other_stream.ogg",
        opus(1, lambda _: 9)[:-2] + b"xx" + ogg_page(0, 0, [b"x"], 2, 8),
        "more than one",
    )
    yield "junk.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb" * 100_000, "no MP3"
    yield "huge_tag.mp3", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + mp3_frames(10), "longer than the file"
    large = b"ID3\x04\x00\x00\x04\x40\x00\x00"  # 9 MB.
    yield "picture.mp3", large + bytes(9 << 20) + mp3_frames(10), "tags and pictures take more than 8 MB"
    yield (
        "picture.flac",
        flac(1)[:4] + b"\0" + flac(1)[5:42] + b"\x86\x90\0\0" + bytes(9 << 20),
        "more than 8 MB",
    )
    yield "picture.m4a", m4a(more=atom(b"udta", bytes(9 << 20))), "more than 8 MB"
    yield "picture.mka", matroska(element(0x1941A469, bytes(9 << 20))), "more than 8 MB"
    yield "lump.mka", matroska(blocks=element(0xA3, b"\x81\0\0\x80" + bytes(5_000_000))), "bigger than 4 MB"
    lump = {"stsz": table(b"stsz", 5_000_000, 1), "stts": table(b"stts", 1, 1, 1_024)}
    yield "lump.m4a", m4a(**lump, sound=bytes(5_000_000)), "bigger than 4 MB"
    yield "packed.mka", matroska(element(0x6D80, bytes(3))), "packed once more"
    yield "tags.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00" * 9 + mp3_frames(10), "more than 8 tags"
    yield "notes.flac", b"fLaC\x00\x00\x00\x22" + bytes(34) + b"\x01\x00\x00\x00" * 10_000, "128 blocks"
    yield "marks.flac", flac(1, 9_999, b"\xff\xf8" * 200_000), "breaks off"
    yield (
        "au_of_four_gigabytes.au",
        struct.pack(">4s5I", b".snd", 24, 1 << 31, 3, 8_000, 1) + TONE,
        "breaks off",
    )
    form = chunk(b"COMM", b"")[:4] + struct.pack(">IHIH", 18, 1, 0x7FFF_FFFF, 16) + b"\x40\x0b\xfa" + bytes(7)
    yield (
        "aiff_of_four_gigabytes.aiff",
        b"FORM\0\0\1\0AIFF" + form + b"SSND\0\0\0\x10" + bytes(16),
        "too long",
    )
    yield "caf_of_exabytes.caf", b"caff\0\1\0\0data" + b"\x7f" * 8, "breaks off"


def picture(side: int) -> bytes:
    """A PNG of next to nothing that unpacks to 4 bytes for each of side * side pixels."""

    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    packing = zlib.compressobj(9)
    rows = b"".join(packing.compress(bytes(1 + 4 * side)) for _ in range(side)) + packing.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


def lying() -> Iterator[tuple[str, bytes, str]]:
    """The same, of files that only a decoder can convict: their structure is flawless."""
    frames = b"".join(map(flac_frame, range(HOURS // 8)))
    head = flac(0, 8_000)
    yield "hours_and_a_last_frame.flac", head + frames + flac_frame(0, 8_000), "more sound"
    yield "hours_told_as_a_second.ogg", opus(HOURS // 30, lambda page: min(48_000, page * 200)), "more sound"
    timeless = element(0xA3, b"\x81\0\0\x80" + bytes(64_000)) * 100
    yield "all_at_once.mka", matroska(blocks=timeless), "more sound"
    yield "noise.m4a", m4a(sound=bytes(range(200))), "no sound"
    block = element(0xA3, b"\x81\0\0\x80" + bytes(range(255)))
    yield "noise.mka", matroska(blocks=block * 50_000, codec=b"A_OPUS"), ""
    cover = b"\0image/png\0\3\0" + picture(6_000)
    tag = b"APIC" + struct.pack(">IH", len(cover), 0) + cover
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    yield "picture_bomb.mp3", b"ID3\3\0\0" + size + tag + mp3_frames(100), "silence"
    yield "silence.wav", wav_bytes(quiet(8_000, 590.0)), "silence"
    yield "silence.flac", flac(70), "silence"
