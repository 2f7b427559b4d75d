"""An account for tests of the desk in the database; its users come from the catalogue alone."""

from flowengine.store import tables
from flowengine.store.database import Database
from tests.routing.desk_contract import ACCOUNT


async def add_account(database: Database, account: str = ACCOUNT) -> None:
    async with database.writing() as session:
        session.add(
            tables.Account(
                id=account,
                key=account,
                name="Demo",
                country="JP",
                language="en-US",
                time_zone="Asia/Tokyo",
                currency="JPY",
            )
        )
