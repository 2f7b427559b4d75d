"""The catalogue as the database has it, and the news when it changes.

Every change of what calls need counts an epoch up, in its own transaction. Engines poll the epoch twice a second:
one row by its key, and correct whatever is missed in between. A version is parsed once, for it never changes.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.flow import document
from flowengine.flow.reading import Invalid
from flowengine.routing.agents import Policy
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.store import tables
from flowengine.store.database import Database
from flowengine.store.flows import load_version
from flowengine.store.subscriptions import suspended_numbers

POLL_S: Final = 0.5

_log = structlog.get_logger(__name__)

Parsed = dict[str, document.Flow]
"""Documents by sha256, kept from one catalogue to the next."""


async def load_catalog(session: AsyncSession, parsed: Parsed | None = None) -> Catalog:
    """Read the catalogue of all accounts. `parsed` are the versions known already; it is brought up to date."""
    parsed = {} if parsed is None else parsed
    flows = await _flows(session, parsed)
    rows = await session.execute(select(tables.Number.e164, tables.Number.flow_id))
    suspended = await suspended_numbers(session)
    numbers = {e164: flows.get(flow) if flow and e164 not in suspended else None for e164, flow in rows}
    return Catalog(
        numbers=numbers,
        users=await _users(session),
        groups=await _groups(session),
        policies=await _policies(session),
        audios=await _audios(session),
    )


async def read_epoch(session: AsyncSession) -> int:
    """Give the count of changes so far."""
    return (await session.scalars(select(tables.CatalogEpoch.epoch))).one()


async def watch(database: Database, every_s: float = POLL_S) -> AsyncIterator[Catalog]:
    """Give the catalogue now, and again after each change, for as long as somebody iterates.

    The first catalogue raises what goes wrong. Later on a failing database is logged once and asked again, for
    running calls and known numbers do not need it.
    """
    parsed: Parsed = {}
    async with database.reading() as session:
        known = await read_epoch(session)
        catalog = await load_catalog(session, parsed)
    yield catalog
    failing = False
    while True:
        await asyncio.sleep(every_s)
        try:
            async with database.reading() as session:
                epoch = await read_epoch(session)
                if epoch == known:
                    failing = False
                    continue
                catalog = await load_catalog(session, parsed)
        except (SQLAlchemyError, OSError) as error:
            if not failing:
                _log.error("catalog_unavailable", error=type(error).__name__)
            failing = True
            continue
        known, failing = epoch, False
        yield catalog


async def _flows(session: AsyncSession, parsed: Parsed) -> dict[str, PublishedFlow]:
    """Give the flows that take calls, by id: enabled, published, not deleted."""
    flow = tables.Flow
    rows = await session.execute(
        select(flow.id, flow.account_id, flow.published_version).where(
            flow.enabled, flow.published_version.is_not(None), flow.deleted_at.is_(None)
        )
    )
    found = {}
    for id_, account, version in rows.all():
        assert version is not None, "asked for above"
        if version not in parsed:
            try:
                parsed[version] = await load_version(session, account, id_, version)
            except Invalid as error:
                _log.error("version_unreadable", flow=id_, version=version, error=str(error))
                continue
        found[id_] = PublishedFlow(id_, account, version, parsed[version])
    for version in parsed.keys() - {flow.version for flow in found.values()}:
        del parsed[version]
    return found


async def _policies(session: AsyncSession) -> dict[str, Policy]:
    """Give what accounts ask of their agents, where that is not the default."""
    account = tables.Account
    rows = await session.execute(select(account.id, account.wrap_up_s, account.pause_after_misses))
    return {id_: policy for id_, *asked in rows if (policy := Policy(*asked)) != Policy()}


async def _audios(session: AsyncSession) -> dict[str, dict[str, str]]:
    audio = tables.Audio
    audios: dict[str, dict[str, str]] = {}
    for account, id_, name, sha256 in await session.execute(
        select(audio.account_id, audio.id, audio.name, audio.sha256).order_by(audio.id)
    ):
        audios.setdefault(account, {}).update({id_: sha256, name: sha256})
    return audios


async def _users(session: AsyncSession) -> dict[str, dict[str, User]]:
    user, device = tables.User, tables.Device
    endpoints: dict[str, list[str]] = {}
    for user_id, endpoint in await session.execute(
        select(device.user_id, device.endpoint).order_by(device.user_id, device.position)
    ):
        endpoints.setdefault(user_id, []).append(endpoint)
    users: dict[str, dict[str, User]] = {}
    for id_, account, name in await session.execute(
        select(user.id, user.account_id, user.name).order_by(user.id)
    ):
        users.setdefault(account, {})[name] = User(name, tuple(endpoints.get(id_, ())))
    return users


async def _groups(session: AsyncSession) -> dict[str, dict[str, tuple[str, ...]]]:
    group, member, user = tables.Group, tables.GroupMember, tables.User
    members: dict[str, list[str]] = {}
    for group_id, name in await session.execute(
        select(member.group_id, user.name)
        .join(user, user.id == member.user_id)
        .order_by(member.group_id, member.position)
    ):
        members.setdefault(group_id, []).append(name)
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for id_, account, name in await session.execute(
        select(group.id, group.account_id, group.name).order_by(group.id)
    ):
        groups.setdefault(account, {})[name] = tuple(members.get(id_, ()))
    return groups
