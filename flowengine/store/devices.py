"""SIP accounts of devices: which there shall be, and the digest with which each may register.

A digest is as good as a password to whoever holds it. It is read for Asterisk alone, and is no part of account files.
"""

from dataclasses import dataclass, field
from typing import Literal, cast

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store.errors import NotStored
from flowengine.store.flows import bump_epoch
from flowengine.store.tables import Account, Device, User

Kind = Literal["sip", "browser"]


@dataclass(frozen=True)
class SipAccount:
    """An account that Asterisk shall have. `endpoint` is how the switch dials it ("PJSIP/hanako")."""

    endpoint: str
    kind: Kind
    digest: str = field(repr=False)


async def sip_accounts(session: AsyncSession) -> list[SipAccount]:
    """Read every device of the installation that has a digest."""
    rows = await session.execute(
        select(Device.endpoint, Device.kind, Device.digest)
        .where(Device.digest.is_not(None))
        .order_by(Device.endpoint)
    )
    return [SipAccount(endpoint, cast(Kind, kind), cast(str, digest)) for endpoint, kind, digest in rows]


async def endpoints_of(session: AsyncSession, account_key: str, user: str) -> list[str]:
    """Read a user's devices in their order; raises `NotStored` when there is no such user."""
    found = await session.scalar(
        select(User.id)
        .join(Account, Account.id == User.account_id)
        .where(Account.key == account_key, User.name == user)
    )
    if found is None:
        raise NotStored(f'there is no user "{user}" in the account "{account_key}"')
    rows = await session.scalars(
        select(Device.endpoint).where(Device.user_id == found).order_by(Device.position)
    )
    return list(rows)


async def set_digest(session: AsyncSession, endpoint: str, digest: str | None, kind: Kind = "sip") -> None:
    """Give a device another digest, or none: then its account is removed from Asterisk. Raises `NotStored`."""
    changed = await session.scalar(
        update(Device)
        .where(Device.endpoint == endpoint)
        .values(digest=digest, kind=kind)
        .returning(Device.id)
    )
    if changed is None:
        raise NotStored(f"there is no device {endpoint}")
    await bump_epoch(session)
