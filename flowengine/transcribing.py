"""Messages written down while an engine runs: one after another, the newest first, behind the calls.

What writes down is a program of the operator's choice (`transcribe_command`); without one nothing happens. It gets a
copy of the sound, so the library is safe from it. A message it fails on is tried again later and given up after
`MOST_TRIES`, until the engine is started anew; a program that fails on one message after another is left alone for ever
longer, and an alarm says so. Neither the words nor what a program complains about is logged.

Admins are told of a message when it is there and not when it is written down: a program may take minutes. A second
notification, `voicemail_transcript`, says that the text can be read. It does not carry the text, which would outlive
the recording there.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog

from flowengine.alarms import Alarms
from flowengine.beside import beside
from flowengine.call.events import SECOND, Instant
from flowengine.config import Settings
from flowengine.ports import Clock
from flowengine.store import recording_lists, transcripts
from flowengine.store.database import Database
from flowengine.store.notifications import notify
from flowengine.store.transcripts import Untold
from recordings.errors import LibraryUnavailable, SoundError
from recordings.library import RecordingLibrary
from recordings.transcribe import CommandTranscriber, Transcriber

log = structlog.get_logger(__name__)

ALARM: Final = "transcription"
POLL_S: Final = 5.0
MOST_TRIES: Final = 4
FIRST_REST_S: Final = 60
"""How long a message is left after its first failure; twice as long after the next."""
IN_A_ROW: Final = 3
"""So many messages in a row that failed are the program's fault, and an alarm."""
LONGEST_PAUSE_S: Final = 600.0


class Transcription:
    """Writes messages down.

    Args:
        owner: the name of this engine; each writes down what was left on its own switch.
    """

    def __init__(
        self,
        database: Database,
        library: RecordingLibrary,
        transcriber: Transcriber,
        owner: str,
        clock: Clock,
        alarms: Alarms,
    ) -> None:
        self._database = database
        self._library = library
        self._transcriber = transcriber
        self._owner = owner
        self._clock = clock
        self._alarms = alarms
        self._tries: dict[str, int] = {}
        """How often each message has failed that is not written down."""
        self._due: dict[str, Instant] = {}
        """When to try it again; those that were given up have no such time."""
        self._failed = 0
        """Messages that failed in a row."""

    @property
    def pause_s(self) -> float:
        """How long to wait before the next message is looked for, when none was written down."""
        return min(POLL_S * (1 << min(self._failed, 20)), LONGEST_PAUSE_S)

    async def write_next(self) -> bool:
        """Write the newest message down that waits; whether one was. Raises when the database or library fails."""
        now = self._clock.now()
        resting = [id for id in self._tries if self._due.get(id, now + 1) > now]
        async with self._database.reading() as session:
            message = await transcripts.next_untold(session, self._owner, resting)
        if message is None:
            return False
        try:
            text = await self._text(message)
        except LibraryUnavailable:
            raise
        except SoundError as error:
            self._note_failure(message, error)
            return False
        await self._write(message, text)
        self._tries.pop(message.id, None)
        self._due.pop(message.id, None)
        self._failed = 0
        self._alarms.clear(ALARM)
        return True

    async def run(self) -> None:
        """Write down for ever."""
        while True:
            try:
                wrote = await self.write_next()
            except LibraryUnavailable:
                wrote = False  # the watch on the library raises the alarm
            except Exception:
                log.exception("messages not written down, tried again")
                wrote = False
            await asyncio.sleep(0.0 if wrote else self.pause_s)

    async def _text(self, message: Untold) -> str:
        with tempfile.TemporaryDirectory(prefix="flowengine-transcribe-") as folder:
            copy = Path(folder) / "message.wav"
            with copy.open("wb") as file:
                async for piece in await self._library.read(message.library_id):
                    await asyncio.to_thread(file.write, piece)
            return await self._transcriber.transcribe(copy, message.language)

    async def _write(self, message: Untold, text: str) -> None:
        async with self._database.writing() as session:
            new = await transcripts.write_transcript(session, message.account, message.id, text)
            if new and text:
                found = await recording_lists.find(session, message.account, message.id)
                data = {
                    "recording": found.id,
                    "call": found.call,
                    "caller": found.caller,
                    "number": found.number,
                    "user": found.user,
                    "duration_ms": found.duration_ms,
                }
                key = f"voicemail_transcript:{found.id}"
                await notify(session, message.account, key, "voicemail_transcript", self._clock.now(), data)
        log.info("message written down", recording=message.id, understood=bool(text))

    def _note_failure(self, message: Untold, error: SoundError) -> None:
        tries = self._tries[message.id] = self._tries.get(message.id, 0) + 1
        self._due.pop(message.id, None)
        known = {"recording": message.id, "problem": error.reason}
        if tries < MOST_TRIES:
            self._due[message.id] = self._clock.now() + (FIRST_REST_S << (tries - 1)) * SECOND
            log.warning("message not written down, tried again", **known)
        else:
            log.error("message not written down, given up", **known)
        self._failed += 1
        if self._failed >= IN_A_ROW:
            self._alarms.raise_(ALARM, f"messages are not written down: {error}")


@contextlib.asynccontextmanager
async def transcribing(
    database: Database, library: RecordingLibrary, settings: Settings, clock: Clock, alarms: Alarms
) -> AsyncIterator[None]:
    """Write messages down while the context is open, when the settings name a program for it."""
    if not settings.transcribe_command:
        yield
        return
    transcriber = CommandTranscriber(settings.transcribe_command)
    work = Transcription(database, library, transcriber, settings.ari_app, clock, alarms)
    async with beside(work.run()):
        yield
