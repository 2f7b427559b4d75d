"""Calling a number on the embedded switch from a terminal: by a script, or key by key."""

import asyncio
import contextlib
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import aiohttp

from flowengine.config import Settings

FILE: Final = "embedded-switch.json"
LOOK_S: Final = 0.15
_HEARD: Final = {
    "answered": "the call is answered",
    "hung up": "you hung up",
    "was hung up on": "the call is over",
}


class BadScript(Exception):
    """The times or keys asked for cannot be; the message names them."""


class NoSwitch(Exception):
    """No embedded switch runs, or it does not answer."""


@contextlib.contextmanager
def remember_switch(settings: Settings, url: str, user: str, password: str) -> Iterator[None]:
    """Leave a note for `flowengine dial`, readable by this user alone, as long as the switch runs."""
    note = settings.data_dir / FILE
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    note.touch(mode=0o600)
    note.write_text(json.dumps({"url": url, "user": user, "password": password}), encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def script(press: Sequence[str], speak: Sequence[str], hang_up_s: float) -> list[dict[str, Any]]:
    """The steps of a caller: `press` as KEYS@SECONDS, `speak` as SECONDS@SECONDS, counted from the answer.

    Raises:
        BadScript: something is not of that form.
    """
    acts: list[tuple[float, dict[str, Any]]] = [(at, {"press": keys}) for keys, at in map(_timed, press)]
    acts += [(at, {"speak": _seconds(for_s)}) for for_s, at in map(_timed, speak)]
    steps: list[dict[str, Any]] = [{"answered": True}]
    now = 0.0
    for at, act in sorted(acts, key=lambda each: each[0]):
        if at > now:
            steps.append({"wait": round(at - now, 3)})
        now = max(now, at) + float(act.get("speak", 0))
        steps.append(act)
    return [*steps, {"wait": round(max(0.0, hang_up_s - now), 3)}, {"hang_up": True}]


async def place_call(
    settings: Settings,
    number: str,
    caller: str,
    steps: Sequence[dict[str, Any]] | None,
    tell: Callable[[str], None] | None,
) -> dict[str, Any]:
    """Call and stay until the call is over; without `steps`, keys come from the terminal.

    Args:
        settings: whose embedded switch.
        number, caller: who calls whom.
        steps: of `script`, or None.
        tell: takes what the caller lives through, line by line.

    Raises:
        NoSwitch: nobody is there.
        BadScript: the switch does not take the call.
    """
    async with _switch(settings) as session:
        asked = {"to": number, "from": caller, "script": [] if steps is None else list(steps)}
        call: dict[str, Any] = await _ask(session, "POST", "/sim/calls", asked)
        by_hand = steps is None and _can_be_typed_into(sys.stdin)
        typing = asyncio.create_task(_type(session, call["id"], sys.stdin)) if by_hand else None
        shown = 0
        try:
            while True:
                for line in call["log"][shown:]:
                    if tell and (words := _words(line)):
                        tell(f"{line['at_s']:7.1f}  {words}")
                shown = len(call["log"])
                if call["state"] == "over":
                    if tell and not any(line["what"] == "answered" for line in call["log"]):
                        tell(f"         it was never answered (Q.850 cause {call['cause']})")
                    return call
                await asyncio.sleep(LOOK_S)
                call = await _ask(session, "GET", f"/sim/calls/{call['id']}")
        except asyncio.CancelledError:
            with contextlib.suppress(NoSwitch):
                await _ask(session, "DELETE", f"/sim/calls/{call['id']}")
            raise
        finally:
            if typing is not None:
                typing.cancel()


def _words(line: dict[str, Any]) -> str:
    if line["what"] == "hears":
        return f"you hear: {line['sound']}"
    return _HEARD.get(line["what"], "")


def _timed(given: str) -> tuple[str, float]:
    what, at, when = given.partition("@")
    if not what or not at:
        raise BadScript(f"{given!r}: write it as WHAT@SECONDS, such as 1@2.5")
    return what, _seconds(when)


def _seconds(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise BadScript(f"{given!r}: give seconds, 0 to 3600")
    return value


@contextlib.asynccontextmanager
async def _switch(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    note = settings.data_dir / FILE
    try:
        at = json.loads(_read(note))
        login = aiohttp.encode_basic_auth(at["user"], at["password"])
    except (OSError, ValueError, KeyError):
        raise NoSwitch(
            f"no embedded switch runs with the data folder {settings.data_dir}: start `make run`"
        ) from None
    async with aiohttp.ClientSession(at["url"], headers={"Authorization": login}) as session:
        yield session


def _read(note: Path) -> str:
    return note.read_text(encoding="utf-8")


async def _ask(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    try:
        async with session.request(method, path, json=body) as answer:
            text = await answer.text()
    except aiohttp.ClientError as error:
        raise NoSwitch(f"the embedded switch does not answer: {error}") from None
    if answer.status >= 400:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            raise BadScript(json.loads(text)["message"])
        raise BadScript(f"{answer.status} {text[:200]}")
    return json.loads(text) if text else None


def _can_be_typed_into(terminal: TextIO) -> bool:
    """A terminal or a pipe; from a plain file or nothing at all no keys come."""
    try:
        mode = os.fstat(terminal.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return terminal.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def _type(session: aiohttp.ClientSession, call: str, terminal: TextIO) -> None:
    """Press what is typed, line by line; `h` hangs up, and so does the end of input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), terminal)
    while True:
        line = (await reader.readline()).decode(errors="replace")
        keys = line.strip()
        steps = [{"hang_up": True}] if not line or keys == "h" else [{"press": keys}]
        if not keys and line:
            continue
        try:
            await _ask(session, "POST", f"/sim/calls/{call}/steps", {"script": steps})
        except BadScript as bad:
            sys.stderr.write(f"{bad}\n")
        if not line or keys == "h":
            return
