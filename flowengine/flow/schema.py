"""The flow document as JSON Schema (draft 2020-12), for editors, the designer and other languages.

Generated from the models, committed, and tested for drift: `python -m flowengine.flow.schema` writes it again,
together with `docs/problems.md`. The schema tells the shape; the rules between states are in `graph`.
"""

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from flowengine.flow import document, problems

REPOSITORY: Final = Path(__file__).parents[2]

STATES: Final = (
    document.Ivr,
    document.Announcement,
    document.Voicemail,
    document.UserTransfer,
    document.GroupTransfer,
)


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leaves out the titles made from field names, which say the name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def flow_schema() -> dict[str, Any]:
    """Give the JSON Schema of a flow; `x-exits` and `x-endings` of each state are its ways out."""
    schema = document.Flow.model_json_schema(by_alias=True, schema_generator=_WithoutFieldTitles)
    for state in STATES:
        definition = schema["$defs"][state.__name__]
        definition["x-exits"] = list(state.EXITS)
        definition["x-endings"] = list(state.ENDINGS)
        definition["required"] = ["type", *definition["required"]]
    for field in ("states", "layout"):  # pydantic tells the pattern of the ids, not that there are no others
        schema["properties"][field]["additionalProperties"] = False
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Call flow"}


def schemas_on_disk() -> dict[Path, str]:
    """Give every generated file with the text it must have."""
    return {
        REPOSITORY / "schemas" / "flow.schema.json": _text(flow_schema()),
        REPOSITORY / "docs" / "problems.md": problems.markdown(),
    }


def stale_schemas() -> list[Path]:
    """Name the generated files which are missing or not what the models say now."""
    return [
        path
        for path, text in schemas_on_disk().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def write_schemas() -> None:
    """Write every generated file."""
    for path, text in schemas_on_disk().items():
        path.write_text(text, encoding="utf-8")


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_schemas()
