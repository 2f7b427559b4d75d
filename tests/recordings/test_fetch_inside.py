"""No packet reaches a denied address: traps listen there, and nobody knocks."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Network, ip_address
from pathlib import Path

import pytest

from recordings.errors import SoundUnavailable
from recordings.fetch import Fetcher, Limits
from recordings.gate import Gate
from tests.recordings.web import Authority, Resolver, Trap, gives, leads, trap

QUICK = Limits(total_s=2.0, connect_s=1.0, idle_s=1.0)
PUBLIC = IPv4Network("127.0.0.2/32")
"""Stands for the internet: the one address of loopback that these tests allow."""
INSIDE = ("127.0.0.1", "127.0.0.3", "127.1.2.3", "::1")


_listening: list[list[str]] = []


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook, which stays for good: it tells only the test that listens."""
    if _listening and event in ("socket.connect", "socket.sendto"):
        where = arguments[-1]
        _listening[-1].append(str(where[0]) if isinstance(where, tuple) else str(where))


sys.addaudithook(_heard)


@pytest.fixture(autouse=True)
def connected() -> Iterator[list[str]]:
    """Every address that anything in this process connects to, whether or not somebody listens there."""
    _listening.append([])
    yield _listening[-1]
    others = set(_listening.pop()) - {"127.0.0.2", "127.0.0.4"}
    assert not others, "every address connected to was judged and allowed"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def traps() -> Iterator[list[Trap]]:
    """One port, listened to at every address of the inside. Not at 127.0.0.2, where the server of a test may be."""
    with ExitStack() as stack:
        first = stack.enter_context(trap(INSIDE[0]))
        yield [first, *(stack.enter_context(trap(each, first.port)) for each in INSIDE[1:])]


def knocks(traps: list[Trap]) -> int:
    return sum(each.knocks() for each in traps)


def test_traps_and_hook_know_who_knocked(traps: list[Trap], connected: list[str]) -> None:
    for address in INSIDE:
        socket.create_connection((address, traps[0].port), timeout=1).close()
    assert knocks(traps) == len(INSIDE), "otherwise these tests would prove nothing"
    assert tuple(connected) == INSIDE
    assert knocks(traps) == 0
    connected.clear()


SPELLED = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.1", "127.0.0.1.", "127.0.0.3"),
    *("0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::1]", "[0:0:0:0:0:ffff:7f00:0001]", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1"),
    "localhost",
)


@pytest.mark.parametrize("host", SPELLED)
async def test_a_number_of_the_inside_is_refused_in_every_spelling(
    traps: list[Trap], tmp_path: Path, host: str
) -> None:
    with pytest.raises(SoundUnavailable, match="not a public one"):
        await Fetcher([PUBLIC], limits=QUICK).fetch(f"https://{host}:{traps[0].port}/", tmp_path / "sound")
    assert knocks(traps) == 0


@pytest.mark.parametrize(
    "told",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["127.0.0.2", "::1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["100.100.100.200"],
        ["0.0.0.0"],
        ["fe80::1%lo"],
    ],
)
async def test_one_bad_address_behind_a_name_is_enough(
    traps: list[Trap], tmp_path: Path, told: list[str]
) -> None:
    fetching = Fetcher([PUBLIC], limits=QUICK, resolve=Resolver([told]))
    with pytest.raises(SoundUnavailable, match="its server has an address"):
        await fetching.fetch(f"https://inside.example:{traps[0].port}/", tmp_path / "sound")
    assert knocks(traps) == 0


async def test_a_dns_that_changes_its_mind_is_not_asked_again(
    traps: list[Trap], authority: Authority, tmp_path: Path
) -> None:
    resolver = Resolver([["127.0.0.2"], ["127.0.0.1"]])
    fetching = Fetcher([PUBLIC], authority.file, QUICK, resolver)
    async with authority.server(gives(b"sound"), address="127.0.0.2", port=traps[0].port) as server:
        assert (await fetching.fetch(server.url(), tmp_path / "sound")).bytes == 5
        assert resolver.asked == ["sound.example"]
        assert knocks(traps) == 0
        with pytest.raises(SoundUnavailable, match="not a public one"):
            await fetching.fetch(server.url(), tmp_path / "sound")
        assert len(server.heads) == 1, "no connection was kept from which the second could profit"
    assert knocks(traps) == 0


