"""The rows of the ledger: balances locked and read, keys looked up, and a batch written in few statements.

All of them are used by `ledger.perform` within one transaction, in the order in which they stand here.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

from sqlalchemy import Table, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store.books import Balance, Books, Entry, Held, HoldKey, Place
from flowengine.store.ids import new_id
from flowengine.store.tables import Hold, LedgerAccount, Transfer

CHUNK: Final = 400
"""How many keys a statement names; a database takes some thousands of variables in one."""

T = TypeVar("T")

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


async def lock_balances(session: AsyncSession, places: Iterable[Place]) -> dict[Place, Balance]:
    """Lock balances until the transaction ends, in one order for everybody, and read them."""
    found: dict[Place, Balance] = {}
    for chunk in _chunks(sorted(set(places))):
        rows = await session.execute(
            select(*BALANCE)
            .where(tuple_(LedgerAccount.account_id, LedgerAccount.name).in_(chunk))
            .order_by(LedgerAccount.account_id, LedgerAccount.name)
            .with_for_update(key_share=True)
        )
        found |= {(row[0], row[1]): Balance(*row[2:]) for row in rows}
    return found


async def read_entries(session: AsyncSession, keys: Iterable[Place]) -> dict[Place, Entry]:
    """The entries that stand under these keys."""
    found: dict[Place, Entry] = {}
    columns = [getattr(Transfer, name) for name in _ENTRY]
    for chunk in _chunks(keys):
        where = tuple_(Transfer.account_id, Transfer.key).in_(chunk)
        found |= {
            (row[0], row[1]): Entry(*row) for row in await session.execute(select(*columns).where(where))
        }
    return found


async def read_holds(session: AsyncSession, keys: Iterable[HoldKey]) -> dict[HoldKey, Held]:
    """What is held under these keys."""
    found: dict[HoldKey, Held] = {}
    columns = [getattr(Hold, name) for name in _HOLD]
    for chunk in _chunks(keys):
        where = tuple_(Hold.account_id, Hold.name, Hold.key).in_(chunk)
        rows = await session.execute(select(*columns).where(where))
        found |= {(row[0], row[1], row[2]): Held(*row[3:]) for row in rows}
    return found


async def write_changes(session: AsyncSession, known: Books, stored: frozenset[HoldKey]) -> None:
    """Write what a batch has changed; `stored` are the holds that were there before it."""
    connection = await session.connection()
    holds = known.holds
    changed = sorted(known.rewritten)
    if gone := [key for key in changed if key in stored and key not in holds]:
        await connection.execute(_END_HOLD, [{"a": a, "n": n, "k": k} for a, n, k in gone])
    if grown := [key for key in changed if key in stored and key in holds]:
        rows = [{"a": a, "n": n, "k": k, "amount": holds[a, n, k].amount} for a, n, k in grown]
        await connection.execute(_SET_HOLD, rows)
    if made := [key for key in changed if key not in stored and key in holds]:
        await connection.execute(
            insert(Hold), [dict(zip(_HOLD, (*key, *holds[key]), strict=True)) for key in made]
        )
    if known.new:
        plain = (entry._replace(details=dict(entry.details)) for entry in known.new)
        await connection.execute(
            insert(Transfer),
            [{"id": new_id("trf"), **dict(zip(_ENTRY, each, strict=True))} for each in plain],
        )
    if known.touched:
        found = [(place, known.balances[place]) for place in sorted(known.touched)]
        await connection.execute(
            _SET_BALANCE, [{"a": a, "n": n, "balance": b.balance, "held": b.held} for (a, n), b in found]
        )


def _chunks(keys: Iterable[T]) -> list[list[T]]:
    every = list(keys)
    return [every[start : start + CHUNK] for start in range(0, len(every), CHUNK)]
