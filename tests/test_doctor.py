"""The doctor: each thing it looks at, well and ill, with the mend; and that looking changes nothing."""

import re
import shutil
import sqlite3
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flowengine import doctor
from flowengine.config import Settings
from flowengine.doctor import Finding, examine
from flowengine.store.database import open_database
from flowengine.store.migrate import upgrade
from recordings.errors import LibraryUnavailable, ToolMissing
from recordings.library import RecordingLibrary
from recordings.speech import configured
from recordings.storage_disk import PROBE
from simulator.fake_ari import FakeAri

CLOSED = "http://127.0.0.1:9"
"""The discard port, on which nobody listens."""


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CONNECT_S", 0.3)


def settings(data_dir: Path, **given: Any) -> Settings:
    return Settings.model_validate({"data_dir": data_dir, **given})


async def look(thing: str, settings: Settings) -> Finding:
    [found] = [finding for finding in await examine(settings) if finding.thing == thing]
    assert found.ok is (found.mend == "")
    return found


def tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_size) for path in folder.rglob("*"))


async def test_a_fresh_machine_lacks_nothing_and_is_left_as_it_is(tmp_path: Path) -> None:
    found = await examine(settings(tmp_path / "deep" / "var"))
    assert [finding.thing for finding in found] == [
        "python",
        "espeak-ng",
        "ffmpeg",
        "speech",
        "data folder",
        "recordings",
        "database",
    ]
    assert [finding.mend for finding in found] == [""] * 7
    assert found[-1].state == "sqlite: not there yet, made at the first start"
    assert tree(tmp_path) == []


async def test_missing_programs_are_named_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for program in ("espeak-ng", "ffmpeg"):
        found = await look(program, settings(tmp_path))
        assert (found.state, found.mend) == ("not found", f"install the package {program}")


async def test_an_old_python_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert (await look("python", settings(tmp_path))).mend == "use Python 3.11 or newer"


async def test_a_file_in_the_way_of_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await look("data folder", settings(tmp_path / "file" / "var"))
    assert found.state == f"{tmp_path}/file: not a folder"


async def test_a_data_folder_nobody_may_write_to() -> None:
    """Not even root may write to /proc."""
    found = await look("data folder", settings(Path("/proc/flowengine")))
    assert found.state.startswith("/proc: cannot be written to")
    assert "FLOWENGINE_DATA_DIR" in found.mend


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 10**10, 10**8))
    found = await look("data folder", settings(tmp_path))
    assert found.state.endswith("0.1 GB free")
    assert found.mend.startswith("free at least 1 GB")


# Speech


async def test_who_speaks(tmp_path: Path) -> None:
    found = await look("speech", settings(tmp_path))
    assert "open-jtalk (ja)" in found.state
    assert re.search(r"espeak-ng \(\d+ languages\)", found.state)


async def test_nobody_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def offer(self) -> Any:
            raise ToolMissing("espeak-ng", "it cannot be started", "install espeak-ng")

    monkeypatch.setattr(doctor, "configured", lambda *_: SimpleNamespace(engines=[Silent()]))
    found = await look("speech", settings(tmp_path))
    assert (found.state, found.mend) == ("nobody speaks", "install espeak-ng")


async def test_an_engine_that_is_not_needed_is_missed_and_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def offer(self) -> Any:
            raise ToolMissing("open-jtalk", "it is not installed", "pip install it")

    espeak = configured().engines[-1]
    monkeypatch.setattr(doctor, "configured", lambda *_: SimpleNamespace(engines=[Silent(), espeak]))
    assert (await look("speech", settings(tmp_path))).state.endswith("; without open-jtalk: pip install it")


async def test_a_speech_command_that_is_not_there(tmp_path: Path) -> None:
    found = await look("speech", settings(tmp_path, speech_command="no-such-voice {out}"))
    assert found.state == "no-such-voice: not found"
    assert "FLOWENGINE_SPEECH_COMMAND" in found.mend
    assert (await look("speech", settings(tmp_path, speech_command=f"{sys.executable} {{out}}"))).ok


# Programs of the operator's choice


