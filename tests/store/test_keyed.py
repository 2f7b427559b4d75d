"""Rows by a list of keys: those that are there and no others. That they are found by index: test_ledger."""

from flowengine.store.database import Database
from flowengine.store.keyed import by_keys, find
from flowengine.store.tables import Account
from tests.store.seed import seed


async def test_only_what_is_there_comes_back(database: Database) -> None:
    account = (await seed(database)).account
    columns = (Account.id, Account.country)
    statement = by_keys("sqlite" if database.is_sqlite else "postgresql", columns, columns)
    async with database.reading() as session:
        found = await find(session, statement, [("acc_nobody", "JP"), (account, "JP"), (account, "XX")])
        assert [tuple(row) for row in found] == [(account, "JP")]
        assert await find(session, statement, []) == []
