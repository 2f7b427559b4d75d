"""From bytes to a JSON value, and from pydantic's complaints to problems.

A flow document comes from people, files and the network, so nothing in it is trusted: size and nesting are
bounded, and what JSON leaves open (duplicate keys, NaN, half surrogate pairs) is refused instead of guessed.
`document.load` is the door; this file is the part of it which does not know what a flow is.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NoReturn

from pydantic_core import ErrorDetails

from flowengine.flow.problems import Problem, pointer, problem

MAX_BYTES = 2_000_000
MAX_DEPTH = 32
MAX_PROBLEMS = 1_000


class Unreadable(Exception):
    """The bytes are not a JSON document at all; the message names the mend."""


class Invalid(Exception):
    """The JSON is not a flow document; `problems` holds every reason at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems; the text of the exception lists the first few."""
        self.problems = list(problems)
        shown = "; ".join(f"{p.pointer or '/'}: {p.message}" for p in self.problems[:5])
        more = len(self.problems) - 5
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))


def read_json(data: bytes) -> object:
    """Read one JSON value (RFC 8259, in UTF-8, with or without a byte order mark).

    Raises `Unreadable` for anything else, and for duplicate keys, NaN and Infinity, more than `MAX_BYTES`
    bytes or more than `MAX_DEPTH` levels.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(
            f"the document has {len(data):,} bytes, and at most {MAX_BYTES:,} are read: keep sounds outside"
            " of it and refer to them by id"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"the document is not UTF-8 (byte {error.start:,} is 0x{data[error.start]:02x}): save it as UTF-8"
        ) from None
    too_deep = Unreadable(f"the document is nested more than {MAX_DEPTH} levels deep: a flow needs six")
    try:
        value = json.loads(
            text, object_pairs_hook=_object_without_duplicates, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"the document is not JSON: line {error.lineno}, column {error.colno}: {error.msg}: correct the"
            " spelling there"
        ) from None
    except RecursionError:
        raise too_deep from None
    except ValueError:  # int() refuses numbers of thousands of digits
        raise Unreadable("the document holds a number with thousands of digits: correct it") from None
    if _deeper_than(value, MAX_DEPTH):
        raise too_deep
    if "\\u" in text and _has_half_pair(value):
        raise Unreadable(
            "the document holds half of a surrogate pair (an escape such as \\ud800): correct it"
        )
    return value


def _object_without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Unreadable(f"the key {_shown(key)} is there twice in one object: keep one of the two")
            seen.add(key)
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"the document holds {name}, which is not a number in JSON: write a number")


def _has_half_pair(value: object) -> bool:
    """Tell whether some text cannot be written in UTF-8, which only an escape can bring about."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _deeper_than(value: object, limit: int) -> bool:
    """Tell whether containers are nested deeper than `limit`, without recursion, level by level."""
    level: list[object] = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


_CODES = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "string_too_long": "too_long",
    "union_tag_invalid": "unknown_state_type",
    "union_tag_not_found": "missing_field",
}

_WORDS = {
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "tuple_type": "should be a list of two numbers",
    "string_type": "should be a text in quotes",
    "bool_type": "should be true or false",
    "float_type": "should be a number",
    "int_type": "should be a whole number",
    "string_unicode": "should be a text without halves of surrogate pairs",
}
"""What pydantic says in the words of Python, in the words of JSON."""


def problems_of(errors: Iterable[ErrorDetails]) -> list[Problem]:
    """Turn what pydantic found into problems: `MAX_PROBLEMS` of them, and one to say there are more."""
    errors = iter(errors)
    found = [_problem_of(error) for error in islice(errors, MAX_PROBLEMS)]
    left = sum(1 for _ in errors)
    if left:
        message = f"{left:,} more problems are not listed: mend these first and check again"
        found.append(problem("too_many_problems", message, pointer=""))
    return found


def _problem_of(error: ErrorDetails) -> Problem:
    parts = _document_path(error["loc"])
    code = _CODES.get(error["type"], "invalid_document")
    if parts == ["format"] and code == "invalid_document":
        code = "unknown_format"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        parts.append("type")
    state = str(parts[1]) if parts[:1] == ["states"] and len(parts) > 1 else None
    exit_ = str(parts[3]) if state is not None and len(parts) > 3 and parts[2] == "exits" else None
    where = f"state {_shown(state)}" if state is not None else "the flow"
    within = parts[2:] if state is not None else parts
    field = ".".join(str(part) for part in within)
    what = f"{where}, field {_shown(field)}" if field else where
    return problem(code, f"{what}: {_sentence(error)}", pointer=pointer(*parts), state=state, exit=exit_)


def _sentence(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "this field must be there: add it"
        case "extra_forbidden":
            return "this field is not known here: correct its spelling or remove it"
        case "union_tag_invalid":
            ctx: dict[str, Any] = error.get("ctx", {})
            return f"{_shown(str(ctx['tag']))} is no type of state: use one of {ctx['expected_tags']}"
        case "union_tag_not_found":
            return 'a state needs a type, such as "ivr": add it'
        case "string_pattern_mismatch" if error["loc"][-1] == "[key]":
            return "the id of a state is 1 to 64 of the characters a-z, 0-9, _ and -: rename it"
        case _:
            told = error["msg"].removeprefix("Input ").removeprefix("String ")
            return f"{_WORDS.get(error['type'], told)}, and not {_shown(error['input'])}: correct it"


def _document_path(loc: tuple[int | str, ...]) -> list[int | str]:
    """Give the way through the document: pydantic's way without the names of the union's members in it."""
    parts = [_printable(part) if isinstance(part, str) else part for part in loc if part != "[key]"]
    if parts[:1] == ["states"] and len(parts) > 2:
        del parts[2]  # the kind of the state
    in_state = parts[:1] == ["states"]
    in_line = in_state and parts[2:3] == ["queue"]
    at = 3 if in_line else 2 if in_state else 0
    if len(parts) > at + 1 and parts[at] in ("goodbye", "prompt", "recording_notice", "notice", "music"):
        del parts[at + 1]  # the kind of the prompt
    return parts


def _shown(value: object) -> str:
    """Show a value as it stands in the document, shortened."""
    match value:
        case int() if abs(value) > 10**50:  # thousands of digits cannot even be printed
            return "a number of more than 50 digits"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            text = _printable(json.dumps(value, ensure_ascii=False, default=str))
            return text if len(text) <= 60 else text[:57] + "..."


def _printable(text: str) -> str:
    """Write half surrogate pairs, which no output takes, as their escape."""
    return text.encode("utf-8", "backslashreplace").decode()
