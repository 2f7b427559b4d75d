"""What `flowengine serve` does: a switch, an engine on it, and for the demo a company with somebody who calls it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog

from flowengine import demo
from flowengine.ari.settings import AriSettings
from flowengine.config import Settings
from flowengine.dialling import remember_switch
from flowengine.publishing import apply_account
from flowengine.serve import Installation, ari_settings, opened, stop_signals
from flowengine.store.catalog import load_catalog
from flowengine.store.database import open_database
from flowengine.store.migrate import upgrade
from simulator.fake_ari import FakeAri

log = structlog.get_logger(__name__)


@dataclass
class Ears:
    """Sound keys by the media URI under which they were played, so that simulated callers hear words."""

    sounds: dict[str, str] = field(default_factory=dict)

    def __call__(self, media: str) -> str:
        """What a telephone hears."""
        return self.sounds.get(media, media)


async def serve_plain(settings: Settings) -> None:
    """Run the engine until told to stop."""
    async with contextlib.AsyncExitStack() as stack:
        told = stack.enter_context(stop_signals())
        ears = Ears()
        if settings.switch == "embedded":
            ari, world = await stack.enter_async_context(embedded(settings, ears))
            for endpoint in await _endpoints(settings):
                world.add_phone(endpoint)
        else:
            ari = ari_settings(settings)
        here = await stack.enter_async_context(opened(settings, ari, heard=ears.sounds))
        log.info(
            "serving", switch=settings.switch, health=here.address, numbers=len(here.engine.catalog.numbers)
        )
        log.info("stopping", told_by=await told)


async def serve_demo(settings: Settings, *, once: bool) -> None:
    """Set the demo company up, let people call it before everybody's eyes, and go on serving."""
    settings = settings.model_copy(update={"country": settings.country or demo.COUNTRY})
    await apply_account(settings, demo.account_file())
    show = demo.Stage(settings)
    async with contextlib.AsyncExitStack() as stack:
        told = stack.enter_context(stop_signals())
        ears = Ears()
        if settings.switch == "embedded":
            ari, world = await stack.enter_async_context(embedded(settings, ears))
            play = demo.embedded(world)
        else:
            ari, play = await stack.enter_async_context(demo.on_asterisk(settings))
        here: Installation = await stack.enter_async_context(
            opened(settings, ari, watch=show.watch, heard=ears.sounds)
        )
        playing = asyncio.ensure_future(show.run(here, play))
        await asyncio.wait((playing, told), return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        else:
            await playing
        if not once:
            if not told.done():
                show.invite(here)
            await told
            demo.say("stopping; running calls may end")


@contextlib.asynccontextmanager
async def embedded(settings: Settings, ears: Ears) -> AsyncIterator[tuple[AriSettings, FakeAri]]:
    """The simulated telephone world, served as ARI on loopback with a password of this run."""
    password = secrets.token_urlsafe(24)
    async with FakeAri(
        user=settings.ari_user, password=password, app=settings.ari_app, heard_as=ears
    ) as world:
        with remember_switch(settings, world.url, settings.ari_user, password):
            yield (
                AriSettings(
                    app=settings.ari_app, username=settings.ari_user, password=password, url=world.url
                ),
                world,
            )


async def _endpoints(settings: Settings) -> list[str]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_database(settings.database) as database:
        if database.is_sqlite:
            await upgrade(database)
        async with database.reading() as session:
            catalog = await load_catalog(session)
    return [end for users in catalog.users.values() for user in users.values() for end in user.endpoints]
