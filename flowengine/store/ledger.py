"""The ledger: balances of an account, what is held of them, and transfers that are made once and never changed.

Functions take a session of `Database.writing`; the caller opens the transaction and so decides what belongs together.
What is done by `perform` locks its balances first, in one order for everybody, and knows nothing from before the
lock: so a floor holds and a key is used once under any concurrency. A caller who performs twice in one transaction
names all its balances in the first `lock`, or uses `transact`, which does the work again after a deadlock.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.events import Instant
from flowengine.store import books
from flowengine.store.books import (
    NO_DETAILS,
    Balance,
    Books,
    Capture,
    Entry,
    Extend,
    Held,
    Operation,
    Place,
    Posted,
    Release,
    Result,
)
from flowengine.store.database import Database
from flowengine.store.errors import KeyReused, NotEnough, NotStored
from flowengine.store.ledger_rows import BALANCE, lock_balances, read_entries, read_holds, write_changes
from flowengine.store.tables import Hold, LedgerAccount, Transfer
from flowengine.store.upsert import inserting

AGAIN: Final = frozenset({"40001", "40P01"})
"""PostgreSQL: a serialization failure, a deadlock. Nothing is stored then, and doing it all again is right."""
TRIES: Final = 8
PAUSE_S: Final = 0.02
"""The longest pause before the second try; it doubles, and chance parts those who met."""

T = TypeVar("T")


class Difference(NamedTuple):
    """A balance that is not what its transfers and holds say: the books are wrong, and a person must look."""

    name: str
    balance: int
    derived: int
    held: int
    derived_held: int


async def open_account(session: AsyncSession, account: str, name: str, unit: str, floor: int | None) -> bool:
    """Open a balance of 0; False when it is open already. Raises ValueError when it has another unit or floor."""
    values = {
        "account_id": account,
        "name": name,
        "unit": unit,
        "balance": 0,
        "held": 0,
        "floor": floor,
        "told": 0,
    }
    statement = inserting(session.get_bind().dialect.name, LedgerAccount).values(values)
    made = await session.scalar(
        statement.on_conflict_do_nothing(index_elements=["account_id", "name"]).returning(LedgerAccount.name)
    )
    found = await balance(session, account, name)
    if (found.unit, found.floor) != (unit, floor):
        raise ValueError(
            f"{name} of {account} is open with unit {found.unit} and floor {found.floor}: not with {unit}, {floor}"
        )
    return made is not None


async def perform(session: AsyncSession, operations: Sequence[Operation]) -> list[Result]:
    """Do operations one after the other, of any accounts, and give the result of each. What is refused is left out.

    Raises:
        NotStored: an account has no such balance.
        ValueError: an amount is no amount, or the balances of an entry have different units.
    """
    known = Books(await lock(session, books.places(operations)))
    known.entries = await read_entries(session, books.entry_keys(operations))
    known.holds = await read_holds(session, books.hold_keys(operations))
    stored = frozenset(known.holds)
    results = [known.do(each) for each in operations]
    await write_changes(session, known, stored)
    return results


async def lock(session: AsyncSession, places: Iterable[Place]) -> dict[Place, Balance]:
    """Lock balances until the transaction ends, and read them."""
    return await lock_balances(session, places)


async def transfer(
    session: AsyncSession,
    account: str,
    key: str,
    kind: str,
    from_name: str,
    to_name: str,
    amount: int,
    at: Instant,
    call: str | None = None,
    details: Mapping[str, Any] = NO_DETAILS,
) -> Posted:
    """Move an amount, once for this key; `Posted.new` says whether it was now.

    Raises:
        NotEnough: the balance would go below its floor.
        KeyReused: the key stands for another transfer.
    """
    (done,) = await perform(
        session, [Entry(account, key, kind, from_name, to_name, amount, at, call, details)]
    )
    return _posted(done)


async def hold(
    session: AsyncSession,
    account: str,
    name: str,
    key: str,
    amount: int,
    owner: str,
    at: Instant,
    call: str | None = None,
) -> bool:
    """Promise an amount of a balance; False when there is not so much. A key that is held stays held, once."""
    (done,) = await perform(session, [books.Hold(account, name, key, amount, owner, at, call)])
    return isinstance(done, Held)


async def extend(session: AsyncSession, account: str, name: str, key: str, amount: int) -> int:
    """Let a hold grow to `amount` in all, or as far as the balance goes; what is held now, 0: there is no such hold."""
    (done,) = await perform(session, [Extend(account, name, key, amount)])
    return done.amount if isinstance(done, Held) else 0


async def release(session: AsyncSession, account: str, name: str, key: str) -> int:
    """Give back what is held; how much that was, 0 when it was given back or settled before."""
    (done,) = await perform(session, [Release(account, name, key)])
    return done.amount if isinstance(done, Held) else 0


async def capture(session: AsyncSession, key: str, entry: Entry) -> Posted:
    """Settle the hold `key` by an entry from the same balance. Raises as `transfer` does; the hold stays then."""
    (done,) = await perform(session, [Capture(key, entry)])
    return _posted(done)


async def balance(session: AsyncSession, account: str, name: str) -> Balance:
    """Read a balance without locking it. Raises `NotStored`."""
    where = (LedgerAccount.account_id == account, LedgerAccount.name == name)
    row = (await session.execute(select(*BALANCE).where(*where))).one_or_none()
    if row is None:
        raise NotStored(f"account {account} has no balance {name}: open it first")
    return Balance(*row[2:])


async def balances(session: AsyncSession, account: str) -> dict[str, Balance]:
    """All balances of an account by name."""
    rows = await session.execute(select(*BALANCE).where(LedgerAccount.account_id == account))
    return {row[1]: Balance(*row[2:]) for row in rows}


async def remember_told(session: AsyncSession, account: str, name: str, mark: int) -> None:
    """Note the last mark of a balance that admins were told of. Lock the balance before."""
    where = (LedgerAccount.account_id == account, LedgerAccount.name == name)
    await session.execute(update(LedgerAccount).where(*where).values(told=mark))


async def derive(session: AsyncSession, account: str) -> list[Difference]:
    """Reckon every balance of an account anew from its transfers and holds; the list of differences should be empty."""
    ins = await _sums(session, account, Transfer.to_name, Transfer.amount)
    outs = await _sums(session, account, Transfer.from_name, Transfer.amount)
    held = await _sums(session, account, Hold.name, Hold.amount)
    found = []
    for name, stored in sorted((await balances(session, account)).items()):
        derived, derived_held = ins.get(name, 0) - outs.get(name, 0), held.get(name, 0)
        if (stored.balance, stored.held) != (derived, derived_held):
            found.append(Difference(name, stored.balance, derived, stored.held, derived_held))
    return found


async def transact(database: Database, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Do work in a transaction of its own, and all of it again when the database had to break it off."""
    for attempt in range(1, TRIES):
        try:
            async with database.writing() as session:
                return await work(session)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in AGAIN:
                raise
        await asyncio.sleep(random.uniform(0, PAUSE_S * 2**attempt))  # noqa: S311 - nothing secret
    async with database.writing() as session:
        return await work(session)


def _posted(done: Result) -> Posted:
    if isinstance(done, NotEnough | KeyReused):
        raise done
    assert isinstance(done, Posted)
    return done


async def _sums(session: AsyncSession, account: str, name: Any, amount: Any) -> dict[str, int]:
    table = name.class_
    rows = await session.execute(
        select(name, func.sum(amount)).where(table.account_id == account).group_by(name)
    )
    return {row[0]: int(row[1]) for row in rows}
