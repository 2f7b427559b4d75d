"""Sound made of numbers: the beep before a message, silence, and music for a waiting caller.

Everything is computed, so it is the same everywhere and nobody's property. Levels leave room below full
scale, as a telephone line clips early. Samples are 16-bit little-endian at 8 kHz, as WAV has them.
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
MUSIC_HZ: Final = (
    *(261.63, 329.63, 392.00, 523.25, 392.00, 329.63),
    *(220.00, 261.63, 329.63, 440.00, 329.63, 261.63),
    *(349.23, 440.00, 523.25, 698.46, 523.25, 440.00),
    *(392.00, 493.88, 587.33, 783.99, 587.33, 493.88),
)
"""Broken chords of C, A minor, F and G: quiet, and it repeats without a seam."""
MUSIC_ROUNDS: Final = 2


def silence(duration_ms: int) -> bytes:
    """`duration_ms` of nothing."""
    return bytes(2 * _samples(duration_ms))


def tone(hz: float, duration_ms: int, amplitude: float) -> bytes:
    """A sine of `amplitude` (0 to 1), with short fades so that it does not click."""
    count = _samples(duration_ms)
    fade = max(1, _samples(FADE_MS))
    step = 2 * math.pi * hz / RATE_HZ
    peak = FULL_SCALE * amplitude
    return _packed(
        round(peak * min(1.0, i / fade, (count - 1 - i) / fade) * math.sin(step * i)) for i in range(count)
    )


def beep() -> bytes:
    """The sign to speak now."""
    return tone(BEEP_HZ, BEEP_MS, BEEP_AMPLITUDE)


def hold_music() -> bytes:
    """About 19 s of plucked broken chords, each note ringing on into the next two."""
    step = _samples(NOTE_MS)
    notes = list(islice(cycle(MUSIC_HZ), MUSIC_ROUNDS * len(MUSIC_HZ)))
    length = step * len(notes)
    mix = [0.0] * length
    for number, hz in enumerate(notes):
        turn = 2 * math.pi * hz / RATE_HZ
        for i in range(3 * step):
            strike = min(1.0, i / 40) * math.exp(-3.0 * i / step) * (1.0 - i / (3 * step))
            # The tail of the last notes rings into the beginning: played again and again, there is no gap.
            mix[(number * step + i) % length] += strike * math.sin(turn * i)
    return _packed(round(FULL_SCALE * MUSIC_AMPLITUDE * max(-2.0, min(2.0, value))) for value in mix)


def _packed(samples: Iterable[int]) -> bytes:
    packed = array("h", samples)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _samples(duration_ms: int) -> int:
    return duration_ms * RATE_HZ // 1_000
