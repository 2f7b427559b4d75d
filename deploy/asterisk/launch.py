"""Run one Asterisk for the engine in the foreground, as a process of its own.

    .venv/bin/python deploy/asterisk/launch.py FOLDER --phones PHONES

Why apart from the engine: calls, recordings and bridges live in Asterisk, so an engine that is restarted finds
them again. FOLDER keeps everything; FOLDER/engine.env is what the engine needs to find this Asterisk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import signal
import sys
from pathlib import Path

from flowengine.ari.node import AsteriskNode, NodeError, NodeSettings, SipUser, find_asterisk

PASSWORD = "FLOWENGINE_ARI_PASSWORD"  # noqa: S105 - the name of a variable


def settings(words: list[str]) -> NodeSettings:
    """Read the command line; every setting has a default but the folder."""
    parser = argparse.ArgumentParser(description="Run an Asterisk for flowengine until SIGTERM.")
    parser.add_argument("folder", type=Path, help="where configuration, recordings and logs are kept")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address for SIP, RTP and ARI (default: loopback)"
    )
    parser.add_argument("--http-port", type=int, default=8088, help="ARI and the websocket of browser phones")
    parser.add_argument("--sip-port", type=int, default=5060)
    parser.add_argument("--rtp", default="10000-19999", metavar="FIRST-LAST", help="UDP ports for audio")
    parser.add_argument("--app", default="flowengine", help="the Stasis application of the engine")
    parser.add_argument(
        "--trunk", action="append", metavar="ADDRESS", help="the carrier's address or network"
    )
    parser.add_argument(
        "--phones", type=Path, metavar="FILE", help="lines NAME=PASSWORD, or NAME=PASSWORD browser"
    )
    given = parser.parse_args(words)
    first, _, last = given.rtp.partition("-")
    if not (first.isdecimal() and last.isdecimal()):
        parser.error("--rtp: expected FIRST-LAST, for example 10000-19999")
    folder: Path = given.folder.resolve()
    return NodeSettings(
        directory=folder,
        asterisk=find_asterisk(),
        http_port=given.http_port,
        sip_port=given.sip_port,
        rtp_start=int(first),
        rtp_end=int(last),
        ari_password=_kept_password(folder / "engine.env"),
        app=given.app,
        sip_users=_phones(given.phones) if given.phones else (),
        trunk_match=tuple(given.trunk or ["127.0.0.1/32"]),
        host=given.host,
    )


def write_engine_env(node: NodeSettings) -> Path:
    """Write the variables by which the engine finds this Asterisk; only the owner may read them."""
    path = node.directory / "engine.env"
    path.touch(mode=0o600)
    lines = {
        "FLOWENGINE_SWITCH": "asterisk",
        "FLOWENGINE_ARI_URL": node.ari_url,
        "FLOWENGINE_ARI_USER": node.ari_user,
        PASSWORD: node.ari_password,
        "FLOWENGINE_ARI_APP": node.app,
    }
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")
    return path


async def run(node_settings: NodeSettings) -> None:
    """Start, say how to reach it, and stop at SIGTERM, Ctrl-C, or when Asterisk ends by itself."""
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    node_settings.directory.mkdir(parents=True, exist_ok=True)
    env = write_engine_env(node_settings)
    async with AsteriskNode(node_settings) as node:
        sys.stdout.write(
            f"Asterisk is up: SIP {node_settings.host}:{node_settings.sip_port}, ARI {node_settings.ari_url}\n"
            f"Engine: set -a; . {env}; set +a; .venv/bin/flowengine serve\n"
        )
        sys.stdout.flush()
        stop = asyncio.create_task(told_to_stop.wait())
        end = asyncio.create_task(node.ended())
        await asyncio.wait({stop, end}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stop, end):
            task.cancel()
        await asyncio.gather(stop, end, return_exceptions=True)
        if not told_to_stop.is_set():
            raise NodeError(f"Asterisk ended by itself\n{node.log()}")


def _phones(file: Path) -> tuple[SipUser, ...]:
    """Phones from a file, because what stands on a command line everybody on the machine can read."""
    phones = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match line.split():
            case [account] | [account, "browser"] if "=" in account:
                name, _, password = account.partition("=")
                phones.append(SipUser(name, password=password, browser=line.rstrip().endswith(" browser")))
            case _:
                raise NodeError(f"{file}, line {number}: expected NAME=PASSWORD or NAME=PASSWORD browser")
    return tuple(phones)


def _kept_password(env: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        for line in env.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name == PASSWORD and value:
                return value
    return secrets.token_urlsafe(24)


def main() -> int:
    """0: stopped when told to. 3: something this machine should have is missing or does not work."""
    try:
        asyncio.run(run(settings(sys.argv[1:])))
    except (NodeError, OSError) as problem:
        sys.stderr.write(f"launch: {problem}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
