"""One Asterisk process as the engine wants it: written configuration, start, command line, clean stop.

Why here: demo, tests and a one-machine installation all need a switch that is set up right, and a wrong
switch fails in ways that look like engine bugs. What goes into the configuration is in `node_settings.py`;
this module runs Asterisk, without root and below one folder, and hands it over when ARI answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import aiohttp

from flowengine.ari.node_settings import (
    NodeError,
    NodeSettings,
    SipUser,
    find_asterisk,
    local_settings,
    program,
    write_configuration,
)

__all__ = ["AsteriskNode", "NodeError", "NodeSettings", "SipUser", "find_asterisk", "local_settings"]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
CLI_TIMEOUT_S = 10.0


class AsteriskNode:
    """A running Asterisk. ``async with AsteriskNode(settings) as node: ...`` or `start` and `stop`.

    The process gets SIGTERM when its starter dies, so an aborted test or demo leaves no Asterisk. Where
    calls must outlive a crash of the engine, Asterisk runs as a service of its own (deploy/asterisk).
    """

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> AsteriskNode:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Process id while Asterisk runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def start(self) -> None:
        """Write the configuration and start Asterisk; returns when it is fully booted and ARI answers.

        Raises NodeError with the end of Asterisk's log if that takes longer than 30 s or Asterisk ends.
        """
        if self.pid is not None:
            raise NodeError(f"Asterisk in {self.settings.directory} is already running")
        write_configuration(self.settings)
        command = [*_die_with_parent(), *program(self.settings.asterisk), "-f", "-C", str(self._main_conf)]
        with self.console_log.open("ab") as console:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=self.settings.directory,
                start_new_session=True,  # Ctrl-C is for the engine, which hangs up first
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_until_booted(self._process)
                await self._wait_for_ari()
        except TimeoutError:
            await self.kill()
            raise NodeError(f"Asterisk did not answer within {START_TIMEOUT_S:.0f} s\n{self.log()}") from None
        except BaseException:
            await self.kill()  # a SIGTERM before full boot would hang
            raise

    async def stop(self) -> None:
        """End Asterisk: SIGTERM, which lets it close recordings (1-3 s), and SIGKILL after 10 s."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End Asterisk as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def ended(self) -> None:
        """Wait until Asterisk ends, for whatever reason."""
        if self._process is not None:
            await self._process.wait()

    async def cli(self, command: str) -> str:
        """Run a command of Asterisk's command line, e.g. ``core show channels``; returns what it prints."""
        done, output = await self._try_cli(command)
        if not done:
            raise NodeError(f"Asterisk did not take the command {command!r}: {output.strip() or 'no answer'}")
        return output

    @property
    def console_log(self) -> Path:
        """What Asterisk printed before its own logger ran: the place to look when it does not start."""
        return self.settings.directory / "log" / "console.log"

    def log(self, lines: int = 40) -> str:
        """The last lines of console and message log, for error reports."""
        logs = (self.console_log, self.settings.directory / "log" / "messages.log")
        text = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()]
        return "\n".join(text[-lines:])

    @property
    def _main_conf(self) -> Path:
        return self.settings.directory / "etc" / "asterisk.conf"

    async def _try_cli(self, command: str) -> tuple[bool, str]:
        process = await asyncio.create_subprocess_exec(
            *program(self.settings.asterisk),
            *("-C", str(self._main_conf), "-rx", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(CLI_TIMEOUT_S):
                output, _ = await process.communicate()
        except TimeoutError:
            return False, f"no answer within {CLI_TIMEOUT_S:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode == 0, output.decode(errors="replace")

    async def _wait_until_booted(self, process: asyncio.subprocess.Process) -> None:
        while True:
            # Asterisk that gives up at start says so, and then often hangs instead of ending.
            if process.returncode is not None or "ASTERISK EXITING" in self.log():
                raise NodeError(f"Asterisk gave up at start\n{self.log()}")
            done, _ = await self._try_cli("core waitfullybooted")
            if done:
                return
            await asyncio.sleep(0.05)

    async def _wait_for_ari(self) -> None:
        login = aiohttp.encode_basic_auth(self.settings.ari_user, self.settings.ari_password)
        async with aiohttp.ClientSession(headers={"Authorization": login}) as http:
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(f"{self.settings.ari_url}/ari/asterisk/info") as answer:
                        if answer.status == 200:
                            return
                        raise NodeError(
                            f"ARI answers {answer.status} at {self.settings.ari_url}\n{self.log()}"
                        )
                await asyncio.sleep(0.05)


def _die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