@pytest.mark.parametrize("name", ["notify", "transcribe"])
async def test_a_program_that_is_not_there_or_not_to_be_run(name: str, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.write_text("#!/bin/sh\n")
    for program in ("no-such-program", closed):
        given = {f"{name}_command": f"{program} --for {{audio}}"}
        found = await look(f"{name} command", settings(tmp_path, **given))
        assert found.state == f"{program}: not found, or not to be run"
        assert f"FLOWENGINE_{name.upper()}_COMMAND" in found.mend
    found = await look(
        f"{name} command", settings(tmp_path, **{f"{name}_command": f"{sys.executable} {{audio}}"})
    )
    assert (found.state, found.mend) == (sys.executable, "")


# Recordings


async def test_a_library_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    RecordingLibrary(tmp_path / "recordings")
    before = tree(tmp_path)
    assert (await look("recordings", settings(tmp_path))).state == f"{tmp_path}/recordings: can be written"
    assert {path for path, _ in tree(tmp_path)} - {path for path, _ in before} == {
        f"{tmp_path}/recordings/{PROBE}"
    }


async def test_a_library_of_a_volume_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise LibraryUnavailable("recordings", "No space left on device", "free some space")

    RecordingLibrary(tmp_path / "recordings")
    monkeypatch.setattr(RecordingLibrary, "check", full)
    found = await look("recordings", settings(tmp_path))
    assert (found.state, found.mend) == (
        "cannot be kept",
        "recordings: No space left on device; free some space",
    )


async def test_a_bucket_that_is_not_there_and_a_wrong_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    for address in ("s3://talks/tokyo?endpoint=http://127.0.0.1:9", "s3://"):
        found = await look("recordings", settings(tmp_path, recordings_at=address))
        assert found.state == "cannot be kept"
        assert found.mend
        assert "s3cret" not in repr(found)
    assert tree(tmp_path) == []


# The database


async def test_a_database_at_its_newest_revision(tmp_path: Path) -> None:
    async with open_database(settings(tmp_path).database) as database:
        await upgrade(database)
    assert (await look("database", settings(tmp_path))).state == "sqlite: at the newest revision"


async def test_a_database_without_tables(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "flowengine.db").close()
    (tmp_path / "flowengine.db").touch()
    found = await look("database", settings(tmp_path))
    assert found.state == "sqlite: cannot be used"
    assert "flowengine db upgrade" in found.mend


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "flowengine.db").write_bytes(b"not a database at all" * 100)
    found = await look("database", settings(tmp_path))
    assert found.state == "sqlite: cannot be used"
    assert "file is not a database" in found.mend


async def test_a_named_database_is_not_made_by_a_look(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    assert (await look("database", settings(tmp_path, database_url=url))).ok
    assert tree(tmp_path) == []


@pytest.mark.parametrize("url", ["oracle://host/db", "nonsense", "sqlite://", "sqlite:////proc/none/x.db"])
async def test_an_address_of_no_database(tmp_path: Path, url: str) -> None:
    found = await look("database", settings(tmp_path, database_url=url))
    assert found.state.endswith(": cannot be used") or found.state.endswith("made at the first start")
    assert found.ok is url.endswith("x.db")


async def test_a_server_that_is_not_there_and_its_password(tmp_path: Path) -> None:
    url = "postgresql://flow:s3cret@127.0.0.1:9/flow"
    found = await look("database", settings(tmp_path, database_url=url))
    assert found.state == "postgresql: cannot be used"
    assert "s3cret" not in repr(found)


# Asterisk


async def test_an_asterisk_without_a_password_for_it(tmp_path: Path) -> None:
    found = await look("asterisk", settings(tmp_path, switch="asterisk"))
    assert "FLOWENGINE_ARI_PASSWORD" in found.mend


async def test_an_asterisk_that_is_not_there(tmp_path: Path) -> None:
    found = await look(
        "asterisk", settings(tmp_path, switch="asterisk", ari_url=CLOSED, ari_password="s3cret")
    )
    assert found.state == f"{CLOSED}: not ready"
    assert found.mend
    assert "s3cret" not in repr(found)


async def test_an_asterisk_that_is_ready_and_keeps_its_engine(tmp_path: Path) -> None:
    """The doctor comes as an application of its own: a second connection on the engine's would silence it."""
    async with FakeAri(user="flow", password="right", app="engine-doctor") as ari:
        given = {"switch": "asterisk", "ari_url": ari.url, "ari_user": "flow", "ari_app": "engine"}
        found = await look("asterisk", settings(tmp_path, **given, ari_password="right"))
        assert (found.mend, found.state[: len(ari.url)]) == ("", ari.url)
        refused = await look("asterisk", settings(tmp_path, **given, ari_password="wrong"))
        assert not refused.ok
