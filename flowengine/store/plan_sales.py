"""Choosing a storage plan: shown with what it costs now, confirmed, and booked together with its room.

A plan is chosen for an account, and choosing what is chosen already changes nothing; so a client that lost the answer
asks again. The months of a plan are those of the account (`flowengine.billing.plans` has the rule of proration).
"""

from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import MicroCredits, format_credits
from flowengine.billing.number_fees import NumberFees
from flowengine.billing.periods import Period, period, period_at, time_zone
from flowengine.billing.plans import FREE, StoragePlan, Upgrade, change_of_plan, storage_plan
from flowengine.call.events import Instant
from flowengine.store import ledger, rooms
from flowengine.store.books import Entry, Operation
from flowengine.store.debits import CREDITS, FEES
from flowengine.store.subscriptions import NO_FEES, STORAGE, charge_at, of_plan
from flowengine.store.tables import Subscription
from flowengine.store.till import ShopRefused, Till, open_till, sale_id


class PlanView(NamedTuple):
    """The plan of an account, and the month that runs."""

    plan: StoragePlan
    next_plan: StoragePlan | None
    """A smaller plan that holds from the end of the month on."""
    month: Period
    arrears_since: Instant | None
    """Since when the fee is not paid; the account falls back to the free plan when the grace is over."""
    has_fee: bool
    """False: it is free, or an operator granted it; nothing was paid that could be credited."""


class PlanQuote(NamedTuple):
    """What a change of plan means. A buyer confirms `to_pay`."""

    old: StoragePlan
    new: StoragePlan
    holds_from: Instant
    credit: MicroCredits
    """Given back of the old plan's fee for the rest of the month."""
    charge: MicroCredits
    """The new plan's fee for the rest of the month."""

    @property
    def to_pay(self) -> MicroCredits:
        """What it costs now; each month costs `new.fee`."""
        return self.charge - self.credit


async def view_plan(session: AsyncSession, account: str, now: Instant) -> PlanView:
    """The plan as it is; reads and locks the till."""
    till = await open_till(session, account)
    return await _view(session, till, now)


async def quote_plan(
    session: AsyncSession, account: str, code: str, now: Instant, fees: NumberFees = NO_FEES
) -> PlanQuote:
    """What a change to the plan `code` means now, without changing anything but charging what is due.

    `fees` are the operator's number fees, for months of numbers that are due.

    The plan that holds already gives a quote of nothing: choosing it takes back a smaller one that was scheduled.

    Raises:
        BadPlan: there is no such plan.
        ShopRefused: `in_arrears`.
    """
    till = await open_till(session, account)
    await charge_at(session, till, now, fees)
    return _quote(await _view(session, till, now), storage_plan(code), now)


async def choose_plan(
    session: AsyncSession,
    account: str,
    code: str,
    quoted: MicroCredits,
    by: str,
    now: Instant,
    fees: NumberFees = NO_FEES,
) -> PlanQuote:
    """Put an account on a plan: a larger one at once, a smaller one from the next anniversary on.

    Args:
        session: of `Database.writing`.
        account: its id.
        code: the plan's.
        quoted: what the buyer was told it costs now; it may have become cheaper since, as the month goes by.
        by: who chooses, for the entries.
        now: the instant.
        fees: the operator's number fees, for months of numbers that are due.

    Raises:
        BadPlan: there is no such plan.
        ShopRefused: `in_arrears`, `price_changed`, `not_enough_credit`. Nothing is changed then.
    """
    till = await open_till(session, account)
    await charge_at(session, till, now, fees)
    seen = await _view(session, till, now)
    found = _quote(seen, storage_plan(code), now)
    if found.to_pay > quoted:
        raise ShopRefused(
            "price_changed",
            f"the change costs {format_credits(found.to_pay)} credits now and not {format_credits(quoted)}:"
            " show the new price and ask again",
        )
    running = await of_plan(session, account)
    if running is not None:
        is_smaller = found.new != seen.plan and (found.holds_from > now or seen.arrears_since is not None)
        running.next_plan = found.new.name if is_smaller else ""
    if seen.arrears_since is not None:
        await till.demand(session, found.to_pay, f"a month of the plan {found.new.name}")
        await charge_at(session, till, now, fees)
    elif found.new != seen.plan and found.holds_from <= now:
        await till.demand(session, found.to_pay, f"the plan {found.new.name} until the end of the month")
        running = running or _begun(till, seen.month)
        session.add(running)
        await _book(session, till, running, found, seen.month, by, now)
        await rooms.set_plan(session, account, found.new.name, now)
    await session.flush()
    return found


