"""How a command on this machine finds the running engine: by a note in the data folder, and then over HTTP.

The note holds the address and the token of this run. It is readable by this user alone and gone when the engine ends.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from http.client import UNAUTHORIZED
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
import msgspec

from flowengine.config import Settings
from flowengine.live.views import AgentView, Snapshot
from flowengine.routing.agents import Wish

FILE: Final = "engine.json"
ANSWER_S: Final = 5.0

T = TypeVar("T")


class NoEngine(Exception):
    """No engine runs with this data folder, or what runs there does not answer as one; the message says which."""


class Refused(Exception):
    """The engine does not do it; the message says why."""


class Note(msgspec.Struct, frozen=True):
    """Where a running engine is, and the token that opens it."""

    url: str
    token: str


def new_token() -> str:
    """A token for one run of an engine."""
    return secrets.token_urlsafe(32)


@contextlib.contextmanager
def remember_engine(settings: Settings, address: str, token: str) -> Iterator[None]:
    """Leave the note for as long as the context is open. A note that a crash has left is replaced."""
    path = settings.data_dir / FILE
    note = msgspec.json.encode(Note(_reachable(address), token))
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(note)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == note:  # a successor may have left its own
                path.unlink()


async def look(settings: Settings) -> Snapshot:
    """The live picture of the running engine, its numbers masked. Raises `NoEngine`."""
    return await _ask(settings, "GET", "/live", Snapshot)


async def tell_agent(settings: Settings, account: str, user: str, wish: Wish) -> AgentView:
    """Sign an agent in ("work") or out ("leave"), or pause them; gives the agent as they are then.

    Raises:
        NoEngine: nobody is there.
        Refused: there is no such agent.
    """
    where = f"/live/agents/{quote(account, safe='')}/{quote(user, safe='')}"
    return await _ask(settings, "POST", where, AgentView, msgspec.json.encode({"wish": wish}))


async def tell_recording(settings: Settings, call: str, *, paused: bool) -> None:
    """Leave what is said now out of the recording of a call, or go on with it.

    Raises:
        NoEngine: nobody is there.
        Refused: there is no such call.
    """
    where = f"/live/calls/{quote(call, safe='')}/recording"
    await _ask(settings, "POST", where, dict, msgspec.json.encode({"paused": paused}))


async def hang_up(settings: Settings, call: str) -> None:
    """End a call, for everybody in it. Raises as `tell_recording`."""
    await _ask(settings, "DELETE", f"/live/calls/{quote(call, safe='')}", dict)


async def _ask(settings: Settings, method: str, path: str, kind: type[T], body: bytes | None = None) -> T:
    note = read_note(settings)
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    headers = {"Authorization": f"Bearer {note.token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(method, note.url + path, data=body) as answer,
        ):
            said = await answer.read()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise NoEngine(f"the engine of the data folder {settings.data_dir} does not answer") from None
    if answer.status == UNAUTHORIZED:
        raise NoEngine(f"{note.url} is another engine than that of the data folder {settings.data_dir}")
    try:
        if answer.status >= 400:
            raise Refused(msgspec.json.decode(said, type=_Complaint).title)
        return msgspec.json.decode(said, type=kind)
    except msgspec.DecodeError:
        raise NoEngine(f"what answers at {note.url} is no engine of this version: restart it") from None


def read_note(settings: Settings) -> Note:
    """The note of the engine that runs with these settings. Raises `NoEngine`."""
    path: Path = settings.data_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        raise NoEngine(
            f"no engine runs with the data folder {settings.data_dir}: start `flowengine serve`,"
            " or set FLOWENGINE_DATA_DIR to the folder of the one that runs"
        ) from None


class _Complaint(msgspec.Struct):
    title: str


def _reachable(address: str) -> str:
    """An address to connect to; an engine that listens everywhere is reached on loopback."""
    parts = urlsplit(address)
    host = ip_address(parts.hostname or "")
    if not host.is_unspecified:
        return address
    return urlunsplit(parts._replace(netloc=f"{'127.0.0.1' if host.version == 4 else '[::1]'}:{parts.port}"))
