"""The only way out for a request to the web: a gate that lets it reach the judged addresses and no others.

It closes twice. The HTTP library asks the gate instead of a DNS, and gets numbers; and it asks the gate for every
socket, so that whatever else it might do (number for a host, another family, a new attempt), no packet leaves for an
address that was not judged.
"""

import errno
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from recordings.addresses import Address

USER_AGENT: Final = "flowengine"
PIECE_BYTES: Final = 1 << 16
LINE_BYTES: Final = 8_190
MAX_HEADERS: Final = 64


class Gate(AbstractResolver):
    """Names lead to the judged addresses, and sockets are made for no others."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`; asks nobody."""
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=kinds[address.version],
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
            if family in (socket.AF_UNSPEC, kinds[address.version])
        ]

    async def close(self) -> None:
        """See `AbstractResolver.close`; there is nothing to close."""

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket for a judged address. Raises `OSError` for any other, before there is a socket."""
        family, kind, proto, _, where = info
        if ip_address(where[0]) not in self._addresses:
            raise PermissionError(errno.EACCES, "this address was not judged")
        return socket.socket(family, kind, proto)


def session(
    addresses: Sequence[Address], tls: ssl.SSLContext, connect_s: float, idle_s: float
) -> aiohttp.ClientSession:
    """A session for one request, which leaves by the gate and carries nothing of the engine along.

    No cookies, no proxy and no passwords from the environment, no packed bodies. `connect_s` includes the TLS
    handshake; `idle_s` is the time between two pieces. The time for all of it is the caller's to limit.
    """
    gate = Gate(addresses)
    connector = aiohttp.TCPConnector(
        ssl=tls, resolver=gate, socket_factory=gate.socket, use_dns_cache=False, force_close=True
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept": "audio/*, */*;q=0.1", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(
            total=None, connect=connect_s, sock_connect=connect_s, sock_read=idle_s
        ),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=PIECE_BYTES,
        max_line_size=LINE_BYTES,
        max_field_size=LINE_BYTES,
        max_headers=MAX_HEADERS,
    )
