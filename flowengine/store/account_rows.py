"""An account's rows as one `AccountState`."""

from dataclasses import fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.flow import document
from flowengine.store import tables
from flowengine.store.account_state import (
    AccountState,
    AudioState,
    FlowState,
    GroupState,
    NumberState,
    Settings,
    UserState,
)
from flowengine.store.errors import NotStored


async def find_account(session: AsyncSession, key: str, *, lock: bool = False) -> str | None:
    """Give the id of the account with this key; `lock` keeps others from changing it meanwhile."""
    query = select(tables.Account.id).where(tables.Account.key == key)
    found: str | None = await session.scalar(query.with_for_update() if lock else query)
    return found


async def read_state(session: AsyncSession, account: str) -> AccountState:
    """Read a whole account by its id; raises `NotStored`."""
    row = await session.get(tables.Account, account)
    if row is None:
        raise NotStored(f"there is no account {account}")
    return AccountState(
        row.key,
        Settings(**{each.name: getattr(row, each.name) for each in fields(Settings)}),
        await _numbers(session, account),
        await _users(session, account),
        await _groups(session, account),
        await _flows(session, account),
        await _audios(session, account),
    )


async def _numbers(session: AsyncSession, account: str) -> dict[str, NumberState]:
    number, flow = tables.Number, tables.Flow
    rows = await session.execute(
        select(number.e164, number.country, number.type, flow.key)
        .join(flow, flow.id == number.flow_id, isouter=True)
        .where(number.account_id == account)
        .order_by(number.id)
    )
    return {e164: NumberState(country, _type(type_), key) for e164, country, type_, key in rows}


def _type(type_: str) -> Any:
    """The check constraint of the table knows the same three types."""
    return type_


async def _users(session: AsyncSession, account: str) -> dict[str, UserState]:
    user, device = tables.User, tables.Device
    devices: dict[str, list[str]] = {}
    query = select(device.user_id, device.endpoint).where(device.account_id == account)
    for user_id, endpoint in await session.execute(query.order_by(device.position)):
        devices.setdefault(user_id, []).append(endpoint)
    users = select(user.id, user.name, user.display_name).where(user.account_id == account)
    return {
        name: UserState(display_name, tuple(devices.get(id_, ())))
        for id_, name, display_name in await session.execute(users.order_by(user.id))
    }


async def _groups(session: AsyncSession, account: str) -> dict[str, GroupState]:
    group, member, user = tables.Group, tables.GroupMember, tables.User
    members: dict[str, list[str]] = {}
    query = select(member.group_id, user.name).join(user, user.id == member.user_id)
    for group_id, name in await session.execute(
        query.where(member.account_id == account).order_by(member.position)
    ):
        members.setdefault(group_id, []).append(name)
    groups = select(group.id, group.name, group.description).where(group.account_id == account)
    return {
        name: GroupState(description, tuple(members.get(id_, ())))
        for id_, name, description in await session.execute(groups.order_by(group.id))
    }


async def _audios(session: AsyncSession, account: str) -> dict[str, AudioState]:
    rows = await session.scalars(select(tables.Audio).where(tables.Audio.account_id == account))
    return {row.name: AudioState(row.sha256, row.size_bytes, row.duration_ms, row.id) for row in rows}


async def _flows(session: AsyncSession, account: str) -> dict[str, FlowState]:
    flow, version = tables.Flow, tables.FlowVersion
    rows = await session.execute(
        select(flow.key, flow.draft, flow.enabled, version.document)
        .join(
            version,
            (version.flow_id == flow.id) & (version.sha256 == flow.published_version),
            isouter=True,
        )
        .where(flow.account_id == account, flow.deleted_at.is_(None))
        .order_by(flow.id)
    )
    return {
        key: FlowState(
            document.parse(draft), enabled, None if published is None else document.parse(published)
        )
        for key, draft, enabled, published in rows
    }
