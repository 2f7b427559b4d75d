"""Insert rows, or bring those that are there up to date: a statement each database spells in its own dialect."""

from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from flowengine.store.tables import Base

Row = type[Base]


def inserting(dialect: str, table: Row) -> sqlite.Insert | postgresql.Insert:
    """Give an INSERT that can be told what to do about rows that are there."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _upserting(dialect: str, table: Row) -> sqlite.Insert | postgresql.Insert:
    """Insert rows, or bring those that are there up to date. Kept, for it takes longer to make than to run."""
    columns = table.__table__
    assert isinstance(columns, Table)
    statement = inserting(dialect, table)
    keys = [column.name for column in columns.primary_key]
    others = {
        column.name: statement.excluded[column.name] for column in columns.columns if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


async def upsert(connection: AsyncConnection, table: Row, rows: list[dict[str, Any]]) -> None:
    """Insert or update rows by their primary key; no rows are no statement."""
    if rows:
        await connection.execute(
            _upserting(connection.dialect.name, table), rows if len(rows) > 1 else rows[0]
        )