async def cancel_plan_change(session: AsyncSession, account: str) -> bool:
    """Stay on the larger plan; False when no smaller one was scheduled."""
    await open_till(session, account)
    running = await of_plan(session, account)
    if running is None or not running.next_plan:
        return False
    running.next_plan = ""
    await session.flush()
    return True


async def _view(session: AsyncSession, till: Till, now: Instant) -> PlanView:
    running = await of_plan(session, till.account)
    if running is None:
        zone = time_zone(till.zone)
        month = period_at(min(till.created_at, now), now, zone)
        return PlanView(storage_plan(till.plan), None, month, None, has_fee=False)
    paid = period(running.began_at, running.paid_months - 1, time_zone(running.zone))
    next_plan = storage_plan(running.next_plan) if running.next_plan else None
    return PlanView(storage_plan(running.plan), next_plan, paid, running.arrears_since, has_fee=True)


def _quote(seen: PlanView, new: StoragePlan, now: Instant) -> PlanQuote:
    if new == seen.plan:
        return PlanQuote(seen.plan, new, now, 0, 0)
    if seen.arrears_since is not None:
        if new.fee >= seen.plan.fee:
            raise ShopRefused(
                "in_arrears",
                f"the month of the plan {seen.plan.name} is not paid: buy credits, or choose a smaller plan",
            )
        return PlanQuote(seen.plan, new, now, 0, new.fee)
    paid = seen.plan if seen.has_fee else seen.plan._replace(fee=0)
    change = change_of_plan(paid, new, seen.month, now)
    if isinstance(change, Upgrade):
        return PlanQuote(seen.plan, new, now, change.credit, change.charge)
    return PlanQuote(seen.plan, new, change.holds_from, 0, 0)


def _begun(till: Till, month: Period) -> Subscription:
    """The fee of a plan; its months are those of the account, from its first day on."""
    return Subscription(
        id=sale_id("sub"),
        account_id=till.account,
        kind="plan",
        subject=STORAGE,
        plan=FREE.name,
        next_plan="",
        fee=0,
        zone=till.zone,
        began_at=min(till.created_at, month.begins_at),
        paid_months=month.number + 1,
        next_due_at=month.ends_at,
    )


async def _book(
    session: AsyncSession,
    till: Till,
    running: Subscription,
    found: PlanQuote,
    month: Period,
    by: str,
    now: Instant,
) -> None:
    """Credit the old plan and charge the new one. Each plan is reached once a month at most, and so are the keys."""
    details = {"plan": found.new.name, "from": found.old.name, "by": by, "ends_at": month.ends_at}
    key = f"plan:{running.id}:{month.number}:{found.new.name}"
    sides: list[tuple[str, str, str, str, int]] = [
        ("credit", "plan_credit", FEES, CREDITS, found.credit),
        ("charge", "plan_fee", CREDITS, FEES, found.charge),
    ]
    entries: list[Operation] = [
        Entry(till.account, f"{key}:{side}", kind, source, target, amount, now, None, details)
        for side, kind, source, target, amount in sides
        if amount
    ]
    for done in await ledger.perform(session, entries):
        if isinstance(done, Exception):
            raise done
    running.plan, running.fee = found.new.name, found.new.fee
