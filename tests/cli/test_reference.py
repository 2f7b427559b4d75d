"""docs/cli.md against the command line itself: no command, word, option or exit code is missing or made up."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from flowengine.cli import app
from flowengine.config import Settings
from tests.cli.terminal import ROOT, run

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    for name, each in (inner or {}).items():
        yield from _leaves(each, (*path, name))


COMMANDS: dict[str, Any] = dict(_leaves(typer.main.get_command(app)))


def section(name: str) -> str:
    """What the page says about a command."""
    [found] = re.findall(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return str(found)


def row(parameter: Any) -> str:
    """The line of the page for an argument or option."""
    if parameter.opts[0].startswith("-"):
        name = ", ".join(f"`{opt}`" for opt in sorted(parameter.opts, key=len, reverse=True))
    else:
        name = f"`{(parameter.metavar or parameter.name).upper()}{'...' if parameter.nargs == -1 else ''}`"
    return f"| {name} | {parameter.help} |"


def test_every_command_has_its_place_and_no_other_is_there() -> None:
    assert re.findall(r"^## (.*)$", PAGE, re.M) == [*COMMANDS, "Exit codes"]


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_and_options_are_those_of_the_command(name: str) -> None:
    rows = [line for line in section(name).splitlines() if line.startswith("| `")]
    assert rows == [row(parameter) for parameter in COMMANDS[name].params]


@pytest.mark.parametrize("name", COMMANDS)
def test_exit_codes_of_the_help_are_on_the_page(name: str) -> None:
    """As `Exit 0: ... 1: ...` in the help, and as `0`, `1` in the last words of the section."""
    _, _, told = COMMANDS[name].help.partition("Exit ")
    in_help = set(re.findall(r"(?:^|\s)([0-3]):", told))
    on_page = set(re.findall(r"`([0-3])`", section(name).rpartition("\nExit ")[2]))
    assert "0" in on_page
    assert in_help <= on_page


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_is_shown(name: str) -> None:
    ran = run(*name.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    shown = " ".join(ran.out.split())
    assert " ".join(COMMANDS[name].help.split()) in shown
    for parameter in COMMANDS[name].params:
        assert parameter.help
        assert " ".join(parameter.help.split()) in shown


def test_the_help_of_all_tells_the_exit_codes() -> None:
    shown = " ".join(run("--help").out.split())
    for code in ("0 fine", "1 problems found", "2 unreadable input", "3 something missing on this machine"):
        assert code in shown
    for name in COMMANDS:
        assert name.split()[0] in shown


def test_every_setting_is_in_the_table_of_operating_and_no_other_is_there() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    first_cells = "".join(re.findall(r"^\| (`FLOWENGINE_[^|]*)\|", page, re.M))
    told = re.findall(r"`FLOWENGINE_(\w+)`", first_cells)
    assert sorted(told) == sorted(name.upper() for name in Settings.model_fields)


def test_every_alarm_is_in_the_table_of_operating() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    _, _, part = page.partition("\n## Alarms\n")
    told = re.findall(r"^\| `(\w+)` \|", part.partition("\n## ")[0], re.M)
    raised = {
        code
        for file in (ROOT / "flowengine").rglob("*.py")
        for code in re.findall(r'^(?:\w*ALARM|NO_RATE): Final = "(\w+)"', file.read_text("utf-8"), re.M)
    }
    assert set(told) == raised


def test_links_of_the_pages_for_operators_lead_somewhere() -> None:
    for name in ("cli", "live", "operating", "voicemail", "storage"):
        page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        for file, _, anchor in re.findall(r"\]\(([\w./-]+\.md)(#([\w-]+))?\)", page):
            target = ROOT / "docs" / file
            assert target.is_file(), f"{name}.md: {file}"
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert not anchor or anchor in [_anchor(head) for head in heads], f"{name}.md: {file}#{anchor}"


def _anchor(head: str) -> str:
    return re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
