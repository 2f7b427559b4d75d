"""The rows of the ledger: balances locked and read, keys looked up, and a batch written in few statements.

All of them are used by `ledger.perform` within one transaction, in the order in which they stand here.
"""

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import Dialect, Select, Table, bindparam, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.compiler import SQLCompiler

from flowengine.store.books import Balance, Books, Entry, Held, HoldKey, Place
from flowengine.store.ids import new_ids
from flowengine.store.keyed import by_keys, find
from flowengine.store.tables import Hold, LedgerAccount, Transfer

BALANCE: Final = tuple(
    getattr(LedgerAccount, name)
    for name in ("account_id", "name", "unit", "balance", "held", "floor", "told")
)
"""Account and name, then what `Balance` is made of."""
_ENTRY: Final = (
    "account_id",
    "key",
    "kind",
    "from_name",
    "to_name",
    "amount",
    "at",
    "call_id",
    "details",
)
_HOLD: Final = ("account_id", "name", "key", "amount", "owner", "at", "call_id")

_ACCOUNTS, _HOLDS = LedgerAccount.__table__, Hold.__table__
assert isinstance(_ACCOUNTS, Table)
assert isinstance(_HOLDS, Table)
_THIS_ACCOUNT = (_ACCOUNTS.c.account_id == bindparam("a"), _ACCOUNTS.c.name == bindparam("n"))
_THIS_HOLD = (
    _HOLDS.c.account_id == bindparam("a"),
    _HOLDS.c.name == bindparam("n"),
    _HOLDS.c.key == bindparam("k"),
)
_SET_BALANCE = (
    update(_ACCOUNTS).where(*_THIS_ACCOUNT).values(balance=bindparam("balance"), held=bindparam("held"))
)
_SET_HOLD = update(_HOLDS).where(*_THIS_HOLD).values(amount=bindparam("amount"))
_END_HOLD = delete(_HOLDS).where(*_THIS_HOLD)
_json = msgspec.json.Encoder(enc_hook=dict).encode


async def lock_balances(session: AsyncSession, places: Iterable[Place]) -> dict[Place, Balance]:
    """Lock balances until the transaction ends, in one order for everybody, and read them."""
    rows = await find(session, _locking(session.get_bind().dialect.name), sorted(set(places)))
    return {(row[0], row[1]): Balance(*row[2:]) for row in rows}


async def read_entries(session: AsyncSession, keys: Collection[Place]) -> dict[Place, Entry]:
    """The entries that stand under these keys."""
    if not keys:
        return {}
    rows = await find(session, _entries(session.get_bind().dialect.name), list(keys))
    return {(row[0], row[1]): Entry(*row) for row in rows}


async def read_holds(session: AsyncSession, keys: Collection[HoldKey]) -> dict[HoldKey, Held]:
    """What is held under these keys."""
    if not keys:
        return {}
    rows = await find(session, _held(session.get_bind().dialect.name), list(keys))
    return {(row[0], row[1], row[2]): Held(*row[3:]) for row in rows}


@cache
def _locking(dialect: str) -> Select[*tuple[Any, ...]]:
    rows = by_keys(dialect, BALANCE, (LedgerAccount.account_id, LedgerAccount.name))
    ordered = rows.order_by(LedgerAccount.account_id, LedgerAccount.name)
    return ordered.with_for_update(key_share=True, of=LedgerAccount)


@cache
def _entries(dialect: str) -> Select[*tuple[Any, ...]]:
    columns = [getattr(Transfer, name) for name in _ENTRY]
    return by_keys(dialect, columns, (Transfer.account_id, Transfer.key))


@cache
def _held(dialect: str) -> Select[*tuple[Any, ...]]:
    columns = [getattr(Hold, name) for name in _HOLD]
    return by_keys(dialect, columns, (Hold.account_id, Hold.name, Hold.key))


async def write_changes(session: AsyncSession, known: Books, stored: frozenset[HoldKey]) -> None:
    """Write what a batch has changed; `stored` are the holds that were there before it."""
    connection = await session.connection()
    holds = known.holds
    changed = sorted(known.rewritten)
    if gone := [key for key in changed if key in stored and key not in holds]:
        await connection.execute(_END_HOLD, [{"a": a, "n": n, "k": k} for a, n, k in gone])
    if grown := [key for key in changed if key in stored and key in holds]:
        await connection.execute(
            _SET_HOLD, [{"a": a, "n": n, "k": k, "amount": holds[a, n, k].amount} for a, n, k in grown]
        )
    if made := [key for key in changed if key not in stored and key in holds]:
        await connection.execute(
            insert(Hold), [dict(zip(_HOLD, (*key, *holds[key]), strict=True)) for key in made]
        )
    if known.new:
        rows = [
            (id, *entry[:-1], _json(entry.details).decode())
            for id, entry in zip(new_ids("trf", len(known.new)), known.new, strict=True)
        ]
        await connection.exec_driver_sql(_inserting(connection.dialect), rows)
    if known.touched:
        found = [(place, known.balances[place]) for place in sorted(known.touched)]
        await connection.execute(
            _SET_BALANCE, [{"a": a, "n": n, "balance": b.balance, "held": b.held} for (a, n), b in found]
        )


@cache
def _inserting(dialect: Dialect) -> str:
    """The insertion of transfers as the driver takes it: most of a batch is this, and values need no second look."""
    compiled = insert(Transfer).compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup == ["id", *_ENTRY], "rows are in the order of the columns"
    return str(compiled)
