"""What is kept of calls, put together for one engine: room, library, retention, notices, and a watch on the volume."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import structlog

from flowengine.alarms import Alarms
from flowengine.beside import beside
from flowengine.config import Settings
from flowengine.intake import Intake
from flowengine.keeping import LibraryKeeper
from flowengine.runtime import Engine
from flowengine.storage.notices import Notices, notify_by
from flowengine.storage.plan import StoragePlan
from flowengine.storage.retention import Retention
from flowengine.storage.watch import looking_after
from flowengine.store.database import Database
from flowengine.transcribing import transcribing
from recordings.errors import LibraryUnavailable, SoundError
from recordings.library import RecordingLibrary

log = structlog.get_logger(__name__)

ALARM: Final = "recordings_library"
LOOK_S: Final = 2.9
"""How often the library is tried; a volume that is gone is told within this and the 2 s a try may take."""
SWEEP_S: Final = 3_600.0
"""How often parts of recordings are looked for that a crash left behind."""


@dataclass(frozen=True)
class Recorded:
    """The recordings of an installation and who looks after them."""

    library: RecordingLibrary
    plan: StoragePlan
    retention: Retention
    intake: Intake


@contextlib.asynccontextmanager
async def recorded_by(
    engine: Engine, settings: Settings, database: Database, alarms: Alarms
) -> AsyncIterator[Recorded]:
    """Give an engine its storage, and look after it while the context is open.

    Enter it when the calls of an earlier engine are closed. Raises `RecordingRefused` when there can be no library.
    """
    clock = engine.clock
    library = await asyncio.to_thread(RecordingLibrary.at, settings.recordings, settings.recordings_dir)
    plan = StoragePlan(database, settings.ari_app, clock, engine.happened, lambda call: call in engine.calls)
    keeper = LibraryKeeper(database, library, plan, settings.ari_app, clock)
    intake = Intake(engine, plan, keeper, alarms)
    engine.storage = intake
    retention = Retention(database, library, clock)
    notices = Notices(database, notify_by(settings.notify_command), clock)
    async with (
        looking_after(plan, retention, notices, clock),
        transcribing(database, library, settings, clock, alarms),
        beside(watch_library(library, alarms), sweep_library(library)),
    ):
        yield Recorded(library, plan, retention, intake)


async def watch_library(library: RecordingLibrary, alarms: Alarms) -> None:
    """Try the library for ever: an alarm while it cannot be written, and what waits in its spool delivered after."""
    while True:
        try:
            await library.check()
            if ALARM in alarms.standing or await library.waiting():
                for id in await library.retry():
                    log.info("recording delivered from the spool", recording=id)
            alarms.clear(ALARM)
        except LibraryUnavailable as error:
            alarms.raise_(ALARM, str(error))
        except SoundError as error:
            log.error("the library was not looked after", problem=str(error))
        await asyncio.sleep(LOOK_S)


async def sweep_library(library: RecordingLibrary) -> None:
    """Delete, for ever, what crashes left of recordings on their way; never a sound."""
    while True:
        try:
            if parts := await asyncio.to_thread(library.sweep):
                log.info("parts of recordings swept", parts=parts)
        except SoundError as error:
            log.warning("parts of recordings not swept", problem=str(error))
        await asyncio.sleep(SWEEP_S)
