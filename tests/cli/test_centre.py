"""`flowengine centre`: a plan is lived through, and whatever is wrong with it is told."""

import json
from pathlib import Path
from xml.etree import ElementTree

from typer.testing import CliRunner

from flowengine.cli import app

PLAN = Path("schemas/examples/centre-plan.yaml")


def test_the_example_is_reported_and_drawn(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["centre", str(PLAN), "--svg", str(tmp_path / "day.svg")])
    assert done.exit_code == 0, done.output
    assert "answered within 20 s" in done.output
    assert "early-1" in done.output
    assert ElementTree.parse(tmp_path / "day.svg").getroot().tag.endswith("svg")


def test_as_json_it_is_the_same_twice() -> None:
    first, second = (CliRunner().invoke(app, ["centre", str(PLAN), "--json"]) for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout == second.stdout
    assert json.loads(first.stdout)


def test_a_bad_plan_is_refused_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nagents: {a: {count: -1}}\n")
    done = CliRunner().invoke(app, ["centre", str(bad)])
    assert done.exit_code == 2
    assert "bad.yaml:2" in done.output
    missing = CliRunner().invoke(app, ["centre", str(tmp_path / "none.yaml")])
    assert missing.exit_code == 2
    assert "no such file" in missing.output
