"""A whole engine, put together for one process: database, prompts, desk, switch, health, and a clean end.

This is the only file that knows every part. Each part is opened as a context, so whatever fails on the way, the
parts opened before are closed again.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from flowengine import sip_accounts
from flowengine.alarms import Alarms
from flowengine.ari.devices import LineSettings
from flowengine.ari.errors import AriError
from flowengine.ari.settings import AriSettings
from flowengine.ari.switch import AriSwitch
from flowengine.beside import beside
from flowengine.call.events import SECOND, Instant
from flowengine.clock import SystemClock
from flowengine.config import Settings
from flowengine.health import serve_health
from flowengine.live.client import new_token, remember_engine
from flowengine.live.http import LiveRoutes
from flowengine.live.picture import LivePicture
from flowengine.metering.meter import CallMeter
from flowengine.prepaid import prepaid_by
from flowengine.prompting import Prompting
from flowengine.recorded import Recorded, recorded_by
from flowengine.resuming import alive
from flowengine.resuming.taking_back import EarlierCalls
from flowengine.routing.agents import Agent, Wish
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
        opening = _Opening(settings, stack)
        await opening.engine_of_its_own(watch)
        await opening.what_calls_need(heard, progress)
        await opening.what_calls_leave()
        await opening.switch_on(ari)
        yield await opening.at_work()


class _Opening:
    """The parts of an engine, opened one after another; what is opened first is closed last."""

    def __init__(self, settings: Settings, stack: contextlib.AsyncExitStack) -> None:
        self.settings = settings
        self.stack = stack
        self.clock = SystemClock()
        self.alarms = Alarms()
        self.meter: CallMeter | None = None
        self.renewed: Callable[[], None] = lambda: None
        """Told of each new catalogue: whoever keeps the SIP accounts."""

    async def engine_of_its_own(self, watch: Watch | None) -> None:
        """The database, the journal, and an engine that has nobody to talk to yet."""
        settings, enter = self.settings, self.stack.enter_async_context
        self.database = await enter(open_database(settings.database, exclusive=True))
        await _prepare(self.database)
        self.journal = await enter(DatabaseJournal(self.database, settings.ari_app))
        self.engine = Engine(
            journal=self.journal,
            clock=self.clock,
            new_call_id=lambda: new_id("cal"),
            country=settings.country,
        )
        self.picture = picture_of(self.engine, watch)
        # The only engine of an embedded database takes all open calls for its own.
        owner = None if self.database.is_sqlite else settings.ari_app
        self.earlier = EarlierCalls(
            self.engine, self.database, self.journal, owner, settings.data_dir / alive.FILE
        )
        await self.earlier.read()

    async def what_calls_need(self, heard: dict[str, str] | None, progress: Progress | None) -> None:
        """The catalogue, the desk and the sounds."""
        settings, engine, clock = self.settings, self.engine, self.clock
        self.prompting = Prompting(settings, engine.running_flows, heard)
        self.news = catalogs.watch(self.database)
        catalog = await anext(self.news)
        desk = await self.stack.enter_async_context(
            desk_of(self.database, engine, catalog, self.picture, settings.ari_app)
        )
        self.desk = engine.desk = desk
        await self.earlier.close_lost(desk)
        engine.on_reachable = lambda endpoint, there: desk.reachable(endpoint, there, clock.now())
        await self.prompting.renew(catalog, progress)
        engine.catalog = catalog

    async def what_calls_leave(self) -> None:
        """Recordings and, where calls are paid for, charges."""
        settings, engine, enter = self.settings, self.engine, self.stack.enter_async_context
        self.recorded = await enter(recorded_by(engine, settings, self.database, self.alarms))
        if settings.billing == "prepaid":
            self.meter = await enter(prepaid_by(engine, settings, self.database, self.alarms))

    async def switch_on(self, ari: AriSettings) -> None:
        """The switch, health and the live picture; from here on calls come in."""
        settings, engine, enter = self.settings, self.engine, self.stack.enter_async_context
        self.switch = engine.switch = AriSwitch(ari, engine, self._media, self.clock)
        if settings.switch == "asterisk":
            line = LineSettings(
                media_address=settings.sip_media_address, check_every_s=settings.sip_check_every_s
            )
            self.renewed = await enter(sip_accounts.keeping(self.database, self.switch, line))
        token = new_token()
        routes = (
            LiveRoutes(self.picture, self._wish, engine, self.alarms, token),
            SoundRoutes(self.prompting.prompts.directory),
        )
        self.address = await enter(serve_health(settings, engine, self.switch, self.alarms, *routes))
        self.stack.enter_context(remember_engine(settings, self.address, token))
        self.earlier.tell(self.switch)
        await enter(self.switch)
        self.stack.push_async_callback(_drain, engine, settings.drain_s)
        await enter(self.earlier.going_on(self.switch))
        client = self.switch.client
        with contextlib.suppress(AriError):
            await client.wait_ready(FIRST_CONNECT_S)
        if not client.ready:
            log.warning("switch not ready yet, still trying", problem=client.problem)

    async def at_work(self) -> Installation:
        """What goes on beside calls; the engine is open."""
        if waiting := await self.recorded.intake.resume():
            log.info("recordings of an earlier engine fetched", recordings=waiting)
        work = beside(_follow(self.news, self._renew), self.prompting.sweep_hourly())
        await self.stack.enter_async_context(work)
        return Installation(
            self.settings,
            self.database,
            self.engine,
            self.switch,
            self.desk,
            self.prompting.prompts,
            self.recorded,
            self.alarms,
            self.picture,
            self.address,
        )

    async def _renew(self, catalog: Catalog) -> None:
        try:
            await self.prompting.renew(catalog)
        except Exception:
            log.exception("prompts not made, the catalogue is taken over without them")
        if self.meter is not None:
            try:
                await self.meter.renew()
            except Exception:
                log.exception("rates and terms not renewed, the old ones hold")
        self.engine.catalog = catalog
        self.picture.renewed(catalog)
        self.desk.renew(catalog, self.clock.now())
        self.renewed()

    def _wish(self, account: str, user: str, wish: Wish) -> Agent:
        return self.desk.wish(account, user, wish, self.clock.now())

    def _media(self, call: str, sound: str) -> str | None:
        published = self.engine.published(call)
        return None if published is None else self.prompting.media(published.account, sound)


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


async def _follow(news: AsyncIterator[Catalog], renew: Callable[[Catalog], Awaitable[None]]) -> None:
    """Take over each new catalogue; one that cannot be taken over leaves the last."""
    async for catalog in news:
        try:
            await renew(catalog)
        except Exception:
            log.exception("catalogue not renewed")
        else:
            log.info("catalogue renewed", numbers=len(catalog.numbers))


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
