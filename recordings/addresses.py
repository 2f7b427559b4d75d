"""Where a prompt may be fetched from: judged here, by number, before a single packet is sent.

An address in a flow document comes from whoever may edit a flow, and the engine that fetches it stands inside the
network of its operator. So the engine would be a door to the inside (server-side request forgery) if it went
wherever it is sent. The rule is an allow-list: the public unicast ranges of the IANA registries, less what
they set apart, and besides those only the networks the operator names. Nothing here opens a socket.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from yarl import URL

from recordings.errors import SoundUnavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ADDRESS_LIMIT: Final = 2_000
CREDENTIALS: Final = re.compile(r"//[^/?#]*@")
SHOWN: Final = 60
HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label like this makes the whole host a number, as browsers and inet_aton read it (WHATWG URL, 3.5)."""
UPLOAD: Final = "give the address of a file on a public web server, or upload the file"

APART_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # Public by number, and yet the inside: the host of a virtual machine at Azure.
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
"""IANA IPv4 special-purpose registry (RFC 6890), and multicast."""
GLOBAL_V6: Final = IPv6Network("2000::/3")
APART_V6: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""IANA IPv6 special-purpose registry inside 2000::/3; Teredo is in the first, 6to4 the third: both are tunnels
to an IPv4 address of the sender's choice."""
NAT64: Final = IPv6Network("64:ff9b::/96")
"""How a network without IPv4 reaches IPv4 (RFC 6052): as good or bad as the address in its last 32 bits."""


def destination(address: str) -> URL:
    """An address to fetch, read once and in one way. Raises `SoundUnavailable` when it must not be followed."""
    name = shown(address)
    if len(address) > ADDRESS_LIMIT or not address.isprintable() or " " in address or "\\" in address:
        reason = f"it has more than {ADDRESS_LIMIT} characters, or some that no address has"
        raise SoundUnavailable(name, reason, UPLOAD)
    if CREDENTIALS.search(address):
        raise SoundUnavailable(name, "there is a name or password in it", "use an address that needs neither")
    try:
        url = URL(address)
        if url.scheme == "https" and (host := (url.raw_host or "").removesuffix(".")):
            number = _number(host)
            url = url.with_host(host if number is None else str(number))
    except ValueError as error:
        raise SoundUnavailable(name, "it is not a web address", UPLOAD) from error
    if url.scheme != "https":
        reason = f"it is {url.scheme or 'no'} instead of https"
        raise SoundUnavailable(name, reason, "give an address that begins with https://")
    if url.port == 0:
        raise SoundUnavailable(name, "port 0 is no port", "leave the port out, or give the right one")
    if literal(url) is None and not HOST.fullmatch(url.raw_host or ""):
        raise SoundUnavailable(name, "it does not name a web server", UPLOAD)
    return url.with_fragment(None)


def literal(url: URL) -> Address | None:
    """The number a host stands for without being looked up, None when it is a name."""
    return _number(url.raw_host or "")


def judged(told: str, allowed: Sequence[Network] = ()) -> Address | str:
    """The address to connect to for one that was resolved, or in a few words why nothing may be sent there."""
    try:
        address = ip_address(told)
    except ValueError:
        return "not an address"
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "an address of one network card only"
        address = _unmapped(address)
    if any(address in network for network in allowed if network.version == address.version):
        return address
    inner = address
    if isinstance(address, IPv6Address) and address in NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    return address if _public(inner) else "an address inside a network, not a public one"


def networks(written: Sequence[str]) -> tuple[Network, ...]:
    """Networks as an operator writes them (10.1.0.0/16, fd00::/8). Raises `SoundUnavailable` for one that is none."""
    read: list[Network] = []
    for each in written:
        try:
            read.append(ip_network(each.strip()))
        except ValueError as error:
            mend = "write it like 10.1.0.0/16 or fd12:3456::/32, with zeros after the prefix"
            raise SoundUnavailable(f"network {each[:SHOWN]!r}", "it is not a network", mend) from error
    return tuple(read)


def shown(address: str) -> str:
    """An address in a message: its beginning, without what may be secret (credentials, query)."""
    plain = CREDENTIALS.sub("//", re.split(r"[?#]", address, maxsplit=1)[0])
    beginning = "".join(c if c.isprintable() else "?" for c in plain[:SHOWN])
    return f"url “{beginning}{'…' if len(plain) > SHOWN or plain != address else ''}”"


def _public(address: Address) -> bool:
    """Both must agree: the tables above, and those of the Python that runs us."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in apart for apart in APART_V4)
    return address in GLOBAL_V6 and not any(address in apart for apart in APART_V6)


def _number(host: str) -> Address | None:
    """IPv6, or IPv4 in any form that inet_aton reads: 2130706433, 0x7f.1, 127.1. Raises `ValueError`."""
    if "%" in host:
        raise ValueError(host)  # A network card, or a letter in disguise.
    if ":" in host:
        return _unmapped(IPv6Address(host))
    if not NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError as error:
        raise ValueError(host) from error


def _unmapped(address: IPv6Address) -> Address:
    """The kernel speaks IPv4 to an IPv4-mapped address (::ffff:127.0.0.1), so it is taken for what it is."""
    return address.ipv4_mapped or address
