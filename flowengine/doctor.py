"""What this machine has and lacks for running calls, each with the mend."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from flowengine.ari.client import AriClient
from flowengine.ari.errors import AriError
from flowengine.config import Settings
from flowengine.serve import ari_settings
from flowengine.store.database import open_database
from flowengine.store.errors import StoreError
from flowengine.store.migrate import check_schema

CONNECT_S = 5.0


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
    """Look at everything an engine with these settings needs. Changes nothing."""
    found = [
        _python(),
        _program("espeak-ng", "espeak-ng"),
        _program("ffmpeg", "ffmpeg"),
        _folder(settings.data_dir),
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
    there = path if path.exists() else path.resolve().parent
    if not os.access(there, os.W_OK):
        return Finding("data folder", f"{path}: not writable", f"let this user write to {there}")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding(
            "data folder", f"{path}: {error.strerror}", "free some space, or choose FLOWENGINE_DATA_DIR"
        )
    free_gb = shutil.disk_usage(there).free / 1e9
    return Finding(
        "data folder", f"{path}: {free_gb:.1f} GB free", "" if free_gb > 1 else "free at least 1 GB"
    )


async def _database(settings: Settings) -> Finding:
    kind = settings.database.split(":", 1)[0]
    if not settings.database_url and not (settings.data_dir / "flowengine.db").exists():
        return Finding("database", f"{kind}: not there yet, made at the first start")
    try:
        async with open_database(settings.database) as database, database.reading() as session:
            await check_schema(session)
    except StoreError as error:
        return Finding("database", f"{kind}: cannot be used", str(error))
    return Finding("database", f"{kind}: at the newest revision")


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
