"""A whole engine, put together for one process: database, prompts, desk, switch, health, and a clean end.

This is the only file that knows every part. Each part is opened as a context, so whatever fails on the way, the
parts opened before are closed again.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final

import structlog

from flowengine import sip_accounts
from flowengine.alarms import Alarms
from flowengine.ari.devices import LineSettings
from flowengine.ari.errors import AriError
from flowengine.ari.settings import AriSettings
from flowengine.ari.switch import AriSwitch
from flowengine.call.events import SECOND, Instant
from flowengine.clock import SystemClock
from flowengine.config import Settings
from flowengine.health import serve_health
from flowengine.left_over import close_left_over
from flowengine.live.client import new_token, remember_engine
from flowengine.live.http import LiveRoutes
from flowengine.live.picture import LivePicture
from flowengine.metering.opened import metering
from flowengine.prompting import Prompting
from flowengine.recorded import Recorded, recorded_by
from flowengine.routing.desk import Outlets
from flowengine.routing.directory import Catalog
from flowengine.runtime import Engine, Watch, several
from flowengine.sounds_http import SoundRoutes
from flowengine.store import catalog as catalogs
from flowengine.store.database import Database, open_database
from flowengine.store.desk import DatabaseDesk
from flowengine.store.ids import new_id
from flowengine.store.journal import DatabaseJournal
from flowengine.store.migrate import check_schema, upgrade
from recordings.prompts import Progress, PromptLibrary

log = structlog.get_logger(__name__)

FIRST_CONNECT_S: Final = 10.0
"""How long the start waits for the switch before it goes on without; the connection is retried for ever."""


@dataclass
class Installation:
    """A running engine and what it is made of."""

    settings: Settings
    database: Database
    engine: Engine
    switch: AriSwitch
    desk: DatabaseDesk
    prompts: PromptLibrary
    recorded: Recorded
    alarms: Alarms
    picture: LivePicture
    address: str
    """Where health is told, such as http://127.0.0.1:8080."""


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    ari: AriSettings,
    *,
    watch: Watch | None = None,
    progress: Progress | None = None,
    heard: dict[str, str] | None = None,
) -> AsyncIterator[Installation]:
    """Open an engine on one switch; it takes calls until the context is left, which drains it first.

    Args:
        settings: of this installation.
        ari: how to reach the switch.
        watch: sees every step of every call.
        progress: told how many prompts are made.
        heard: gets the sound key of each media URI that is played.

    Raises:
        StoreError: the database cannot be used.
        SoundError, RecordingRefused: the folders for sounds cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database, exclusive=True))
        await _prepare(database)
        journal = await stack.enter_async_context(DatabaseJournal(database))
        clock = SystemClock()
        engine = Engine(
            journal=journal, clock=clock, new_call_id=lambda: new_id("cal"), country=settings.country
        )
        alarms = Alarms()
        picture = picture_of(engine, watch)
        prompting = Prompting(settings, engine.running_flows, heard)
        news = catalogs.watch(database)
        catalog = await anext(news)
        desk = await stack.enter_async_context(desk_of(database, engine, catalog, picture, settings.ari_app))
        engine.desk = desk
        if database.is_sqlite:  # on PostgreSQL they may be another engine's
            await close_left_over(database, journal, desk, clock)
        recorded = await stack.enter_async_context(recorded_by(engine, settings, database, alarms))
        meter = None
        if settings.billing == "prepaid":
            meter = await stack.enter_async_context(
                metering(database, settings.ari_app, clock, engine.happened, alarms)
            )
            engine.meter = meter
        engine.on_reachable = lambda endpoint, there: desk.reachable(endpoint, there, clock.now())
        await prompting.renew(catalog, progress)
        engine.catalog = catalog
        switch = AriSwitch(ari, engine, lambda call, sound: _media(engine, prompting, call, sound), clock)
        engine.switch = switch
        renewed: Callable[[], None] = lambda: None  # noqa: E731
        if settings.switch == "asterisk":
            line = LineSettings(
                media_address=settings.sip_media_address, check_every_s=settings.sip_check_every_s
            )
            renewed = await stack.enter_async_context(sip_accounts.keeping(database, switch, line))
        token = new_token()
        live = LiveRoutes(
            picture, lambda account, user, wish: desk.wish(account, user, wish, clock.now()), token
        )
        sounds = SoundRoutes(prompting.prompts.directory)
        address = await stack.enter_async_context(
            serve_health(settings, engine, switch, alarms, live, sounds)
        )
        stack.enter_context(remember_engine(settings, address, token))
        await stack.enter_async_context(switch)
        stack.push_async_callback(_drain, engine, settings.drain_s)
        with contextlib.suppress(AriError):
            await switch.client.wait_ready(FIRST_CONNECT_S)
        if not switch.client.ready:
            log.warning("switch not ready yet, still trying", problem=switch.client.problem)
        if waiting := await recorded.intake.resume():
            log.info("recordings of an earlier engine fetched", recordings=waiting)

        async def renew(catalog: Catalog) -> None:
            try:
                await prompting.renew(catalog)
            except Exception:
                log.exception("prompts not made, the catalogue is taken over without them")
            if meter is not None:
                await meter.renew()
            engine.catalog = catalog
            picture.renewed(catalog)
            desk.renew(catalog, clock.now())
            renewed()

        await stack.enter_async_context(
            _background(catalogue=_follow(news, renew), sounds=prompting.sweep_hourly())
        )
        yield Installation(
            settings, database, engine, switch, desk, prompting.prompts, recorded, alarms, picture, address
        )


def picture_of(engine: Engine, watch: Watch | None = None) -> LivePicture:
    """A live picture of this engine, told everything from now on; `watch` goes on seeing every step."""
    picture = LivePicture(engine.clock.now, engine.published)
    engine.watch = several(watch, picture.watch)
    engine.on_over = picture.call_over
    engine.on_refused = picture.refused
    return picture


@contextlib.asynccontextmanager
async def desk_of(
    database: Database, engine: Engine, catalog: Catalog, picture: LivePicture, owner: str
) -> AsyncIterator[DatabaseDesk]:
    """The desk in the database, which speaks to this engine and is woken when a lease runs out."""
    loop = asyncio.get_running_loop()
    alarms: set[asyncio.TimerHandle] = set()

    def wake_at(at: Instant) -> None:
        def due() -> None:
            alarms.discard(alarm)
            desk.tick(engine.clock.now())

        alarm = loop.call_later(max(0, at - engine.clock.now()) / SECOND, due)
        alarms.add(alarm)

    picture.renewed(catalog)
    outlets = Outlets(
        engine.happened, wake_at, picture.agent_changed, picture.line_changed, picture.line_left
    )
    try:
        async with DatabaseDesk(database, outlets, catalog, owner) as desk:
            yield desk
    finally:
        for alarm in alarms:
            alarm.cancel()


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Future[str]]:
    """Take SIGTERM and SIGINT over for as long as the context is open; the future gets the name of the first."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()

    def tell(name: str) -> None:
        if not told.done():
            told.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell, number.name)
    try:
        yield told
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _prepare(database: Database) -> None:
    """A new or embedded database is brought up to date here; a PostgreSQL is the operator's to upgrade."""
    if database.is_sqlite:
        await upgrade(database)
    async with database.reading() as session:
        await check_schema(session)


