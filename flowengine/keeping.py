"""Recordings kept: the sound in the library, the row about it in the database, each step safe to repeat."""

from collections.abc import AsyncIterator
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.commands import KeepRecording
from flowengine.clock import SystemClock
from flowengine.intake import Expected, Lost, Unusable
from flowengine.ports import Clock
from flowengine.store import recording_lists
from flowengine.store import recordings as rows
from flowengine.store.database import Database
from flowengine.store.ledger import transact
from flowengine.store.notifications import notify
from recordings.errors import BadAudio, NoSound
from recordings.library import Kept, RecordingLibrary


class Counted(Protocol):
    """Whoever counts what is stored: the storage plan."""

    def finished(self, call: str, recording: str) -> None:
        """A recording has ended, and waits to be kept: it needs no more room."""

    async def stored(
        self, session: AsyncSession, account: str, call: str, recording: str, id: str, duration_ms: int
    ) -> None:
        """A recording is safely kept: settle its room, exactly once, in the transaction that marks it kept."""


class LibraryKeeper:
    """The `Keeper` of an engine: expected first, then the sound, then the row and its count in one transaction.

    A crash between any two of these steps is mended by doing them again: the library takes the same sound twice, and
    the row is marked and counted once. What admins are told of it is told in the same transaction.
    """

    def __init__(
        self,
        database: Database,
        library: RecordingLibrary,
        counted: Counted,
        owner: str,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._library = library
        self._counted = counted
        self._owner = owner
        self._clock = clock or SystemClock()

    async def expect(self, account: str, call: str, command: KeepRecording) -> None:
        """See `Keeper.expect`."""
        self._counted.finished(call, command.recording)
        now = self._clock.now()
        async with self._database.writing() as session:
            await rows.expect_recording(session, account, call, command, self._owner, now)

    async def keep(
        self, account: str, call: str, command: KeepRecording, sound: AsyncIterator[bytes]
    ) -> None:
        """See `Keeper.keep`. Raises `Lost` for what holds no sound, `Unusable` for what is broken off or no WAV."""
        sound_id = rows.library_id(call, command.recording)
        try:
            kept = await self._library.keep(sound_id, sound, int(command.limit_s * 1000) or None)
        except NoSound as error:
            raise Lost(str(error)) from error
        except BadAudio as error:
            raise Unusable(str(error)) from error
        await self._mark(account, call, command, kept)

    async def lose(self, account: str, call: str, command: KeepRecording, reason: str) -> None:
        """See `Keeper.lose`."""

        async def work(session: AsyncSession) -> None:
            id = await rows.lose_recording(session, account, call, command.recording, reason)
            if id is not None:
                await self._tell(session, account, "recording_lost", id)

        await transact(self._database, work)

    async def expected(self) -> list[Expected]:
        """See `Keeper.expected`."""
        async with self._database.reading() as session:
            return [Expected(*each) for each in await rows.expected_recordings(session, self._owner)]

    async def _mark(self, account: str, call: str, command: KeepRecording, kept: Kept) -> None:
        measured = rows.Measured(
            path=kept.place,
            size_bytes=kept.bytes,
            sha256=kept.sha256,
            duration_ms=kept.duration_ms,
            complete=kept.complete,
        )

        async def work(session: AsyncSession) -> None:
            marked = await rows.mark_kept(session, account, call, command.recording, measured)
            if marked.status != "kept":
                return
            await self._counted.stored(
                session, account, call, command.recording, marked.id, marked.duration_ms
            )
            if marked.new and marked.purpose == "voicemail":
                await self._tell(session, account, "voicemail", marked.id)

        await transact(self._database, work)

    async def _tell(self, session: AsyncSession, account: str, kind: str, id: str) -> None:
        """Tell admins of a recording. The row may hold a caller's number; what is logged of it must not."""
        found = await recording_lists.find(session, account, id)
        data = {
            "recording": found.id,
            "call": found.call,
            "caller": found.caller,
            "number": found.number,
            "user": found.user,
            "state": found.state,
            "purpose": found.purpose,
            "duration_ms": found.duration_ms,
            "problem": found.problem,
        }
        await notify(session, account, f"{kind}:{id}", kind, self._clock.now(), data)
