"""Settings of an Asterisk node, and the configuration files they become.

Why here: the text of each file is a template in `asterisk_conf/`, where every setting stands with its reason
and an operator can read it; this module only fills in paths, ports, phones and secrets, and refuses values
that could break out of their line.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import shutil
import socket
import struct
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template

_SAFE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SAFE_SECRET = re.compile(r"[!-:<-~]{1,128}")  # printable, and no `;`, which starts a comment
_LONGEST_UNIX_SOCKET = 107
# Asterisk reports an error for each of these that is missing; empty they mean its defaults.
_DEFAULTS_ONLY = (
    "acl",
    "ccss",
    "chan_websocket",
    "features",
    "pjproject",
    "stasis",
    "udptl",
    "websocket_client",
)


class NodeError(Exception):
    """Asterisk cannot be had, or does not run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SipUser:
    """One phone in pjsip.conf: with a password it registers, with a contact it is called there at once."""

    name: str
    password: str | None = field(default=None, repr=False)
    contact: str | None = None
    """A SIP URI such as ``sip:hanako@127.0.0.1:5080``."""
    browser: bool = False
    """True for WebRTC over the websocket at ``/ws``."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Everything that differs from one node to the next; `local_settings` fills it in on loopback."""

    directory: Path
    """Where the node keeps configuration, recordings, logs and its control socket. Made if missing."""
    asterisk: Path
    """A tree (a folder with ``usr/sbin/asterisk``) or an installed program: see `find_asterisk`."""
    http_port: int
    sip_port: int
    rtp_start: int
    rtp_end: int
    ari_user: str = "flowengine"
    ari_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    app: str = "flowengine"
    """The Stasis application that every call enters."""
    sip_users: tuple[SipUser, ...] = ()
    trunk_match: tuple[str, ...] = ("127.0.0.1/32",)
    """Addresses from which calls are taken without a password: the carrier's, and nobody else's."""
    host: str = "127.0.0.1"

    @property
    def ari_url(self) -> str:
        """Asterisk's HTTP address, without ``/ari``: what the ARI client wants as its ``url``."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def spool(self) -> Path:
        """Asterisk's spool; ARI recordings are made in ``spool/recording``."""
        return self.directory / "spool"


def find_asterisk(environment: Mapping[str, str] | None = None) -> Path:
    """Find the Asterisk that `tools/asterisk-tree` found or built; builds nothing itself.

    Looks at FLOWENGINE_ASTERISK, at an installed ``asterisk``, then at the tree in the cache folder.
    Raises NodeError if there is none.
    """
    env = os.environ if environment is None else environment
    if named := env.get("FLOWENGINE_ASTERISK"):
        return Path(named)
    if installed := shutil.which("asterisk", path=env.get("PATH", "")):
        return Path(installed)
    home = Path(env.get("HOME") or Path.home())
    cache = Path(
        env.get("FLOWENGINE_CACHE") or Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "flowengine"
    )
    for tree in sorted((cache / "asterisk").glob("sid-*"), reverse=True):
        if (tree / ".flowengine-complete").exists():
            return tree
    raise NodeError(
        "no Asterisk on this machine: run `make asterisk` (once, as root), install asterisk >= 20,"
        " or set FLOWENGINE_ASTERISK to its path"
    )


def local_settings(
    directory: Path,
    *,
    asterisk: Path | None = None,
    app: str = "flowengine",
    sip_users: tuple[SipUser, ...] = (),
    rtp_ports: int = 1000,
) -> NodeSettings:
    """Settings of a node on loopback whose ports are free at this moment, with a random ARI password."""
    rtp_start = min(_free_port(socket.SOCK_DGRAM), 65_000 - rtp_ports) // 2 * 2
    return NodeSettings(
        directory=directory,
        asterisk=asterisk or find_asterisk(),
        http_port=_free_port(socket.SOCK_STREAM),
        sip_port=_free_port(socket.SOCK_DGRAM),
        rtp_start=rtp_start,  # Asterisk passes over a port in the range that somebody else has taken
        rtp_end=rtp_start + rtp_ports - 1,
        app=app,
        sip_users=sip_users,
    )


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(asterisk: Path) -> list[str]:
    """The command that runs this Asterisk. A tree brings its own C library, so its own loader starts it."""
    if not asterisk.is_dir():
        return [str(asterisk)]
    loaders = [*asterisk.glob("lib64/ld-linux-*.so.*"), *asterisk.glob("lib/ld-linux-*.so.*")]
    libraries = [str(folder) for folder in asterisk.glob("usr/lib/*-linux-gnu")]
    if not loaders or not libraries or not (asterisk / "usr/sbin/asterisk").exists():
        raise NodeError(f"{asterisk} holds no Asterisk: remove the folder and run `make asterisk`")
    return [str(loaders[0]), "--library-path", ":".join(libraries), str(asterisk / "usr/sbin/asterisk")]


