"""`flowengine check`: exit codes, the JSON other programs rely on, and every kind of bad file."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.flow.problems import CODES
from tests.cli.terminal import EXAMPLES, run
from tests.flow.strategies import json_values, mangled_documents

GOOD = EXAMPLES / "main-line.json"
LOOP = {
    "format": "flowengine/1",
    "name": "Loop",
    "start": "a",
    "states": {
        "a": {"type": "announcement", "prompt": {"say": "A"}, "exits": {"next": "b"}},
        "b": {"type": "announcement", "prompt": {"say": "B"}, "exits": {"next": "a"}},
    },
}
WARNED = {
    "format": "flowengine/1",
    "name": "Warned",
    "start": "a",
    "states": {"a": {"type": "ivr", "prompt": {"say": "A"}}},
}


def document(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_publishable_flow() -> None:
    ran = run("check", GOOD)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{GOOD}: publishable (0 errors, 0 warnings)\n"


def test_a_publishable_flow_as_json() -> None:
    ran = run("check", "--json", GOOD)
    assert (ran.code, ran.json, ran.err) == (0, {"problems": []}, "")


def test_warnings_do_not_refuse() -> None:
    ran = run("check", "-", given=document(WARNED))
    assert ran.code == 0
    assert ran.out.splitlines()[-1].startswith("-: publishable (0 errors, ")
    assert "warning: /states/a/exits:" in ran.out
    assert "[no_keys]" in ran.out


def test_a_loop_from_standard_input() -> None:
    ran = run("check", "--json", "-", given=document(LOOP))
    assert ran.code == 1
    [problem] = [each for each in ran.json["problems"] if each["code"] == "loop"]
    assert problem["severity"] == "error"
    assert set(problem) == {"code", "state", "exit", "pointer", "message", "severity"}
    assert run("check", "-", given=document(LOOP)).code == 1


def test_every_problem_at_once_in_the_shape_others_rely_on() -> None:
    broken = Path(__file__).parents[1] / "flow" / "broken-everything.json"
    ran = run("check", "--json", broken)
    assert ran.code == 1
    assert set(ran.json) == {"problems"}
    assert len(ran.json["problems"]) > 10
    for problem in ran.json["problems"]:
        assert list(problem) == ["code", "state", "exit", "pointer", "message", "severity"]
        assert problem["code"] in CODES
        assert problem["severity"] in ("error", "warning")
        assert problem["pointer"] == "" or problem["pointer"].startswith("/")
    text = run("check", broken)
    assert text.code == 1
    errors = sum(each["severity"] == "error" for each in ran.json["problems"])
    assert f"cannot be published ({errors} errors, " in text.out


def test_a_document_of_the_wrong_shape_is_a_problem_and_not_unreadable() -> None:
    ran = run("check", "--json", "-", given=b"[]")
    assert (ran.code, len(ran.json["problems"])) == (1, 1)


def test_one_error_is_not_errors() -> None:
    one = document({**LOOP, "states": {"a": {**LOOP["states"]["a"], "exits": {}}}, "name": ""})  # type: ignore[index]
    assert "cannot be published (1 error, 0 warnings)" in run("check", "-", given=one).out


# Unreadable


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "nested more than"),
        (b'{"a": 1, "a": 2}', "is there twice"),
        (b'{"a": NaN}', "NaN"),
        (b'"\\ud800"', "surrogate"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "digits"),
        (b" " * 10_000_000, "10,000,000 bytes"),
    ],
)
def test_bytes_that_are_no_document(content: bytes, why: str) -> None:
    ran = run("check", "-", given=content)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("flowengine: -: ")
    assert why in ran.err
    told = run("check", "--json", "-", given=content)
    assert (told.code, told.err) == (2, "")
    assert told.json["problems"] == []
    assert why in told.json["unreadable"]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_files_that_are_none(tmp_path: Path, as_json: list[str]) -> None:
    for path, why in (
        (tmp_path / "none.json", "there is no such file"),
        (tmp_path, "is a folder, and not a file"),
        (GOOD / "below", "cannot be read (Not a directory)"),
        (tmp_path / ("x" * 300), "cannot be read (File name too long)"),
    ):
        ran = run("check", *as_json, path)
        assert ran.code == 2
        told = ran.json["unreadable"] if as_json else ran.err.removeprefix("flowengine: ").rstrip("\n")
        assert told == f"{path}: {why}"


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(10_000_000_000)
    ran = run("check", huge)
    assert ran.code == 2
    assert "larger than 64,000,000 bytes; is it the right file?" in ran.err


def test_a_pipe_is_a_file_too(tmp_path: Path) -> None:
    """`flowengine check <(jq ... flow.json)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(GOOD.read_bytes()))
    writer.start()
    assert run("check", pipe).code == 0
    writer.join()


def test_a_missing_argument_is_told() -> None:
    ran = run("check")
    assert ran.code == 2
    assert "FLOW" in ran.err


@given(st.binary(max_size=60) | json_values().map(document) | mangled_documents().map(document))
def test_any_bytes_are_judged_in_the_same_shape(content: bytes) -> None:
    ran = run("check", "--json", "-", given=content)
    assert ran.code in (0, 1, 2)
    assert isinstance(ran.json["problems"], list)
    assert ("unreadable" in ran.json) == (ran.code == 2)
