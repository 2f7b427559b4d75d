"""How many prompts a second are made of uploads, and how fast a call finds one. What is measured against:

Rendering: two seconds of sound as WAV at 44.1 kHz, each another file, become a sound at both rates, measured,
levelled and trimmed; against the shortest conversion ffmpeg can do of the same file (to 8 kHz mono WAV), one after
the other in turns. Both wait mostly for programs to start, so the time is the clock's.

Looking up: a spoken prompt, an upload of an account, a counted phrase, among a thousand; against one look into a
dictionary by a hash of the key.
"""

import asyncio
import hashlib
import math
import resource
import shutil
import subprocess
import tracemalloc
from array import array
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import Result, median_rate
from recordings import wav
from recordings.prompts import PromptLibrary, Upload
from recordings.rendered import Rendered, found
from recordings.speech import EspeakSpeech

RATE_HZ = 44_100
SECONDS = 2
ROUNDS = 5
A_ROUND = 8
KNOWN = 1_000
LOOKUPS = 20_000


class Uploads:
    """The sounds of one account, by name."""

    def __init__(self) -> None:
        self.known: dict[str, Upload] = {}

    def find(self, account: str, id: str) -> Upload | None:
        """See `recordings.render.Audios`."""
        del account
        return self.known.get(id)


def upload(folder: Path, number: int) -> Upload:
    """A sound that no other upload has."""
    turn = 2 * math.pi * (300 + number) / RATE_HZ
    samples = array("h", (round(9_000 * math.sin(turn * i)) for i in range(RATE_HZ * SECONDS))).tobytes()
    data = wav.header_bytes(len(samples), RATE_HZ) + samples
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / sha256).write_bytes(data)
    return Upload(sha256, folder / sha256)


def bare(source: Path, target: Path) -> None:
    """What ffmpeg needs for a conversion and nothing else."""
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg is not None, "ffmpeg is not installed"
    argv = [ffmpeg, "-v", "error", "-i", str(source), "-ar", "8000", "-ac", "1", str(target)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=20)


async def rendering(folder: Path) -> list[Result]:
    """Prompts a second, one at a time and as many at once as the library does, against bare conversions."""
    uploads, numbers = Uploads(), count()
    library = PromptLibrary(folder / "prompts", EspeakSpeech(), None, uploads)
    rates: dict[str, list[float]] = {"one": [], "all": [], "bare": []}

    def fresh() -> list[str]:
        names = [f"sound-{next(numbers)}" for _ in range(A_ROUND)]
        uploads.known |= {name: upload(folder, int(name.partition("-")[2])) for name in names}
        return names

    for _ in range(ROUNDS):
        names = fresh()
        began = perf_counter()
        for name in names:
            await asyncio.to_thread(bare, uploads.known[name].path, folder / f"{name}.wav")
        rates["bare"].append(A_ROUND / (perf_counter() - began))
        began = perf_counter()
        for name in names:
            await library.render(f"audio:{name}", "acc")
        rates["one"].append(A_ROUND / (perf_counter() - began))
        names = fresh()
        began = perf_counter()
        await library.render_all([("acc", f"audio:{name}") for name in names])
        rates["all"].append(A_ROUND / (perf_counter() - began))
    one, all_, base = (median(rates[each]) for each in ("one", "all", "bare"))
    children_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1_000
    kept = f"largest program {children_mb:.0f} MB"
    return [
        Result("prompts: rendered, one at a time", one, "a second", "bare ffmpeg", one / base, kept),
        Result("prompts: rendered, as publishing does", all_, "a second", "bare ffmpeg", all_ / base),
    ]


async def looking_up(folder: Path) -> list[Result]:
    """Lookups a second of three kinds, among a thousand sounds, and what these weigh in memory."""
    uploads = Uploads()
    library = PromptLibrary(folder / "few", EspeakSpeech(), None, uploads)
    spoken, phrase = "say:en-US::Press one for sales.", "builtin:place:en-US:3"
    uploads.known["hello"] = upload(folder, 10_000)
    made = await library.render_all([spoken, phrase, ("acc", "audio:hello")])
    for number in range(KNOWN):  # Other prompts: the same sound under names of their own.
        _twin(made[spoken], number)
    began = perf_counter()
    await library.refresh()
    found_ms = (perf_counter() - began) * 1_000
    tracemalloc.start()
    index = found(library.directory)
    kept_bytes = tracemalloc.get_traced_memory()[0] / len(index)
    tracemalloc.stop()

    def rate(key: str, account: str) -> float:
        def work() -> int:
            for _ in range(LOOKUPS):
                library.lookup(key, account)
            return LOOKUPS

        return median_rate(work)

    ready = {hashlib.sha256(spoken.encode()).hexdigest(): made[spoken]}

    def by_hash() -> int:
        for _ in range(LOOKUPS):
            ready.get(hashlib.sha256(spoken.encode()).hexdigest())
        return LOOKUPS

    base = median_rate(by_hash)
    kinds = (
        ("spoken text", spoken, "acc"),
        ("upload", "audio:hello", "acc"),
        ("place in line", phrase, "acc"),
    )
    measured = [(what, rate(key, account)) for what, key, account in kinds]
    results = [
        Result(f"prompts: looked up, {what}", each, "a second", "hash and dict", each / base)
        for what, each in measured
    ]
    note = f"{KNOWN} sounds of both rates"
    return [
        *results,
        Result("prompts: found again in the directory", found_ms, "ms", note=note),
        Result("prompts: memory of one in the index", kept_bytes, "bytes"),
    ]


def _twin(rendered: Rendered, number: int) -> None:
    """The same files under the name of another key."""
    name = f"say-{number:040x}-{rendered.name.rpartition('-')[2]}"
    for path in (rendered.wide, rendered.path):
        path.with_name(name + path.suffix).hardlink_to(path)


def measure() -> list[Result]:
    """See above."""
    with TemporaryDirectory(prefix="bench-prompts-") as name:
        folder = Path(name)
        return [*asyncio.run(rendering(folder)), *asyncio.run(looking_up(folder))]
