"""A whole engine in one process, on an embedded switch and a database of its own: put together, and taken down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from flowengine import serve
from flowengine.ari.settings import AriSettings
from flowengine.config import Settings
from flowengine.serve import Installation, ari_settings, opened
from flowengine.store import tables
from flowengine.store.database import open_database
from flowengine.store.errors import DatabaseInUse
from flowengine.store.migrate import upgrade
from simulator.fake_ari import FakeAri
from simulator.phones import Answered, HangUp, Hear, Speak, seconds
from tests.store.seed import seed

NUMBER = "+815055550100"


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.02)


def settings(folder: Path, **given: Any) -> Settings:
    return Settings.model_validate({"data_dir": folder / "var", "http_port": 0, "drain_s": 5.0, **given})


@contextlib.asynccontextmanager
async def installation(of: Settings) -> AsyncIterator[tuple[Installation, FakeAri]]:
    heard: dict[str, str] = {}

    def hears(uri: str) -> str:
        return heard.get(uri, uri)

    async with FakeAri(user="engine", password="secret", speed=5.0, heard_as=hears) as ari:
        access = AriSettings(url=ari.url, app="flowengine", username="engine", password="secret")
        async with opened(of, access, heard=heard) as here:
            yield here, ari


async def seeded(of: Settings) -> None:
    of.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_database(of.database) as database:
        await upgrade(database)
        await seed(database)


async def test_a_call_is_answered_recorded_and_waited_for(tmp_path: Path) -> None:
    of = settings(tmp_path)
    await seeded(of)
    script = (Answered(), Hear("beep", to_end=True), Speak(seconds(3)), HangUp())
    async with installation(of) as (here, ari):
        assert here.switch.client.ready
        leg = ari.place_call(NUMBER, "+819055550123", script)
        await until(lambda: here.engine.calls)
        engine = here.engine
    assert not leg.open
    assert engine.draining
    assert engine.calls == {}
    async with open_database(of.database) as database, database.reading() as session:
        [call] = (await session.scalars(select(tables.Call))).all()
        [recording] = (await session.scalars(select(tables.Recording))).all()
    assert (call.number, call.disposition, call.end_reason) == (NUMBER, "message", "caller_hung_up")
    assert recording.call_id == call.id
    assert (of.recordings_dir / recording.path).stat().st_size == recording.size_bytes


async def test_a_database_has_one_engine(tmp_path: Path) -> None:
    of = settings(tmp_path)
    async with installation(of):
        with pytest.raises(DatabaseInUse):
            async with installation(of):
                pass
    async with installation(of) as (here, _):
        assert here.engine.catalog.numbers == {}


async def test_a_new_catalogue_is_taken_over_even_if_its_prompts_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise OSError("no space left on device")

    of = settings(tmp_path)
    with capture_logs() as logs:
        async with installation(of) as (here, _):
            monkeypatch.setattr(here.prompts, "render_all", fails)
            await seed(here.database)
            await until(lambda: here.engine.catalog.numbers)
            assert here.desk.catalog is here.engine.catalog
            monkeypatch.undo()
            await seed(here.database, "second", "+815055550101")
            await until(lambda: len(here.engine.catalog.numbers) == 2)
    [told] = [entry for entry in logs if entry["event"].startswith("prompts not made")]
    assert told["log_level"] == "error"


async def test_without_its_switch_an_engine_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "FIRST_CONNECT_S", 0.2)
    access = AriSettings(url="http://127.0.0.1:9", app="flowengine", username="engine", password="secret")
    with capture_logs() as logs:
        async with opened(settings(tmp_path), access) as here:
            assert not here.switch.client.ready
    [told] = [entry for entry in logs if entry["event"].startswith("switch not ready")]
    assert "secret" not in repr(told)


def test_an_asterisk_needs_a_password() -> None:
    with pytest.raises(ValueError, match="FLOWENGINE_ARI_PASSWORD is not set"):
        ari_settings(Settings.model_validate({}))
    found = ari_settings(Settings.model_validate({"ari_password": "secret", "ari_app": "other"}))
    assert (found.app, found.password) == ("other", "secret")
