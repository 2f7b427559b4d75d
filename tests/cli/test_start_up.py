"""The command as people start it: what it imports, what it shows where, and how it ends when nobody listens."""

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.cli.terminal import EXAMPLES, HISTORIES, ROOT, run, start
from tests.cli.test_check import LOOP

FLOW = EXAMPLES / "main-line.json"
HEAVY = (
    "networkx",
    "numpy",
    "sqlalchemy",
    "alembic",
    "aiohttp",
    "pydub",
    "phonenumbers",
    "rich",
    "prometheus_client",
)
"""What takes long to import, and is not for a command that looks at a file."""

PROBE = """
import runpy, sys
sys.argv[:] = ["flowengine", *sys.argv[1:]]
try:
    runpy.run_module("flowengine.cli", run_name="__main__")
except SystemExit as end:
    code = end.code
print(code, sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(*words: str, given: str = "") -> tuple[str, list[str]]:
    """The exit code of a command, and what it imported of the heavy things."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        input=given,
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=True,
        text=True,
    )
    code, _, names = done.stderr.splitlines()[-1].partition(" ")
    return code, [name for name in HEAVY if f"'{name}'" in names]


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        f"check {FLOW}",
        f"check --json {FLOW}",
        "schema",
        f"simulate {FLOW} {EXAMPLES}/scenarios/main-line-message.yaml -q",
        f"replay --flow {FLOW} {HISTORIES}/a-lost-switch.jsonl",
    ],
)
def test_commands_about_files_import_nothing_heavy(command: str) -> None:
    code, heavy = imported(*command.split())
    assert code in ("0", "1", "None")
    assert heavy == []


def test_only_a_draft_with_a_loop_needs_the_graph_library() -> None:
    code, heavy = imported("check", "-", given=json.dumps(LOOP))
    assert (code, heavy[0]) == ("1", "networkx")


def test_a_command_in_a_process_of_its_own() -> None:
    assert start("check", FLOW).out == f"{FLOW}: publishable (0 errors, 0 warnings)\n"
    assert start("check", "-", given=b"{").code == 2
    assert start("check", "none.json").err == "flowengine: none.json: there is no such file\n"
    assert start("check", FLOW, cwd="/").code == 0


def test_no_words_show_the_help_and_a_wrong_word_a_hint() -> None:
    ran = run()
    assert "Exit codes: 0 fine, 1 problems found, 2 unreadable" in " ".join((ran.out + ran.err).split())
    wrong = run("chekc")
    assert wrong.code == 2
    assert "chekc" in wrong.err


def test_a_closed_standard_input_is_told() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m flowengine.cli check - <&-"],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("flowengine: -: ")


def test_who_reads_only_the_first_line_is_no_error() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m flowengine.cli schema | head -n 1"],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        text=True,
        check=True,
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_terminal_that_knows_no_kanji_gets_escapes() -> None:
    flow = '{"format": "flowengine/1", "name": "代表", "language": "なし", "states": {}}'
    ran = start("check", "-", given=flow.encode(), env={"PYTHONIOENCODING": "latin-1"})
    assert ran.code == 1
    assert "\\u306a\\u3057" in ran.out
    assert start("check", "--json", "-", given=flow.encode(), env={"PYTHONIOENCODING": "latin-1"}).code == 1


def on_terminal(*command: object, env: dict[str, str] | None = None) -> bytes:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "flowengine.cli", *map(str, command)],
            stdout=theirs,
            stderr=theirs,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm", **(env or {})},
            timeout=60,
            check=False,
        )
        return os.read(ours, 65_536)
    finally:
        os.close(ours)
        os.close(theirs)


def test_colours_are_for_terminals() -> None:
    assert b"\x1b[32m" in on_terminal("check", FLOW)
    assert b"\x1b[31m" in on_terminal("check", "none.json")
    assert b"\x1b" not in on_terminal("check", FLOW, env={"NO_COLOR": "1"})
    assert b"\x1b" not in on_terminal("check", "--json", FLOW)
    ran = start("check", FLOW)
    assert "\x1b" not in ran.out + ran.err
