"""The engine as a process of its own, that can be killed: `flowengine serve` on a real Asterisk."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from flowengine.ari.node import AsteriskNode

SERVING = "serving"
GO_ON = "calls of an earlier engine go on"


class EngineProcess:
    """One `flowengine serve`. Its log is a file, read as it grows."""

    def __init__(self, node: AsteriskNode, folder: Path, name: str, **more: str) -> None:
        at = node.settings
        self._log = folder / f"engine-{name}.log"
        self._environment = os.environ | {
            "FLOWENGINE_DATA_DIR": str(folder / "var"),
            "FLOWENGINE_SWITCH": "asterisk",
            "FLOWENGINE_ARI_URL": at.ari_url.removesuffix("/ari"),
            "FLOWENGINE_ARI_USER": at.ari_user,
            "FLOWENGINE_ARI_PASSWORD": at.ari_password,
            "FLOWENGINE_ARI_APP": at.app,
            "FLOWENGINE_HTTP_PORT": "0",
            "FLOWENGINE_LOG_FORMAT": "json",
            "FLOWENGINE_DRAIN_S": "0",
            **more,
        }
        self._process: asyncio.subprocess.Process | None = None
        self.started_at = 0.0

    async def start(self) -> None:
        """Begin; see `until`."""
        self.started_at = time.monotonic()
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "flowengine.cli", "serve", env=self._environment, stderr=log
            )

    async def until(self, event: str, within: float = 20.0) -> float:
        """Wait for a line of the log; how long the process has run then, in seconds."""
        async with asyncio.timeout(within):
            while not self.said(event):
                assert self._process is not None
                assert self._process.returncode is None, self._log.read_text()[-4_000:]
                await asyncio.sleep(0.02)
        return time.monotonic() - self.started_at

    def said(self, event: str) -> list[dict[str, Any]]:
        """Lines of the log with this event."""
        lines = self._log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in found if line["event"] == event]

    def troubles(self) -> list[dict[str, Any]]:
        """What it logged as an error."""
        lines = self._log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in found if line.get("level") in ("error", "critical")]

    async def kill(self) -> None:
        """SIGKILL: no word to anybody."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
            async with asyncio.timeout(30):
                await self._process.wait()
