"""A clock and a library for tests of storage."""

from flowengine.call.events import Instant
from recordings.errors import LibraryUnavailable


class Hands:
    """A clock that is set by hand."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at


class Shelf:
    """A library that knows which sounds it has, and may fail."""

    def __init__(self) -> None:
        self.sounds: set[str] = set()
        self.fails: dict[str, Exception] = {}
        self.is_gone = False

    async def delete(self, recording_id: str) -> bool:
        if self.is_gone:
            raise LibraryUnavailable(recording_id, "the volume is gone", "mount it")
        if recording_id in self.fails:
            raise self.fails[recording_id]
        found = recording_id in self.sounds
        self.sounds.discard(recording_id)
        return found
