"""docs/prepaid.md, typed word by word; and what all commands about money do alike."""

import re
import shlex
from pathlib import Path

import pytest

from flowengine.store.tables import Flow
from flowengine.store.till import RefusalCode
from tests.cli.office import Office
from tests.cli.terminal import ROOT, run

PAGE = (ROOT / "docs" / "prepaid.md").read_text(encoding="utf-8")
EVERY = [
    ["rates", "import", "a", "schemas/examples/rates-inbound.csv"],
    ["rates", "export", "a"],
    ["rates", "list"],
    ["rates", "find", "JP/local"],
    ["credits", "show", "demo"],
    ["credits", "usage", "demo"],
    ["credits", "history", "demo"],
    ["credits", "buy", "demo", "1", "--reference", "a", "--yes"],
    ["credits", "book", "pur_x", "--reference", "a"],
    ["credits", "give-up", "pur_x", "--reason", "a"],
    ["credits", "refund", "demo", "pur_x", "1", "--reason", "a"],
    ["credits", "adjust", "demo", "1", "--reason", "a"],
    ["credits", "recharge", "demo"],
    ["credits", "policy", "demo"],
    ["numbers", "offer", "schemas/examples/numbers.csv"],
    ["numbers", "search"],
    ["numbers", "buy", "demo", "+815055550110", "--yes"],
    ["numbers", "attach", "demo", "+815055550110", "main"],
    ["numbers", "detach", "demo", "+815055550110"],
    ["numbers", "release", "demo", "+815055550110", "--yes"],
    ["numbers", "list", "demo"],
    ["plan", "demo"],
    ["plan", "demo", "50k", "--yes"],
    ["invoice", "demo", "2026-06"],
    ["reconcile"],
    ["reconcile", "demo"],
]
"""Every command about money, as short as it can be."""


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the page is typed."""
    monkeypatch.chdir(ROOT)


def blocks(language: str) -> list[list[str]]:
    """The lines of the page's examples in a language, without what is said beside them."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    return [[line.split("  #")[0].strip() for line in each.splitlines()] for each in found]


# What every command does alike


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_without_a_database_it_says_so_and_makes_none(words: list[str], no_settings: Path) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"flowengine: there is no database {no_settings}/flowengine.db yet: ")
    assert not no_settings.exists()


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_wrong_settings_are_told(
    words: list[str], no_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=-1")
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "FLOWENGINE_EXCHANGE_RATES" in ran.err


@pytest.mark.parametrize("words", [each for each in EVERY if "demo" in each], ids=" ".join)
def test_an_account_that_is_none_has_a_neighbour(
    words: list[str], office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=150")
    ran = run(*("demmo" if word == "demo" else word for word in words))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == 'flowengine: there is no account "demmo", perhaps demo\n'


# The page


def test_the_ten_commands_of_the_page_are_typed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it stands there, in its order; `apply` speaks for seconds and `serve` for ever, so they are left out."""
    settings, commands, *_ = blocks("sh")
    for line in settings:
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value)
    assert len(commands) == 10
    typed = [shlex.split(line)[1:] for line in commands]
    assert (typed[0][0], typed[-1]) == ("apply", ["serve"])
    office.change(Flow, office.of.flow, key="main-line")
    for words in typed[1:-1]:
        ran = run(*words)
        assert (ran.code, ran.err) == (0, ""), words
    told = run("credits", "show", "demo", "--json").json
    assert (told["available"], told["spans"]["this_month"]["bought"]) == ("95.50", "100.00")
    assert (told["when_running_out"], told["recharge_below"]) == ("cut", "20.00")
    [number] = [each for each in run("numbers", "list", "demo", "--json").json if each["fee"] != "0.00"]
    assert (number["number"], number["flow"], number["fee"]) == ("+815055550110", "main-line", "4.50")
    for asked in re.findall(r"`flowengine (rates find [^`]*)`", PAGE):
        assert run(*asked.split()).code == 0
    assert run("reconcile", "--since", "2d").code == 0


def test_commands_of_each_day_are_commands(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLOWENGINE_EXCHANGE_RATES", "JPY=150")
    daily = blocks("sh")[2]
    assert len(daily) == 8
    for line in daily:
        words = shlex.split(line)[1:]
        ran = run(*(str(tmp_path / word) if word.startswith("2026-11.") else word for word in words))
        refused = {"book": 1, "plan": 2}
        assert ran.code == next((code for word, code in refused.items() if word in words), 0), (line, ran.err)


def test_every_refusal_is_explained() -> None:
    told = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## What each refusal means")[2], re.M)
    codes = [code for code in told if code not in ("no_credit", "no_rate", "meter_unavailable")]
    assert sorted(codes) == sorted(RefusalCode.__args__)  # type: ignore[attr-defined]


def test_every_kind_of_difference_is_explained() -> None:
    from flowengine.store.reconcile import Kind

    nightly = PAGE.partition("## Each night")[2].partition("## What each refusal means")[0]
    told = re.findall(r"^\| `(\w+)` \|", nightly, re.M)
    assert sorted(told) == sorted([*Kind.__args__, "balance"])  # type: ignore[attr-defined]
