"""Fetch a prompt from the web: https only, never the inside of a network, and bounded in every direction.

The order of things is the protection. A name is resolved once, by us; every answer is judged (`recordings.addresses`);
the connection is opened to a judged address and to nothing else, so a DNS that answers differently the second time
has no second chance (`recordings.gate`). Every redirect starts from the beginning.
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from recordings.addresses import UPLOAD, Address, Network, destination, judged, literal, shown
from recordings.errors import SoundUnavailable
from recordings.files import part_of, settle
from recordings.gate import PIECE_BYTES, session

MAX_ADDRESSES: Final = 16
"""A name with more addresses than this is no web server's."""
TOLD_LIMIT: Final = 200
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
LATER: Final = "try again later, or upload the file"
ONE_ADDRESS: Final = "a server must be reached at public addresses only; the operator may allow a network"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host name, for a port. Raises `OSError` when there are none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how much and how far."""

    total_s: float = 10.0
    """Everything: names, connections, redirects, the last byte."""
    connect_s: float = 5.0
    """One connection, with its TLS handshake."""
    idle_s: float = 5.0
    """Between two pieces of an answer."""
    size_bytes: int = 20_000_000
    redirects: int = 3


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body that arrived whole."""

    sha256: str
    bytes: int
    address: str
    """Where it came from in the end, after redirects."""
    etag: str | None
    last_modified: str | None


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses the system knows for a name (its hosts file and DNS)."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Fetcher:
    """Fetches files over https. Keeps nothing from one fetch to the next: no cookie, no connection, no answer."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        ca_file: Path | None = None,
        limits: Limits | None = None,
        resolve: Resolve = resolved,
    ) -> None:
        """`allowed`: networks the operator permits besides the public ones. `ca_file`: certificates (PEM) trusted
        besides those of the system, for an intranet. Raises `SoundUnavailable` when that file is of no use.
        """
        self._allowed = tuple(allowed)
        self._limits = limits or Limits()
        self._resolve = resolve
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file is not None:
            try:
                self._tls.load_verify_locations(ca_file)
            except OSError as error:
                mend = "give a readable file of certificates in PEM form"
                reason = f"no certificates can be read from it ({error.strerror or error})"
                raise SoundUnavailable(ca_file.name, reason, mend) from error

    async def fetch(self, address: str, target: Path) -> Fetched:
        """Write what is at `address` to `target`, whole or not at all.

        Raises `SoundUnavailable` with the address, the reason and the mend; a file at `target` is then as before.
        """
        part = part_of(target)
        try:
            async with asyncio.timeout(self._limits.total_s):
                fetched = await self._follow(address, part)
            with _storing(shown(address)):
                await _in_thread(settle, part, target)
            return fetched
        except TimeoutError as error:
            reason = f"it did not arrive within {self._limits.total_s:g} s"
            raise SoundUnavailable(shown(address), reason, LATER) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    async def _follow(self, address: str, part: Path) -> Fetched:
        """From the address to the body; what is wrong with a redirect is told of the address that led there."""
        here = address
        for _ in range(self._limits.redirects + 1):
            try:
                found = await self._once(destination(here), part)
            except SoundUnavailable as error:
                if here == address:
                    raise
                reason = f"it leads to {error.name}, and there: {error.reason}"
                raise SoundUnavailable(shown(address), reason, error.mend) from error
            if isinstance(found, Fetched):
                return found
            here = found
        reason = f"it leads on and on, more than {self._limits.redirects} times"
        raise SoundUnavailable(shown(address), reason, "give the address where the file itself lies")

    async def _once(self, url: URL, part: Path) -> Fetched | str:
        """One request, to a judged address: the body, or the address the server sends us to instead."""
        name = shown(str(url))
        addresses = await self._judged(url, name)
        limits = self._limits
        try:
            async with session(addresses, self._tls, limits.connect_s, limits.idle_s) as client:
                response = await client.get(url, allow_redirects=False)
                try:
                    if response.status in REDIRECTS:
                        return _led_to(url, response.headers.get("Location", ""), name)
                    _acceptable(response, name, limits.size_bytes)
                    sha256, size = await self._body(response, name, part)
                finally:
                    response.close()
        except (aiohttp.ClientError, OSError) as error:
            raise SoundUnavailable(name, _why(error), LATER) from error
        etag, modified = (_told(response, header) for header in ("ETag", "Last-Modified"))
        return Fetched(sha256, size, str(url), etag, modified)

    async def _judged(self, url: URL, name: str) -> Sequence[Address]:
        """The addresses behind a host, asked for once, every one of them fit to be connected to."""
        number = literal(url)
        try:
            told = [str(number)] if number else await self._resolve(url.raw_host or "", url.port or 443)
        except (OSError, UnicodeError) as error:
            reason = "no server is known by this name"
            raise SoundUnavailable(name, reason, "check the address, and the DNS of the engine") from error
        if not 1 <= len(told) <= MAX_ADDRESSES:
            raise SoundUnavailable(name, f"its server has {len(told)} addresses", UPLOAD)
        fit: dict[Address, None] = {}
        for each in told:
            verdict = judged(each, self._allowed)
            if isinstance(verdict, str):
                raise SoundUnavailable(name, f"its server has {verdict}", ONE_ADDRESS)
            fit[verdict] = None
        return list(fit)

    async def _body(self, response: aiohttp.ClientResponse, name: str, part: Path) -> tuple[str, int]:
        """Write the body to `part`: its checksum and its size as counted, whatever was announced."""
        digest = hashlib.sha256()
        size = 0
        with _storing(name):
            file = part.open("xb")
        with file:
            async for piece in response.content.iter_chunked(PIECE_BYTES):
                size += len(piece)
                _fits(size, name, self._limits.size_bytes)
                digest.update(piece)
                with _storing(name):
                    await _in_thread(file.write, piece)
        return digest.hexdigest(), size


def _led_to(url: URL, location: str, name: str) -> str:
    try:
        if location:
            return str(url.join(URL(location)))
    except ValueError:
        pass
    raise SoundUnavailable(name, "the server leads elsewhere without saying where", UPLOAD)


def _acceptable(response: aiohttp.ClientResponse, name: str, size_bytes: int) -> None:
    """What can be judged before the body. Raises `SoundUnavailable`."""
    if response.status in (401, 403):
        reason = f"the server asks who we are (status {response.status})"
        raise SoundUnavailable(name, reason, "let it be read without signing in, or upload the file")
    if response.status != 200:
        mend = "check the address" if response.status in (404, 410) else LATER
        raise SoundUnavailable(name, f"the server answers with status {response.status}", mend)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        reason = f"the server sends it packed ({encoding[:20]!r}), which it was asked not to"
        raise SoundUnavailable(name, reason, UPLOAD)
    if response.content_length is not None:
        _fits(response.content_length, name, size_bytes)
    elif response.headers.get("Transfer-Encoding", "").strip().lower() != "chunked":
        # Then a broken connection would look like the end of the file.
        raise SoundUnavailable(name, "the server does not say how long it is", UPLOAD)


def _told(response: aiohttp.ClientResponse, header: str) -> str | None:
    """What a server says of a version: kept for comparison, so only if it can be written anywhere."""
    value = response.headers.get(header)
    return value if value and len(value) <= TOLD_LIMIT and value.isascii() and value.isprintable() else None


def _fits(size: int, name: str, size_bytes: int) -> None:
    if size > size_bytes:
        reason = f"it is bigger than {size_bytes / 1_000_000:g} MB"
        raise SoundUnavailable(name, reason, "shorten it, or save it as FLAC or MP3")


def _why(error: Exception) -> str:
    """What went wrong with a connection or an answer, in words for the person who chose the address."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "the certificate of its server is not good for this name"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "its server does not speak TLS as it should"
        case TimeoutError():
            return "its server does not answer, or stopped in the middle"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "the connection broke off before all of it was there"
        case aiohttp.ClientResponseError():
            return "the answer of its server is malformed, or its headers are too big"
        case OSError() if error.strerror:
            return f"its server cannot be reached ({error.strerror})"
        case _:
            return "its server cannot be reached"


@contextmanager
def _storing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        mend = "free some space, and let the engine write its prompt directory"
        raise SoundUnavailable(name, f"it cannot be stored ({error.strerror})", mend) from error


async def _in_thread(call: Callable[..., object], *given: object) -> None:
    """Wait for a thread even when cancelled: it cannot be stopped, and must not meet a closed file."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *given))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
