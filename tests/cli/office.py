"""A data folder with two companies, their recordings and the sounds of those, as an engine leaves it."""

import asyncio
import shutil
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import update

from flowengine.call.commands import KeepRecording
from flowengine.call.events import SECOND
from flowengine.config import Settings
from flowengine.store import recordings, rooms
from flowengine.store.database import Database, open_database
from flowengine.store.tables import Recording
from recordings.library import RecordingLibrary
from tests.recordings.sounds import wav_file
from tests.store.kept import ENGINE, add_call
from tests.store.seed import NOON, Seed, seed


class Office:
    """What a test works with; `of` and `other` are the seeded accounts `demo` and `other`."""

    def __init__(self, folder: Path, template: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, folder / "flowengine.db")
        self.folder = folder
        self.settings = Settings.model_validate({"data_dir": folder})
        self.library = RecordingLibrary(self.settings.recordings_dir)
        self._calls = 0
        self.of, self.other = self.do(self._companies)

    def do(self, work: Any) -> Any:
        """Run `work(database)`."""

        async def run() -> Any:
            async with open_database(self.settings.database) as database:
                return await work(database)

        return asyncio.run(run())

    def record(
        self,
        of: Seed | None = None,
        *,
        ms: int = 1_000,
        purpose: Literal["voicemail", "talk"] = "voicemail",
        user: str = "hanako",
        minutes: int = 0,
    ) -> str:
        """A recording that is kept, made `minutes` after `NOON`; its id."""
        return str(
            self.do(lambda database: self._record(database, of or self.of, ms, purpose, user, minutes))
        )

    def sound(self, id: str) -> Path:
        """Where the library has the sound of a recording."""

        async def find(database: Database) -> str:
            async with database.reading() as session:
                row = await session.get_one(Recording, id)
                return recordings.library_id(row.call_id, row.short_id)

        return self.library.path(str(self.do(find)))

    def change(self, table: Any, id: str, **values: Any) -> None:
        """Write into a row behind everybody's back."""

        async def write(database: Database) -> None:
            async with database.writing() as session:
                await session.execute(update(table).where(table.id == id).values(**values))

        self.do(write)

    @staticmethod
    async def _companies(database: Database) -> tuple[Seed, Seed]:
        return await seed(database), await seed(database, "other", "+815055550199")

    async def _record(
        self,
        database: Database,
        of: Seed,
        ms: int,
        purpose: Literal["voicemail", "talk"],
        user: str,
        minutes: int,
    ) -> str:
        self._calls += 1
        at = NOON + minutes * 60 * SECOND
        call = await add_call(database, of, f"cal_{self._calls}", at)
        source = self.folder / "source.wav"
        wav_file(source, bytes([self._calls, 0]) * 8 * ms)
        kept = await self.library.keep(f"{call}-rec-1", source)
        command = KeepRecording("rec-1", purpose, "message", ms, 0, user)
        measured = recordings.Measured(kept.place, kept.bytes, kept.sha256, kept.duration_ms, True)
        async with database.writing() as session:
            await recordings.expect_recording(session, of.account, call, command, ENGINE, at)
            marked = await recordings.mark_kept(session, of.account, call, "rec-1", measured)
            await rooms.settle_room(session, of.account, call, "rec-1", marked.id, marked.duration_ms, at)
        return marked.id
