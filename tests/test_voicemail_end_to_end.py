"""One message from the caller's mouth to the operator's screen, on a running engine with real programs beside it."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from flowengine import transcribing
from flowengine.ari.settings import AriSettings
from flowengine.config import Settings
from flowengine.serve import opened
from flowengine.storage import notices
from flowengine.store.database import open_database
from flowengine.store.migrate import upgrade
from simulator.fake_ari import FakeAri
from simulator.phones import Answered, HangUp, Hear, Speak, seconds
from tests.cli.terminal import Ran, start
from tests.store.seed import seed

NUMBER, CALLER = "+815055550100", "+819055550123"
HEAR = """
import sys, wave
with wave.open(sys.argv[1]) as sound:
    print("Please call me back.", sys.argv[2], round(sound.getnframes() / sound.getframerate()), "s")
"""
TELL = """
import json, sys
message = json.load(sys.stdin)
with open(sys.argv[1], "a") as notes:
    print(json.dumps(message), file=notes)
"""


async def typed(of: Settings, *words: str) -> Ran:
    """What an operator types beside the engine."""
    return await asyncio.to_thread(start, *words, env={"FLOWENGINE_DATA_DIR": str(of.data_dir)})


async def eventually(look: Callable[[], Any], within_s: float = 40.0) -> None:
    async with asyncio.timeout(within_s):
        while not look():  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.1)


def told(notes: Path) -> list[dict[str, Any]]:
    """What admins were told so far."""
    with contextlib.suppress(FileNotFoundError):
        return [json.loads(line) for line in notes.read_text().splitlines()]
    return []


async def test_a_message_is_stored_told_of_written_down_listed_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribing, "POLL_S", 0.1)
    monkeypatch.setattr(notices, "POLL_S", 0.1)
    hear, tell, notes = tmp_path / "hear.py", tmp_path / "tell.py", tmp_path / "notes"
    hear.write_text(HEAR)
    tell.write_text(TELL)
    given = {
        "data_dir": tmp_path / "var",
        "http_port": 0,
        "drain_s": 5.0,
        "transcribe_command": f"{sys.executable} {hear} {{audio}} {{lang}}",
        "notify_command": f"{sys.executable} {tell} {notes}",
    }
    of = Settings.model_validate(given)
    of.data_dir.mkdir()
    async with open_database(of.database) as database:
        await upgrade(database)
        await seed(database)
        await seed(database, "other", "+815055550199")
    heard: dict[str, str] = {}
    script = (Answered(), Hear("beep", to_end=True), Speak(seconds(3)), HangUp())
    with capture_logs() as logs:
        async with FakeAri(
            user="engine", password="secret", speed=5.0, heard_as=lambda uri: heard.get(uri, uri)
        ) as ari:
            access = AriSettings(url=ari.url, app="flowengine", username="engine", password="secret")
            async with opened(of, access, heard=heard):
                ari.place_call(NUMBER, CALLER, script)
                await eventually(lambda: len(told(notes)) == 2)
                first, second = told(notes)
                [listed] = (await typed(of, "voicemail", "list", "demo", "--json")).json
                assert (first["kind"], second["kind"]) == ("voicemail", "voicemail_transcript")
                assert (first["account"], first["data"]["caller"]) == ("demo", CALLER)
                assert second["data"]["recording"] == first["data"]["recording"] == listed["id"]
                assert (listed["caller"], listed["number"], listed["heard"]) == (CALLER, NUMBER, False)
                assert (
                    listed["transcript"]
                    == f"Please call me back. en {round(listed['duration_ms'] / 1_000)} s"
                )
                assert 2_500 < listed["duration_ms"] < 4_500
                assert (await typed(of, "voicemail", "list", "other", "--json")).json == []
                deleted = await typed(of, "recordings", "delete", listed["id"], "--yes")
                assert (deleted.code, deleted.out) == (0, "1 deleted\n")
                assert (await typed(of, "storage", "audit")).code == 0
    assert len(told(notes)) == 2
    assert "call me back" not in str(logs)
    assert CALLER not in str(logs)
    assert list(of.recordings_dir.rglob("*.wav")) == []
