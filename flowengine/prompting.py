"""The sounds an engine plays: made before they are needed, looked up while calls run, swept when nobody wants them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from flowengine.config import Settings
from flowengine.routing.directory import Catalog, PublishedFlow
from flowengine.sounds import AccountAudios, media_of, open_prompts, sounds_of, wanted
from recordings.errors import SoundsUnavailable
from recordings.prompts import Progress
from recordings.shelf import Shelf

log = structlog.get_logger(__name__)

SWEEP_S: Final = 3_600.0


class Prompting:
    """The prompts and uploads of an engine.

    Args:
        settings: of this installation.
        running: the flows of the calls that run now, whose sounds stay.
        heard: gets the sound key of each media URI that is played.

    Raises:
        SoundError: the folders cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        running: Callable[[], Iterable[PublishedFlow]] = tuple,
        heard: dict[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._running = running
        self._heard = heard
        self._shelf = Shelf(settings.uploads_dir)
        self._audios = AccountAudios(self._shelf)
        self._catalog = Catalog()
        self.prompts = open_prompts(settings, self._audios)

    async def renew(self, catalog: Catalog, progress: Progress | None = None) -> None:
        """Make every sound a call in this catalogue may need; what cannot be made is told, and fails when played.

        Calls hear what they heard before until all is made: a sound that was replaced is never missing.
        """
        coming = AccountAudios(self._shelf, catalog.audios)
        await self.prompts.refresh()
        missing = [each for each in wanted(catalog) if self.prompts.lookup(each[1], each[0], coming) is None]
        try:
            await self.prompts.render_all(missing, progress, audios=coming)
        except SoundsUnavailable as error:
            for failure in error.failures.values():
                log.error("a sound of a published flow cannot be made", problem=str(failure))
        finally:
            self._audios.known = catalog.audios
            self._catalog = catalog

    def media(self, account: str, sound: str) -> str | None:
        """The media URI of a sound key in an account; None when there is no such sound. Touches memory only."""
        rendered = self.prompts.lookup(sound, account)
        if rendered is None:
            return None
        media = media_of(rendered, self._settings)
        if self._heard is not None:
            self._heard[media] = sound
        return media

    async def sweep_hourly(self) -> None:
        """Delete, for ever, what no flow and no account wants any more, a day after it was last of use."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                catalog = self._catalog
                in_calls = [pair for each in self._running() for pair in sounds_of(each.account, [each.flow])]
                sounds = await self.prompts.sweep([*wanted(catalog), *in_calls])
                known = {sha256 for of in catalog.audios.values() for sha256 in of.values()}
                uploads = await asyncio.to_thread(self._shelf.sweep, known)
                if sounds or uploads:
                    log.info("sounds swept", sounds=sounds, uploads=uploads)
            except Exception:
                log.exception("sounds not swept")
