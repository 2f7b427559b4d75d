"""The desk in the database keeps the contract of desks, on both databases."""

from collections.abc import AsyncIterator

import pytest

from flowengine.store.database import Database
from flowengine.store.desk import DatabaseDesk
from tests.routing.desk_contract import DeskContract, Floor, catalog
from tests.store.desk_floor import add_account


class TestDatabaseDesk(DeskContract):
    @pytest.fixture
    async def floor(self, database: Database) -> AsyncIterator[Floor]:
        await add_account(database)
        made = Floor()
        async with DatabaseDesk(database, made.outlets(), catalog(), "engine-1") as desk:
            await desk.settled()
            made.desk, made.settle = desk, desk.settled
            yield made
