"""Foreign audio to mono samples at the rate that is asked for, by ffmpeg held on a short lead.

The format is recognised and examined here (`recordings.containers`) and given to ffmpeg by name: ffmpeg's own guess
may take a text file for a playlist and open what it points to. Protocols and codecs are limited for the same reason;
so are its work, its memory and what it may write, all by the length that the examination proved. Resampling is
ffmpeg's, with a filter long enough that nothing above half that rate comes back as an audible whistle.
"""

import re
import signal
from pathlib import Path
from typing import Final

from recordings import wav
from recordings.containers import KNOWN, Shape, examined, recognise
from recordings.containers.source import SOUND_ALONE
from recordings.errors import BadAudio, ToolFailed, ToolMissing
from recordings.process import Finished, Lead, run

__all__ = ["RATE_HZ", "decode", "recognise"]

RATE_HZ: Final = 8_000
DECODE_S: Final = 60.0
MORE_MS: Final = 1_000
"""How much more than the examined length is decoded, to see whether there is more."""
WORK_S: Final = 2
LENGTH_BY_WORK: Final = 30
"""Seconds of work allowed, and seconds of sound for each further one: ten times what ffmpeg takes for the largest."""
MEMORY_BYTES: Final = 80 << 20
"""Twice what ffmpeg reserves at its start (little of it is ever touched), so that what is left is below 50 MiB."""
FILTER: Final = "filter_size=64:cutoff=0.95"
INSTALL: Final = "install ffmpeg (the ffmpeg package of your distribution)"
DECODERS: Final = (
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,"
    "pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,gsm_ms,"
    "flac,alac,mp3float,mp3,mp2float,mp2,vorbis,opus,aac,amrnb,amrwb,"
    "mjpeg,png"
)
"""Sound, and the pictures on record covers: ffmpeg opens every stream before it looks at the one we ask for."""
REFUSED_CODEC: Final = re.compile(r"Codec \((\w+)\) not on whitelist")


def decode(source: Path, target: Path, limit_ms: int, rate_hz: int = RATE_HZ) -> None:
    """Write `source` to `target` as mono 16-bit PCM WAV at `rate_hz`.

    Raises `BadAudio` when it is no audio, broken off, two things at once or longer than `limit_ms`; `ToolMissing`
    without ffmpeg. Takes at most `DECODE_S` seconds, and well under one to refuse what is not well formed.
    """
    container = recognise(source)
    shape = examined(source, container, limit_ms)
    longest_ms = shape.duration_ms + MORE_MS
    argv = [
        *(
            "ffmpeg",
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "error",
            "-threads",
            "1",
            "-filter_threads",
            "1",
        ),
        *_input(source, container),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-t", f"{longest_ms / 1_000:.3f}"),
        *(
            "-af",
            f"aresample={rate_hz}:{FILTER}",
            "-ac",
            "1",
            "-c:a",
            "pcm_s16le",
            "-map_metadata",
            "-1",
            "-fflags",
            "+bitexact",
        ),
        *("-f", "wav", f"file:{target.absolute()}"),
    ]
    lead = Lead(
        cpu_s=WORK_S + longest_ms // (1_000 * LENGTH_BY_WORK),
        memory_bytes=MEMORY_BYTES,
        file_bytes=(longest_ms + MORE_MS) * rate_hz * 2 // 1_000,
    )
    finished = _run(argv, source.name, lead)
    if finished.code != 0:
        raise _undecodable(source, finished)
    _as_examined(source.name, wav.duration_ms(target), shape, limit_ms)


def _as_examined(name: str, decoded_ms: int, shape: Shape, limit_ms: int) -> None:
    """Refuse what turns out shorter or longer than its container says."""
    said_ms = shape.duration_ms
    slack_ms = max(150, said_ms // 50) if shape.exact else max(500, said_ms // 20)
    if decoded_ms < said_ms - slack_ms:
        reason = f"it breaks off: {said_ms / 1_000:.1f} s promised, {decoded_ms / 1_000:.1f} s there"
        raise BadAudio(name, reason, wav.EXPORT_AGAIN)
    if decoded_ms > said_ms + MORE_MS * 9 // 10:
        raise BadAudio(
            name, f"there is more sound in it than the {said_ms / 1_000:.1f} s it tells of", wav.EXPORT_AGAIN
        )
    if decoded_ms > limit_ms:
        reason = f"it is too long ({decoded_ms / 1_000:.1f} s or more)"
        raise BadAudio(name, reason, f"shorten it to {limit_ms / 1_000:g} s")


def _input(source: Path, container: str) -> list[str]:
    """Input options; `file:` keeps a name such as `concat:x` a plain name."""
    limits = ["-protocol_whitelist", "file,pipe", "-codec_whitelist", DECODERS]
    return [*limits, "-f", container, "-i", f"file:{source.absolute()}"]


def _run(argv: list[str], name: str, lead: Lead) -> Finished:
    try:
        return run(argv, seconds=DECODE_S, mend=INSTALL, lead=lead)
    except ToolMissing:
        raise
    except ToolFailed as error:
        raise BadAudio(name, f"decoding it took more than {DECODE_S:g} s", wav.EXPORT_AGAIN) from error


def _undecodable(source: Path, finished: Finished) -> BadAudio:
    if finished.code < 0:
        reason = f"decoding it takes more than it may (stopped by {signal.Signals(-finished.code).name})"
        return BadAudio(source.name, reason, wav.EXPORT_AGAIN)
    if refused := REFUSED_CODEC.search(finished.complaint):
        return BadAudio(source.name, f"there is {refused[1]} in it", SOUND_ALONE)
    if "matches no streams" in finished.complaint:
        return BadAudio(source.name, "there is no audio in it", f"give {KNOWN}")
    lines = finished.complaint.replace(f"file:{source.absolute()}", source.name).splitlines()
    said = f" ({lines[-1].strip()})" if lines else ""
    return BadAudio(source.name, f"it cannot be decoded{said}", wav.EXPORT_AGAIN)
