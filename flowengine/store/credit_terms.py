"""What an account does when its credits are used up, and whether it is a partner (product rules, section 1)."""

from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store.flows import bump_epoch
from flowengine.store.tables import Account
from flowengine.store.tariffs import WhenRunningOut
from flowengine.store.till import open_till

_NO_RECHARGE: Final = {"recharge_below": None, "recharge_amount": None}


async def set_policy(
    session: AsyncSession,
    account: str,
    *,
    refuse_when_empty: bool | None = None,
    when_running_out: WhenRunningOut | None = None,
    is_partner: bool | None = None,
) -> None:
    """Set what is given and leave the rest; running engines follow within seconds.

    Args:
        session: of `Database.writing`.
        account: its id.
        refuse_when_empty: refuse new calls that no credit can pay, or take them and let them owe.
        when_running_out: let running calls finish, or cut them where their money ends.
        is_partner: a partner, or attached to one. Such accounts have no auto-recharge: it is switched off, and stays
            off when the account is none any more.

    Raises:
        NotStored: there is no such account.
    """
    await open_till(session, account)
    given = {
        "refuse_when_empty": refuse_when_empty,
        "when_running_out": when_running_out,
        "is_partner": is_partner,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if is_partner:
        values |= _NO_RECHARGE
    if values:
        await session.execute(update(Account).where(Account.id == account).values(**values))
        await bump_epoch(session)
