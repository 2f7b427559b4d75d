"""The registry of problem codes, and that every code of it is told by something."""

import re
from pathlib import Path

import pytest

import flowengine.flow
from flowengine.flow.problems import CODES, Problem, pointer, problem


def test_every_code_is_used_and_every_used_code_is_registered() -> None:
    used: set[str] = set()
    for file in Path(flowengine.flow.__file__).parent.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        used |= set(re.findall(r'problem\(\s*"([a-z_]+)"', text))
        if file.name == "reading.py":
            used |= {code for code in CODES if f'"{code}"' in text}
    assert used == set(CODES)


def test_severity_comes_from_the_registry() -> None:
    assert problem("loop", "m", pointer="").severity == "error"
    assert problem("dead_end", "m", pointer="").severity == "warning"


def test_an_unregistered_code_cannot_be_told() -> None:
    with pytest.raises(KeyError):
        problem("no_such_code", "m", pointer="")


def test_a_problem_as_json_has_the_six_fields() -> None:
    made = Problem("loop", "a", "1", "/states/a/exits/1", "text", "error")
    assert made.as_json() == {
        "code": "loop",
        "state": "a",
        "exit": "1",
        "pointer": "/states/a/exits/1",
        "message": "text",
        "severity": "error",
    }


@pytest.mark.parametrize(
    ("parts", "text"), [((), ""), (("a", 0), "/a/0"), (("a/b", "m~n", "~1"), "/a~1b/m~0n/~01"), (("",), "/")]
)
def test_pointers_follow_rfc_6901(parts: tuple[str | int, ...], text: str) -> None:
    assert pointer(*parts) == text