def write_configuration(settings: NodeSettings) -> None:
    """Write all configuration files below ``settings.directory/etc``, readable by the owner only.

    Raises NodeError for a name or password that could break out of its line.
    """
    _refuse_bad(settings)
    root = settings.directory
    for name in ("etc", "lib/keys", "run", "log", "moh", "spool/recording"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc").chmod(0o700)
    values = {
        "etc": root / "etc",
        "lib": root / "lib",
        "run": root / "run",
        "log": root / "log",
        "moh": root / "moh",
        "spool": settings.spool,
        "modules": _installed(settings.asterisk, "usr/lib/*/asterisk/modules", "usr/lib*/asterisk/modules"),
        "data": _installed(settings.asterisk, "usr/share/asterisk", "var/lib/asterisk"),
        "system_name": f"{settings.app}-{settings.http_port}",
        "trunk_match": "\n".join(f"match = {address}" for address in settings.trunk_match),
        "phones": "\n".join(_phone(user) for user in settings.sip_users),
        **{
            name: getattr(settings, name)
            for name in ("host", "http_port", "sip_port", "rtp_start", "rtp_end")
        },
        **{name: getattr(settings, name) for name in ("ari_user", "ari_password", "app")},
    }
    for source in (files("flowengine.ari") / "asterisk_conf").iterdir():
        if not source.name.endswith(".conf"):
            continue
        target = root / "etc" / source.name
        target.touch(mode=0o600)
        target.write_text(_Conf(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
    for name in _DEFAULTS_ONLY:
        (root / "etc" / f"{name}.conf").touch(mode=0o600)
    _write_hold_signal(root / "moh" / "hold.wav")


class _Conf(Template):
    """``@{name}`` instead of ``${name}``, which is Asterisk's own."""

    delimiter = "@"


def _phone(user: SipUser) -> str:
    kind = "browser" if user.browser else "phone"
    lines = [f"[{user.name}]({kind})", f"aors = {user.name}"]
    if user.password is not None:
        lines.append(f"auth = {user.name}")
    lines += [f"[{user.name}]", "type = aor", "max_contacts = 5", "remove_existing = yes"]
    if user.contact is not None:
        lines.append(f"contact = {user.contact}")
    if user.password is not None:
        secret = f"password = {user.password}"
        lines += [f"[{user.name}]", "type = auth", "auth_type = userpass", f"username = {user.name}", secret]
    return "\n".join([*lines, ""])


def _refuse_bad(settings: NodeSettings) -> None:
    names = {"ari_user": settings.ari_user, "app": settings.app}
    names |= {f"sip user {user.name!r}": user.name for user in settings.sip_users}
    for what, name in names.items():
        if not _SAFE_NAME.fullmatch(name):
            raise NodeError(f"{what}: use 1 to 64 of A-Z a-z 0-9 _ . -")
    passwords = {"ari_password": settings.ari_password}
    passwords |= {
        f"password of {user.name!r}": user.password
        for user in settings.sip_users
        if user.password is not None
    }
    passwords |= {
        f"contact of {user.name!r}": user.contact for user in settings.sip_users if user.contact is not None
    }
    for what, secret in passwords.items():
        if not _SAFE_SECRET.fullmatch(secret):
            raise NodeError(f"{what}: use 1 to 128 printable ASCII characters without space and `;`")
    control_socket = settings.directory / "run" / "asterisk.ctl"
    if len(os.fsencode(control_socket)) > _LONGEST_UNIX_SOCKET:
        raise NodeError(
            f"the folder's path is too long for a control socket, choose a shorter one: {control_socket}"
        )


def _installed(asterisk: Path, *patterns: str) -> Path:
    root = asterisk if asterisk.is_dir() else Path("/")
    for pattern in patterns:
        for found in sorted(root.glob(pattern)):
            return found
    raise NodeError(f"{asterisk}: no {' or '.join(patterns)} below {root}; the installation is not complete")


def _write_hold_signal(path: Path) -> None:
    """A soft pip every four seconds for a party on hold, so that the line does not sound dead."""
    rate, seconds, pip_seconds, hz, loudness = 8000, 4, 0.15, 425, 2000
    samples = (
        round(loudness * math.sin(2 * math.pi * hz * i / rate)) if i < rate * pip_seconds else 0
        for i in range(rate * seconds)
    )
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
