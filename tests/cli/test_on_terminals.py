"""What commands over the database look like on a terminal: cut to its width, asking before they delete, in sections."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import typer

from flowengine.cli import app
from flowengine.cli.sections import OTHERS, SECTIONS
from flowengine.store.tables import Recording
from tests.cli.office import Office
from tests.cli.terminal import ROOT, run

PATIENCE_S = 60.0


def on_terminal(office: Office, *words: str, typed: bytes = b"", columns: int = 80) -> tuple[int, str]:
    """Run a command on a terminal of its own; its exit code and everything shown."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLOWENGINE_")}
    env |= {"TERM": "xterm", "COLUMNS": str(columns), "FLOWENGINE_DATA_DIR": str(office.folder)}
    with subprocess.Popen(
        [sys.executable, "-m", "flowengine.cli", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=env,
    ) as process:
        os.close(theirs)
        try:
            os.write(ours, typed)
            shown = b""
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None or select.select([ours], [], [], 0)[0]:
                assert time.monotonic() < deadline, shown
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        shown += os.read(ours, 65_536)
                    except OSError:  # how Linux says that nobody writes any more
                        break
            return process.wait(PATIENCE_S), shown.decode()
        finally:
            process.kill()
            os.close(ours)


def test_what_was_said_is_cut_to_the_terminal(office: Office) -> None:
    id = office.record()
    office.change(Recording, id, transcript="電話してください " * 40)
    code, shown = on_terminal(office, "voicemail", "list", "demo", columns=120)
    [line] = [each for each in shown.splitlines() if id in each]
    assert code == 0
    assert line.endswith("...")
    wide = sum(2 if ord(c) > 0x2E80 else 1 for c in line)
    assert 110 <= wide <= 120
    assert "..." not in run("voicemail", "list", "demo").out


def test_who_deletes_on_a_terminal_is_asked(office: Office) -> None:
    id = office.record()
    code, shown = on_terminal(office, "recordings", "delete", id, typed=b"n\n")
    assert code == 1
    assert "Delete 1 recordings for good? [y/N]" in shown
    assert office.sound(id).is_file()
    code, shown = on_terminal(office, "recordings", "delete", id, typed=b"y\n")
    assert code == 0
    assert "1 deleted" in shown
    assert run("recordings", "show", id, "--json").json["status"] == "deleted"


def test_progress_is_for_terminals_and_goes_away(office: Office) -> None:
    for minute in range(3):
        office.record(minutes=minute)
    code, shown = on_terminal(office, "recordings", "verify")
    assert code == 0
    assert "3 recordings verified, 0 damaged or gone" in shown
    assert re.search(r"\x1b\[\?25l.*\x1b\[\?25h", shown, re.S), "the cursor is given back"


def test_how_full_a_plan_is_comes_in_colour(office: Office) -> None:
    office.record(ms=1_000)
    office.change(Recording, office.record(minutes=1), duration_ms=1_000)
    code, shown = on_terminal(office, "storage", "show", "demo", "--days", "1")
    assert code == 0
    assert "\x1b[32mplan free: 0.0 of 1,000.0 minutes used, 0 %\x1b[0m" in shown


def test_the_help_has_every_command_once_and_in_its_section() -> None:
    registered = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    sections = {title: [name for name in names if name in registered] for title, names in SECTIONS.items()}
    parts = dict(re.findall(r"^(\w[\w ]*):\n(.*?)(?=\n\n|\Z)", run("--help").out, re.M | re.S))
    shown = {title: re.findall(r"^  ([a-z][a-z-]*)(?:  |$)", part, re.M) for title, part in parts.items()}
    del shown["Options"]
    assert sorted(name for names in shown.values() for name in names) == sorted(registered)
    shown.pop(OTHERS, None)
    assert shown == {title: names for title, names in sections.items() if names}
