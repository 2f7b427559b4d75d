"""Recordings kept: the sound in the library, the row about it in the database, each step safe to repeat."""

from collections.abc import AsyncIterator
from typing import Protocol

from flowengine.call.commands import KeepRecording
from flowengine.intake import Expected, Lost
from flowengine.store import recordings as rows
from flowengine.store.database import Database
from recordings.errors import NoSound
from recordings.library import Kept, RecordingLibrary


class Counted(Protocol):
    """Whoever counts what is stored: the storage plan."""

    async def stored(self, account: str, call: str, recording: str, id: str, duration_ms: int) -> None:
        """A recording is safely kept: settle its room, exactly once."""
        ...


class LibraryKeeper:
    """The `Keeper` of an engine: expected first, then the sound, then the row, then the count.

    A crash between any two of these steps is mended by doing them again: the library takes the same sound twice,
    the row is marked kept once, and the plan counts a recording once.
    """

    def __init__(self, database: Database, library: RecordingLibrary, counted: Counted, owner: str) -> None:
        self._database = database
        self._library = library
        self._counted = counted
        self._owner = owner

    async def expect(self, account: str, call: str, command: KeepRecording) -> None:
        """See `Keeper.expect`."""
        async with self._database.writing() as session:
            await rows.expect_recording(session, account, call, command, self._owner)

    async def keep(
        self, account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        """See `Keeper.keep`. Raises `Lost` for what is no sound and will not become one."""
        try:
            kept = await self._library.keep(
                f"{call}-{command.recording}", sound, int(command.limit_s * 1000) or None
            )
        except NoSound as error:
            raise Lost(str(error)) from error
        await self._mark(account, call, command, kept)

    async def lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        """See `Keeper.lose`."""
        async with self._database.writing() as session:
            await rows.lose_recording(session, account, call, command.recording, reason)

    async def expected(self) -> list[Expected]:
        """See `Keeper.expected`."""
        async with self._database.reading() as session:
            return [Expected(*each) for each in await rows.expected_recordings(session, self._owner)]

    async def _mark(self, account: str, call: str, command: KeepRecording, kept: Kept) -> None:
        async with self._database.writing() as session:
            id = await rows.mark_kept(
                session,
                account,
                call,
                command.recording,
                rows.Measured(
                    path=str(kept.path.relative_to(kept.path.parents[1])),
                    size_bytes=kept.bytes,
                    sha256=kept.sha256,
                    duration_ms=kept.duration_ms,
                    complete=kept.complete,
                ),
            )
        await self._counted.stored(account, call, command.recording, id, kept.duration_ms)
