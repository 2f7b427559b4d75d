"""Room for recordings, in the ledger: three balances in milliseconds that add up to 0.

| balance | what |
| --- | --- |
| `storage` | room that is left: the plan without what is stored. What is held of it are recordings in the making |
| `storage.stored` | what is stored; never below 0 |
| `storage.plan` | where room comes from: the plan, as a debt |

`storage` has no floor, since a smaller plan may leave less room than is stored, and since what was recorded while the
database could not be asked counts all the same; but nothing is held of it beyond 0. Recordings that are there when
the balances are opened are counted then.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.plans import storage_plan
from flowengine.call.events import Instant
from flowengine.store import ledger
from flowengine.store.books import (
    Capture,
    Entry,
    Extend,
    Held,
    Hold,
    Operation,
    Posted,
    Release,
    Result,
)
from flowengine.store.errors import NotStored
from flowengine.store.notifications import notify
from flowengine.store.tables import Account, Call, LedgerAccount, Recording, Transfer
from flowengine.store.tables import Hold as HoldRow

ROOM: Final = "storage"
STORED: Final = "storage.stored"
PLAN: Final = "storage.plan"
MARKS: Final = (80, 95, 100)
"""Per cent of the plan at which admins are told (product rules, section 1)."""

T = TypeVar("T")


class Usage(NamedTuple):
    """How full a plan is, in milliseconds. `held` is promised to recordings in the making, beside what is stored."""

    plan_ms: int
    stored_ms: int
    held_ms: int

    @property
    def left_ms(self) -> int:
        """What a new recording could have; negative when more is stored than the plan allows."""
        return self.plan_ms - self.stored_ms - self.held_ms

    @property
    def percent(self) -> int:
        """What is stored of the plan, rounded down."""
        return self.stored_ms * 100 // self.plan_ms

    @property
    def mark(self) -> int:
        """The highest of `MARKS` that is reached; 0: none."""
        return max((mark for mark in MARKS if self.percent >= mark), default=0)


async def open_rooms(session: AsyncSession, account: str, at: Instant) -> None:
    """Open the balances of an account by its plan, with the recordings it has; harmless when they are open.

    Raises:
        NotStored: there is no such account.
    """
    is_open = select(LedgerAccount.name).where(
        LedgerAccount.account_id == account, LedgerAccount.name == ROOM
    )
    if await session.scalar(is_open) is not None:
        return
    code = await _plan_of(session, account)
    opened = [
        await ledger.open_account(session, account, name, "ms", floor)
        for name, floor in ((ROOM, None), (PLAN, None), (STORED, 0))
    ]
    if not all(opened):
        return
    kept = await session.execute(
        select(Recording.id, Recording.call_id, Recording.duration_ms)
        .where(Recording.account_id == account, Recording.status == "kept", Recording.duration_ms > 0)
        .order_by(Recording.id)
    )
    first = Entry(account, "plan:0", "plan", PLAN, ROOM, storage_plan(code).room_ms, at, None, {"plan": code})
    await ledger.perform(session, [first, *(_kept(account, call, id, ms, at) for id, call, ms in kept)])
    await _tell_rise(session, account, first.key, at)


async def hold_room(
    session: AsyncSession, account: str, call: str, recording: str, ms: int, owner: str, at: Instant
) -> Held | None:
    """Find room for a recording; None when there is not so much, and admins are told. What is held stays held."""
    hold = Hold(account, ROOM, _key(call, recording), ms, owner, at, call)
    (done,) = await _opened(session, account, at, lambda: ledger.perform(session, [hold]))
    if isinstance(done, Held):
        return done
    await used_up(session, account, call, recording, at)
    return None


async def extend_rooms(session: AsyncSession, wanted: Sequence[tuple[str, str, str, int]]) -> list[int]:
    """Let holds (account, call, recording) grow to so many milliseconds, or as far as the plans go; what they are now.

    0: there is no such hold any more.
    """
    operations: list[Operation] = [
        Extend(account, ROOM, _key(call, rec), ms) for account, call, rec, ms in wanted
    ]
    return [
        each.amount if isinstance(each, Held) else 0 for each in await ledger.perform(session, operations)
    ]


async def release_rooms(session: AsyncSession, left: Sequence[tuple[str, str, str]]) -> int:
    """Give the room of recordings (account, call, recording) back; how many had some."""
    given_back = [Release(account, ROOM, _key(call, recording)) for account, call, recording in left]
    return sum(each is not None for each in await ledger.perform(session, given_back))


async def settle_room(
    session: AsyncSession, account: str, call: str, recording: str, id: str, duration_ms: int, at: Instant
) -> None:
    """Count a kept recording, exactly once, and give back what was held beyond its length."""
    if duration_ms <= 0:
        await release_rooms(session, [(account, call, recording)])
        return
    settle = Capture(_key(call, recording), _kept(account, call, id, duration_ms, at))
    (done,) = await _opened(session, account, at, lambda: ledger.perform(session, [settle]))
    if _posted(done).new:
        await _tell_rise(session, account, f"kept:{id}", at)


async def free_rooms(
    session: AsyncSession, account: str, deleted: Sequence[tuple[str, str, int]], by: str, at: Instant
) -> None:
    """Give back the room of deleted recordings (id, call, milliseconds), each exactly once.

    Open the balances before the rows are marked (`open_rooms`), or they are opened without these recordings.
    """
    entries = [
        Entry(account, f"deleted:{id}", "deleted", STORED, ROOM, ms, at, call, {"recording": id, "by": by})
        for id, call, ms in deleted
        if ms > 0
    ]
    done = await ledger.perform(session, entries)
    if [each for each in done if _posted(each).new]:
        await _arm_again(session, account)


async def set_plan(session: AsyncSession, account: str, code: str, at: Instant) -> Usage:
    """Put an account on another storage plan, at once; the same plan changes nothing.

    A smaller plan keeps every recording, and leaves no room until enough of them are deleted. Fees are booked by the
    caller, in the same transaction.

    Raises:
        BadPlan: there is no such plan.
        NotStored: there is no such account.
    """
    plan = storage_plan(code)
    await open_rooms(session, account, at)
    locked = await ledger.lock(session, [(account, name) for name in (ROOM, STORED, PLAN)])
    more = plan.room_ms + locked[account, PLAN].balance
    await session.execute(update(Account).where(Account.id == account).values(storage_plan=code))
    if more:
        number = await _plan_changes(session, account)
        source, target = (PLAN, ROOM) if more > 0 else (ROOM, PLAN)
        await ledger.transfer(
            session, account, f"plan:{number}", "plan", source, target, abs(more), at, None, {"plan": code}
        )
        if more > 0:
            await _arm_again(session, account)
        else:
            await _tell_rise(session, account, f"plan:{number}", at)
    return await usage(session, account)


async def left_over(session: AsyncSession, owner: str, over_before: Instant) -> list[tuple[str, str, str]]:
    """Holds that nobody will settle, as (account, call, recording): their call is over, and nothing is expected of it.

    Those of the engine `owner`, which has only just started, at once; those of other engines when the call was over
    at `over_before`, for they may be about to note what is expected.
    """
    expected = exists().where(
        Recording.call_id == HoldRow.call_id,
        Recording.status == "expected",
        HoldRow.key == Recording.call_id + ":" + Recording.short_id,
    )
    rows = await session.execute(
        select(HoldRow.account_id, HoldRow.key)
        .outerjoin(Call, Call.id == HoldRow.call_id)
        .where(
            HoldRow.name == ROOM,
            ~expected,
            or_(
                and_(HoldRow.owner == owner, or_(Call.id.is_(None), Call.disposition.is_not(None))),
                and_(HoldRow.at <= over_before, or_(Call.id.is_(None), Call.ended_at <= over_before)),
            ),
        )
        .order_by(HoldRow.account_id, HoldRow.key)
    )
    return [(account, *_parted(key)) for account, key in rows]


async def usage(session: AsyncSession, account: str) -> Usage:
    """How full the plan of an account is; from its recordings, when the ledger has not been needed yet.

    Raises:
        NotStored: there is no such account.
    """
    found = await ledger.balances(session, account)
    if ROOM in found:
        return Usage(-found[PLAN].balance, found[STORED].balance, found[ROOM].held)
    plan_ms = storage_plan(await _plan_of(session, account)).room_ms
    where = (Recording.account_id == account, Recording.status == "kept")
    stored_ms = await session.scalar(select(func.coalesce(func.sum(Recording.duration_ms), 0)).where(*where))
    return Usage(plan_ms, int(stored_ms or 0), 0)


async def used_up(session: AsyncSession, account: str, call: str, recording: str, at: Instant) -> None:
    """Tell admins, once until room is made, that something is not recorded, or not on, for want of room.

    A plan is hardly ever full to the millisecond: this is when its quota is reached.
    """
    await _tell(session, account, MARKS[-1], f"{call}:{recording}", at)


def _key(call: str, recording: str) -> str:
    return f"{call}:{recording}"


def _parted(key: str) -> tuple[str, str]:
    call, _, recording = key.partition(":")
    return call, recording


def _kept(account: str, call: str, id: str, duration_ms: int, at: Instant) -> Entry:
    return Entry(account, f"kept:{id}", "kept", ROOM, STORED, duration_ms, at, call, {"recording": id})


def _posted(done: Result) -> Posted:
    if isinstance(done, Exception):
        raise done
    assert isinstance(done, Posted)
    return done


async def _opened(session: AsyncSession, account: str, at: Instant, work: Callable[[], Awaitable[T]]) -> T:
    """Do work; the balances it needs are opened when this is the first of an account."""
    try:
        return await work()
    except NotStored:
        await open_rooms(session, account, at)
        return await work()


async def _plan_of(session: AsyncSession, account: str) -> str:
    code = await session.scalar(select(Account.storage_plan).where(Account.id == account))
    if code is None:
        raise NotStored(f"there is no account {account}")
    return code


async def _plan_changes(session: AsyncSession, account: str) -> int:
    where = (Transfer.account_id == account, Transfer.kind == "plan")
    return await session.scalar(select(func.count()).select_from(Transfer).where(*where)) or 0


async def _tell_rise(session: AsyncSession, account: str, because: str, at: Instant) -> None:
    mark = (await usage(session, account)).mark
    if mark:
        await _tell(session, account, mark, because, at)


async def _tell(session: AsyncSession, account: str, mark: int, because: str, at: Instant) -> None:
    """Tell each mark up to this one that was not told since the balance last fell below it.

    What is stored counts, not what is held: most of what is held comes back, for a message holds its whole limit.
    """
    told = (await ledger.lock(session, [(account, ROOM)]))[account, ROOM].told
    if told >= mark:
        return
    found = await usage(session, account)
    for each in MARKS:
        if told < each <= mark:
            data = {**found._asdict(), "percent": found.percent, "mark": each}
            await notify(session, account, f"storage_{each}:{because}", f"storage_{each}", at, data)
    await ledger.remember_told(session, account, ROOM, mark)


async def _arm_again(session: AsyncSession, account: str) -> None:
    """Room was made: what was told and does not hold any more will be told again."""
    told = (await ledger.lock(session, [(account, ROOM)]))[account, ROOM].told
    mark = (await usage(session, account)).mark
    if mark < told:
        await ledger.remember_told(session, account, ROOM, mark)
