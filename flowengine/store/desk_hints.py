"""Hints from PostgreSQL that a turn waits for this engine. Hints alone: who polls misses nothing without them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.store.database import Database
from flowengine.store.desk_outbox import CHANNEL

CONNECT_S: Final = 5.0
"""The longest that listening may take to begin or to end, in seconds."""


class Hints:
    """Listens with a connection of its own and calls `hint` for each hint to `owner`. Hears nothing on SQLite."""

    def __init__(self, database: Database, owner: str, hint: Callable[[], None]) -> None:
        self._database = database
        self._owner = owner
        self._hint = hint
        self._connection: AsyncConnection | None = None
        self._driver: Any = None

    async def listen(self) -> None:
        """Listen, unless that is so already. A database that is away is no failure here: call this again later."""
        if self._database.is_sqlite or (self._driver is not None and not self._driver.is_closed()):
            return
        await self.stop()
        try:
            async with asyncio.timeout(CONNECT_S):
                self._connection = await self._database.engine.connect()
                self._driver = (await self._connection.get_raw_connection()).driver_connection
                await self._driver.add_listener(CHANNEL, self._heard)
        except Exception:  # of SQLAlchemy, or of the driver itself
            await self.stop()

    async def stop(self) -> None:
        """Give the connection up."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is None:
            return
        with suppress(Exception):  # it may be broken already
            async with asyncio.timeout(CONNECT_S):
                await connection.invalidate()  # not back to the pool: it listens
                await connection.close()

    def _heard(self, _connection: object, _pid: int, _channel: str, owner: object) -> None:
        if owner == self._owner:
            self._hint()
