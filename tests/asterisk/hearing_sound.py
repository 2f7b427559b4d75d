"""Whether two sounds are the same to the ear: by their energy in bands over time, whatever a line did to them."""

from itertools import pairwise

import numpy
from numpy.typing import NDArray

from simulator.sip.sound import Sound

RATE = 8_000
FRAME = 160
EDGES_HZ = (200, 300, 400, 500, 600, 700, 800, 900, 1_000, 1_150, 1_300, 1_500, 1_800, 2_200, 2_700, 3_400)


def likeness(heard: Sound, source: Sound) -> float:
    """How well `source` is found in `heard`, at its best place: 1 the same, 0 nothing to do with each other."""
    ours, theirs = _bands(heard), _bands(source)
    if len(ours) < len(theirs):
        return 0.0
    return max(_correlation(ours[at : at + len(theirs)], theirs) for at in range(len(ours) - len(theirs) + 1))


def _bands(sound: Sound) -> NDArray[numpy.float64]:
    """Level in each band (dB, at least -60 below the loudest) of each frame of 20 ms."""
    samples = numpy.asarray(sound.samples, dtype=numpy.float64)
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME) * numpy.hanning(FRAME)
    power = numpy.abs(numpy.fft.rfft(frames, axis=1)) ** 2
    hz = numpy.fft.rfftfreq(FRAME, 1 / RATE)
    bands = [power[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in pairwise(EDGES_HZ)]
    found = numpy.stack(bands, axis=1)
    level: NDArray[numpy.float64] = 10 * numpy.log10(numpy.maximum(found, found.max() * 1e-6 + 1e-9))
    return level


def _correlation(one: NDArray[numpy.float64], other: NDArray[numpy.float64]) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(numpy.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size else 0.0
