"""Rows by a list of keys, found by index and by a statement whose text is the same for every list.

The list goes to the database as one JSON text. A list of values in the statement would be a new statement for each
length, and SQLite reads the whole table for `(a, b) IN (VALUES ...)`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

KEYS = "keys"


def by_keys(
    dialect: str, columns: Sequence[InstrumentedAttribute[Any]], keys: Sequence[InstrumentedAttribute[Any]]
) -> Select[*tuple[Any, ...]]:
    """Select `columns` of the rows whose `keys` are in the list; build it once, and run it with `find`.

    On SQLite this is an outer join, so that its planner goes from the list to the table. What stands in the condition
    leaves keys out that are not there, and is a function because a plain comparison would make it an inner join again.
    """
    wanted: FromClause
    parts: list[ColumnElement[Any]]
    if dialect == "sqlite":
        wanted = func.json_each(bindparam(KEYS)).table_valued("value", name="wanted")
        parts = [func.json_extract(wanted.c.value, literal_column(f"'$[{n}]'")) for n in range(len(keys))]
    else:
        wanted = func.jsonb_array_elements(cast(bindparam(KEYS), JSONB)).table_valued("value", name="wanted")
        parts = [wanted.c.value.op("->>")(literal_column(str(n))) for n in range(len(keys))]
    table = keys[0].class_.__table__
    condition = parts[0] == keys[0]
    for part, key in zip(parts[1:], keys[1:], strict=True):
        condition &= part == key
    if dialect != "sqlite":
        return select(*columns).select_from(wanted.join(table, condition))
    return (
        select(*columns)
        .select_from(wanted.join(table, condition, isouter=True))
        .where(func.typeof(keys[0]) != literal_column("'null'"))
    )


async def find(
    session: AsyncSession, statement: Select[*tuple[Any, ...]], keys: Sequence[Sequence[str]]
) -> list[Any]:
    """Run a statement of `by_keys`; its rows, in no order of their own unless it says one."""
    rows = await session.execute(statement, {KEYS: msgspec.json.encode(keys).decode()})
    return list(rows)
