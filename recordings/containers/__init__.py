"""Uploads by their containers: what kind, how long, whole or not, before any decoder sees a byte.

A decoder is a large program that trusts its input. Here every kind is walked by a few lines that believe nothing: a
length must fit into the file, a table must be as long as it says, the end must be there. What lies is refused
in milliseconds and without a child process; what is left says how long it is, and is decoded for no longer.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from recordings.containers import flac, matroska, mp4, mpeg, ogg, plain, riff
from recordings.containers.disguise import second_nature
from recordings.containers.source import SOUND_ALONE, Shape, Source, opened
from recordings.errors import BadAudio
from recordings.wav import MAX_CHANNELS, RATES_HZ

__all__ = ["KNOWN", "Shape", "examined", "recognise"]

MAX_SOURCE_BYTES: Final = 200_000_000
SHOWN: Final = 100
"""Of a name in a message, from its end."""
MAX_SAMPLES_A_SECOND: Final = 2 * 96_000
"""On the average over the limit: more than 96 kHz stereo is no prompt, but work."""
KNOWN: Final = "WAV, FLAC, MP3, Ogg, M4A, AIFF, AU, CAF, AMR or WebM"
KINDS: Final[dict[str, tuple[str, tuple[str, ...], Callable[[Source, int], Shape]]]] = {
    "wav": ("WAV", ("wav", "wave"), riff.shape),
    "flac": ("FLAC", ("flac",), flac.shape),
    "mp3": ("MP3", ("mp3", "mp2", "mpga"), mpeg.shape),
    "ogg": ("Ogg", ("ogg", "oga", "opus"), ogg.shape),
    "mov": ("M4A", ("m4a", "m4b", "mp4", "mov"), mp4.shape),
    "aiff": ("AIFF", ("aif", "aiff", "aifc"), plain.aiff),
    "au": ("AU", ("au", "snd"), plain.au),
    "caf": ("CAF", ("caf",), plain.caf),
    "amr": ("AMR", ("amr", "awb"), plain.amr),
    "matroska": ("WebM", ("webm", "mka", "mkv"), matroska.shape),
}
"""By ffmpeg's name of the container: ours, the endings of its file names, and who walks it."""
OF_ENDING: Final = {ending: kind for kind, (_, endings, _) in KINDS.items() for ending in endings}
MARKS: Final = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
    b".snd": "au",
    b"caff": "caf",
    b"#!AMR": "amr",
    b"\x1a\x45\xdf\xa3": "matroska",
}


def recognise(source: Path, name: str | None = None) -> str:
    """The ffmpeg name of the container, from its first bytes. Raises `BadAudio` for anything but audio.

    With the `name` it was uploaded under, a name that promises another kind is refused too: whoever relies on
    the name (a person, a browser) and whoever looks inside must come to the same conclusion.
    """
    called = "".join(c if c.isprintable() else "?" for c in (name or source.name)[-SHOWN:])
    with opened(source) as file:
        file.name = called
        if file.size == 0:
            raise file.bad("it is empty (0 bytes)")
        if file.size > MAX_SOURCE_BYTES:
            mend = f"keep it below {MAX_SOURCE_BYTES // 1_000_000} MB, for example as FLAC or MP3"
            raise file.bad(f"it is too big ({file.size // 1_000_000} MB)", mend)
        kind = _kind(file.some(0, 16))
        if kind is None:
            raise file.bad("it is not audio of a known kind", f"give {KNOWN}")
    ending = name.rpartition(".")[2].lower() if name and "." in name else ""
    promised = OF_ENDING.get(ending, kind)
    if promised != kind:
        ours, endings, _ = KINDS[kind]
        reason = f"it is named .{ending} but is {ours}"
        raise BadAudio(called, reason, f"name it .{endings[0]}, or export it again as {KINDS[promised][0]}")
    return kind


def examined(source: Path, kind: str, limit_ms: int) -> Shape:
    """What the structure of a file of this kind proves. Raises `BadAudio` in well under a second."""
    with opened(source) as file:
        if other := second_nature(file):
            raise file.bad(f"there is {other} in it", SOUND_ALONE)
        shape = KINDS[kind][2](file, limit_ms)
        if shape.duration_ms > limit_ms:
            raise file.too_long(limit_ms)
        if not 1 <= shape.channels <= MAX_CHANNELS or shape.rate_hz not in RATES_HZ:
            reason = f"it has {shape.channels} channels at {shape.rate_hz} Hz"
            raise file.bad(reason, f"export it again with 1 to {MAX_CHANNELS} channels")
        if shape.channels * shape.rate_hz * shape.duration_ms > MAX_SAMPLES_A_SECOND * limit_ms:
            reason = f"it holds {shape.duration_ms / 1_000:.0f} s of {shape.channels} channels at {shape.rate_hz} Hz"
            raise file.bad(reason, "export it again with 48,000 Hz or less, in mono or stereo")
    return shape


def _kind(top: bytes) -> str | None:
    if top[:4] == b"RIFF" and top[8:12] == b"WAVE":
        return "wav"
    if top[:4] == b"FORM" and top[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if top[4:8] == b"ftyp":
        return "mov"
    for mark, name in MARKS.items():
        if top.startswith(mark):
            return name
    frame_sync = len(top) > 1 and top[0] == 0xFF and top[1] & 0xE0 == 0xE0 and top[1] & 0x06 in (2, 4)
    return "mp3" if frame_sync else None
