"""A disk that is full, gone, closed, or hangs: told in time, nothing half kept, and well again without a restart."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import pytest

from recordings import library as module
from recordings.errors import LibraryUnavailable, RecordingMissing, RecordingRefused
from recordings.library import RecordingLibrary
from recordings.storage_disk import MARK, PROBE, DiskStorage
from tests.recordings.sounds import sine, stream, wav_bytes

TALK = wav_bytes(sine(8_000, 1.5, (440, 0.3)))
HERE = Path(__file__).parents[2]
OWN_VOLUME = ("unshare", "--map-root-user", "--mount", "--")
"""A small disk of the test's own, for root and for others where the machine allows it."""


@pytest.fixture
def library(tmp_path: Path) -> RecordingLibrary:
    return RecordingLibrary(tmp_path / "kept")


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


def away(directory: Path) -> None:
    directory.rename(directory.with_name("away"))


def unmounted(directory: Path) -> None:
    away(directory)
    directory.mkdir()


def a_file_instead(directory: Path) -> None:
    away(directory)
    directory.write_text("in the way")


def back(directory: Path) -> None:
    if directory.is_dir():
        assert list(directory.iterdir()) == [], "nothing was written below the mount point"
        directory.rmdir()
    directory.unlink(missing_ok=True)
    directory.with_name("away").rename(directory)


@pytest.mark.parametrize("leave", [away, unmounted, a_file_instead])
async def test_a_volume_that_goes_and_comes_back(
    library: RecordingLibrary, tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    kept = await library.keep("rec_1", stream([TALK]))
    await library.check()
    leave(tmp_path / "kept")
    for use in (
        library.check(),
        library.find("rec_1"),
        library.find("never"),
        library.read("rec_1"),
        library.delete("rec_1"),
        library.keep("rec_2", stream([TALK])),
        library.keep("rec_1", stream([TALK])),
        asyncio.to_thread(library.sweep),
    ):
        with pytest.raises(LibraryUnavailable, match=r"/kept .*then it goes on by itself"):
            await use
    back(tmp_path / "kept")
    await library.check()
    assert await library.verify("rec_1") == kept
    assert (await library.keep("rec_2", stream([TALK]))).sha256 == kept.sha256
    with pytest.raises(RecordingMissing):
        await library.find("never")


async def test_a_volume_that_goes_in_the_middle_of_a_recording(
    library: RecordingLibrary, tmp_path: Path
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield TALK[:44]
        away(tmp_path / "kept")
        yield TALK[44:]

    with pytest.raises(LibraryUnavailable, match="rec_1: it cannot be stored"):
        await library.keep("rec_1", pieces())
    back(tmp_path / "kept")
    with pytest.raises(RecordingMissing):
        await library.find("rec_1")
    assert await library.keep("rec_1", stream([TALK])) == await library.verify("rec_1")


async def test_the_connection_to_the_switch_is_let_go(library: RecordingLibrary, tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            shutil.rmtree(tmp_path / "kept")
            yield bytes(1_000_000)
        finally:
            closed.set()

    with pytest.raises(LibraryUnavailable):
        await library.keep("rec_1", pieces())
    assert closed.is_set()


@contextmanager
def hanging(path: Path) -> Iterator[None]:
    """A pipe instead of a file: whoever opens it waits for the other side, as on a volume that hangs."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    try:
        yield
    finally:
        # Both ends at once, which never waits, lets go whoever waits; then the file is as good as empty.
        other = os.open(path, os.O_RDWR)
        with suppress(FileNotFoundError):
            path.unlink()
        threading.Timer(0.3, os.close, (other,)).start()


def looking() -> int:
    """How many threads look at a volume now."""
    return sum(thread.name == "recordings-check" for thread in threading.enumerate())


async def test_a_volume_that_hangs_is_told_in_two_seconds_and_holds_one_thread(
    library: RecordingLibrary, tmp_path: Path
) -> None:
    with hanging(tmp_path / "kept" / PROBE):
        began = perf_counter()
        with pytest.raises(LibraryUnavailable, match=r"has not answered for 2\.0 s"):
            await library.check()
        assert perf_counter() - began < 2.5
        for _ in range(20):
            with pytest.raises(LibraryUnavailable, match="has not answered for"):
                await library.check(0.01)
        assert looking() == 1
    async with asyncio.timeout(5):
        while True:
            try:
                await library.check()
                break
            except LibraryUnavailable:
                await asyncio.sleep(0.05)
    assert looking() <= 1


async def test_a_keep_that_hangs_is_given_up_and_can_be_done_again(
    library: RecordingLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    record = library.path("rec_1").with_suffix(".json")
    record.parent.mkdir()
    with hanging(record):
        with pytest.raises(LibraryUnavailable, match=r"rec_1: .* has not answered for 0\.3 s"):
            await library.keep("rec_1", stream([TALK]))
        with pytest.raises(RecordingRefused, match="it is being kept at this moment"):
            await library.keep("rec_1", stream([TALK]))
        assert (await library.keep("rec_2", stream([TALK]))).duration_ms == 1_500, "others go on"
    monkeypatch.undo()
    async with asyncio.timeout(5):
        while True:
            try:
                kept = await library.keep("rec_1", stream([TALK]))
                break
            except RecordingRefused:
                await asyncio.sleep(0.05)
    assert await library.verify("rec_1") == kept
    assert sorted(path.name for path in record.parent.iterdir()) == ["rec_1.json", "rec_1.wav"]


def test_the_loop_never_touches_the_disk(tmp_path: Path) -> None:
    told = child(WATCHED, tmp_path / "kept")
    assert isinstance(told["events"], list)
    assert {"open", "os.remove", "os.rename"} <= set(told["events"])
    assert told["threads"] == ["recordings", "recordings-check"]


async def test_a_keep_that_is_called_off_leaves_nothing(library: RecordingLibrary, tmp_path: Path) -> None:
    began = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield TALK[:44]
        began.set()
        await asyncio.Event().wait()

    keeping = asyncio.create_task(library.keep("rec_1", pieces()))
    await began.wait()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert [path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()] == [MARK]
    assert (await library.keep("rec_1", stream([TALK]))).duration_ms == 1_500


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        RecordingRefused, match=r"file/kept: it cannot be made or written \(Not a directory\)"
    ):
        DiskStorage(tmp_path / "file" / "kept")
