"""`flowengine simulate`: results, reports and traces; flows and scenarios that cannot be played."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from flowengine.call.trace import read, replay
from tests.cli.terminal import EXAMPLES, run

FLOW = EXAMPLES / "main-line.json"
SCENARIOS = EXAMPLES / "scenarios"
MESSAGE = SCENARIOS / "main-line-message.yaml"
HELLO = """
name: {name}
calls:
  - script: [{{wait_s: 1}}, {{press: "*"}}, {{wait_s: 1}}, hang_up]
    expect: {{path: {path}}}
"""


def scenario(folder: Path, name: str = "Hello", path: str = '["menu:*", "message"]') -> Path:
    file = folder / f"{abs(hash(name))}.yaml"
    file.write_text(HELLO.format(name=json.dumps(name, ensure_ascii=False), path=path), encoding="utf-8")
    return file


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("main-line-*.yaml")), ids=lambda file: str(file.stem))
def test_the_examples_do_as_they_say(file: Path) -> None:
    ran = run("simulate", FLOW, file)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("ok  ")


def test_a_failed_expectation_is_told(tmp_path: Path) -> None:
    file = scenario(tmp_path, path='["menu:1"]')
    ran = run("simulate", FLOW, file, "-q")
    assert ran.code == 1
    assert ran.out.startswith("FAILED  Hello\n  ")
    assert "menu:1" in ran.out
    assert "menu:*" in ran.out
    told = run("simulate", FLOW, file, "--json")
    assert told.code == 1
    [result] = told.json
    assert result["ok"] is False
    assert result["failures"]
    assert result["calls"][0]["path"] == ["menu:*", "message"]


def test_one_failure_among_several_is_enough(tmp_path: Path) -> None:
    ran = run("simulate", FLOW, scenario(tmp_path), scenario(tmp_path, "Other", path="[]"), "-q")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "ok  Hello"
    assert "FAILED  Other" in ran.out


def test_the_timeline_is_shown_unless_quiet(tmp_path: Path) -> None:
    assert "key *" in run("simulate", FLOW, scenario(tmp_path)).out
    assert run("simulate", FLOW, scenario(tmp_path), "--quiet").out == "ok  Hello\n"


def test_a_flow_may_come_from_standard_input(tmp_path: Path) -> None:
    assert run("simulate", "-", scenario(tmp_path), given=FLOW.read_bytes()).code == 0


def test_the_same_scenario_gives_the_same_json() -> None:
    assert run("simulate", FLOW, MESSAGE, "--json").json == run("simulate", FLOW, MESSAGE, "--json").json


def test_a_junit_report_is_well_formed_whatever_a_scenario_is_called(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "junit.xml"
    odd = 'a < b & "c" ]]> \U0001f600'
    files = (scenario(tmp_path, odd), scenario(tmp_path, "Bad", path="[]"))
    assert run("simulate", FLOW, *files, "--junit", report, "-q").code == 1
    root = ET.parse(report).getroot()
    cases = root.findall(".//testcase")
    assert [case.get("name") for case in cases] == [odd, "Bad"]
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    [failure] = root.findall(".//failure")
    assert failure.get("message")


def test_a_trace_of_every_call_is_written_and_replays(tmp_path: Path) -> None:
    traces = tmp_path / "deep" / "traces"
    assert run("simulate", FLOW, SCENARIOS / "main-line-sales.yaml", "--traces", traces, "-q").code == 0
    files = sorted(traces.iterdir())
    assert len(files) == 2
    for file in files:
        assert replay(read(file.read_bytes())) is None
    assert run("replay", *files).code == 0


def test_traces_stay_in_their_folder_and_none_is_overwritten(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    names = ["../../escaped", "/etc/passwd", "Same", "same!", "日本", "x" * 190]
    files = [scenario(tmp_path, name) for name in names]
    assert run("simulate", FLOW, *files, "--traces", traces, "-q").code == 0
    assert len(list(traces.iterdir())) == len(names)
    assert {path.name for path in tmp_path.iterdir()} == {"traces", *(file.name for file in files)}


@pytest.mark.parametrize("option", ["--junit", "--traces"])
def test_outputs_that_cannot_be_written(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("")
    ran = run("simulate", FLOW, scenario(tmp_path), option, tmp_path / "file" / "below")
    assert ran.code == 2
    assert "cannot be written" in ran.err
    if option == "--junit":
        assert "Is a directory" in run("simulate", FLOW, scenario(tmp_path), option, tmp_path).err


# What cannot be played


def test_a_flow_that_is_not_there(tmp_path: Path) -> None:
    ran = run("simulate", tmp_path / "none.json", MESSAGE)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"flowengine: {tmp_path}/none.json: there is no such file\n"
    assert run("simulate", tmp_path, MESSAGE).code == 2


def test_a_flow_that_is_no_json() -> None:
    ran = run("simulate", "-", MESSAGE, given=b"{")
    assert ran.code == 2
    assert ran.err.startswith("flowengine: -: the document is not JSON")


def test_a_flow_of_the_wrong_shape_or_that_could_not_be_published() -> None:
    assert run("simulate", "-", MESSAGE, given=b"{}").code == 1
    loop = json.loads(FLOW.read_text(encoding="utf-8"))
    loop["states"]["message"]["exits"] = {"timeout": "menu"}
    ran = run("simulate", "-", MESSAGE, given=json.dumps(loop).encode())
    assert ran.code == 1
    assert "loop" in ran.err.lower() or "back to" in ran.err


def test_all_bad_scenarios_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("calls: 7\n")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    ran = run("simulate", FLOW, tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    for name in ("a.yaml:1", "b.yaml", "c.yaml: cannot be read", f"{tmp_path}: cannot be read"):
        assert name in ran.err


def test_scenarios_are_needed() -> None:
    assert run("simulate", FLOW).code == 2


def test_a_name_that_is_no_text_cannot_stand_in_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "half.yaml"
    file.write_text('name: "\\ud800"\ncalls:\n  - caller_name: "\\ud800"\n    script: [hang_up]\n')
    ran = run("simulate", FLOW, file, "--traces", tmp_path, "--junit", tmp_path / "junit.xml")
    assert ran.code == 2
    assert "surrogate" in ran.err
