"""Engines that follow one another on one database: handed over by SIGTERM, or dead before a call had begun."""

import asyncio
import os
from pathlib import Path

from sqlalchemy import select
from structlog.testing import capture_logs

from flowengine import demo
from flowengine.ari.settings import AriSettings
from flowengine.call.events import SECOND
from flowengine.config import Settings
from flowengine.publishing import apply_account
from flowengine.resuming.alive import FILE, last_alive, prove_life
from flowengine.serve import Installation, opened
from flowengine.store import tables
from flowengine.store.ids import new_id
from simulator.fake_ari import FakeAri
from simulator.phones import Answered, Behaviour, Hear, Press, Wait, seconds
from tests.test_serve import until


def settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {"data_dir": folder / "var", "http_port": 0, "drain_s": 0, "country": "JP"}
    )


async def records(here: Installation) -> list[tables.Call]:
    async with here.database.reading() as session:
        return list((await session.scalars(select(tables.Call).order_by(tables.Call.id))).all())


async def test_a_stopped_engine_hands_its_calls_over(tmp_path: Path) -> None:
    of = settings(tmp_path)
    await apply_account(of, demo.account_file())
    heard: dict[str, str] = {}
    async with FakeAri(heard_as=lambda uri: heard.get(uri, uri), speed=4) as world:
        ari = AriSettings(app="flowengine", username="flowengine", password="flowengine", url=world.url)
        for agent in demo.AGENTS:
            world.add_phone(
                f"PJSIP/{agent}", (Behaviour(answers_after_us=seconds(0.2), talks_us=seconds(16)),)
            )
        async with opened(of, ari, heard=heard) as here:
            talker = world.place_call(
                demo.NUMBER, "+819012345678", [Answered(), Wait(seconds(1)), Press("1")]
            )
            listener = world.place_call(demo.NUMBER, "+819012345679", [Answered(), Hear("never")])
            [account] = here.engine.catalog.users
            await until(lambda: here.desk.agent(account, "hanako").state == "talking")
            calls = sorted(here.engine.calls)
        assert talker.open
        assert listener.open
        async with opened(of, ari, heard=heard) as here:
            assert sorted(here.engine.calls) == calls
            assert here.desk.agent(account, "hanako").state == "talking"
            assert {view.call for view in here.picture.snapshot().calls} <= set(calls)
            await until(lambda: not here.engine.calls, 20)
            found = await records(here)
            assert here.desk.agent(account, "hanako").state == "available"
    assert [row.id for row in found] == calls
    assert {(row.disposition, row.end_reason) for row in found} == {
        ("answered", "completed"),
        ("self_served", "completed"),
    }


async def test_a_call_of_which_nothing_is_known_but_its_opening_is_forgotten(tmp_path: Path) -> None:
    of = settings(tmp_path)
    await apply_account(of, demo.account_file())
    async with FakeAri() as world:
        ari = AriSettings(app="flowengine", username="flowengine", password="flowengine", url=world.url)
        async with opened(of, ari) as here:
            [published] = [each for each in here.engine.catalog.numbers.values() if each is not None]
            now = here.engine.clock.now()
            await here.engine.journal.open(
                new_id("cal"), published.account, published.id, published.version, now, "1790000000.1"
            )
        async with opened(of, ari) as here:
            assert here.engine.calls == {}
            assert await records(here) == []


async def test_life_is_proven_while_rows_are_written_at_once(tmp_path: Path) -> None:
    file, is_prompt = tmp_path / FILE, True
    assert last_alive(file) is None
    proving = asyncio.create_task(prove_life(file, lambda: is_prompt, 0.05))
    await until(lambda: last_alive(file) is not None)
    is_prompt = False
    os.utime(file, (1_000, 1_000))
    await asyncio.sleep(0.4)
    assert last_alive(file) == 1_000 * SECOND
    is_prompt = True
    await until(lambda: (last_alive(file) or 0) > 1_000 * SECOND)
    proving.cancel()
    await asyncio.gather(proving, return_exceptions=True)


async def test_without_a_place_for_its_proof_an_engine_goes_on_and_says_so_once(tmp_path: Path) -> None:
    with capture_logs() as logs:
        proving = asyncio.create_task(prove_life(tmp_path / "nowhere" / FILE, lambda: True, 0))
        await asyncio.sleep(0.6)
        assert not proving.done()
        proving.cancel()
        await asyncio.gather(proving, return_exceptions=True)
    assert [entry["event"] for entry in logs] == ["no proof of life"]
