"""One SIPp process on a wire.

Why here: caller and phone start, watch and end SIPp alike; SIPp is the independent SIP implementation that keeps
our tests honest about the protocol.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from simulator.sip.wire import Wire


class SippFailed(AssertionError):
    """SIPp is missing, or saw what its scenario does not allow."""


class Sipp:
    """A running SIPp; its scenario and its error log live in a temporary folder until `close`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._folder: Path | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, scenario: str, keys: Mapping[str, str | int], *options: str) -> None:
        """Run a scenario; ``keys`` become its ``[keywords]``. Ends by itself only with ``-m``."""
        program = shutil.which("sipp")
        if program is None:
            raise SippFailed("sipp is not installed: apt-get install sip-tester")
        self._folder = Path(tempfile.mkdtemp(prefix="sipp-"))
        script = self._folder / "scenario.xml"
        script.write_text(scenario, encoding="utf-8")
        values = {"wire": self._wire.port, **keys}
        self._process = await asyncio.create_subprocess_exec(
            *(program, f"127.0.0.1:{self._wire.sipp_side}"),
            *(
                "-sf",
                str(script),
                "-i",
                "127.0.0.1",
                "-p",
                str(self._wire.sipp_port),
                "-nostdin",
                "-skip_rlimit",
            ),
            *("-trace_err", "-error_file", str(self._folder / "errors.log")),
            *(word for key, value in values.items() for word in ("-key", key, str(value))),
            *options,
            cwd=self._folder,
            env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def listening(self, within: float = 5.0) -> None:
        """Wait until SIPp has its port; it gives no other sign of being ready."""
        assert self._process is not None
        bound = f":{self._wire.sipp_port:04X} "
        async with asyncio.timeout(within):
            while bound not in _udp_ports():
                if self._process.returncode is not None:
                    raise SippFailed(f"SIPp did not start: {self.errors()}")
                await asyncio.sleep(0.01)

    async def ended(self, within: float) -> None:
        """Wait until SIPp ends. Raises SippFailed if its scenario failed, TimeoutError if it goes on."""
        assert self._process is not None
        try:
            async with asyncio.timeout(within):
                status = await self._process.wait()
        except TimeoutError:
            raise TimeoutError(
                f"SIPp goes on after {within} s; on the wire: {self._wire.summary()}"
            ) from None
        if status != 0:
            raise SippFailed(
                f"SIPp ended with {status}: {self.errors()}; on the wire: {self._wire.summary()}"
            )

    def errors(self) -> str:
        """What SIPp complained of so far."""
        log = self._folder / "errors.log" if self._folder else None
        return log.read_text(errors="replace").strip() if log and log.exists() else "no error was written"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def close(self) -> None:
        """End SIPp if it runs, and remove its folder."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _udp_ports() -> str:
    """Who listens where; to ask by binding could take the port from SIPp."""
    return Path("/proc/net/udp").read_text(encoding="ascii")
