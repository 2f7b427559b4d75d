"""YAML as far as it is JSON in a friendlier spelling: what people write account files in.

A value is text unless JSON would call it a number, true, false or null. So the country NO stays Norway, 09:30 stays
a time and +81 3... stays a number to dial; keys are always text, so `1: sales` is the key 1 of a menu. Anchors,
aliases and tags are refused (no bomb can be built without them), as are keys that are there twice.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from flowengine.flow.problems import pointer
from flowengine.flow.reading import MAX_DEPTH, Unreadable, read_json

MAX_BYTES: Final = 1_000_000

_PLAIN: Final = {
    "tag:yaml.org,2002:null": (re.compile(r"(?:~|null|)$"), ["~", "n", ""]),
    "tag:yaml.org,2002:bool": (re.compile(r"(?:true|false)$"), ["t", "f"]),
    "tag:yaml.org,2002:int": (re.compile(r"-?(?:0|[1-9][0-9]*)$"), list("-0123456789")),
    "tag:yaml.org,2002:float": (
        re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
        list("-0123456789"),
    ),
}
_TEXT: Final = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Text:
    """What was read: the value, and the line of each part of it by JSON pointer."""

    value: object
    lines: dict[str, int]


def read_yaml(data: bytes) -> Text:
    """Read one YAML or JSON document in UTF-8; raises `Unreadable` saying where and how to mend it."""
    if len(data) > MAX_BYTES:
        raise Unreadable(
            f"the file has {len(data):,} bytes, and at most {MAX_BYTES:,} are read: keep flows in files of their own"
        )
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return Text(read_json(data), {})
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"the file is not UTF-8 (byte {error.start:,}): save it as UTF-8") from None
    try:
        node = yaml.compose(text, Loader=_Loader)
        lines: dict[str, int] = {}
        return Text(None if node is None else _value(node, "", lines), lines)
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_where(error.problem_mark) + _mend(str(error.problem))) from None
    except yaml.YAMLError as error:
        raise Unreadable(f"the file holds a character that YAML does not allow: {error}") from None


def write_yaml(value: object) -> str:
    """Write plain JSON values so that `read_yaml` gives them back; texts of several lines stand as blocks."""
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)


class _Loader(yaml.SafeLoader):
    """Knows where it is, and takes no anchors."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012 - a class variable, which the type stubs do not say
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            problem = "anchors and aliases are not read here: write it out (or quote a text that begins with & or *)"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        if self._depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep: an account needs ten"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Dumper(yaml.SafeDumper):
    """Quotes whatever this loader or an ordinary YAML reader would take for something else than text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        """Write a value again instead of referring to it."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists below their key."""
        return super().increase_indent(flow, False)


for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def _written_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    style = "|" if len(lines) > 1 and text.strip() else None
    if not all(line.isprintable() for line in lines):  # tabs, and line ends which YAML would change
        style = '"'
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _written_text)


def _value(node: yaml.Node, at: str, lines: dict[str, int]) -> object:
    lines[at] = node.start_mark.line + 1
    match node:
        case yaml.MappingNode():
            made: dict[str, object] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise _refused(key_node, "a key must be a word: quote it")
                key = str(key_node.value)
                if key in made:
                    raise _refused(key_node, f'the key "{key}" is there twice: keep one of the two')
                made[key] = _value(value_node, at + pointer(key), lines)
            return made
        case yaml.SequenceNode():
            return [_value(inner, at + pointer(index), lines) for index, inner in enumerate(node.value)]
        case yaml.ScalarNode():
            return _scalar(node)
        case _:
            raise _refused(node, "this is neither a text, a list nor a mapping")


def _scalar(node: yaml.ScalarNode) -> object:
    text = str(node.value)
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "str":
            return text
        case "null" if _plain(node):
            return None
        case "bool" if _plain(node):
            return text == "true"
        case "int" if _plain(node) and len(text) < 50:
            return int(text)
        case "float" if _plain(node) and len(text) < 50:
            return float(text)
        case "int" | "float" if _plain(node):
            raise _refused(node, "a number of 50 digits or more is not read here: quote it if it is a text")
        case tag:
            raise _refused(node, f"the tag {tag} is not read here: remove it")


def _plain(node: yaml.ScalarNode) -> bool:
    """Tell a value that looks like what it is from a text which a tag (`!!int`) declares to be it."""
    pattern, _ = _PLAIN[node.tag]
    return pattern.match(str(node.value)) is not None


def _refused(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _where(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _mend(problem: str) -> str:
    """Add to the parser's words what people most often have to do about them."""
    if "alphabetic or numeric character" in problem:
        return f'{problem}: write the key of the menu as "*", in quotes'
    if "mapping values are not allowed" in problem:
        return f"{problem}: quote a text that holds a colon, and check the indentation"
    if "\\t" in problem:
        return f"{problem}: indent with spaces"
    return problem
