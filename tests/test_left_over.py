"""Calls of a dead engine that cannot go on: the next one closes them, and whom they held is free again."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from flowengine import demo
from flowengine.ari.settings import AriSettings
from flowengine.call.events import CallKilled
from flowengine.config import Settings
from flowengine.publishing import apply_account
from flowengine.serve import Installation, opened
from flowengine.store import tables
from flowengine.store.database import open_database
from flowengine.store.journal import read_journal
from simulator.fake_ari import FakeAri
from simulator.phones import Answered, Behaviour, Hear, Press, Wait, seconds


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def agent_state(here: Installation, user: str) -> str:
    [account] = here.engine.catalog.users
    return here.desk.agent(account, user).state


async def test_calls_whose_legs_are_not_known_are_closed_and_their_agents_free(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "http_port": 0, "drain_s": 0, "country": "JP"})
    await apply_account(settings, demo.account_file())
    heard: dict[str, str] = {}
    async with FakeAri(heard_as=lambda uri: heard.get(uri, uri), speed=4) as world:
        ari = AriSettings(app="flowengine", username="flowengine", password="flowengine", url=world.url)
        for agent in demo.AGENTS:
            world.add_phone(f"PJSIP/{agent}", (Behaviour(answers_after_us=seconds(0.2)),))
        async with opened(settings, ari, heard=heard) as here:
            world.place_call(demo.NUMBER, "+819012345678", [Answered(), Wait(seconds(1)), Press("1")])
            world.place_call(demo.NUMBER, "+819012345679", [Answered(), Hear("never")])
            await until(lambda: agent_state(here, "hanako") == "talking")
            calls = sorted(here.engine.calls)
            assert len(calls) == 2
        # As an engine left them that did not keep the channels of its calls.
        async with open_database(settings.database) as database, database.writing() as session:
            await session.execute(update(tables.Call).values(channel=None))

        async with opened(settings, ari, heard=heard) as here:
            await until(lambda: agent_state(here, "hanako") == "available")
            async with here.database.reading() as session:
                rows = (await session.scalars(select(tables.Call).order_by(tables.Call.id))).all()
            assert [row.id for row in rows] == calls
            assert {(row.disposition, row.end_reason) for row in rows} == {
                ("answered", "switch_lost"),
                ("failed", "switch_lost"),
            }
            for row in rows:
                entries = await read_journal(here.database, row.account_id, row.id)
                assert isinstance(entries[-1].event, CallKilled)
            assert here.engine.calls == {}
