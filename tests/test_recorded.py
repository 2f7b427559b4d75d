"""What is kept of calls when the library fails: the call is unharmed, somebody is told, and nothing is lost.

The whole engine on an embedded switch, with a volume that goes away and a bucket that refuses.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from flowengine.ari.settings import AriSettings
from flowengine.serve import Installation, opened
from flowengine.store import rooms, tables
from simulator.fake_ari import FakeAri
from simulator.phones import Answered, HangUp, Hear, Speak, Step, seconds
from tests.recordings import buckets
from tests.recordings.rude_bucket import RudeBucket, rude
from tests.test_serve import NUMBER, installation, seeded, settings, until

MESSAGE: tuple[Step, ...] = (Answered(), Hear("beep", to_end=True), Speak(seconds(6)), HangUp())
TOLD_S = 5.0
"""An alarm stands within this (product: "alarm within 5 s")."""


@pytest.fixture(scope="module")
def good() -> Any:
    with buckets.service() as endpoint:
        buckets.client(endpoint).create_bucket(Bucket=buckets.BUCKET)
        yield endpoint


@pytest.fixture
async def bucket(good: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RudeBucket]:
    for name, value in buckets.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with rude(good) as bucket:
        yield bucket


async def rows(here: Installation) -> list[tables.Recording]:
    async with here.database.reading() as session:
        return list((await session.scalars(select(tables.Recording))).all())


async def status(here: Installation) -> list[str]:
    return [row.status for row in await rows(here)]


async def alarms(here: Installation) -> dict[str, str]:
    """As operators see them."""
    async with aiohttp.ClientSession() as http, http.get(f"{here.address}/healthz") as answer:
        found: dict[str, str] = json.loads(await answer.text())["alarms"]
        return found


async def eventually(condition: Callable[[], Any], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.1)


async def leave_a_message(here: Installation, ari: FakeAri) -> None:
    """A call that is not harmed by anything behind it."""
    leg = ari.place_call(NUMBER, "+819055550123", MESSAGE)
    await until(lambda: here.engine.calls)
    await until(lambda: not here.engine.calls)
    assert not leg.open
    async with here.database.reading() as session:
        [call] = (await session.scalars(select(tables.Call))).all()
    assert (call.disposition, call.end_reason) == ("message", "caller_hung_up")


async def check_kept(here: Installation) -> None:
    """The message is home, whole and counted, and the switch has nothing left."""
    [row] = await rows(here)
    assert (row.status, row.complete) == ("kept", True)
    found = await here.recorded.library.verify(f"{row.call_id}-{row.short_id}")
    assert (found.sha256, found.duration_ms) == (row.sha256, row.duration_ms)
    async with here.database.reading() as session:
        usage = await rooms.usage(session, row.account_id)
    assert (usage.stored_ms, usage.held_ms) == (row.duration_ms, 0)
    stored = await here.switch.client.request("GET", "recordings/stored")
    assert stored.read(list[dict[str, Any]]) == []


async def test_a_volume_that_is_gone_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    of = settings(tmp_path)
    await seeded(of)
    async with installation(of) as (here, ari):
        volume = of.recordings_dir
        away = volume.rename(tmp_path / "away")
        volume.write_text("no folder any more")

        async def told() -> bool:
            return "recordings_library" in await alarms(here)

        await eventually(told, TOLD_S)
        await leave_a_message(here, ari)
        await eventually(lambda: _has(here, "expected"))
        assert "recordings_not_kept" in await alarms(here)
        volume.unlink()
        away.rename(volume)
        await eventually(lambda: _has(here, "kept"), 40)
        await check_kept(here)
        await eventually(lambda: _quiet(here))


async def test_an_engine_that_starts_again_brings_home_what_a_gone_volume_left(tmp_path: Path) -> None:
    of = settings(tmp_path, drain_s=0.5)
    await seeded(of)
    heard: dict[str, str] = {}
    async with FakeAri(
        user="engine", password="secret", speed=5.0, heard_as=lambda uri: heard.get(uri, uri)
    ) as ari:
        access = AriSettings(url=ari.url, app="flowengine", username="engine", password="secret")
        async with opened(of, access, heard=heard) as here:
            away = of.recordings_dir.rename(tmp_path / "away")
            of.recordings_dir.write_text("no folder any more")
            await leave_a_message(here, ari)
            await eventually(lambda: _has(here, "expected"))
            [row] = await rows(here)
            assert (row.size_bytes, row.sha256, row.path) == (0, "", "")
        of.recordings_dir.unlink()
        away.rename(of.recordings_dir)
        async with opened(of, access, heard=heard) as here:
            await eventually(lambda: _has(here, "kept"))
            await check_kept(here)


@pytest.mark.parametrize("answer", ["403 AccessDenied", "503 SlowDown", "hang"])
async def test_a_bucket_that_refuses_is_told_and_nothing_is_lost(
    tmp_path: Path, bucket: RudeBucket, answer: str
) -> None:
    address = f"s3://{buckets.BUCKET}/{answer[:3]}?endpoint={bucket.endpoint}&region=us-east-1"
    of = settings(tmp_path, recordings_at=address)
    await seeded(of)
    async with installation(of) as (here, ari):
        bucket.misbehave(answer)

        async def told() -> bool:
            return "recordings_library" in await alarms(here)

        await eventually(told, TOLD_S)
        await leave_a_message(here, ari)
        bucket.behave()
        bucket.release.set()
        await eventually(lambda: _has(here, "kept"), 60)
        await check_kept(here)
        await eventually(lambda: _quiet(here))
        assert buckets.SECRET not in json.dumps(await alarms(here))


async def _has(here: Installation, wanted: str) -> bool:
    return await status(here) == [wanted]


async def _quiet(here: Installation) -> bool:
    return not await alarms(here)


async def test_a_message_is_told_and_written_down_by_the_operators_programs(tmp_path: Path) -> None:
    notes = tmp_path / "told.jsonl"
    teller = tmp_path / "tell.py"
    teller.write_text(f"import sys; open({str(notes)!r}, 'a').write(sys.stdin.read())")
    writer = tmp_path / "write.py"
    writer.write_text(
        "import sys, wave; print('heard', wave.open(sys.argv[1]).getnframes() // 8000, 'seconds')"
    )
    of = settings(
        tmp_path,
        notify_command=f"{sys.executable} {teller}",
        transcribe_command=f"{sys.executable} {writer} {{audio}}",
    )
    await seeded(of)
    async with installation(of) as (here, ari):
        await leave_a_message(here, ari)
        await eventually(lambda: _has(here, "kept"))

        async def written() -> bool:
            return (await rows(here))[0].transcript is not None

        await eventually(written, 30)
        [row] = await rows(here)
        assert row.transcript == f"heard {row.duration_ms // 1_000} seconds"

        async def told() -> bool:
            return notes.exists() and "voicemail" in notes.read_text()

        await eventually(told, 30)
        first = json.loads(notes.read_text().splitlines()[0])
        assert (first["kind"], first["account"]) == ("voicemail", "demo")
        assert first["data"]["duration_ms"] == row.duration_ms
        assert first["data"]["caller"] == "+819055550123"
