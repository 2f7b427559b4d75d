"""An account's rows as one `AccountState`, and the steps that change them."""

import json
from collections.abc import Iterable
from typing import Any, assert_never

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.flow import document
from flowengine.store import flows, tables
from flowengine.store.account_state import (
    AccountState,
    Change,
    FlowState,
    GroupState,
    NumberState,
    Settings,
    UserState,
)
from flowengine.store.errors import NotStored
from flowengine.store.ids import new_id


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
        Settings(row.name, row.country, row.language, row.time_zone, row.currency),
        await _numbers(session, account),
        await _users(session, account),
        await _groups(session, account),
        await _flows(session, account),
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


async def take_steps(session: AsyncSession, account: str, steps: Iterable[Change]) -> None:
    """Take the steps from one state to another, in their order, in the session's transaction."""
    steps = list(steps)
    await _free_devices(session, account, steps)
    for step in steps:
        match step.wanted:
            case Settings():
                await _put_account(session, account, step.key, step.wanted)
            case UserState():
                await _put_user(session, account, step.key, step.wanted)
            case GroupState():
                await _put_group(session, account, step.key, step.wanted)
            case FlowState():
                await _put_flow(session, account, step, step.wanted)
            case NumberState():
                await _put_number(session, account, step.key, step.wanted)
            case None:
                await _remove(session, account, step)
            case _:
                assert_never(step.wanted)
    if steps:
        await flows.bump_epoch(session)


async def _free_devices(session: AsyncSession, account: str, steps: list[Change]) -> None:
    """Take the devices of every user who changes, so that they can be handed from one to another."""
    ids = await _ids(session, account, tables.User)
    device = tables.Device
    for step in steps:
        if step.kind == "user" and step.key in ids:
            of = (device.account_id == account, device.user_id == ids[step.key])
            await session.execute(delete(device).where(*of))


async def _put_account(session: AsyncSession, account: str, key: str, wanted: Settings) -> None:
    row = await session.get(tables.Account, account)
    if row is None:
        session.add(tables.Account(id=account, key=key, **vars(wanted)))
    else:
        for name, value in vars(wanted).items():
            setattr(row, name, value)
    await session.flush()


async def _put_user(session: AsyncSession, account: str, name: str, wanted: UserState) -> None:
    user = await _put(session, account, tables.User, name, "usr", {"display_name": wanted.display_name})
    rows = [
        {
            "id": new_id("dev"),
            "account_id": account,
            "user_id": user,
            "endpoint": endpoint,
            "position": position,
        }
        for position, endpoint in enumerate(wanted.devices)
    ]
    if rows:
        await session.execute(insert(tables.Device), rows)


async def _put_group(session: AsyncSession, account: str, name: str, wanted: GroupState) -> None:
    group = await _put(session, account, tables.Group, name, "grp", {"description": wanted.description})
    users = await _ids(session, account, tables.User)
    member = tables.GroupMember
    await session.execute(delete(member).where(member.account_id == account, member.group_id == group))
    rows = [
        {"account_id": account, "group_id": group, "user_id": users[user], "position": position}
        for position, user in enumerate(wanted.members)
    ]
    if rows:
        await session.execute(insert(member), rows)


async def _put_flow(session: AsyncSession, account: str, step: Change, wanted: FlowState) -> None:
    query = select(tables.Flow).where(
        tables.Flow.account_id == account, tables.Flow.key == step.key, tables.Flow.deleted_at.is_(None)
    )
    row = (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    if row is None:
        await flows.create_flow(session, account, step.key, wanted.draft, enabled=wanted.enabled)
    elif step.action == "publish":
        assert wanted.published is not None, "that is what the step is for"
        await flows.publish(session, account, row.id, wanted.published)
    else:
        if json.dumps(row.draft) != json.dumps(flows.as_json(wanted.draft)):
            await flows.save_draft(session, account, row.id, wanted.draft, revision=row.draft_revision)
        if row.enabled != wanted.enabled:
            await flows.set_enabled(session, account, row.id, enabled=wanted.enabled)


async def _put_number(session: AsyncSession, account: str, e164: str, wanted: NumberState) -> None:
    number, flow = tables.Number, tables.Flow
    flow_id = None
    if wanted.flow is not None:
        query = select(flow.id).where(
            flow.account_id == account, flow.key == wanted.flow, flow.deleted_at.is_(None)
        )
        flow_id = (await session.scalars(query)).one()
    values = {"country": wanted.country, "type": wanted.type, "flow_id": flow_id}
    of = (number.account_id == account, number.e164 == e164)
    if await session.scalar(update(number).where(*of).values(values).returning(number.id)) is None:
        await session.execute(
            insert(number).values(id=new_id("num"), account_id=account, e164=e164, **values)
        )


async def _remove(session: AsyncSession, account: str, step: Change) -> None:
    user, group, number, flow = tables.User, tables.Group, tables.Number, tables.Flow
    match step.kind:
        case "number":
            await session.execute(delete(number).where(number.account_id == account, number.e164 == step.key))
        case "flow":
            query = select(flow.id).where(
                flow.account_id == account, flow.key == step.key, flow.deleted_at.is_(None)
            )
            await flows.delete_flow(session, account, (await session.scalars(query)).one())
        case "group":
            await session.execute(delete(group).where(group.account_id == account, group.name == step.key))
        case "user":
            await session.execute(delete(user).where(user.account_id == account, user.name == step.key))
        case "account":
            raise AssertionError("no plan deletes an account")
        case _:
            assert_never(step.kind)


async def _put(
    session: AsyncSession,
    account: str,
    table: type[tables.User] | type[tables.Group],
    name: str,
    prefix: Any,
    values: dict[str, Any],
) -> str:
    """Update the row with this name, or insert it; gives its id."""
    of = (table.account_id == account, table.name == name)
    id_: str | None = await session.scalar(update(table).where(*of).values(values).returning(table.id))
    if id_ is None:
        id_ = new_id(prefix)
        await session.execute(insert(table).values(id=id_, account_id=account, name=name, **values))
    return id_


async def _ids(
    session: AsyncSession, account: str, table: type[tables.User] | type[tables.Group]
) -> dict[str, str]:
    rows = await session.execute(select(table.name, table.id).where(table.account_id == account))
    return {name: id_ for name, id_ in rows}  # noqa: C416 - rows are not pairs for mypy
