"""Flows: drafts with an optimistic lock, immutable published versions, on and off (product rules, section 3).

What a flow may be published with is not decided here: `flowengine.flow.graph` names the problems, the caller asks
it first. Whatever changes what calls need bumps the catalogue's epoch.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.flow import document
from flowengine.store.errors import DraftChanged, NotStored
from flowengine.store.ids import new_id
from flowengine.store.tables import CatalogEpoch, Flow, FlowVersion, Number


async def create_flow(
    session: AsyncSession, account: str, key: str, draft: document.Flow, *, enabled: bool = True
) -> str:
    """Store a new flow with its first draft (revision 1) and give its id (`flw_...`)."""
    return (await create_flows(session, account, {key: (draft, enabled)}))[key]


async def create_flows(
    session: AsyncSession, account: str, drafts: Mapping[str, tuple[document.Flow, bool]]
) -> dict[str, str]:
    """Store many new flows, by key with their draft and whether they are enabled; gives their ids by key."""
    rows = [
        {
            "id": new_id("flw"),
            "account_id": account,
            "key": key,
            "enabled": enabled,
            "draft_revision": 1,
            **_draft_columns(draft),
        }
        for key, (draft, enabled) in drafts.items()
    ]
    if rows:
        await (await session.connection()).execute(insert(Flow), rows)
    return {row["key"]: row["id"] for row in rows}


async def save_draft(
    session: AsyncSession, account: str, flow: str, draft: document.Flow, *, revision: int
) -> int:
    """Save a draft over the revision that was read and give the new revision.

    Raises:
        DraftChanged: somebody else saved in between; nothing was changed.
        NotStored: there is no such flow.
    """
    statement = (
        update(Flow)
        .where(*_is(account, flow), Flow.draft_revision == revision)
        .values(draft_revision=revision + 1, **_draft_columns(draft))
        .returning(Flow.draft_revision)
    )
    saved = await session.scalar(statement)
    if saved is None:
        now = await session.scalar(select(Flow.draft_revision).where(*_is(account, flow)))
        if now is None:
            raise _no_flow(flow)
        raise DraftChanged(
            f"the draft was saved by somebody else (revision {now}, you read {revision}): read it again and repeat"
            " your change"
        )
    return saved


async def publish(
    session: AsyncSession, account: str, flow: str, published: document.Flow, *, message: str = ""
) -> str:
    """Make a document the version that takes new calls, and give its sha256. Running calls keep theirs.

    A document published before is the same version again, and is not stored twice.
    """
    if await session.scalar(select(Flow.id).where(*_is(account, flow))) is None:
        raise _no_flow(flow)
    return (await publish_all(session, account, {flow: published}, message=message))[flow]


async def publish_all(
    session: AsyncSession, account: str, published: Mapping[str, document.Flow], *, message: str = ""
) -> dict[str, str]:
    """Publish documents by the ids of their flows, which must be there; gives the versions by id."""
    versions = {flow: of.sha256() for flow, of in published.items()}
    if not published:
        return versions
    connection = await session.connection()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "flow_id": flow,
            "sha256": versions[flow],
            "account_id": account,
            "document": as_json(of),
            "message": message,
        }
        for flow, of in published.items()
    ]
    await connection.execute(dialect.insert(FlowVersion).on_conflict_do_nothing(), rows)
    await connection.execute(
        update(Flow)
        .where(Flow.account_id == account, Flow.id == bindparam("of"))
        .values(published_version=bindparam("version")),
        [{"of": flow, "version": version} for flow, version in versions.items()],
    )
    await bump_epoch(session)
    return versions


async def set_enabled(session: AsyncSession, account: str, flow: str, *, enabled: bool) -> None:
    """Switch a flow on or off: new calls to its numbers are rejected while it is off."""
    statement = update(Flow).where(*_is(account, flow)).values(enabled=enabled).returning(Flow.id)
    if await session.scalar(statement) is None:
        raise _no_flow(flow)
    await bump_epoch(session)


async def delete_flow(session: AsyncSession, account: str, flow: str) -> None:
    """Take a flow away and free its numbers. Its versions stay, for the calls which ran on them."""
    gone = update(Flow).where(*_is(account, flow)).values(deleted_at=datetime.now(UTC)).returning(Flow.id)
    if await session.scalar(gone) is None:
        raise _no_flow(flow)
    await session.execute(
        update(Number).where(Number.account_id == account, Number.flow_id == flow).values(flow_id=None)
    )
    await bump_epoch(session)


async def load_version(session: AsyncSession, account: str, flow: str, version: str) -> document.Flow:
    """Give the document a call is pinned to, by flow and sha256, even of a deleted flow; raises `NotStored`."""
    stored = await session.scalar(
        select(FlowVersion.document).where(
            FlowVersion.account_id == account, FlowVersion.flow_id == flow, FlowVersion.sha256 == version
        )
    )
    if stored is None:
        raise NotStored(f"there is no version {version} of flow {flow} in this account")
    return document.parse(stored)


async def bump_epoch(session: AsyncSession) -> None:
    """Tell every engine that the catalogue changed, from the commit on."""
    await session.execute(update(CatalogEpoch).values(epoch=CatalogEpoch.epoch + 1))


def as_json(flow: document.Flow) -> dict[str, Any]:
    """Give a document as it is stored: as its author wrote it, in the order of the models."""
    stored: dict[str, Any] = json.loads(flow.pretty())
    return stored


def _draft_columns(draft: document.Flow) -> dict[str, Any]:
    return {"name": draft.name, "description": draft.description, "draft": as_json(draft)}


def _is(account: str, flow: str) -> tuple[Any, ...]:
    return (Flow.account_id == account, Flow.id == flow, Flow.deleted_at.is_(None))


def _no_flow(flow: str) -> NotStored:
    return NotStored(f"there is no flow {flow} in this account: it may have been deleted")
