"""The numbers of an account: attached to flows, and listed with what they cost.

They are bought and given up in `number_orders`. Numbers in account files are brought by the operator: they have no fee
and no carrier here.
"""

from typing import Final, Literal, NamedTuple

from sqlalchemy import and_, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import MicroCredits
from flowengine.call.events import Instant
from flowengine.store import subscriptions
from flowengine.store.errors import NotStored
from flowengine.store.flows import bump_epoch
from flowengine.store.tables import Flow, Number, OfferedNumber, Subscription
from flowengine.store.till import ShopRefused, open_till

NumberState = Literal["brought", "paid", "arrears", "suspended", "releasing"]


class NumberView(NamedTuple):
    """A number of an account. Fees are micro-credits a month."""

    e164: str
    country: str
    type: str
    flow: str | None
    """The id of the flow it is attached to."""
    state: NumberState
    fee: MicroCredits
    next_due_at: Instant | None
    arrears_since: Instant | None


async def end_removed(session: AsyncSession, account: str, at: Instant) -> list[str]:
    """End the fees of numbers that an account file took away; which numbers those were."""
    await open_till(session, account)
    gone = (
        await session.scalars(select(Subscription).where(Subscription.account_id == account, *_REMOVED))
    ).all()
    for of in gone:
        await subscriptions.end(session, of, at)
    return [of.subject for of in gone]


async def removed(session: AsyncSession) -> list[str]:
    """Accounts with a fee for a number that they do not have any more."""
    return list(await session.scalars(select(Subscription.account_id).where(*_REMOVED).distinct()))


async def attach(session: AsyncSession, account: str, e164: str, flow: str | None) -> None:
    """Let calls to a number run a flow of the same account; None: they are rejected.

    Raises:
        NotStored: the account has no such number or no such flow.
        ShopRefused: `not_here`: the number is being given up.
    """
    if flow is not None:
        where = (Flow.account_id == account, Flow.id == flow, Flow.deleted_at.is_(None))
        if await session.scalar(select(Flow.id).where(*where)) is None:
            raise NotStored(f"there is no flow {flow} in this account: it may have been deleted")
    states = {each.e164: each.state for each in await list_numbers(session, account)}
    if states.get(e164) == "releasing":
        raise ShopRefused("not_here", f"{e164} was given up: choose another number")
    statement = update(Number).where(Number.account_id == account, Number.e164 == e164).values(flow_id=flow)
    if await session.scalar(statement.returning(Number.id)) is None:
        raise _no_number(e164)
    await bump_epoch(session)


async def list_numbers(session: AsyncSession, account: str) -> list[NumberView]:
    """All numbers of an account, in the order of their digits."""
    fee = and_(
        Subscription.account_id == Number.account_id,
        Subscription.kind == "number",
        Subscription.subject == Number.e164,
        Subscription.ended_at.is_(None),
    )
    sold = and_(OfferedNumber.e164 == Number.e164, OfferedNumber.taken_by == Number.account_id)
    rows = await session.execute(
        select(Number, Subscription, OfferedNumber.e164)
        .outerjoin(Subscription, fee)
        .outerjoin(OfferedNumber, sold)
        .where(Number.account_id == account)
        .order_by(Number.e164)
        .execution_options(populate_existing=True)
    )
    return [_view(number, of, is_sold=offer is not None) for number, of, offer in rows]


_REMOVED: Final = (
    Subscription.kind == "number",
    Subscription.ended_at.is_(None),
    Subscription.paid_months > 0,
    ~exists().where(Number.e164 == Subscription.subject, Number.account_id == Subscription.account_id),
)


def _view(number: Number, of: Subscription | None, *, is_sold: bool) -> NumberView:
    state: NumberState = "releasing" if is_sold else "brought"
    if of is not None:
        state = "paid" if of.arrears_since is None else "arrears"
        state = "suspended" if state == "arrears" and of.next_due_at is None else state
    return NumberView(
        number.e164,
        number.country,
        number.type,
        number.flow_id,
        state,
        of.fee if of is not None else 0,
        of.next_due_at if of is not None else None,
        of.arrears_since if of is not None else None,
    )


async def number_of(session: AsyncSession, account: str, e164: str) -> Number:
    """A number of an account; raises `NotStored`."""
    found: Number | None = await session.scalar(
        select(Number).where(Number.account_id == account, Number.e164 == e164)
    )
    if found is None:
        raise _no_number(e164)
    return found


def _no_number(e164: str) -> NotStored:
    return NotStored(f"there is no number {e164} in this account: it may have been released")
