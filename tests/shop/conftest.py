"""The databases of the store's tests, and a shop in them."""

from collections.abc import AsyncIterator

import pytest

from flowengine.store import ledger
from flowengine.store.database import Database
from tests.shop.world import Shop, open_shop
from tests.store.conftest import database, postgres, postgres_url, sqlite_template, sqlite_url, url

__all__ = ["database", "postgres", "postgres_url", "shop", "sqlite_template", "sqlite_url", "url"]


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """A shop with one account; at the end of each test its books must agree."""
    opened = await open_shop(database)
    yield opened
    async with database.reading() as session:
        assert await ledger.derive(session, opened.account) == []
        found = await ledger.balances(session, opened.account)
        assert sum(each.balance for each in found.values() if each.unit == "credit") == 0
        assert sum(each.held for each in found.values() if each.unit == "credit") == 0
