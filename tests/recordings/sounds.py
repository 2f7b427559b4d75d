"""Sound for tests, made here byte by byte, so that the code under test never makes its own evidence."""

import math
import struct
import sys
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from recordings.speech import Speech


def sine(rate_hz: int, seconds: float, *parts: tuple[float, float]) -> bytes:
    """16-bit samples of sines, each (Hz, amplitude from 0 to 1)."""
    turns = [(2 * math.pi * hz / rate_hz, 32_767 * amplitude) for hz, amplitude in parts]
    samples = array(
        "h", (round(sum(a * math.sin(w * i) for w, a in turns)) for i in range(int(rate_hz * seconds)))
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def quiet(rate_hz: int, seconds: float) -> bytes:
    """16-bit samples of silence."""
    return bytes(2 * int(rate_hz * seconds))


def wav_bytes(
    data: bytes,
    rate_hz: int = 8_000,
    channels: int = 1,
    bits: int = 16,
    *,
    declared: int | None = None,
    after: bytes = b"",
    codec: int = 1,
) -> bytes:
    """A WAV file; `declared` is what its header claims instead of the true length."""
    length = len(data) if declared is None else declared
    frame = channels * bits // 8 & 0xFFFF
    form = struct.pack("<HHIIHH", codec, channels, rate_hz, rate_hz * frame & 0xFFFFFFFF, frame, bits)
    riff = 36 + len(data) + len(after) if declared is None else (36 + length) & 0xFFFFFFFF
    top = b"RIFF" + struct.pack("<I", riff) + b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form
    return top + b"data" + struct.pack("<I", length) + data + after


def wav_file(path: Path, data: bytes, rate_hz: int = 8_000) -> Path:
    """Write a true WAV file of 16-bit mono samples."""
    path.write_bytes(wav_bytes(data, rate_hz))
    return path


async def stream(pieces: Sequence[bytes], error: BaseException | None = None) -> AsyncIterator[bytes]:
    """Bytes as they come from the switch, and perhaps the fault that ends them."""
    for piece in pieces:
        yield piece
    if error is not None:
        raise error


class ToneSpeech(Speech):
    """Speaks in sines: one tenth of a second a character. Counts how often it is asked."""

    def __init__(self, edition: str = "tones/1") -> None:
        self._edition = edition
        self.spoken: list[tuple[str, str, str]] = []

    @property
    def edition(self) -> str:
        return self._edition

    def speak(self, text: str, language: str, voice: str, target: Path) -> None:
        self.spoken.append((text, language, voice))
        wav_file(target, sine(8_000, 0.1 * len(text), (600.0, 0.3)))
