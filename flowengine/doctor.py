"""What this machine has and lacks for running calls, each with the mend."""

import asyncio
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flowengine.ari.client import AriClient
from flowengine.ari.errors import AriError
from flowengine.config import Settings
from flowengine.serve import ari_settings
from flowengine.store.database import open_database, read_url
from flowengine.store.errors import StoreError
from flowengine.store.migrate import check_schema
from recordings.errors import RecordingRefused, ToolFailed
from recordings.library import RecordingLibrary
from recordings.speech import configured
from recordings.storage_disk import MARK

CONNECT_S: Final = 5.0
MIN_FREE_BYTES: Final = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `mend` is "" when it is fine."""

    thing: str
    state: str
    mend: str = ""

    @property
    def ok(self) -> bool:
        """Nothing to mend."""
        return not self.mend


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything an engine with these settings needs, within some ten seconds.

    Everything is left as it is; a library of recordings is written to, as its engine does it every few seconds.
    """
    found = [
        _python(),
        _program("espeak-ng", "espeak-ng"),
        _program("ffmpeg", "ffmpeg"),
        await asyncio.to_thread(_speech, settings),
        _folder(settings.data_dir),
        await _recordings(settings),
    ]
    found += [
        _command(name, command, setting)
        for name, command, setting in (
            ("notify command", settings.notify_command, "FLOWENGINE_NOTIFY_COMMAND"),
            ("transcribe command", settings.transcribe_command, "FLOWENGINE_TRANSCRIBE_COMMAND"),
        )
        if command
    ]
    found.append(await _database(settings))
    if settings.switch == "asterisk":
        found.append(await _asterisk(settings))
    return found


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", version, "" if sys.version_info >= (3, 11) else "use Python 3.11 or newer")


def _program(name: str, package: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, path or "not found", "" if path else f"install the package {package}")


def _folder(path: Path) -> Finding:
    """Where everything is kept. What is not there yet is made in the nearest folder that is."""
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if not there.is_dir():
        return Finding(
            "data folder", f"{there}: not a folder", "choose another FLOWENGINE_DATA_DIR, or move it away"
        )
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        mend = f"let this user write to {there}, free some space, or choose another FLOWENGINE_DATA_DIR"
        return Finding("data folder", f"{there}: cannot be written to ({error.strerror})", mend)
    mend = "" if free > MIN_FREE_BYTES else "free at least 1 GB, or choose another FLOWENGINE_DATA_DIR"
    return Finding("data folder", f"{path}: {free / 1e9:.1f} GB free", mend)


def _speech(settings: Settings) -> Finding:
    """Who speaks prompts. One of our engines is enough; a speech command that is named must work."""
    speaking, missing = [], []
    for engine in configured(settings.speech_command, settings.speech_languages).engines:
        try:
            offer = engine.offer()
        except ToolFailed as error:
            missing.append(error)
        else:
            speaking.append(f"{offer.engine} ({_languages(offer.languages)})")
    state = ", ".join(speaking) or "nobody speaks"
    if not speaking:
        return Finding("speech", state, "; ".join(error.mend for error in missing))
    if command := shlex.split(settings.speech_command):
        named = _command("speech", settings.speech_command, "FLOWENGINE_SPEECH_COMMAND")
        return Finding("speech", state if named.ok else f"{command[0]}: not found", named.mend)
    without = "".join(f"; without {error.name}: {error.mend}" for error in missing)
    return Finding("speech", state + without)


def _languages(tags: tuple[str, ...]) -> str:
    if not tags:
        return "every language"
    return ", ".join(tags) if len(tags) <= 3 else f"{len(tags)} languages"


def _command(name: str, command: str, setting: str) -> Finding:
    """A program of the operator's choice, by the command line that starts it."""
    program = shlex.split(command)[0]
    path = shutil.which(program)
    mend = "" if path else f"install it, correct {setting}, or leave that empty"
    return Finding(name, path or f"{program}: not found, or not to be run", mend)


async def _recordings(settings: Settings) -> Finding:
    """Whether recordings can be kept now."""
    address = settings.recordings
    if not address.startswith("s3:") and not (Path(address) / MARK).is_file():
        return Finding("recordings", f"{address}: no library yet, made at the first start")
    with tempfile.TemporaryDirectory(prefix="flowengine-doctor-") as folder:
        spool = settings.recordings_dir if settings.recordings_dir.is_dir() else Path(folder)
        try:
            library = await asyncio.to_thread(RecordingLibrary.at, address, spool)
            await library.check(CONNECT_S)
            return Finding("recordings", f"{library.address}: can be written")
        except RecordingRefused as error:
            return Finding("recordings", "cannot be kept", str(error))


async def _database(settings: Settings) -> Finding:
    kind = settings.database.split(":", 1)[0].split("+")[0]
    try:
        if _is_still_to_be_made(settings.database):
            return Finding("database", f"{kind}: not there yet, made at the first start")
        async with open_database(settings.database) as database, database.reading() as session:
            await check_schema(session)
    except StoreError as error:
        return Finding("database", f"{kind}: cannot be used", str(error))
    return Finding("database", f"{kind}: at the newest revision")


def _is_still_to_be_made(url: str) -> bool:
    """A SQLite file that is not there. To open it would make it, and a look changes nothing."""
    address = read_url(url)
    return address.get_backend_name() == "sqlite" and not Path(str(address.database)).exists()


async def _asterisk(settings: Settings) -> Finding:
    ignore: Callable[[object], None] = lambda _message: None  # noqa: E731
    try:
        # An app of our own: a second connection on the engine's would silence the engine.
        ours = replace(ari_settings(settings), app=f"{settings.ari_app}-doctor")
        async with AriClient(ours, ignore) as client:
            await client.wait_ready(CONNECT_S)
            return Finding("asterisk", f"{settings.ari_url}: ready over {client.transport}")
    except (AriError, ValueError) as error:
        return Finding("asterisk", f"{settings.ari_url}: not ready", str(error))
