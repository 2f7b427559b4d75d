"""From a YAML file to a scenario: strict reading, with errors that name the line, the place and the mend.

Of YAML only the plain part is read: no anchors, tags or duplicate keys, and words such as `no`, `on` or `1:30` are
words. What YAML leaves to guess, a person gets wrong.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flowengine.flow.problems import pointer
from simulator.scenario import Scenario

MAX_BYTES: Final = 1_000_000


@dataclass(frozen=True)
class ScenarioProblem:
    """One thing wrong with a scenario file; `line` counts from 1, `pointer` is an RFC 6901 JSON pointer."""

    file: str
    line: int
    pointer: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.pointer + ': ' if self.pointer else ''}{self.message}"


class BadScenario(Exception):
    """Scenario files that cannot be used; `problems` holds every reason at once."""

    def __init__(self, problems: Sequence[ScenarioProblem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, problems)))


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core words, and nothing that repeats or refers."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the way PyYAML is set up

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None,
                None,
                'a word that begins with * is an alias, which is not read: write "*" in quotes',
                mark,
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is here twice: keep one of the two", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file. Raises `BadScenario` with all its problems, whatever the file is."""
    file = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadScenario([ScenarioProblem(file, 0, "", f"cannot be read: {error.strerror}")]) from None
    return parse_scenario(data, file)


def parse_scenario(data: bytes, file: str) -> Scenario:
    """Read a scenario from bytes; `file` is its name in complaints. Raises `BadScenario`."""
    node, value = read_yaml(data, file)
    try:
        scenario = Scenario.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise BadScenario([problem_of(file, node, each) for each in found]) from None
    problems = [
        ScenarioProblem(file, line_of(node, at), pointer(*at), message)
        for at, message in _contradictions(scenario)
    ]
    if problems:
        raise BadScenario(problems)
    return scenario


def read_yaml(data: bytes, file: str) -> tuple[yaml.Node | None, object]:
    def bad(message: str, line: int = 0) -> BadScenario:
        return BadScenario([ScenarioProblem(file, line, "", message)])

    if len(data) > MAX_BYTES:
        raise bad(f"has {len(data):,} bytes, and at most {MAX_BYTES:,} are read: split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad(f"is not UTF-8 (byte {error.start:,}): save it as UTF-8") from None
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return node, loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise bad(f"is not the YAML read here: {error.problem}", mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "nested too deep"
        raise bad(f"is not YAML: {first}: correct it") from None


def problem_of(file: str, node: yaml.Node | None, error: ErrorDetails) -> ScenarioProblem:
    at = [part for part in error["loc"] if not _is_a_union_branch(part)]
    return ScenarioProblem(file, line_of(node, at), pointer(*at), _sentence(error))


def _is_a_union_branch(part: int | str) -> bool:
    return isinstance(part, str) and (part in ("[key]", "int") or part.startswith(("list[", "function-")))


def _sentence(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "this field must be there: add it"
        case "extra_forbidden":
            return "this field is not known here: correct its spelling or remove it"
        case "string_type":
            return f"should be text, and not {_shown(error['input'])}: put it in quotes"
        case "string_pattern_mismatch" if error["loc"][-1] in ("to", "numbers") or "numbers" in map(
            str, error["loc"]
        ):
            return f'should be a number such as "+815055550100", and not {_shown(error["input"])}: correct it'
        case "behaviour" | "phones" | "step":
            return error["msg"]
        case _:
            sentence = error["msg"].removeprefix("Input ").removeprefix("String ")
            return f"{sentence}, and not {_shown(error['input'])}: correct it"


def _shown(value: object) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "nothing"
        case _:
            return str(value)[:60]


def line_of(node: yaml.Node | None, at: Sequence[int | str]) -> int:
    """The line of a place, or of the nearest thing around it that is there."""
    if node is None:
        return 1
    line = node.start_mark.line + 1
    for part in at:
        inner: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    inner, line = value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            inner = node.value[part]
            line = inner.start_mark.line + 1
        if inner is None:
            break
        node = inner
    return line


def _contradictions(scenario: Scenario) -> Iterator[tuple[list[int | str], str]]:
    """What the models cannot see: names that are not there, and things said twice."""
    for group, members in scenario.groups.items():
        for place, member in enumerate(members):
            if member not in scenario.users:
                yield (
                    ["groups", group, place],
                    f"{member} is not among the users: add {member} there, or correct the name",
                )
    owners: dict[str, str] = {}
    for name, user in scenario.users.items():
        for endpoint in user.phones or (f"PJSIP/{name}",):
            if endpoint in owners:
                yield (
                    ["users", name],
                    f"{endpoint} is the telephone of {owners[endpoint]} already: give it another",
                )
            owners[endpoint] = name
        if user.offline_at_s is not None and user.offline_at_s <= user.online_at_s:
            yield (["users", name, "offline_at_s"], "should be later than online_at_s: correct one of them")
    for number in scenario.unattached_numbers:
        if number in (scenario.numbers or ()):
            yield (["unattached_numbers"], f"{number} is among numbers, too: remove it from one of the two")
    for place, call in enumerate(scenario.calls):
        for known, at in ((call.expect.rung, "rung"), (call.expect.answered_by, "answered_by")):
            for user_at, user_name in enumerate(known or ()):
                if user_name not in scenario.users:
                    yield (
                        ["calls", place, "expect", at, user_at],
                        f"{user_name} is not among the users: correct the name",
                    )
