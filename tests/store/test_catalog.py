"""The catalogue: what the database says takes calls, and how soon an engine hears of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from sqlalchemy import text, update

from flowengine.routing.agents import Policy
from flowengine.routing.directory import NO_PUBLISHED_FLOW, UNKNOWN_NUMBER, Catalog, PublishedFlow, User
from flowengine.store import flows, tables
from flowengine.store.catalog import load_catalog, read_epoch, watch
from flowengine.store.database import Database
from flowengine.store.errors import DraftChanged, NotStored
from tests.store.seed import NOON, flow, seed

NUMBER = "+815055550100"


async def _catalog(database: Database) -> Catalog:
    async with database.reading() as session:
        return await load_catalog(session)


async def test_a_published_flow_takes_calls(database: Database) -> None:
    of = await seed(database)
    catalog = await _catalog(database)
    assert catalog.route(NUMBER) == PublishedFlow(of.flow, of.account, of.version, flow())
    assert catalog.users == {of.account: {"hanako": User("hanako", ("PJSIP/demo",))}}
    assert catalog.groups == {of.account: {"sales": ("hanako",)}}
    assert catalog.route("+815055550101") == UNKNOWN_NUMBER


async def test_what_an_account_asks_of_its_agents(database: Database) -> None:
    of = await seed(database)
    assert (await _catalog(database)).policies == {}
    async with database.writing() as session:
        await session.execute(
            update(tables.Account)
            .where(tables.Account.id == of.account)
            .values(wrap_up_s=10, pause_after_misses=3)
        )
    assert (await _catalog(database)).policies == {of.account: Policy(10, 3)}


async def test_disabled_enabled_deleted(database: Database) -> None:
    of = await seed(database)
    async with database.writing() as session:
        await flows.set_enabled(session, of.account, of.flow, enabled=False)
    assert (await _catalog(database)).route(NUMBER) == NO_PUBLISHED_FLOW
    async with database.writing() as session:
        await flows.set_enabled(session, of.account, of.flow, enabled=True)
    assert isinstance((await _catalog(database)).route(NUMBER), PublishedFlow)
    async with database.writing() as session:
        await flows.delete_flow(session, of.account, of.flow)
    assert (await _catalog(database)).route(NUMBER) == NO_PUBLISHED_FLOW
    async with database.reading() as session:
        assert await flows.load_version(session, of.account, of.flow, of.version) == flow()


async def test_a_version_nobody_can_read_takes_no_calls_and_hurts_no_other(database: Database) -> None:
    of = await seed(database)
    other = await seed(database, "other", "+815055550101")
    async with database.writing() as session:
        await session.execute(
            update(tables.FlowVersion)
            .where(tables.FlowVersion.account_id == of.account)
            .values(document={"format": "flowengine/9"})
        )
    catalog = await _catalog(database)
    assert catalog.route(NUMBER) == NO_PUBLISHED_FLOW
    assert isinstance(found := catalog.route("+815055550101"), PublishedFlow)
    assert found.account == other.account


async def test_an_old_draft_cannot_be_saved_over_a_newer_one(database: Database) -> None:
    of = await seed(database)
    async with database.writing() as session:
        assert await flows.save_draft(session, of.account, of.flow, flow("Second"), revision=1) == 2
    with pytest.raises(DraftChanged, match="revision 2, you read 1"):
        async with database.writing() as session:
            await flows.save_draft(session, of.account, of.flow, flow("Third"), revision=1)
    async with database.reading() as session:
        stored = await session.get_one(tables.Flow, of.flow)
    assert (stored.name, stored.draft_revision) == ("Second", 2)
    assert stored.draft["name"] == "Second"


async def test_publishing_the_same_again_is_the_same_version(database: Database) -> None:
    of = await seed(database)
    async with database.writing() as session:
        moved = flow(layout={"message": [10, 20]})
        assert await flows.publish(session, of.account, of.flow, moved) == of.version
        second = await flows.publish(session, of.account, of.flow, flow("Second"), message="renamed")
    assert isinstance(found := (await _catalog(database)).route(NUMBER), PublishedFlow)
    assert (found.version, found.flow.name) == (second, "Second")


async def test_every_change_of_what_calls_need_is_counted(database: Database) -> None:
    of = await seed(database)
    for change in (
        lambda s: flows.publish(s, of.account, of.flow, flow("Second")),
        lambda s: flows.set_enabled(s, of.account, of.flow, enabled=False),
        lambda s: flows.delete_flow(s, of.account, of.flow),
    ):
        async with database.reading() as session:
            before = await read_epoch(session)
        async with database.writing() as session:
            await change(session)
        async with database.reading() as session:
            assert await read_epoch(session) == before + 1


async def test_flows_of_another_account_are_not_there(database: Database) -> None:
    of = await seed(database)
    other = await seed(database, "other", "+815055550101")
    async with database.writing() as session:
        for refused in (
            flows.publish(session, other.account, of.flow, flow("Mine now")),
            flows.save_draft(session, other.account, of.flow, flow("Mine now"), revision=1),
            flows.set_enabled(session, other.account, of.flow, enabled=False),
            flows.delete_flow(session, other.account, of.flow),
            flows.load_version(session, other.account, of.flow, of.version),
        ):
            with pytest.raises(NotStored):
                await refused
    assert isinstance(found := (await _catalog(database)).route(NUMBER), PublishedFlow)
    assert found.flow.name == "Message line"


async def test_an_engine_hears_of_a_change_and_keeps_what_it_knows_through_a_failure(
    database: Database,
) -> None:
    of = await seed(database)
    news = cast(AsyncGenerator[Catalog, None], watch(database, every_s=0.02))
    async with asyncio.timeout(20):
        first = await anext(news)
        following = asyncio.create_task(anext(news))
        await asyncio.sleep(0.1)
        assert not following.done()
        async with database.writing() as session:
            await session.execute(text("ALTER TABLE catalog_epoch RENAME TO away"))
        await asyncio.sleep(0.1)
        assert not following.done()
        async with database.writing() as session:
            await session.execute(text("ALTER TABLE away RENAME TO catalog_epoch"))
        async with database.writing() as session:
            await flows.set_enabled(session, of.account, of.flow, enabled=False)
            before = await read_epoch(session)
        second = await following
        await news.aclose()
    assert isinstance(first.route(NUMBER), PublishedFlow)
    assert second.route(NUMBER) == NO_PUBLISHED_FLOW
    async with database.reading() as session:
        assert await read_epoch(session) == before


async def test_a_number_whose_fee_is_long_overdue_takes_no_calls(database: Database) -> None:
    of = await seed(database)
    async with database.writing() as session:
        session.add(
            tables.Subscription(
                id="sub_1",
                account_id=of.account,
                kind="number",
                subject=NUMBER,
                plan="",
                next_plan="",
                fee=1_000_000,
                zone="Asia/Tokyo",
                began_at=NOON,
                paid_months=1,
                next_due_at=None,
                arrears_since=NOON,
                ended_at=None,
            )
        )
    async with database.reading() as session:
        assert (await load_catalog(session)).route(NUMBER) == NO_PUBLISHED_FLOW
    async with database.writing() as session:
        row = await session.get_one(tables.Subscription, "sub_1")
        row.arrears_since, row.next_due_at = None, NOON + 1
    async with database.reading() as session:
        assert isinstance((await load_catalog(session)).route(NUMBER), PublishedFlow)
