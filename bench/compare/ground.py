"""The ground the comparison stands on: one Asterisk, the controllers beside it as processes, and their prompts.

Everything is on loopback and below one folder. Each process gets SIGTERM when its starter dies, and is ended by its id.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.compare.contenders import Contender, Sounds, dialplan
from flowengine.ari.node import AsteriskNode, NodeError, local_settings
from simulator.sip import tone, write_wav

START_S: Final = 40.0
STOP_S: Final = 10.0
PROMPT_S: Final = 1.0
RTP_PORTS: Final = 8_000
MODULES: Final = ("res_speech.so", "res_agi.so", "app_senddtmf.so")
"""What the comparison needs of Asterisk besides the modules an engine needs."""

_root: Final = Path(__file__).parents[2]


class NoGround(RuntimeError):
    """The comparison cannot be run here; the message says why."""


@dataclass(frozen=True)
class Ground:
    """What is running."""

    node: AsteriskNode
    folder: Path
    log: Path
    """Where callers on Local channels write."""
    controllers: Mapping[str, int]
    """Process id of each contender that has one, by its name."""

    @property
    def asterisk(self) -> int:
        """Asterisk's process id. Raises NoGround when it is gone."""
        if self.node.pid is None:
            raise NoGround(f"Asterisk ended\n{self.node.log()}")
        return self.node.pid

    def ari(self) -> dict[str, str]:
        """How to reach ARI."""
        at = self.node.settings
        return {"url": at.ari_url, "user": at.ari_user, "password": at.ari_password}

    async def channels(self) -> int:
        """How many channels are up. Raises NoGround, or NodeError, when Asterisk has no time to say."""
        said = await self.node.cli("core show channels count")
        first = said.partition(" ")[0]
        if not first.isdigit():
            raise NoGround(f"Asterisk does not say how many channels are up: {said.strip()}")
        return int(first)

    async def quiet(self, within_s: float = 15.0) -> None:
        """Wait until no channel is left; what is left then is hung up. Raises NoGround when that does not help."""
        loop = asyncio.get_running_loop()
        for last_word in ("", "channel request hangup all"):
            deadline = loop.time() + within_s
            if last_word:
                await self.node.cli(last_word)
            while loop.time() < deadline:
                with contextlib.suppress(NoGround, NodeError):
                    if not await self.channels():
                        return
                await asyncio.sleep(0.3)
        raise NoGround(f"channels are left on Asterisk\n{self.node.log()}")


@contextlib.asynccontextmanager
async def ground(contenders: Sequence[Contender]) -> AsyncIterator[Ground]:
    """Start Asterisk and the controllers of these; all of it is gone when the context is left.

    Raises:
        NoGround: a controller does not start.
        NodeError: there is no Asterisk, or it does not start.
    """
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        sounds = _sounds(folder / "sounds")
        log = folder / "callers.log"
        agi_port = _free_port()
        async with (
            AsteriskNode(local_settings(folder / "node", rtp_ports=RTP_PORTS)) as node,
            contextlib.AsyncExitStack() as stack,
        ):
            for module in MODULES:
                await node.cli(f"module load {module}")
            with (folder / "node" / "etc" / "extensions.conf").open("a", encoding="utf-8") as conf:
                conf.write(dialplan(sounds, agi_port, log))
            await node.cli("dialplan reload")
            running: dict[str, int] = {}
            here = Ground(node, folder, log, running)
            for each in contenders:
                if each.module is not None:
                    options = {
                        **here.ari(),
                        **{what: str(getattr(sounds, what)) for what in ("first", "second")},
                        "app": f"bench-{each.name}",
                        "sounds": str(folder / "sounds"),
                        "folder": str(folder / each.name),
                        "agi_port": agi_port,
                        "memory": each.name.endswith("-memory"),
                    }
                    log_file = folder / f"{each.name}.log"
                    running[each.name] = await stack.enter_async_context(
                        controller(each.module, options, log_file)
                    )
            yield here


@contextlib.asynccontextmanager
async def controller(module: str, options: Mapping[str, Any], log: Path) -> AsyncIterator[int]:
    """Run a module of this package as a process until the context is left; gives its id once it is ready."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *_die_with_parent(),
            *(sys.executable, "-m", f"bench.compare.{module}", json.dumps(options)),
            cwd=_root,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            if (await process.stdout.readline()).strip() != b"ready":
                raise NoGround(f"{module} did not start:\n{_end_of(log)}")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def told(module: str, options: Mapping[str, Any], within_s: float) -> Any:
    """Run a module of this package to its end; gives the JSON that it prints. Raises NoGround."""
    process = await asyncio.create_subprocess_exec(
        *_die_with_parent(),
        *(sys.executable, "-m", f"bench.compare.{module}", json.dumps(options)),
        cwd=_root,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(within_s):
            out, errors = await process.communicate()
    except TimeoutError:
        raise NoGround(f"{module} took more than {within_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise NoGround(f"{module} failed:\n{errors.decode(errors='replace')[-2_000:]}")
    return json.loads(out)


def _sounds(folder: Path) -> Sounds:
    folder.mkdir()
    for name, hz in (("first", 500.0), ("second", 1_000.0)):
        write_wav(folder / f"{name}.wav", tone(hz, PROMPT_S))
    return Sounds(folder / "first", folder / "second")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
