"""Samples: bring any audio to what a telephone line plays, and measure what came out. pydub stays behind
this door.

The canonical form is mono 16-bit PCM WAV at 8 kHz (`.wav`) and, beside it, at 16 kHz (`.wav16`, as Asterisk calls
it): what Asterisk plays without a converter, and the only forms that reach it, so that a crafted upload is never
parsed by the switch.
"""

import math
import tempfile
import threading
import warnings
import wave
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from recordings import bands, decode, tones, wav
from recordings.errors import BadAudio, NoSound
from recordings.files import replacing
from recordings.wav import duration_ms, repair, trim

__all__ = [
    "BadAudio",
    "NoSound",
    "Sound",
    "beep",
    "canonical",
    "duration_ms",
    "hold_music",
    "length_ms",
    "level_dbfs",
    "peak_dbfs",
    "repair",
    "silence",
    "tone_level",
    "trim",
    "wide_of",
]

RATE_HZ: Final = tones.RATE_HZ
WIDE_HZ: Final = 16_000
WIDE: Final = ".wav16"
"""Asterisk's own ending for WAV at 16 kHz."""
LIMIT_MS: Final = 600_000
"""No prompt and no music is longer than ten minutes, unless the caller of `canonical` says so."""
TARGET_LUFS: Final = -20.0
PEAK_DBTP: Final = -1.0
MAX_GAIN_DB: Final = 12.0
"""Loud sound comes down to the target; quiet sound is only nudged up, so that noise is not blown up with it."""
FLOOR_DBFS: Final = -120.0
SILENT_DBFS: Final = -60.0
EDGE_BELOW_PEAK_DB: Final = 45.0
LEAD_MS: Final = 60
TAIL_MS: Final = 120

_importing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound in canonical form: the file at 8 kHz, how long (ms), how loud (RMS, dB below full scale)."""

    path: Path
    duration_ms: int
    level_dbfs: float


def wide_of(path: Path) -> Path:
    """Where the 16 kHz form lies, by the path of the 8 kHz form."""
    return path.with_suffix(WIDE)


def canonical(source: Path, target: Path, limit_ms: int = LIMIT_MS) -> Sound:
    """Convert any readable audio to canonical form: 16 kHz beside `target`, then 8 kHz at it, each atomically.

    Silence at both ends is cut to a breath, loudness is brought towards `TARGET_LUFS`; both forms are cut at the same
    places and changed by the same gain. Blocks for at most a little over a minute. Raises `BadAudio` (not audio,
    broken off, too long), `NoSound` (nothing to hear), `ToolMissing`.
    """
    with tempfile.TemporaryDirectory(prefix="flowengine-audio-") as name:
        room = Path(name)
        segment = _heard(source, room, limit_ms)
        cut = room / "cut.wav"
        _write(segment.raw_data, cut, WIDE_HZ)
        measured = bands.split(cut, room / "narrow.wav")
        narrow = _segment(room / "narrow.wav", RATE_HZ, bands.SPLIT_BITS)
        loudness = float(narrow.dBFS) + bands.SPLIT_DB if measured.lufs is None else measured.lufs
        gain = min(MAX_GAIN_DB, TARGET_LUFS - loudness, PEAK_DBTP - measured.true_peak_dbfs)
        narrow = narrow.apply_gain(gain + bands.SPLIT_DB).set_sample_width(2)
        _write(segment.apply_gain(gain).raw_data, wide_of(target), WIDE_HZ)
        _write(narrow.raw_data, target, RATE_HZ)
    return Sound(target, wav.duration_ms(target), _floored(narrow.dBFS))


def length_ms(source: Path, limit_ms: int = LIMIT_MS) -> int:
    """How long any readable audio is, silence at its ends included, once it has proved to be one.

    Raises as `canonical` does, and so tells whether a sound can be made of it.
    """
    with tempfile.TemporaryDirectory(prefix="flowengine-audio-") as room:
        _heard(source, Path(room), limit_ms)
        return wav.duration_ms(Path(room) / "decoded.wav")


def beep(target: Path) -> Sound:
    """Write the beep that invites a caller to speak."""
    return _made(tones.beep, target)


def hold_music(target: Path) -> Sound:
    """Write music for a waiting caller who was given none of the account's own."""
    return _made(tones.hold_music, target)


def silence(target: Path, length_ms: int) -> Sound:
    """Write `length_ms` of silence."""
    return _made(lambda rate_hz: tones.silence(length_ms, rate_hz), target)


