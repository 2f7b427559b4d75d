"""`flowengine schema`: the schema itself, and whether the generated files are those of the code."""

from pathlib import Path

import pytest

from flowengine.flow import schema as generated
from tests.cli.terminal import run


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, so that no test writes into ours."""
    monkeypatch.setattr(generated, "REPOSITORY", tmp_path)
    for folder in ("schemas", "docs"):
        (tmp_path / folder).mkdir()
    return tmp_path


def test_it_prints_the_schema() -> None:
    ran = run("schema")
    assert ran.code == 0
    assert ran.json["title"] == "Call flow"


def test_files_that_differ_are_named_and_written_anew(checkout: Path) -> None:
    files = sorted(map(str, generated.schemas_on_disk()))
    ran = run("schema", "--check")
    assert ran.code == 1
    assert sorted(ran.out.splitlines()) == [
        f"{file}: differs from the code; run `flowengine schema --write`" for file in files
    ]
    wrote = run("schema", "--write")
    assert (wrote.code, sorted(wrote.out.splitlines())) == (0, [f"written: {file}" for file in files])
    again = run("schema", "--check")
    assert (again.code, again.out) == (0, "")
    assert run("schema", "--write").out == ""


def test_without_a_checkout_nothing_is_written(checkout: Path) -> None:
    (checkout / "docs").rmdir()
    ran = run("schema", "--write")
    assert ran.code == 2
    assert "run this in a checkout" in ran.err


def test_check_and_write_exclude_each_other(checkout: Path) -> None:
    ran = run("schema", "--check", "--write")
    assert ran.code == 2
    assert list(checkout.rglob("*.json")) == []
