"""`flowengine replay`: the same, diverged; and against another flow: same, other, unknown."""

import json
from pathlib import Path

import pytest

from flowengine.call.trace import dump, record
from flowengine.flow.document import Flow, Ivr, Voicemail
from tests.call.driving import announcement, drive, flow, say
from tests.cli.terminal import HISTORIES, run

GOLDEN = sorted(HISTORIES.glob("*.jsonl"))
OLD = flow(
    menu=Ivr(prompt=say("Press 1"), connections={"1": "news", "2": "box"}),
    news=announcement("News", "box"),
    box=Voicemail(prompt=say("Speak")),
)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    call = drive(OLD).arrives().waits(2).presses("1").prompt_ends().prompt_ends().prompt_ends()
    call.waits(3).recorded(3_000).prompt_ends()
    path = tmp_path / "trace.jsonl"
    path.write_text(dump(record(OLD, "cal_1", call.journal)), encoding="utf-8")
    return path


def written(folder: Path, of: Flow) -> Path:
    path = folder / "new.json"
    path.write_text(of.pretty(), encoding="utf-8")
    return path


def test_golden_journals_come_out_the_same() -> None:
    ran = run("replay", *GOLDEN)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["same"] * len(GOLDEN)


def test_a_journal_of_another_engine_diverges() -> None:
    [wrong] = (HISTORIES / "diverging").glob("*.jsonl")
    ran = run("replay", GOLDEN[0], wrong)
    assert ran.code == 1
    assert "diverged" in ran.out
    assert "first at event" in ran.out
    told = run("replay", "--json", GOLDEN[0], wrong)
    assert told.code == 1
    assert [report["verdict"] for report in told.json] == ["same", "diverged"]
    assert list(told.json[1]) == ["trace", "call", "verdict", "lines"]
    assert told.json[1]["trace"] == str(wrong)


def test_a_flow_that_says_the_same_does_the_same(tmp_path: Path, trace: Path) -> None:
    renamed = flow(
        a=Ivr(prompt=say("Press 1"), label="Menu", connections={"1": "b", "2": "c"}),
        b=announcement("News", "c"),
        c=Voicemail(prompt=say("Speak")),
    )
    ran = run("replay", "--flow", written(tmp_path, renamed), trace)
    assert ran.code == 0
    assert ran.out == f"same      {trace}\n    was: menu:1 > news:next > box:recorded\n"


def test_another_way_with_known_answers(tmp_path: Path, trace: Path) -> None:
    menu = Ivr(prompt=say("Press 1"), connections={"1": "box", "2": "box"})
    new = OLD.model_copy(update={"states": {**OLD.states, "menu": menu}})
    ran = run("replay", "--flow", written(tmp_path, new), trace)
    assert ran.code == 1
    assert ran.out.splitlines() == [
        f"other     {trace}",
        "    was: menu:1 > news:next > box:recorded",
        "    new: menu:1 > box:recorded",
    ]


def test_what_was_never_asked_is_unknown(tmp_path: Path, trace: Path) -> None:
    menu = Ivr(prompt=say("Press 1 or 2"), connections={"1": "box", "2": "box"})
    new = OLD.model_copy(update={"states": {**OLD.states, "menu": menu}})
    told = run("replay", "--json", "--flow", written(tmp_path, new), trace, trace)
    assert told.code == 1
    assert [report["verdict"] for report in told.json] == ["unknown", "unknown"]
    assert told.json[0]["lines"][1:] == ["new: (nothing) ?", "the call was never asked what 'menu' asks"]


def test_one_of_both_may_come_from_standard_input(tmp_path: Path, trace: Path) -> None:
    assert run("replay", "-", given=trace.read_bytes()).out == "same      -\n"
    assert run("replay", "--flow", "-", trace, given=OLD.pretty().encode()).code == 0


# What cannot be read


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty: a trace begins with a header line"),
        (b"\xff", "not UTF-8"),
        (b"{}", "line 1: not a trace header"),
        (b"[" * 100_000, "line 1: not a trace header"),
        (b'{"trace": "flowengine/trace/9", "call": "c", "flow": {}}', "this engine reads flowengine/trace/1"),
        (
            b'{"trace": "flowengine/trace/1", "call": "c", "flow": {"states": 7}}',
            "the flow in the header is not valid",
        ),
    ],
)
def test_a_bad_trace(content: bytes, why: str) -> None:
    ran = run("replay", "-", given=content)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("flowengine: -: ")
    assert why in ran.err


def test_a_trace_cut_off_in_the_middle(tmp_path: Path, trace: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(trace.read_bytes()[:-40])
    ran = run("replay", trace, cut)
    assert ran.code == 2
    assert f"{cut}: line " in ran.err
    assert "mend it, or end the file before it" in ran.err


def test_a_trace_of_gigabytes_is_not_read_whole(tmp_path: Path) -> None:
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as file:
        file.truncate(20_000_000_000)
    ran = run("replay", huge)
    assert ran.code == 2
    assert "larger than 64,000,000 bytes" in ran.err


def test_files_that_are_none(tmp_path: Path, trace: Path) -> None:
    assert run("replay", tmp_path / "none").code == 2
    assert run("replay", tmp_path).code == 2
    assert run("replay").code == 2
    assert "there is no such file" in run("replay", "--flow", tmp_path / "none", trace).err


def test_a_flow_that_is_none(tmp_path: Path, trace: Path) -> None:
    assert run("replay", "--flow", "-", trace, given=b"{").code == 2
    ran = run("replay", "--flow", "-", trace, given=json.dumps({"format": "flowengine/1"}).encode())
    assert ran.code == 1
    assert "this field must be there" in ran.err
