"""Taking the steps from one account state to another: rows are written many at a time.

While an account is applied, SQLite lets nobody else write, the journals of running calls among them. So a large
account must take a second and not a minute: each kind of row is one statement for all steps that need it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import BindParameter, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.store import flows, tables
from flowengine.store.account_state import (
    AudioState,
    Change,
    FlowState,
    GroupState,
    Item,
    NumberState,
    Settings,
    UserState,
)
from flowengine.store.ids import Prefix, new_id

Of = TypeVar("Of", bound=Item)
Rows = list[dict[str, Any]]


async def take_steps(session: AsyncSession, account: str, steps: Iterable[Change]) -> None:
    """Take the steps of `account_state.changes` in the session's transaction."""
    by: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for step in steps:
        by[step.action, step.kind].append(step)
    if not by:
        return
    writing = _Writing(session, account)
    await writing.settings(by["create", "account"], by["update", "account"])
    await writing.users(by["create", "user"], by["update", "user"], by["delete", "user"])
    await writing.groups(by["create", "group"], by["update", "group"])
    await writing.audios(by["create", "audio"], by["update", "audio"], by["delete", "audio"])
    await writing.flows(by["create", "flow"], by["update", "flow"], by["publish", "flow"])
    await writing.numbers(by["create", "number"], by["update", "number"])
    await writing.remove(
        by["delete", "number"], by["delete", "flow"], by["delete", "group"], by["delete", "user"]
    )
    await flows.bump_epoch(session)


