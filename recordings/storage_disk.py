"""A library in a directory: the sound gets its name by a rename, and its record makes it visible.

A mark lies in the directory. When the volume below it is unmounted, the empty mount point would otherwise pass for
an empty library: recordings would be written to the wrong disk, and everything kept would be called missing.
"""

import errno
import os
from pathlib import Path
from typing import Final

from recordings.errors import LibraryUnavailable, RecordingRefused
from recordings.files import PART, flush, part_of
from recordings.kept import Record, place_of, record_place_of
from recordings.storage import (
    FREE_SPACE,
    kept_before,
    missing,
    on_disk,
    record_of,
    unavailable,
)

MARK: Final = ".flowengine-recordings"
PROBE: Final = ".flowengine-writable"
ENOUGH_BYTES: Final = 16 << 20
"""Less free space than this is no room for recordings: 17 minutes of mono sound."""


class DiskStorage:
    """See `Storage`."""

    def __init__(self, directory: Path, enough_bytes: int = ENOUGH_BYTES) -> None:
        """Open or make a library.

        Args:
            directory: where; it and its parents are made when they are not there.
            enough_bytes: `probe` wants this much free space.

        Raises:
            RecordingRefused: the directory cannot be made or written.
        """
        self._directory = directory.resolve()
        self._enough_bytes = enough_bytes
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create(self._directory / MARK, b"Recordings of flowengine lie here.\n")
            flush(self._directory)
        except OSError as error:
            reason = f"it cannot be made or written ({error.strerror})"
            raise RecordingRefused(str(directory), reason, FREE_SPACE) from error

    @property
    def address(self) -> str:
        """See `Storage.address`."""
        return str(self._directory)

    @property
    def directory(self) -> Path:
        """See `Storage.directory`."""
        return self._directory

    def file(self, recording_id: str) -> Path:
        """Where the sound lies or would lie."""
        return self._directory / place_of(recording_id)

    def part(self, recording_id: str) -> Path:
        """See `Storage.part`. It lies beside its later place, as only that rename is atomic."""
        part = part_of(self.file(recording_id))
        with on_disk(recording_id, self.address):
            self._present(recording_id)
            if not part.parent.is_dir():
                part.parent.mkdir(mode=0o700, exist_ok=True)
                flush(self._directory)
            _create(part, b"")
        return part

    def put(self, recording_id: str, part: Path, record: Record) -> Record:
        """See `Storage.put`. The sound is durable before its record exists; a crash between leaves no recording."""
        target = self.file(recording_id)
        with on_disk(recording_id, self.address):
            if before := kept_before(self, recording_id, record):
                part.unlink(missing_ok=True)
                return before
            note = part_of(target)
            try:
                flush(part)
                _create(note, record.to_json().encode())
                part.replace(target)
                note.replace(self._record(recording_id))
                # Flushed under its last name, so that the disk is waited for once and not twice. Until that is done
                # nobody has been told that it is kept; half a record after a crash is replaced by the next keep.
                flush(self._record(recording_id))
                flush(target.parent)
            finally:
                note.unlink(missing_ok=True)
        return record

    def find(self, recording_id: str) -> Record:
        """See `Storage.find`."""
        with on_disk(recording_id, self.address):
            try:
                text = self._record(recording_id).read_bytes()
            except FileNotFoundError:
                self._present(recording_id)
                raise missing(recording_id) from None
            try:
                size = self.file(recording_id).stat().st_size
            except FileNotFoundError:
                self._present(recording_id)
                size = None
        return record_of(recording_id, text, size)

    def piece(self, recording_id: str, start: int, end: int) -> bytes:
        """See `Storage.piece`."""
        with on_disk(recording_id, self.address):
            try:
                with self.file(recording_id).open("rb", buffering=0) as file:
                    return os.pread(file.fileno(), end - start, start)
            except FileNotFoundError:
                self._present(recording_id)
                raise missing(recording_id) from None

    def delete(self, recording_id: str) -> bool:
        """See `Storage.delete`. The record goes first: what is half deleted is not there, rather than damaged."""
        paths = self._record(recording_id), self.file(recording_id)
        with on_disk(recording_id, self.address):
            self._present(recording_id)
            there = [path for path in paths if path.exists()]
            for path in there:
                path.unlink(missing_ok=True)
            if there:
                flush(there[0].parent)
        return bool(there)

    def sweep(self, before: float) -> int:
        """See `Storage.sweep`."""
        with on_disk("left parts", self.address):
            self._present("left parts")
            stale = [path for path in self._directory.glob(f"??/.*{PART}") if _older(path, before)]
            for path in stale:
                path.unlink(missing_ok=True)
        return len(stale)

    def probe(self) -> None:
        """See `Storage.probe`. Always the same file, so that no probe leaves litter."""
        try:
            self._present("the library")
            _create(self._directory / PROBE, b"A recording could be written now.\n")
            flush(self._directory / PROBE)
            disk = os.statvfs(self._directory)
        except OSError as error:
            raise unavailable("the library", self.address, error) from error
        free = disk.f_bavail * disk.f_frsize
        if free < self._enough_bytes:
            reason = f"only {free >> 20} MiB are free, and {self._enough_bytes >> 20} MiB are wanted"
            raise LibraryUnavailable(f"the library {self.address}", reason, FREE_SPACE)

    def waiting(self) -> list[str]:
        """See `Storage.waiting`: on a disk nothing waits, it is kept or it is not."""
        return []

    def deliver(self, recording_id: str) -> Record:
        """See `Storage.deliver`."""
        raise missing(recording_id)

    def ids(self) -> list[str]:
        """Every recording there is, in the order of their ids."""
        with on_disk("recordings", self.address):
            self._present("recordings")
            return sorted(path.stem for path in self._directory.glob("??/[!.]*.json"))

    def _record(self, recording_id: str) -> Path:
        return self._directory / record_place_of(recording_id)

    def _present(self, name: str) -> None:
        """Raises `LibraryUnavailable` when the directory has lost its mark, or an `OSError` when it is not there."""
        try:
            (self._directory / MARK).stat()
        except FileNotFoundError as error:
            reason = f"{self.address} is not there or not the library (no {MARK} in it)"
            mend = "mount its volume or bring the directory back; then it goes on by itself"
            raise LibraryUnavailable(name, reason, mend) from error


def _create(path: Path, content: bytes) -> None:
    """Write a small file that only the engine can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if os.write(handle, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False
