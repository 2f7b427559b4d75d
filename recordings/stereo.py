"""Both sides of a talk in one file: the caller left, the agent right, so that each can be heard (and written) alone.

A switch records each leg by itself, and the two rarely begin at the same moment; the later one is moved by an offset.
Samples are only moved, never mixed: nothing is lost, and the sides can be taken apart again.
"""

from array import array
from pathlib import Path
from typing import BinaryIO, Final

from recordings import wav
from recordings.errors import BadAudio
from recordings.files import replacing

RATE_HZ: Final = 8_000
BLOCK_FRAMES: Final = 1 << 15
"""4 s at a time: a talk of hours needs no more memory than one of seconds."""
EMPTY: Final = "keep the side that was recorded as it is, in mono"


def interleave(left: Path, right: Path, target: Path, offset_ms: int = 0) -> int:
    """Join two mono WAV files (8 kHz, 16 bits) to one in stereo, as long as the longer; its length in ms.

    Args:
        left: heard on the left.
        right: heard on the right.
        target: is replaced as a whole, or not at all.
        offset_ms: how much later the right side begins; negative when it is the left that begins later.

    Raises:
        BadAudio: a side is no such file, broken off, or was never completed (then `wav.repair` it first).
    """
    sides = [_Side(left, max(0, -offset_ms)), _Side(right, max(0, offset_ms))]
    frames = max(side.frames for side in sides)
    if 4 * frames > wav.LENGTH_UNKNOWN - 1_000:
        raise BadAudio(target.name, "both sides together are longer than a WAV file can be", EMPTY)
    with (
        left.open("rb") as left_file,
        right.open("rb") as right_file,
        replacing(target) as part,
        part.open("xb") as joined,
    ):
        part.chmod(left.stat().st_mode & right.stat().st_mode & 0o777)
        joined.write(wav.header_bytes(4 * frames, RATE_HZ, channels=2))
        for at in range(0, frames, BLOCK_FRAMES):
            count = min(BLOCK_FRAMES, frames - at)
            block = array("H", bytes(4 * count))
            for channel, (side, file) in enumerate(zip(sides, (left_file, right_file), strict=True)):
                block[channel::2] = side.samples(file, at, count)
            joined.write(block)
    return wav.duration_ms(target)


class _Side:
    """One file, moved to the right by the silence before it. Samples are 16 bits wide and never interpreted."""

    def __init__(self, path: Path, delay_ms: int) -> None:
        header = wav.whole(path)
        if (header.codec, header.channels, header.rate_hz, header.bits) != (wav.PCM, 1, RATE_HZ, 16):
            mend = "record the sides as WAV in mono, 8 kHz and 16 bits"
            raise BadAudio(path.name, "it is not 8 kHz mono 16-bit PCM", mend)
        self._name = path.name
        self._data_at = header.data_at
        self._delay = delay_ms * RATE_HZ // 1_000
        self._own = header.frames
        self.frames = self._delay + self._own

    def samples(self, file: BinaryIO, at: int, count: int) -> "array[int]":
        """The samples from frame `at` of the joined file, silence before and after."""
        first = min(max(at - self._delay, 0), self._own)
        last = min(max(at + count - self._delay, 0), self._own)
        file.seek(self._data_at + 2 * first)
        data = file.read(2 * (last - first))
        if len(data) < 2 * (last - first):
            raise BadAudio(self._name, "it shrank while it was being joined", "join it again")
        before = min(max(self._delay - at, 0), count)
        return array("H", bytes(2 * before) + data + bytes(2 * (count - before - (last - first))))
