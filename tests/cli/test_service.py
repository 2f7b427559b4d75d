"""`flowengine serve`, `dial`, `doctor` and `db`: settings that are wrong, and machines that lack something."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowengine import doctor
from flowengine.store.migrate import newest
from tests.cli.terminal import ROOT, run, start


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, and no setting of ours."""
    for name in list(os.environ):
        if name.startswith("FLOWENGINE_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "var"
    monkeypatch.setenv("FLOWENGINE_DATA_DIR", str(folder))
    monkeypatch.setattr(doctor, "CONNECT_S", 0.3)
    return folder


# Doctor


def test_a_well_machine() -> None:
    ran = run("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert all(line.startswith("ok   ") for line in ran.out.splitlines())
    told = run("doctor", "--json")
    assert told.code == 0
    assert [list(finding) for finding in told.json] == [["thing", "state", "mend"]] * 7


def test_a_machine_without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    ran = run("doctor")
    assert ran.code == 3
    assert "BAD  ffmpeg: not found\n     install the package ffmpeg\n" in ran.out
    assert "BAD  espeak-ng: not found\n     install the package espeak-ng\n" in ran.out
    assert run("doctor", "--json").code == 3


def test_a_machine_with_a_broken_address_of_asterisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWENGINE_SWITCH", "asterisk")
    monkeypatch.setenv("FLOWENGINE_ARI_PASSWORD", "s3cret")
    monkeypatch.setenv("FLOWENGINE_ARI_URL", "http://127.0.0.1:9")
    ran = run("doctor")
    assert ran.code == 3
    assert "BAD  asterisk: http://127.0.0.1:9: not ready\n     " in ran.out
    assert "s3cret" not in ran.out + ran.err
    monkeypatch.setenv("FLOWENGINE_ARI_URL", "127.0.0.1")
    ran = run("doctor")
    assert ran.code == 2
    assert ran.err.startswith("flowengine: FLOWENGINE_ARI_URL (ari_url in the file): expected an address")


# Settings


@pytest.mark.parametrize(
    "words", [["doctor"], ["db", "upgrade"], ["serve"], ["export", "demo"], ["dial", "+81"]]
)
def test_wrong_settings_are_told_by_every_command_that_needs_them(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLOWENGINE_HTTP_PORT", "99999")
    monkeypatch.setenv("FLOWENGINE_COUNTRY", "japan")
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "FLOWENGINE_HTTP_PORT" in ran.err
    assert "FLOWENGINE_COUNTRY" in ran.err
    monkeypatch.setenv("FLOWENGINE_CONFIG", str(tmp_path / "none.toml"))
    assert "none.toml, which is not a file" in run(*words).err


# The database


def test_the_database_is_made_and_brought_up_to_date(data: Path) -> None:
    for _ in range(2):
        ran = run("db", "upgrade")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == f"the database is at revision {newest()}\n"
    assert (data / "flowengine.db").stat().st_size > 0


def test_databases_that_cannot_be_used(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.mkdir()
    (data / "flowengine.db").write_bytes(b"not a database at all" * 100)
    ran = run("db", "upgrade")
    assert ran.code == 3
    assert "file is not a database" in ran.err
    monkeypatch.setenv("FLOWENGINE_DATABASE_URL", "oracle://flow:s3cret@host/db")
    ran = run("db", "upgrade")
    assert ran.code == 3
    assert "is no database this engine knows" in ran.err
    assert "s3cret" not in ran.err


def test_a_data_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWENGINE_DATA_DIR", "/proc/none/var")
    for ran in (run("db", "upgrade"), start("serve")):
        assert ran.code == 3
        assert "/proc/none" in ran.err


def test_db_alone_says_what_it_can_do() -> None:
    assert "upgrade" in run("db").out + run("db").err


# Serve


def test_serve_refuses_a_switch_it_does_not_know() -> None:
    ran = run("serve", "--switch", "freeswitch")
    assert ran.code == 2
    assert "'embedded' or 'asterisk'" in ran.err


def test_once_goes_with_demo() -> None:
    ran = run("serve", "--once")
    assert ran.code == 2
    assert "--demo" in ran.err


def test_serve_says_that_asterisk_needs_a_password() -> None:
    ran = start("serve", "--switch", "asterisk")
    assert ran.code == 3
    assert "FLOWENGINE_ARI_PASSWORD is not set" in ran.err


def test_serve_tells_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = start("serve", env={"FLOWENGINE_HTTP_PORT": str(taken.getsockname()[1])})
    assert ran.code == 3
    assert "address already in use: is another engine running?" in ran.err


def _until_it_listens(pid: int) -> None:
    """It says that it serves a moment before it listens to signals."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            break
        time.sleep(0.01)
    time.sleep(0.05)


@pytest.mark.parametrize("told_by", [signal.SIGTERM, signal.SIGINT])
def test_serve_runs_until_it_is_told_to_stop_and_holds_its_database(told_by: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flowengine.cli", "serve"],
        cwd=ROOT,
        env={**os.environ, "FLOWENGINE_HTTP_PORT": "0", "FLOWENGINE_LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if '"serving"' in line:
                break
        _until_it_listens(process.pid)
        if told_by is signal.SIGTERM:
            second = start("serve", env={"FLOWENGINE_HTTP_PORT": "0"})
            assert second.code == 3
            assert "flowengine: " in second.err
        process.send_signal(told_by)
        _, rest = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert f'"told_by": "{told_by.name}"' in rest
    assert "Traceback" not in rest
    assert "never awaited" not in rest


# Dial


def test_dial_needs_a_running_switch() -> None:
    ran = run("dial", "+815055550100", "--press", "1@2")
    assert ran.code == 3
    assert ran.err.startswith("flowengine: ")


@pytest.mark.parametrize("words", [["--press", "1"], ["--speak", "a@b"], ["--press", "1@-2"]])
def test_dial_reads_no_script_that_is_none(words: list[str]) -> None:
    ran = run("dial", "+815055550100", *words)
    assert ran.code == 2
    assert ran.err.startswith("flowengine: ")
