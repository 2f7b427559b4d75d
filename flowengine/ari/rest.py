"""One ARI request and its answer, whichever way they travel (websocket or HTTP)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from flowengine.ari.errors import AriError, AriRefused

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]
QueryValue: TypeAlias = str | int | float | Sequence[str] | None
"""A list is sent comma-separated, as ARI wants it; `None` leaves the parameter out; booleans become words."""

MAX_BODY_BYTES = 40_960
"""Asterisk's HTTP server reads no longer body (main/http.c)."""
MAX_FRAME_BYTES = 65_000
"""Asterisk closes the websocket on a frame of 65,535 bytes with its header (http_websocket.h)."""
MAX_REASON = 200

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AriRequest:
    """A request ready to travel: `uri` is encoded and has no leading slash, `body` is JSON or empty."""

    method: Method
    uri: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class AriResponse:
    """Asterisk's answer: `content` is undecoded, as most answers are never looked into, and never shown."""

    status: int
    reason: str = ""
    content: bytes | str = field(default=b"", repr=False)

    @property
    def body(self) -> Any:
        """The JSON of the answer as plain Python values, `None` when empty; `AriError` if it is not JSON."""
        return _parse(self.content, Any) if self.content else None

    def read(self, kind: type[_T]) -> _T:
        """The answer as `kind`, such as `Channel` or `list[Bridge]`; `AriError` if it is something else."""
        answer: _T = _parse(self.content, kind)
        return answer


def _parse(content: bytes | str, kind: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise AriError(f"Asterisk's answer is not the {kind} that was expected") from None


class _Complaint(msgspec.Struct):
    message: str = ""


def build(
    method: Method,
    path: str,
    query: Mapping[str, QueryValue] | None = None,
    body: Mapping[str, Any] | None = None,
) -> AriRequest:
    """A request for `path` such as `channels/ID/play`, given plain: quoting is done here, once.

    A request longer than Asterisk reads is refused here with status 413, as sending it would cost the
    websocket and every other request on it.
    """
    uri = quote(path.lstrip("/"), safe="/:@")
    pairs = [
        f"{quote(name, safe='')}={quote(_text(value), safe=':@,')}"
        for name, value in (query or {}).items()
        if value is not None
    ]
    if pairs:
        uri = f"{uri}?{'&'.join(pairs)}"
    content = b"" if body is None else msgspec.json.encode(body)
    if len(content) > MAX_BODY_BYTES:
        raise AriRefused(413, f"the body has {len(content)} bytes, Asterisk reads {MAX_BODY_BYTES}")
    return AriRequest(method, uri, content)


def _text(value: str | float | Sequence[str]) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
        case _:
            return ",".join(value)


def settle(answer: "asyncio.Future[AriResponse]", outcome: AriResponse | AriError) -> None:
    """Give a waiting caller its answer, or the error it stands for; harmless if the caller went away.

    The error counts as seen: who sends without waiting need not collect it.
    """
    if answer.done():
        return
    if isinstance(outcome, AriResponse) and outcome.status >= 400:
        outcome = AriRefused(outcome.status, _complaint(outcome))
    if isinstance(outcome, AriResponse):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)
        answer.exception()


def failed(error: AriError) -> "asyncio.Future[AriResponse]":
    """The answer to a request that was not even sent."""
    answer: asyncio.Future[AriResponse] = asyncio.get_running_loop().create_future()
    settle(answer, error)
    return answer


def _complaint(response: AriResponse) -> str:
    try:
        message = msgspec.json.decode(response.content, type=_Complaint).message
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        message = ""
    return (message or response.reason or "no reason given")[:MAX_REASON]
