"""Monthly fees: charged once for each month, and what becomes of those the balance cannot pay.

What is due is a function of `began_at` and now (`flowengine.billing.periods`): a service that was away for months
charges each month that is missing, in order, and each once, under the key `fee:<subscription>:<month>`. Entries are
dated when they are made, so that no statement of an earlier month ever changes.

| | number | storage plan |
| --- | --- | --- |
| a month that cannot be paid | arrears, admins are told, everything goes on | the same |
| after `GRACE_DAYS` | suspended: its calls are refused; it is kept, its months go on | free plan; nothing is deleted |
| credits come in | all months due are paid, the oldest first; calls come in again | paid like any other month |

States are not stored beside what they follow from: a number is *suspended* when it is in arrears and has no
`next_due_at`; an *order* with the carrier is under way when nothing was ever paid.
"""

from collections.abc import Sequence
from typing import Final, cast

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import MicroCredits
from flowengine.billing.number_fees import NoFee, NumberFees
from flowengine.billing.periods import Period, period, time_zone
from flowengine.billing.plans import FREE, storage_plan
from flowengine.billing.rates import NumberType
from flowengine.call.events import SECOND, Instant
from flowengine.store import ledger, rooms
from flowengine.store.books import Entry
from flowengine.store.debits import CREDITS, FEES
from flowengine.store.errors import NotEnough
from flowengine.store.flows import bump_epoch
from flowengine.store.notifications import notify
from flowengine.store.tables import Number, Subscription
from flowengine.store.till import Till, open_till

STORAGE: Final = "storage"
"""The subject of a storage plan's fee."""
GRACE_DAYS: Final = 7
"""So long a number takes calls, and a plan has its room, while a month of it is not paid."""
REMIND_DAYS: Final = (3, 6, 14, 21, 28)
"""Days of arrears after which admins are told again; they were told at once, and are when the grace is over."""
DAY: Final = 86_400 * SECOND
NO_FEES: Final = NumberFees(())

SUSPENDED: Final[ColumnElement[bool]] = and_(
    Subscription.kind == "number",
    Subscription.ended_at.is_(None),
    Subscription.arrears_since.is_not(None),
    Subscription.next_due_at.is_(None),
)


async def due_accounts(session: AsyncSession, now: Instant, many: int = 100) -> list[str]:
    """Accounts with a month to be charged that was not tried yet, the longest due first."""
    rows = await session.scalars(
        select(Subscription.account_id)
        .where(Subscription.next_due_at <= now, Subscription.arrears_since.is_(None))
        .order_by(Subscription.next_due_at)
        .limit(many)
    )
    return list(dict.fromkeys(rows))


async def accounts_in_arrears(session: AsyncSession) -> list[str]:
    """Accounts that owe a monthly fee."""
    where = (Subscription.ended_at.is_(None), Subscription.arrears_since.is_not(None))
    rows = select(Subscription.account_id).where(*where).distinct().order_by(Subscription.account_id)
    return list(await session.scalars(rows))


async def suspended_numbers(session: AsyncSession) -> set[str]:
    """Numbers (E.164) whose calls are refused until their fee is paid. For the catalogue."""
    return set(await session.scalars(select(Subscription.subject).where(SUSPENDED)))


async def of_number(session: AsyncSession, account: str, e164: str) -> Subscription | None:
    """The running fee of a number; None: it costs nothing."""
    return await _running(session, account, "number", e164)


async def of_plan(session: AsyncSession, account: str) -> Subscription | None:
    """The running fee of an account's storage plan; None: it is free."""
    return await _running(session, account, "plan", STORAGE)


async def charge_due(
    session: AsyncSession, account: str, now: Instant, fees: NumberFees = NO_FEES
) -> MicroCredits:
    """Charge every month of an account that has begun by now, the longest due first; what was charged.

    A month that the balance cannot pay puts its number or plan in arrears, and holds up no other. Months in arrears
    are tried again, and what the length of their arrears asks for is done.
    """
    till = await open_till(session, account)
    return await charge_at(session, till, now, fees)


async def charge_at(
    session: AsyncSession, till: Till, now: Instant, fees: NumberFees = NO_FEES
) -> MicroCredits:
    """As `charge_due`, for a till that is open: for whatever brings credits in."""
    charged = 0
    waiting = [each for each in await _charged(session, till.account) if month_due(each).begins_at <= now]
    while waiting:
        next_one = min(waiting, key=lambda each: (month_due(each).begins_at, each.id))
        paid = await _charge_month(session, till, next_one, now, fees)
        charged += paid or 0
        if paid is None:
            await _in_arrears(session, till, next_one, now)
        if paid is None or next_one.ended_at is not None or month_due(next_one).begins_at > now:
            waiting.remove(next_one)
    await session.flush()
    return charged


def month_due(of: Subscription) -> Period:
    """The first month that is not paid."""
    return period(of.began_at, of.paid_months, time_zone(of.zone))


