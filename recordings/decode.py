"""Foreign audio to 8 kHz mono samples, by ffmpeg held on a short lead.

The format is recognised here, from the first bytes, and given to ffmpeg by name: ffmpeg's own guess may
take a text file for a playlist and open what it points to. Protocols and codecs are limited for the same
reason. Resampling is ffmpeg's, with a filter long enough that nothing above 4 kHz comes back as an audible
whistle.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recordings import wav
from recordings.errors import BadAudio, ToolFailed, ToolMissing
from recordings.process import Finished, run

RATE_HZ: Final = 8_000
MAX_SOURCE_BYTES: Final = 200_000_000
PROBE_S: Final = 10.0
DECODE_S: Final = 60.0
MAX_CHANNELS: Final = wav.MAX_CHANNELS
RESAMPLE: Final = f"aresample={RATE_HZ}:filter_size=64:cutoff=0.95"
INSTALL: Final = "install ffmpeg (the ffmpeg package of your distribution)"
KNOWN: Final = "WAV, FLAC, MP3, Ogg, M4A, AIFF, AU, CAF, AMR or WebM"
DECODERS: Final = (
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,"
    "pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,gsm_ms,"
    "flac,alac,mp3float,mp3,mp2float,mp2,vorbis,opus,aac,amrnb,amrwb,"
    "mjpeg,png"
)
"""Sound, and the pictures on record covers: ffprobe opens every stream before it looks at the one we ask for."""
REFUSED_CODEC: Final = re.compile(r"Codec \((\w+)\) not on whitelist")
HONEST_LENGTH: Final = frozenset({"flac", "mov", "aiff", "au", "caf", "wav"})
"""Containers that state their length, so that a shorter decoding means that a part is missing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a container says about its first audio stream; length in ms, None when it does not say."""

    channels: int
    rate_hz: int
    duration_ms: int | None


def decode(source: Path, target: Path, limit_ms: int) -> None:
    """Write `source` to `target` as 8 kHz mono 16-bit PCM WAV.

    Raises `BadAudio` when it is no audio, broken off or longer than `limit_ms`; `ToolMissing` without
    ffmpeg. Takes at most `PROBE_S + DECODE_S` seconds.
    """
    container = recognise(source)
    declared_ms = _declared_ms(source, container)
    if declared_ms is not None:
        _within(source.name, declared_ms, limit_ms)
    argv = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"),
        *_input(source, container),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-t", f"{limit_ms / 1_000 + 1:.3f}"),
        *("-af", RESAMPLE, "-ac", "1", "-c:a", "pcm_s16le", "-map_metadata", "-1", "-fflags", "+bitexact"),
        *("-f", "wav", f"file:{target.absolute()}"),
    ]
    finished = _run(argv, source.name, DECODE_S)
    if finished.code != 0:
        raise _undecodable(source, finished.complaint)
    decoded_ms = wav.duration_ms(target)
    _within(source.name, decoded_ms, limit_ms)
    if container in HONEST_LENGTH and declared_ms and decoded_ms < declared_ms - max(150, declared_ms // 50):
        reason = f"it breaks off: {declared_ms / 1_000:.1f} s promised, {decoded_ms / 1_000:.1f} s there"
        raise BadAudio(source.name, reason, wav.EXPORT_AGAIN)


def recognise(source: Path) -> str:
    """The ffmpeg name of the container, from its first bytes. Raises `BadAudio` for anything but audio."""
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            top = file.read(16)
    except OSError as error:
        mend = "give a file that the engine may read"
        raise BadAudio(source.name, f"it cannot be read ({error.strerror})", mend) from error
    if size == 0:
        raise BadAudio(source.name, "it is empty (0 bytes)", wav.EXPORT_AGAIN)
    if size > MAX_SOURCE_BYTES:
        mend = f"keep it below {MAX_SOURCE_BYTES // 1_000_000} MB, for example as FLAC or MP3"
        raise BadAudio(source.name, f"it is too big ({size // 1_000_000} MB)", mend)
    container = _container(top)
    if container is None:
        raise BadAudio(source.name, "it is not audio of a known kind", f"give {KNOWN}")
    return container


def _container(top: bytes) -> str | None:
    if top[:4] == b"RIFF" and top[8:12] == b"WAVE":
        return "wav"
    if top[:4] == b"FORM" and top[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if top[4:8] == b"ftyp":
        return "mov"
    marks = {
        b"fLaC": "flac",
        b"OggS": "ogg",
        b"ID3": "mp3",
        b".snd": "au",
        b"caff": "caf",
        b"#!AMR": "amr",
        b"\x1a\x45\xdf\xa3": "matroska",
    }
    for mark, name in marks.items():
        if top.startswith(mark):
            return name
    frame_sync = len(top) > 1 and top[0] == 0xFF and top[1] & 0xE0 == 0xE0 and top[1] & 0x06 != 0
    return "mp3" if frame_sync else None


def _declared_ms(source: Path, container: str) -> int | None:
    """What the container says about its length; refuses what a header alone gives away."""
    if container == "wav":
        header = wav.whole(source)
        if header.codec in (wav.PCM, wav.FLOAT):
            return header.duration_ms
    probe = _probe(source, container)
    if not 1 <= probe.channels <= MAX_CHANNELS or probe.rate_hz not in wav.RATES_HZ:
        reason = f"it has {probe.channels} channels at {probe.rate_hz} Hz"
        raise BadAudio(source.name, reason, f"export it again with 1 to {MAX_CHANNELS} channels")
    return probe.duration_ms


def _probe(source: Path, container: str) -> Probe:
    entries = "stream=channels,sample_rate:format=duration"
    argv = ["ffprobe", "-hide_banner", "-loglevel", "error", *_input(source, container)]
    argv += ["-select_streams", "a:0", "-show_entries", entries, "-of", "json"]
    finished = _run(argv, source.name, PROBE_S)
    if finished.code != 0:
        raise _undecodable(source, finished.complaint)
    found: dict[str, Any] = json.loads(finished.output)
    streams = found.get("streams") or []
    if not streams:
        raise BadAudio(source.name, "there is no audio in it", f"give {KNOWN}")
    seconds = found.get("format", {}).get("duration")
    return Probe(
        channels=int(streams[0].get("channels", 0)),
        rate_hz=int(streams[0].get("sample_rate", 0)),
        duration_ms=None if seconds is None else round(float(seconds) * 1_000),
    )


def _input(source: Path, container: str) -> list[str]:
    """Input options shared by ffmpeg and ffprobe; `file:` keeps a name such as `concat:x` a plain name."""
    limits = ["-protocol_whitelist", "file,pipe", "-codec_whitelist", DECODERS]
    return [*limits, "-f", container, "-i", f"file:{source.absolute()}"]


def _run(argv: list[str], name: str, seconds: float) -> Finished:
    try:
        return run(argv, seconds=seconds, mend=INSTALL)
    except ToolMissing:
        raise
    except ToolFailed as error:
        raise BadAudio(name, f"decoding it took more than {seconds:g} s", wav.EXPORT_AGAIN) from error


def _within(name: str, length_ms: int, limit_ms: int) -> None:
    if length_ms > limit_ms:
        reason = f"it is too long ({length_ms / 1_000:.1f} s or more)"
        raise BadAudio(name, reason, f"shorten it to {limit_ms / 1_000:g} s")


def _undecodable(source: Path, complaint: str) -> BadAudio:
    if refused := REFUSED_CODEC.search(complaint):
        return BadAudio(source.name, f"there is {refused[1]} in it", "export the sound alone, as WAV or FLAC")
    lines = complaint.replace(f"file:{source.absolute()}", source.name).splitlines()
    said = f" ({lines[-1].strip()})" if lines else ""
    return BadAudio(source.name, f"it cannot be decoded{said}", wav.EXPORT_AGAIN)