def level_dbfs(path: Path) -> float:
    """Loudness (RMS) of a canonical file, in dB below full scale; `FLOOR_DBFS` for silence."""
    return _floored(_segment(path).dBFS)


def peak_dbfs(path: Path) -> float:
    """The loudest sample of a canonical file, in dB below full scale."""
    return _floored(_segment(path).max_dBFS)


def tone_level(path: Path, hz: float) -> float:
    """Loudness (RMS) of one frequency in a 16-bit mono file, in dB below full scale: Goertzel, Hann window.

    A sine of full scale has -3 dB, as `level_dbfs` would say of it.
    """
    with wave.open(str(path), "rb") as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise BadAudio(path.name, "it is not mono 16-bit", "measure the canonical form")
        rate = file.getframerate()
        samples = array("h", file.readframes(file.getnframes()))
    count = len(samples)
    turn = 2 * math.cos(2 * math.pi * hz / rate)
    before = last = 0.0
    for i, sample in enumerate(samples):
        window = 0.5 - 0.5 * math.cos(2 * math.pi * i / count)
        before, last = last, sample * window + turn * last - before
    power = last * last + before * before - turn * last * before
    # The window halves the amplitude, and half of a real tone's amplitude is in the mirror frequency.
    amplitude = 4 * math.sqrt(max(0.0, power)) / count / 32_768
    return FLOOR_DBFS if amplitude <= 0 else max(FLOOR_DBFS, 20 * math.log10(amplitude / math.sqrt(2)))


def _heard(source: Path, room: Path, limit_ms: int) -> Any:
    """Decode to `room` and give what is to be heard of it, without the silence at both ends."""
    decoded = room / "decoded.wav"
    try:
        decode.decode(source, decoded, limit_ms, WIDE_HZ)
        return _trimmed(_segment(decoded, WIDE_HZ), source.name)
    except NoSound as error:
        raise NoSound(source.name, error.reason, error.mend) from error


def _trimmed(segment: Any, name: str) -> Any:
    loudest = float(segment.max_dBFS)
    if loudest < SILENT_DBFS:
        raise NoSound(name, "there is nothing but silence in it", "record it again, closer to the microphone")
    threshold = max(SILENT_DBFS, loudest - EDGE_BELOW_PEAK_DB)
    leading = _pydub("silence").detect_leading_silence
    start = leading(segment, silence_threshold=threshold, chunk_size=10)
    end = len(segment) - leading(segment.reverse(), silence_threshold=threshold, chunk_size=10)
    return segment[max(0, start - LEAD_MS) : end + TAIL_MS]


def _segment(path: Path, rate_hz: int | None = None, bits: int = 16) -> Any:
    """A canonical file as a pydub segment; built from samples, so that pydub starts no program of its own."""
    header = wav.whole(path)
    rates = (RATE_HZ, WIDE_HZ) if rate_hz is None else (rate_hz,)
    if (header.codec, header.channels, header.bits) != (wav.PCM, 1, bits) or header.rate_hz not in rates:
        reason = f"it is not {' or '.join(f'{rate // 1_000}' for rate in rates)} kHz mono {bits}-bit PCM"
        raise BadAudio(path.name, reason, "convert it first")
    with path.open("rb") as file:
        file.seek(header.data_at)
        data = file.read(header.frames * header.frame_bytes)
    segment = _pydub("audio_segment").AudioSegment
    return segment(data=data, sample_width=bits // 8, frame_rate=header.rate_hz, channels=1)


def _made(samples: Callable[[int], bytes], target: Path) -> Sound:
    """Write samples that are computed for a rate, at both rates."""
    _write(samples(WIDE_HZ), wide_of(target), WIDE_HZ)
    _write(samples(RATE_HZ), target, RATE_HZ)
    return Sound(target, wav.duration_ms(target), level_dbfs(target))


def _write(data: bytes, target: Path, rate_hz: int) -> None:
    with replacing(target) as part, part.open("xb") as file:
        file.write(wav.header_bytes(len(data), rate_hz))
        file.write(data)


def _floored(level: float) -> float:
    return max(FLOOR_DBFS, float(level))


@cache
def _pydub(name: str) -> ModuleType:
    """Import a part of pydub when it is first needed: it is slow, and its import warns of things not ours."""
    with _importing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "silence":
            from pydub import silence as part
        else:
            from pydub import audio_segment as part
    assert isinstance(part, ModuleType)
    return part
