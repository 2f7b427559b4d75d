"""Sound made of numbers: the beep before a message, silence, and music for a waiting caller.

Everything is computed, so it is the same everywhere and nobody's property. Levels leave room below full
scale, as a telephone line clips early. Samples are 16-bit little-endian, as WAV has them, at 8 kHz unless asked
otherwise.
"""

import math
import sys
from array import array
from collections.abc import Iterable
from itertools import cycle, islice
from typing import Final

RATE_HZ: Final = 8_000
FULL_SCALE: Final = 32_767
BEEP_HZ: Final = 1_000.0
BEEP_MS: Final = 400
BEEP_AMPLITUDE: Final = 0.25
FADE_MS: Final = 10

MUSIC_AMPLITUDE: Final = 0.12
NOTE_MS: Final = 400
STRIKE_MS: Final = 5
MUSIC_HZ: Final = (
    *(261.63, 329.63, 392.00, 523.25, 392.00, 329.63),
    *(220.00, 261.63, 329.63, 440.00, 329.63, 261.63),
    *(349.23, 440.00, 523.25, 698.46, 523.25, 440.00),
    *(392.00, 493.88, 587.33, 783.99, 587.33, 493.88),
)
"""Broken chords of C, A minor, F and G: quiet, and it repeats without a seam."""
MUSIC_ROUNDS: Final = 2


def silence(duration_ms: int, rate_hz: int = RATE_HZ) -> bytes:
    """`duration_ms` of nothing."""
    return bytes(2 * _samples(duration_ms, rate_hz))


def tone(hz: float, duration_ms: int, amplitude: float, rate_hz: int = RATE_HZ) -> bytes:
    """A sine of `amplitude` (0 to 1), with short fades so that it does not click."""
    count = _samples(duration_ms, rate_hz)
    fade = max(1, _samples(FADE_MS, rate_hz))
    step = 2 * math.pi * hz / rate_hz
    peak = FULL_SCALE * amplitude
    return _packed(
        round(peak * min(1.0, i / fade, (count - 1 - i) / fade) * math.sin(step * i)) for i in range(count)
    )


def beep(rate_hz: int = RATE_HZ) -> bytes:
    """The sign to speak now."""
    return tone(BEEP_HZ, BEEP_MS, BEEP_AMPLITUDE, rate_hz)


def hold_music(rate_hz: int = RATE_HZ) -> bytes:
    """About 19 s of plucked broken chords, each note ringing on into the next two."""
    step = _samples(NOTE_MS, rate_hz)
    attack = _samples(STRIKE_MS, rate_hz)
    notes = list(islice(cycle(MUSIC_HZ), MUSIC_ROUNDS * len(MUSIC_HZ)))
    length = step * len(notes)
    mix = [0.0] * length
    for number, hz in enumerate(notes):
        turn = 2 * math.pi * hz / rate_hz
        for i in range(3 * step):
            strike = min(1.0, i / attack) * math.exp(-3.0 * i / step) * (1.0 - i / (3 * step))
            # The tail of the last notes rings into the beginning: played again and again, there is no gap.
            mix[(number * step + i) % length] += strike * math.sin(turn * i)
    return _packed(round(FULL_SCALE * MUSIC_AMPLITUDE * max(-2.0, min(2.0, value))) for value in mix)


def _packed(samples: Iterable[int]) -> bytes:
    packed = array("h", samples)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _samples(duration_ms: int, rate_hz: int) -> int:
    return duration_ms * rate_hz // 1_000
