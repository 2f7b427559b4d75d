"""What is generated and written for people agrees with the models."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flowengine.flow import schema
from flowengine.flow.document import Invalid, load, parse
from flowengine.flow.graph import problems
from flowengine.flow.problems import CODES
from tests.flow.strategies import Account
from tests.flow.test_document import EXAMPLES

FORMAT_PAGE = schema.REPOSITORY / "docs" / "flow-format.md"


def validator() -> Any:
    made = schema.flow_schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def test_generated_files_on_disk_are_fresh() -> None:
    assert schema.stale_schemas() == [], "run: python -m flowengine.flow.schema"


def test_a_stale_or_missing_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "REPOSITORY", tmp_path)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "docs").mkdir()
    assert len(schema.stale_schemas()) == 2
    schema.write_schemas()
    assert schema.stale_schemas() == []
    page = tmp_path / "docs" / "problems.md"
    page.write_text(page.read_text(encoding="utf-8") + "x", encoding="utf-8")
    assert schema.stale_schemas() == [page]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_no_problem_and_fit_the_schema(path: Path) -> None:
    account = Account(
        users=frozenset({"hanako", "taro"}), groups={"sales": ("hanako", "taro"), "support": ("taro",)}
    )
    assert problems(load(path.read_bytes()), account) == []
    validator().validate(json.loads(path.read_text(encoding="utf-8")))


def test_there_are_the_examples_the_docs_speak_of() -> None:
    stems = {path.stem for path in EXAMPLES}
    assert stems == {
        "main-line",
        "office-menu",
        "ring-the-team",
        "voicemail-only",
        "vip-queue",
        "ja-guidance",
        "recorded-line",
    }
    page = FORMAT_PAGE.read_text(encoding="utf-8")
    assert all(f"schemas/examples/{stem}.json" in page for stem in stems)


@pytest.mark.parametrize(
    "document",
    [
        {"format": "flowengine/1", "name": "x"},
        {"format": "flowengine/2", "name": "x", "states": {}},
        {
            "format": "flowengine/1",
            "name": "x",
            "states": {"A": {"type": "announcement", "prompt": {"say": ""}}},
        },
        {"format": "flowengine/1", "name": "x", "states": {"a": {"prompt": {"say": ""}}}},
        {"format": "flowengine/1", "name": "x", "states": {"a": {"type": "announcement", "prompt": {}}}},
        {"format": "flowengine/1", "name": "x", "states": {}, "layout": {"a": [1]}},
        {"format": "flowengine/1", "name": "x", "states": {}, "x": 1},
    ],
)
def test_what_the_reader_refuses_the_schema_refuses_too(document: dict[str, Any]) -> None:
    assert not validator().is_valid(document)
    with pytest.raises(Invalid):
        parse(document)


def test_the_schema_tells_the_exits_of_each_kind() -> None:
    definitions = schema.flow_schema()["$defs"]
    for state in schema.STATES:
        assert tuple(definitions[state.__name__]["x-exits"]) == state.EXITS
        assert tuple(definitions[state.__name__]["x-endings"]) == state.ENDINGS


def test_the_page_of_problems_has_a_line_for_every_code() -> None:
    page = (schema.REPOSITORY / "docs" / "problems.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == list(CODES)


def test_the_page_of_the_format_names_every_field_and_exit() -> None:
    page = FORMAT_PAGE.read_text(encoding="utf-8")
    definitions = schema.flow_schema()
    fields = {*definitions["properties"]}
    for definition in definitions["$defs"].values():
        fields |= {*definition["properties"]}
    missing = {field for field in fields if f"`{field}`" not in page}
    assert missing == set()
    for state in schema.STATES:
        row = next(
            line for line in page.splitlines() if line.startswith(f"| `{state.model_fields['type'].default}`")
        )
        for way in (*state.EXITS, *state.ENDINGS):
            assert f"`{way}`" in row or way.isdigit()


def test_the_documents_on_the_page_can_be_published() -> None:
    blocks = re.findall(r"```json\n(.*?)```", FORMAT_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        assert problems(load(block.encode())) == []
