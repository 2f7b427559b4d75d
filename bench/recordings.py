"""How many recordings a second the library takes in, and what a talk of two hours costs it in memory.

Recordings come as they do from a switch, in pieces of 64 KiB; each is repaired if need be, measured, checksummed, and
durable with its record before the next begins. The baseline is a copy of the same bytes, flushed to the disk and
nothing more. Both take turns, so that a slow moment of the disk is everybody's. Time is the clock's: most of it is
the disk's.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import Result
from recordings.library import RecordingLibrary
from recordings.wav import header_bytes

ROUNDS = 5
PIECE_BYTES = 65_536
SECOND_BYTES = 16_000
SIZES = {"10 s": (10, 40), "2 min": (120, 20), "2 h": (7_200, 1)}
"""Length in seconds, and how many a round."""


def talk(path: Path, seconds: int) -> Path:
    """Write a recording that nothing can shorten: its bytes are noise."""
    noise = os.urandom(SECOND_BYTES)
    with path.open("wb") as file:
        file.write(header_bytes(seconds * SECOND_BYTES, 8_000))
        for _ in range(seconds):
            file.write(noise)
    return path


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """A file as a switch sends it."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def copied(source: Path, folder: Path, count: int) -> float:
    """Copy a file `count` times, each flushed; returns the seconds."""
    began = perf_counter()
    for number in range(count):
        with source.open("rb") as origin, (folder / f"{number}.wav").open("wb", buffering=0) as target:
            while piece := origin.read(PIECE_BYTES):
                target.write(piece)
            os.fsync(target.fileno())
    return perf_counter() - began


async def kept(library: RecordingLibrary, source: Path, count: int, together: int = 1) -> float:
    """Keep a file `count` times, `together` at once, and delete what was kept; returns the seconds of keeping."""
    began = perf_counter()
    for first in range(0, count, together):
        numbers = range(first, min(count, first + together))
        await asyncio.gather(*(library.keep(f"rec_{number}", pieces(source)) for number in numbers))
    took = perf_counter() - began
    for number in range(count):
        await library.delete(f"rec_{number}")
    return took


def grown_mib(seconds: int) -> float:
    """How much memory the largest moment of keeping such a recording takes, in a process of its own."""
    script = f"""
import asyncio, tempfile
from pathlib import Path
from bench.recordings import kept, talk
from recordings.library import RecordingLibrary

def peak_kb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

with tempfile.TemporaryDirectory() as folder:
    library = RecordingLibrary(Path(folder) / "kept")
    asyncio.run(kept(library, talk(Path(folder) / "short.wav", 10), 1))
    before = peak_kb()
    asyncio.run(kept(library, talk(Path(folder) / "long.wav", {seconds}), 1))
    print(peak_kb() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout) / 1_024


async def compared(folder: Path) -> list[Result]:
    """Library and copy in turns, for each size."""
    library = RecordingLibrary(folder / "kept")
    copies = folder / "copies"
    copies.mkdir()
    results = []
    for name, (seconds, count) in SIZES.items():
        source = talk(folder / "talk.wav", seconds)
        bare, ours, together = [], [], []
        for _ in range(ROUNDS):
            bare.append(count / copied(source, copies, count))
            ours.append(count / await kept(library, source, count))
            if count > 1:
                together.append(count / await kept(library, source, count, together=8))
        copy = median(bare)
        results.append(Result(f"recordings: bare copy with flush, {name}", 60 * copy, "/min"))
        for how, rates in ((f"one after another, {name}", ours), (f"eight at a time, {name}", together)):
            if rates:
                rate = median(rates)
                results.append(Result(f"recordings: kept {how}", 60 * rate, "/min", "bare", rate / copy))
    return results


def measure() -> list[Result]:
    """Measure in a folder of its own on the disk of temporary files."""
    with TemporaryDirectory(prefix="flowengine-bench-") as folder:
        results = asyncio.run(compared(Path(folder)))
    results.append(Result("recordings: memory for one of 2 h (115 MB)", grown_mib(7_200) * 1_024, "KiB"))
    return results