async def end(session: AsyncSession, of: Subscription, at: Instant) -> None:
    """No month of it begins any more; the one that runs is not given back."""
    of.ended_at, of.next_due_at, of.arrears_since = at, None, None
    await session.flush()


async def _running(session: AsyncSession, account: str, kind: str, subject: str) -> Subscription | None:
    where = (
        Subscription.account_id == account,
        Subscription.kind == kind,
        Subscription.subject == subject,
        Subscription.ended_at.is_(None),
    )
    found: Subscription | None = await session.scalar(
        select(Subscription).where(*where).execution_options(populate_existing=True)
    )
    return found


async def _charged(session: AsyncSession, account: str) -> Sequence[Subscription]:
    """What is charged monthly: all but orders with the carrier."""
    where = (
        Subscription.account_id == account,
        Subscription.ended_at.is_(None),
        Subscription.paid_months > 0,
    )
    rows = await session.scalars(
        select(Subscription).where(*where).order_by(Subscription.id).execution_options(populate_existing=True)
    )
    return rows.all()


async def _charge_month(
    session: AsyncSession, till: Till, of: Subscription, now: Instant, fees: NumberFees
) -> MicroCredits | None:
    """Charge the first month that is not paid; what it cost, or None when the balance does not have it."""
    month = month_due(of)
    if of.kind == "plan":
        await _change_plan_of_month(session, till, of, now)
        details = {"plan": of.plan}
    else:
        number = await session.scalar(
            select(Number).where(Number.account_id == till.account, Number.e164 == of.subject)
        )
        if number is None:
            await end(session, of, now)
        else:
            fee = fees.fee(number.country, cast(NumberType, number.type), month.begins_at)
            of.fee = of.fee if isinstance(fee, NoFee) else fee.per_month
        details = {"number": of.subject}
    if of.ended_at is not None:
        return 0
    if of.fee:
        entry = Entry(
            till.account,
            f"fee:{of.id}:{month.number}",
            f"{of.kind}_fee",
            CREDITS,
            FEES,
            of.fee,
            now,
            None,
            {**details, "month": month.number, "begins_at": month.begins_at, "ends_at": month.ends_at},
        )
        (done,) = await ledger.perform(session, [entry])
        if isinstance(done, NotEnough):
            return None
        if isinstance(done, Exception):
            raise done
    await _paid(session, till, of, month, now)
    return of.fee


async def _paid(session: AsyncSession, till: Till, of: Subscription, month: Period, now: Instant) -> None:
    """Note that a month is paid; the last one due ends arrears, and brings a suspended number back."""
    of.paid_months = month.number + 1
    if month.ends_at <= now and of.arrears_since is not None:
        return
    was_suspended = of.arrears_since is not None and of.next_due_at is None
    of.next_due_at, of.arrears_since = month.ends_at, None
    if was_suspended and of.kind == "number":
        await bump_epoch(session)
        key = f"number_resumed:{of.id}:{month.number}"
        await notify(session, till.account, key, "number_resumed", now, {"number": of.subject})


async def _change_plan_of_month(session: AsyncSession, till: Till, of: Subscription, now: Instant) -> None:
    """The anniversary is when a smaller plan that was chosen begins to hold."""
    if not of.next_plan:
        return
    of.plan, of.next_plan = of.next_plan, ""
    of.fee = storage_plan(of.plan).fee
    await rooms.set_plan(session, till.account, of.plan, now)
    if of.plan == FREE.name:
        await end(session, of, now)


async def _in_arrears(session: AsyncSession, till: Till, of: Subscription, now: Instant) -> None:
    """Do what the length of the arrears asks for: tell admins, and act when the grace is over."""
    since = of.arrears_since = of.arrears_since if of.arrears_since is not None else now
    days = (now - since) // DAY
    what = {"number": of.subject} if of.kind == "number" else {"plan": of.plan}
    data = {**what, "fee": of.fee, "days": days, "grace_days": GRACE_DAYS}
    reminder = max((day for day in (0, *REMIND_DAYS) if day <= days), default=0)
    is_suspended = of.kind == "number" and of.next_due_at is None
    if days >= GRACE_DAYS and not is_suspended:
        await _grace_is_over(session, till, of, now, data)
    else:
        key = f"{of.kind}_arrears:{of.id}:{since}:{reminder}"
        await notify(session, till.account, key, f"{of.kind}_arrears", now, data)


async def _grace_is_over(
    session: AsyncSession, till: Till, of: Subscription, now: Instant, data: dict[str, object]
) -> None:
    key = f"{of.kind}_unpaid:{of.id}:{of.arrears_since}"
    if of.kind == "number":
        of.next_due_at = None
        await bump_epoch(session)
        await notify(session, till.account, key, "number_suspended", now, data)
    else:
        await end(session, of, now)
        await rooms.set_plan(session, till.account, FREE.name, now)
        await notify(session, till.account, key, "plan_ended", now, data)
