"""A disk that gets full or is closed to us, each in a process of its own: nothing half kept, well again by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]
OWN_VOLUME = ("unshare", "--map-root-user", "--mount", "--")
"""A small disk of the test's own, for root and for others where the machine allows it."""


def child(script: str, *arguments: object, before: tuple[str, ...] = ()) -> dict[str, object]:
    """Run a script in a process of its own; what it prints as JSON."""
    argv = [*before, sys.executable, "-c", COMMON + script, *map(str, arguments)]
    done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


COMMON = """
import asyncio, json, os, resource, subprocess, sys, threading
from pathlib import Path
from recordings.errors import LibraryUnavailable, SoundError
from recordings.library import RecordingLibrary
from recordings.storage_disk import DiskStorage
from tests.recordings.sounds import stream, wav_bytes

directory = Path(sys.argv[1])
TALK = wav_bytes(bytes(300_000))

async def refusal(doing):
    try:
        await doing
    except LibraryUnavailable as error:
        return str(error)

def names():
    of_ours = (".flowengine-recordings", ".flowengine-writable")
    return sorted(path.name for path in directory.rglob("*") if path.is_file() and path.name not in of_ours)
"""

FILE_LIMIT = """
async def main():
    library = RecordingLibrary(directory)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    talk = [TALK[at:at + 8_000] for at in range(0, len(TALK), 8_000)]
    refused = await refusal(library.keep("rec_1", stream(talk)))
    left = names()
    short = await library.keep("rec_2", stream([wav_bytes(bytes(100_000))]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = await library.keep("rec_1", stream(talk))
    await library.verify("rec_1")
    print(json.dumps({"refused": refused, "left": left, "after": names()}))

asyncio.run(main())
"""

SMALL_DISK = """
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory], check=True)

async def main():
    library = RecordingLibrary(DiskStorage(directory, enough_bytes=0))
    for number in range(9):
        refused = await refusal(library.keep(f"rec_{number}", stream([TALK[:9_000], TALK[9_000:]])))
        if refused:
            break
    full = names()
    watch = await refusal(RecordingLibrary(DiskStorage(directory)).check())
    await library.delete("rec_0")
    await library.keep(f"rec_{number}", stream([TALK]))
    for each in range(1, number + 1):
        await library.verify(f"rec_{each}")
    await library.check()
    print(json.dumps({"number": number, "refused": refused, "full": full, "after": names(), "watch": watch}))

asyncio.run(main())
"""

CLOSED_TO_US = """
async def main():
    library = RecordingLibrary(directory)
    await library.keep("rec_1", stream([TALK]))
    directory.chmod(0)
    closed = [
        await refusal(library.check()),
        await refusal(library.find("rec_1")),
        await refusal(library.delete("rec_1")),
        await refusal(library.keep("rec_2", stream([TALK]))),
    ]
    directory.chmod(0o500)
    read_only = [await refusal(library.check()), await refusal(library.keep("rec_2", stream([TALK])))]
    await library.verify("rec_1")
    directory.chmod(0o700)
    await library.check()
    await library.keep("rec_2", stream([TALK]))
    await library.verify("rec_1")
    print(json.dumps({"closed": closed, "read_only": read_only, "after": names()}))

asyncio.run(main())
"""

WATCHED = """
touched = []

def watch(event, arguments):
    if watching and arguments and str(arguments[0]).startswith(str(directory)):
        touched.append((threading.current_thread().name.split("_")[0], event))

async def main():
    global watching
    library = RecordingLibrary(directory)
    watching = True
    await library.keep("rec_1", stream([TALK]))
    await library.verify("rec_1")
    [piece async for piece in await library.read("rec_1")]
    for data in (stream([TALK[:-2]]), stream([TALK[:50]], OSError("gone")), Path("/none.wav")):
        try:
            await library.keep("rec_2", data)
            raise AssertionError("kept")
        except (SoundError, OSError):
            pass
    await library.delete("rec_1")
    await library.check()
    watching = False

watching = False
sys.addaudithook(watch)
asyncio.run(main())
threads, events = (sorted(set(each)) for each in zip(*touched))
print(json.dumps({"threads": threads, "events": events}))
"""


def test_a_file_may_not_grow_any_more(tmp_path: Path) -> None:
    told = child(FILE_LIMIT, tmp_path / "kept")
    assert "rec_1: it cannot be stored" in str(told["refused"])
    assert "File too large); free some space" in str(told["refused"])
    assert told["left"] == []
    assert told["after"] == ["rec_1.json", "rec_1.wav", "rec_2.json", "rec_2.wav"]


def small_disk_allowed() -> bool:
    try:
        argv = [*OWN_VOLUME, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
        return subprocess.run(argv, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if small_disk_allowed():

    def test_a_disk_that_gets_full(tmp_path: Path) -> None:
        told = child(SMALL_DISK, tmp_path, before=OWN_VOLUME)
        number = told["number"]
        assert number == 3, "three fit on a disk of 1 MiB"
        assert str(told["refused"]).startswith("rec_3: it cannot be stored")
        assert "No space left on device); free some space" in str(told["refused"])
        assert told["full"] == [f"rec_{n}.{end}" for n in range(3) for end in ("json", "wav")]
        assert told["after"] == [f"rec_{n}.{end}" for n in range(1, 4) for end in ("json", "wav")]
        assert "only 0 MiB are free, and 16 MiB are wanted; free some space" in str(told["watch"])


def test_a_directory_that_is_closed_to_us(tmp_path: Path) -> None:
    # Permissions do not hold root, unless it gives away the right to pass over them.
    obey = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--") if os.geteuid() == 0 else ()
    told = child(CLOSED_TO_US, tmp_path / "kept", before=obey)
    assert isinstance(told["closed"], list)
    assert isinstance(told["read_only"], list)
    for refused in told["closed"] + told["read_only"]:
        assert "(Permission denied); mount the volume again and let the engine read and write it" in refused
    assert told["after"] == ["rec_1.json", "rec_1.wav", "rec_2.json", "rec_2.wav"]


def test_the_loop_never_touches_the_disk(tmp_path: Path) -> None:
    told = child(WATCHED, tmp_path / "kept")
    assert isinstance(told["events"], list)
    assert {"open", "os.remove", "os.rename"} <= set(told["events"])
    assert told["threads"] == ["recordings", "recordings-check"]
