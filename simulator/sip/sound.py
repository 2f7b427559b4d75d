"""Sounds as test evidence: 8 kHz samples, the tones in them, and WAV files to play and to look at.

Why here: a call test must prove what a caller *heard*. A pure tone survives G.711 and a resampler, and one
Goertzel filter (a DFT of a single frequency) finds it, so no numeric library is needed.
"""

from __future__ import annotations

import math
import wave
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

RATE = 8000
_BLOCK = RATE // 10  # 100 ms: short enough for words of a prompt, long enough for 10 Hz of resolution
_SILENCE_RMS = 60.0  # G.711 turns digital silence into a few units; speech and our tones are above 1,000


@dataclass(frozen=True)
class Sound:
    """Mono 16-bit samples at 8 kHz."""

    samples: array[int]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    def part(self, start: float = 0.0, end: float | None = None) -> Sound:
        """The sound between two points in seconds."""
        stop = len(self.samples) if end is None else round(end * RATE)
        return Sound(self.samples[round(start * RATE) : stop])


def tone(hz: float, seconds: float, *, loudness: int = 8000) -> Sound:
    """A sine; ``loudness`` is its amplitude (largest: 32767)."""
    step = 2 * math.pi * hz / RATE
    return Sound(array("h", (round(loudness * math.sin(step * i)) for i in range(round(seconds * RATE)))))


def read_wav(path: Path) -> Sound:
    """Read a mono 16-bit 8 kHz WAV; raises ValueError for any other."""
    sides = read_sides(path)
    if len(sides) != 1:
        raise ValueError(f"{path} has {len(sides)} channels, not 1")
    return sides[0]


def read_sides(path: Path) -> list[Sound]:
    """Read the channels of a 16-bit 8 kHz WAV, left before right; raises ValueError for any other."""
    with wave.open(str(path), "rb") as file:
        form = (file.getsampwidth(), file.getframerate())
        if form != (2, RATE):
            raise ValueError(f"{path} has (bytes, rate) {form}, not (2, {RATE})")
        samples, count = array("h", file.readframes(file.getnframes())), file.getnchannels()
    return [Sound(samples[at::count]) for at in range(count)]


def write_wav(path: Path, sound: Sound) -> Path:
    """Write what Asterisk plays as ``sound:/folder/name``: 8 kHz mono WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.samples.tobytes())
    return path


def rms(samples: array[int]) -> float:
    """Root mean square; 0.0 of nothing."""
    return math.sqrt(sum(x * x for x in samples) / len(samples)) if samples else 0.0


def is_silent(sound: Sound) -> bool:
    """True if no tenth of a second rises above the noise of G.711."""
    return all(rms(block) < _SILENCE_RMS for block in _blocks(sound))


def tone_power(sound: Sound, hz: float) -> float:
    """How much of what is not silent is this tone: 1.0 only it, about 0.5 of two equal tones, 0.0 none of it."""
    loud = [block for block in _blocks(sound) if rms(block) >= _SILENCE_RMS]
    total = sum(sum(x * x for x in block) for block in loud)
    return sum(_goertzel(block, hz) for block in loud) / total if total else 0.0


def seconds_of_tone(sound: Sound, hz: float) -> float:
    """For how long the tone sounds and is most of what sounds, to a tenth of a second."""
    return sum(
        len(block) / RATE
        for block in _blocks(sound)
        if rms(block) >= _SILENCE_RMS and _goertzel(block, hz) > 0.5 * sum(x * x for x in block)
    )


def dominant_hz(sound: Sound, start: float = 0.0, end: float | None = None) -> float | None:
    """The frequency with the most energy in the loudest half second, to 10 Hz; None in silence."""
    part = sound.part(start, end)
    loudest = sorted(_blocks(part), key=rms)[-5:]
    if not loudest or rms(loudest[-1]) < _SILENCE_RMS:
        return None
    return float(max(range(100, 3500, 10), key=lambda hz: sum(_goertzel(block, hz) for block in loudest)))


def _blocks(sound: Sound) -> Iterable[array[int]]:
    return (sound.samples[i : i + _BLOCK] for i in range(0, len(sound.samples), _BLOCK))


def _goertzel(block: array[int], hz: float) -> float:
    """Energy of one frequency in a block, on the scale of the sum of squares."""
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE)
    last, before = 0.0, 0.0
    for x in block:
        last, before = x + coefficient * last - before, last
    return 2 * (last * last + before * before - coefficient * last * before) / len(block)