class _Writing:
    """One account being changed."""

    def __init__(self, session: AsyncSession, account: str) -> None:
        self.session = session
        self.account = account

    async def settings(self, create: Sequence[Change], change: Sequence[Change]) -> None:
        account = tables.Account
        for key, wanted in _wanted(create, Settings).items():
            await self.session.execute(insert(account).values(id=self.account, key=key, **vars(wanted)))
        for wanted in _wanted(change, Settings).values():
            await self.session.execute(update(account).where(account.id == self.account).values(vars(wanted)))

    async def users(self, create: Sequence[Change], change: Sequence[Change], gone: Sequence[Change]) -> None:
        """Write users. Devices of all who change are taken first, so that one can be handed to another."""
        user, device = tables.User, tables.Device
        ids = await self._ids(user)
        freed = [{"of": ids[step.key]} for step in (*change, *gone)]
        await self._many(
            delete(device).where(device.account_id == self.account, device.user_id == bindparam("of")), freed
        )
        wanted = _wanted((*create, *change), UserState)
        await self._insert(
            user, "usr", ids, {step.key: {"display_name": wanted[step.key].display_name} for step in create}
        )
        renamed = [{"of": ids[step.key], "display_name": wanted[step.key].display_name} for step in change]
        await self._many(self._update(user, "display_name"), renamed)
        devices = [
            {
                "id": new_id("dev"),
                "account_id": self.account,
                "user_id": ids[name],
                "endpoint": endpoint,
                "position": at,
            }
            for name, of in wanted.items()
            for at, endpoint in enumerate(of.devices)
        ]
        await self._many(insert(device), devices)

    async def groups(self, create: Sequence[Change], change: Sequence[Change]) -> None:
        """Write groups and their members anew."""
        group, member = tables.Group, tables.GroupMember
        ids = await self._ids(group)
        wanted = _wanted((*create, *change), GroupState)
        await self._insert(
            group, "grp", ids, {step.key: {"description": wanted[step.key].description} for step in create}
        )
        described = [{"of": ids[step.key], "description": wanted[step.key].description} for step in change]
        await self._many(self._update(group, "description"), described)
        left = [{"of": ids[step.key]} for step in change]
        await self._many(
            delete(member).where(member.account_id == self.account, member.group_id == bindparam("of")), left
        )
        users = await self._ids(tables.User)
        members = [
            {"account_id": self.account, "group_id": ids[name], "user_id": users[user], "position": at}
            for name, of in wanted.items()
            for at, user in enumerate(of.members)
        ]
        await self._many(insert(member), members)

    async def audios(
        self, create: Sequence[Change], change: Sequence[Change], gone: Sequence[Change]
    ) -> None:
        """Write which sounds there are; the bytes are on the shelf before."""
        audio = tables.Audio
        rows = [
            {"id": new_id("aud"), "account_id": self.account, "name": name, **_bytes_of(of)}
            for name, of in _wanted(create, AudioState).items()
        ]
        await self._many(insert(audio), rows)
        mine = (audio.account_id == self.account, audio.name == bindparam("of"))
        columns: dict[str, Any] = {name: bindparam(name) for name in ("sha256", "size_bytes", "duration_ms")}
        replaced = [{"of": name, **_bytes_of(of)} for name, of in _wanted(change, AudioState).items()]
        await self._many(update(audio).where(*mine).values(columns), replaced)
        await self._many(delete(audio).where(*mine), _keys(gone))

    async def flows(
        self, create: Sequence[Change], change: Sequence[Change], publish: Sequence[Change]
    ) -> None:
        """Store drafts and switches, then publish."""
        made = _wanted(create, FlowState)
        await flows.create_flows(
            self.session, self.account, {key: (of.draft, of.enabled) for key, of in made.items()}
        )
        stored = await self._flows()
        for key, wanted in _wanted(change, FlowState).items():
            row = stored[key]
            if json.dumps(row.draft) != json.dumps(flows.as_json(wanted.draft)):
                await flows.save_draft(
                    self.session, self.account, row.id, wanted.draft, revision=row.draft_revision
                )
            if row.enabled != wanted.enabled:
                await flows.set_enabled(self.session, self.account, row.id, enabled=wanted.enabled)
        published = {
            stored[key].id: of.published
            for key, of in _wanted(publish, FlowState).items()
            if of.published is not None
        }
        await flows.publish_all(self.session, self.account, published)

    async def numbers(self, create: Sequence[Change], change: Sequence[Change]) -> None:
        """Write numbers with the flows they lead to."""
        number = tables.Number
        stored = await self._flows() if create or change else {}

        def values(of: NumberState) -> dict[str, Any]:
            flow = stored[of.flow].id if of.flow is not None else None
            return {"country": of.country, "type": of.type, "flow_id": flow}

        rows = [
            {"id": new_id("num"), "account_id": self.account, "e164": e164, **values(of)}
            for e164, of in _wanted(create, NumberState).items()
        ]
        await self._many(insert(number), rows)
        statement = update(number).where(number.account_id == self.account, number.e164 == bindparam("of"))
        attached = [{"of": e164, **values(of)} for e164, of in _wanted(change, NumberState).items()]
        await self._many(
            statement.values({name: bindparam(name) for name in ("country", "type", "flow_id")}), attached
        )

    async def remove(
        self,
        numbers: Sequence[Change],
        gone: Sequence[Change],
        groups: Sequence[Change],
        users: Sequence[Change],
    ) -> None:
        """Take things away, whatever points at others first."""
        stored = await self._flows() if gone else {}
        number, group, user = tables.Number, tables.Group, tables.User
        of: BindParameter[str] = bindparam("of")
        await self._many(
            delete(number).where(number.account_id == self.account, number.e164 == of), _keys(numbers)
        )
        for step in gone:
            await flows.delete_flow(self.session, self.account, stored[step.key].id)
        await self._many(
            delete(group).where(group.account_id == self.account, group.name == of), _keys(groups)
        )
        await self._many(delete(user).where(user.account_id == self.account, user.name == of), _keys(users))

    async def _many(self, statement: Any, rows: Rows) -> None:
        """Execute for all rows at once, past the session's own bookkeeping."""
        if rows:
            await (await self.session.connection()).execute(statement, rows)

    async def _insert(
        self,
        table: type[tables.User] | type[tables.Group],
        prefix: Prefix,
        ids: dict[str, str],
        values: Mapping[str, dict[str, Any]],
    ) -> None:
        """Insert rows by name, and note their ids."""
        rows = [
            {"id": new_id(prefix), "account_id": self.account, "name": name, **of}
            for name, of in values.items()
        ]
        await self._many(insert(table), rows)
        ids |= {row["name"]: row["id"] for row in rows}

    def _update(self, table: type[tables.User] | type[tables.Group], column: str) -> Any:
        of = (table.account_id == self.account, table.id == bindparam("of"))
        return update(table).where(*of).values({column: bindparam(column)})

    async def _ids(self, table: type[tables.User] | type[tables.Group]) -> dict[str, str]:
        rows = await self.session.execute(
            select(table.name, table.id).where(table.account_id == self.account)
        )
        return {name: id_ for name, id_ in rows}  # noqa: C416 - rows are not pairs for mypy

    async def _flows(self) -> dict[str, tables.Flow]:
        flow = tables.Flow
        query = select(flow).where(flow.account_id == self.account, flow.deleted_at.is_(None))
        rows = await self.session.scalars(query.execution_options(populate_existing=True))
        return {row.key: row for row in rows}


def _wanted(steps: Iterable[Change], kind: type[Of]) -> dict[str, Of]:
    """Give what the steps want, by key."""
    return {step.key: step.wanted for step in steps if isinstance(step.wanted, kind)}


def _bytes_of(audio: AudioState) -> dict[str, Any]:
    return {
        "sha256": audio.sha256,
        "size_bytes": audio.size_bytes,
        "duration_ms": audio.duration_ms,
    }


def _keys(steps: Iterable[Change]) -> Rows:
    return [{"of": step.key} for step in steps]