async def test_a_dns_that_changes_its_mind_between_redirects(
    traps: list[Trap], authority: Authority, tmp_path: Path
) -> None:
    resolver = Resolver([["127.0.0.2"], ["127.0.0.1"]])
    fetching = Fetcher([PUBLIC], authority.file, QUICK, resolver)
    async with authority.server(leads("/again"), address="127.0.0.2", port=traps[0].port) as server:
        with pytest.raises(SoundUnavailable, match=r"it leads to url .* not a public one"):
            await fetching.fetch(server.url(), tmp_path / "sound")
        assert len(server.heads) == 1
    assert knocks(traps) == 0


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("http://sound.example:{port}/", "http instead of https"),
        ("//127.0.0.1:{port}/", "not a public one"),
        ("https://127.0.0.1:{port}/", "not a public one"),
        ("https://[::1]:{port}/", "not a public one"),
        ("https://2130706433:{port}/", "not a public one"),
        ("https://localhost:{port}/", "not a public one"),
        ("https://169.254.169.254/latest/meta-data/", "not a public one"),
        ("http://169.254.169.254/latest/meta-data/", "http instead of https"),
        ("https://me:pass@127.0.0.1:{port}/", "name or password"),
        ("https://127.0.0.2:0/", "port 0"),
        ("file:///etc/hostname", "file instead of https"),
        ("gopher://127.0.0.1:{port}/_x", "gopher instead of https"),
        ("ftp://127.0.0.1:{port}/", "ftp instead of https"),
        ("javascript:alert(1)", "javascript instead of https"),
        ("https://[::1", "without saying where"),
        ("https:\\\\127.0.0.1:{port}/", ""),
        ("\\\\127.0.0.1:{port}\\x", ""),
    ],
)
@pytest.mark.parametrize("status", [301, 308])
async def test_a_redirect_is_judged_like_any_address(
    traps: list[Trap], authority: Authority, tmp_path: Path, to: str, reason: str, status: int
) -> None:
    async def told(host: str, port: int) -> list[str]:
        return ["127.0.0.2"] if host == "sound.example" else ["127.0.0.1"]

    fetching = Fetcher([PUBLIC], authority.file, QUICK, told)
    answer = leads(to.format(port=traps[0].port), status)
    async with authority.server(answer, address="127.0.0.2", port=traps[0].port) as server:
        with pytest.raises(SoundUnavailable) as caught:
            await fetching.fetch(server.url(), tmp_path / "sound")
        if reason:
            assert len(server.heads) == 1
    assert reason in caught.value.reason
    assert caught.value.name == f"url “{server.url()}”", "named as the flow names it"
    assert knocks(traps) == 0
    assert not (tmp_path / "sound").exists()


async def test_a_proxy_of_the_environment_is_not_used(
    traps: list[Trap], authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{traps[0].port}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine sound.example login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fetching = Fetcher([PUBLIC], authority.file, QUICK, Resolver([["127.0.0.2"]]))
    async with authority.server(gives(b"sound"), address="127.0.0.2") as server:
        assert (await fetching.fetch(server.url(), tmp_path / "sound")).bytes == 5
        assert "Authorization" not in server.heads[0]
    assert knocks(traps) == 0


async def test_several_addresses_of_a_name_are_tried(authority: Authority, tmp_path: Path) -> None:
    allowed = [PUBLIC, IPv4Network("127.0.0.4/32")]
    fetching = Fetcher(allowed, authority.file, QUICK, Resolver([["127.0.0.4", "127.0.0.2"]]))
    async with authority.server(gives(b"sound"), address="127.0.0.2") as server:
        assert (await fetching.fetch(server.url(), tmp_path / "sound")).bytes == 5


async def test_the_gate_makes_no_socket_for_an_address_it_does_not_know() -> None:
    gate = Gate([ip_address("127.0.0.2")])
    with pytest.raises(PermissionError):
        gate.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 443)))
    gate.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.2", 443))).close()
    assert [each["host"] for each in await gate.resolve("any.example", 443)] == ["127.0.0.2"]
