"""Requests as ARI reads them: operations, their parameters, what was asked, and how it is answered.

An `Operation` is a row of the one table that routes requests and makes the documents under `api-docs`. Asterisk reads
parameters leniently (a number that is none is 0, a flag that is none is false) and so does `Ask`; a body of JSON may
carry the same names as the query and wins over it.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from simulator.fake_ari.exchange import Exchange

Method = Literal["GET", "POST", "PUT", "DELETE"]
METHODS: Final = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
MAX_BODY_BYTES: Final = 40_960
"""Longer bodies are refused with 413 (Asterisk's HTTP server)."""
TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})
BAD_VARIABLES: Final = (
    "Each value in 'variables' must be a string or an object with 'value' and optional 'report_events'"
)
_NUMBER: Final = re.compile(r"\s*([+-]?\d{1,18})")


class Refused(Exception):
    """A request that is not carried out: an HTTP status, and words for the `message` of the answer."""

    def __init__(self, status: int, message: str, phrase: str = "", member: str = "message") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.phrase = phrase
        self.member = member


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing an operation can be told."""

    name: str
    about: str
    kind: Literal["path", "query", "body"] = "query"
    type: str = "string"
    required: bool = False
    multiple: bool = False
    default: str | int | bool | None = None
    allowed: tuple[str, ...] = ()


def path(name: str, about: str) -> Parameter:
    """A part of the address."""
    return Parameter(name, about, "path", required=True)


def variables(about: str) -> Parameter:
    """The body `{"variables": {name: value}}`."""
    return Parameter("variables", about, "body", "containers")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. Without `content` the status is 204."""

    content: Any = None
    status: int = 200
    phrase: str = ""
    content_type: str = "application/json"
    allow: str = ""
    """The methods of an address that was asked with another one."""
    pieces: Iterable[bytes] = ()
    """Instead of content: a file, `length` bytes long."""
    length: int = 0

    @property
    def text(self) -> str:
        """The content as JSON; empty when there is none."""
        return (
            ""
            if self.content is None
            else json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))
        )

    @property
    def reason(self) -> str:
        """The phrase behind the status."""
        return self.phrase or HTTPStatus(self.status).phrase


DONE: Final = Answer(status=204)


def refusal(refused: Refused) -> Answer:
    """A refusal as ARI words it."""
    return Answer({refused.member: refused.message}, refused.status, refused.phrase)


Handler = Callable[["Exchange", "Ask"], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked: a row of the table."""

    method: Method
    path: str
    nickname: str
    about: str
    returns: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    websocket: bool = False

    def parameter(self, name: str) -> Parameter:
        """The parameter of this name. Raises KeyError: handlers may ask for what the table has, nothing else."""
        for each in self.parameters:
            if each.name == name:
                return each
        raise KeyError(f"{self.nickname} has no parameter {name}")


class Table:
    """Operations of one resource, in the order in which they were written down."""

    def __init__(self, resource: str, about: str) -> None:
        self.resource = resource
        self.about = about
        self.operations: list[Operation] = []

    def operation(
        self,
        method: Method,
        path: str,
        nickname: str,
        about: str,
        *parameters: Parameter,
        returns: str = "void",
        errors: Mapping[int, str] | None = None,
        websocket: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Write a row whose handler is the decorated function."""

        def add(handler: Handler) -> Handler:
            self.operations.append(
                Operation(
                    method, path, nickname, about, returns, handler, parameters, errors or {}, websocket
                )
            )
            return handler

        return add


class Ask:
    """One request: the operation asked for, and what was said with it."""

    def __init__(
        self,
        operation: Operation,
        in_path: Mapping[str, str],
        query: Mapping[str, str],
        body: Any = None,
    ) -> None:
        self.operation = operation
        self.whole_body: Any = {} if body is None else body
        """The JSON that came with it."""
        self.body: Mapping[str, Any] = body if isinstance(body, dict) else {}
        self._path = in_path
        self._query = query

    def text(self, name: str) -> str:
        """A parameter as text; empty when it is missing."""
        value = self._value(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """A parameter as a number; text that is none counts as 0. Missing: its default."""
        value = self._value(name)
        if isinstance(value, bool):
            return 0
        if isinstance(value, int | float):
            return int(value)
        found = _NUMBER.match(value) if isinstance(value, str) else None
        return int(found[1]) if found else 0

    def flag(self, name: str) -> bool:
        """A parameter as yes or no."""
        value = self._value(name)
        return value if isinstance(value, bool) else isinstance(value, str) and value.lower() in TRUE

    def many(self, name: str) -> list[str]:
        """A parameter that is a list: separated by commas in a query, a list in a body."""
        value = self._value(name)
        if isinstance(value, list):
            return [each for each in value if isinstance(each, str)]
        return [each for each in value.split(",") if each] if isinstance(value, str) else []

    def told(self, name: str) -> bool:
        """Whether the parameter was given at all."""
        return name in self._path or name in self._query or name in self.body

    def variables(self) -> dict[str, str]:
        """The variables in the body: text, or `{"value": text}`, by name. Raises `Refused` (400)."""
        given = self.body.get("variables", {})
        if not isinstance(given, dict):
            raise Refused(400, BAD_VARIABLES)
        values: dict[str, str] = {}
        for name, each in given.items():
            value = each.get("value") if isinstance(each, dict) else each
            if not isinstance(value, str):
                raise Refused(400, BAD_VARIABLES)
            values[name] = value
        return values

    def _value(self, name: str) -> Any:
        parameter = self.operation.parameter(name)
        if parameter.kind == "path":
            return self._path[name]
        if name in self.body:
            return self.body[name]
        return self._query.get(name, parameter.default)


class Routes:
    """Finds the operation for a method and an address."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._root = _Place()
        for table in tables:
            for operation in table.operations:
                self._root.reach(operation.path.strip("/").split("/")).operations[operation.method] = (
                    operation
                )

    def find(self, method: str, segments: Sequence[str]) -> tuple[Operation, dict[str, str]]:
        """The operation, and what stands in the variable parts of the address.

        Raises:
            Refused: 404 for an address nobody knows, 405 for a method it does not have.
        """
        place = self._root
        found: dict[str, str] = {}
        for segment in segments:
            if segment in place.below:
                place = place.below[segment]
            elif place.variable is not None:
                place = place.variable
                found[place.name] = segment
            else:
                raise Refused(404, "Resource not found")
        operation = place.operations.get(method)
        if operation is None:
            raise NotAllowed(("OPTIONS", *place.operations))
        return operation, found


class NotAllowed(Refused):
    """The address is known, the method is not one of its own."""

    def __init__(self, methods: Iterable[str]) -> None:
        super().__init__(405, "Invalid method")
        self.methods = ",".join(methods)


class _Place:
    """A node of the tree of addresses."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.below: dict[str, _Place] = {}
        self.variable: _Place | None = None
        self.operations: dict[str, Operation] = {}

    def reach(self, segments: Sequence[str]) -> "_Place":
        place = self
        for segment in segments:
            if segment.startswith("{"):
                place.variable = place.variable or _Place(segment.strip("{}"))
                place = place.variable
            else:
                place = place.below.setdefault(segment, _Place())
        return place
