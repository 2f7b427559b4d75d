"""Two hours of talk, from a switch that died: the length exact, and no more memory than for seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recordings import buckets
from tests.recordings.sounds import sine, wav_bytes

MINUTE = sine(8_000, 0.01, (440, 0.3)) * 6_000
TWO_HOURS_MS = 7_200_000
"""115 MB."""
HERE = Path(__file__).parents[2]
KEEPER = """
import asyncio, json, sys
from pathlib import Path
from recordings.library import RecordingLibrary

address, source, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
in_bucket = address.startswith("s3:")  # the service for tests is slow with long ones

def peak_kb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

async def pieces(most):
    with source.open("rb") as file:
        while most > 0 and (piece := file.read(min(most, 65_536))):
            most -= len(piece)
            yield piece

async def main():
    library = RecordingLibrary.at(address, folder / "spool")
    await library.keep("short", pieces(400_044))
    await library.verify("short")
    before = peak_kb()
    kept = [await library.keep("streamed", pieces(10**9))]
    if not in_bucket:
        kept.append(await library.keep("copied", source))
        await library.verify("copied")
    read = 0
    async for piece in await library.read("streamed"):
        read += len(piece)
        if in_bucket and read > 1_000_000:
            break
    print(json.dumps({"grown_kb": peak_kb() - before, "lengths_ms": [each.duration_ms for each in kept]}))

asyncio.run(main())
"""
JOINER = """
import json, sys
from pathlib import Path
from recordings import wav
from recordings.stereo import interleave

source, both = Path(sys.argv[2]), Path(sys.argv[3]) / "both.wav"

def peak_kb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

wav.repair(source)
before = peak_kb()
length_ms = interleave(source, source, both, -500)
print(json.dumps({"grown_kb": peak_kb() - before, "lengths_ms": [length_ms - 500]}))
"""


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    with path.open("wb") as file:
        file.write(wav_bytes(b"", declared=0))
        for _ in range(TWO_HOURS_MS // 60_000):
            file.write(MINUTE)
    return path


def grown_kb(script: str, address: str, talk: Path) -> int:
    """By how much the memory of a process of its own grows; the lengths are held against the truth on the way."""
    done = subprocess.run(
        [sys.executable, "-c", script, address, str(talk), str(talk.parent)],
        cwd=HERE,
        env=os.environ | buckets.ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["lengths_ms"]) == {TWO_HOURS_MS}
    return int(told["grown_kb"])


def test_on_a_disk(talk: Path, tmp_path: Path) -> None:
    assert grown_kb(KEEPER, str(tmp_path / "kept"), talk) < 8_192


def test_in_a_bucket(talk: Path) -> None:
    with buckets.service() as endpoint:
        buckets.client(endpoint).create_bucket(Bucket=buckets.BUCKET)
        address = f"s3://{buckets.BUCKET}/memory?endpoint={endpoint}"
        assert grown_kb(KEEPER, address, talk) < 49_152, "a few parts of 8 MiB, not 115 MB"


def test_both_sides_joined(talk: Path) -> None:
    assert grown_kb(JOINER, "", talk) < 8_192
