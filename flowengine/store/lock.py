"""One engine on one SQLite file: a lock beside the database, held as long as the process lives.

The kernel drops the lock when its holder dies, however it dies, so there is no stale lock to clean up. The file
itself stays: deleting it would let two processes hold locks on two files of one name.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowengine.store.errors import DatabaseInUse, DatabaseRefused


@contextmanager
def engine_lock(database: Path) -> Iterator[None]:
    """Hold `<database>.lock`; raises `DatabaseInUse` naming the process which holds it already."""
    path = database.with_name(database.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseRefused(
            f"cannot make {path}: {error.strerror}: let this user write to the folder"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise DatabaseInUse(
                f"another engine (process {holder}) works on {database}: stop it, or give this one a database of"
                " its own"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
