"""Applying an account file: its sounds are made first, so that no caller ever waits for one."""

from pathlib import Path

from flowengine.config import Settings
from flowengine.store.accounts import Plan, apply_file
from flowengine.store.database import open_database
from flowengine.store.migrate import check_schema, upgrade
from recordings.prompts import Progress, PromptLibrary
from recordings.speech import EspeakSpeech


async def apply_account(
    settings: Settings,
    file: Path,
    *,
    prune: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Plan, make the sounds of everything published, apply. A dry run plans only, even in a new database.

    Raises:
        AccountRefused: the file cannot come true; nothing was changed.
        SoundsUnavailable: a sound of a published flow cannot be made; nothing was changed.
        StoreError: the database cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_database(settings.database) as database:
        if database.is_sqlite:
            await upgrade(database)
        async with database.reading() as session:
            await check_schema(session)
        read, plan = await apply_file(database, file, prune=prune, dry_run=True)
        if dry_run:
            return plan
        prompts = PromptLibrary(
            settings.prompts_dir.resolve(), EspeakSpeech(), settings.audio_dir or read.folder
        )
        await prompts.render_all(plan.sounds, progress)
        _, plan = await apply_file(database, file, prune=prune)
        return plan