def _media(engine: Engine, prompting: Prompting, call: str, sound: str) -> str | None:
    published = engine.published(call)
    return None if published is None else prompting.media(published.account, sound)


async def _follow(news: AsyncIterator[Catalog], renew: Callable[[Catalog], Awaitable[None]]) -> None:
    """Take over each new catalogue; one that cannot be taken over leaves the last."""
    async for catalog in news:
        try:
            await renew(catalog)
        except Exception:
            log.exception("catalogue not renewed")
        else:
            log.info("catalogue renewed", numbers=len(catalog.numbers))


@contextlib.asynccontextmanager
async def _background(**work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these, by name, for as long as the context is open."""
    tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(engine: Engine, within_s: float) -> None:
    if engine.calls:
        log.info("draining", calls=len(engine.calls), within_s=within_s)
    left = await engine.drain(within_s)
    if left:
        log.warning("calls left on the switch", calls=left)


def ari_settings(settings: Settings) -> AriSettings:
    """How to reach the operator's Asterisk. Raises ValueError naming the setting."""
    password = settings.ari_password.get_secret_value()
    if not password:
        raise ValueError(
            "FLOWENGINE_ARI_PASSWORD is not set: give the password of the user in Asterisk's ari.conf"
        )
    return AriSettings(
        app=settings.ari_app, username=settings.ari_user, password=password, url=settings.ari_url
    )
