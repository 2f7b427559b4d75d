"""A disk that is gone or hangs: told in time, nothing half kept, and well again without a restart."""

import asyncio
import os
import shutil
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


@pytest.fixture
def library(tmp_path: Path) -> RecordingLibrary:
    return RecordingLibrary(tmp_path / "kept")


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
