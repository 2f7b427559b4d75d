"""A fetch, whole: what it brings, what bounds it, and what a server may not do to it. Real TLS on loopback."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from recordings.errors import SoundUnavailable
from recordings.fetch import Fetcher, Limits, Resolve, resolved
from tests.recordings.web import Answer, Authority, Resolver, Server, endless, gives, leads, says

LOOPBACK = [IPv4Network("127.0.0.0/8")]
HOME = ["127.0.0.1"]
SOUND = bytes(range(256)) * 1_000
QUICK = Limits(total_s=1.0, connect_s=0.5, idle_s=0.5, size_bytes=500_000)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def fetcher(
    authority: Authority, limits: Limits = QUICK, told: Sequence[str] = HOME, *, trusting: bool = True
) -> Fetcher:
    return Fetcher(LOOPBACK, authority.file if trusting else None, limits, Resolver([told]))


async def refusal(fetching: Fetcher, address: str, folder: Path) -> SoundUnavailable:
    """The refusal of a fetch, which leaves the target as it was and nothing beside it."""
    room = folder / "room"
    room.mkdir()
    target = room / "sound"
    target.write_bytes(b"before")
    with pytest.raises(SoundUnavailable) as caught:
        await fetching.fetch(address, target)
    assert [path.name for path in room.iterdir()] == ["sound"]
    assert target.read_bytes() == b"before"
    assert caught.value.mend
    assert str(folder) not in str(caught.value)
    return caught.value


async def test_a_file_arrives_whole_and_nothing_of_us_goes_out(authority: Authority, tmp_path: Path) -> None:
    answer = gives(SOUND, 'ETag: "abc"', "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT", "Set-Cookie: a=b")
    async with authority.server(answer) as server:
        fetching = fetcher(authority)
        for _ in range(2):
            fetched = await fetching.fetch(server.url("/a.wav?k=v#part"), tmp_path / "sound")
    assert (tmp_path / "sound").read_bytes() == SOUND
    assert fetched.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert (fetched.bytes, fetched.address) == (len(SOUND), server.url("/a.wav?k=v"))
    assert (fetched.etag, fetched.last_modified) == ('"abc"', "Sat, 21 Nov 2026 10:00:00 GMT")
    for head in server.heads:
        line, *headers = head.rstrip().split("\r\n")
        assert line == "GET /a.wav?k=v HTTP/1.1"
        assert sorted(header.split(": ")[0] for header in headers) == [
            *("Accept", "Accept-Encoding", "Connection", "Host", "User-Agent")
        ], "no cookie, no referrer"
        assert "User-Agent: flowengine" in headers
        assert "Accept-Encoding: identity" in headers


@pytest.mark.parametrize("etag", ["", "a" * 201, "\xe9", "\x85"])
async def test_a_version_that_cannot_be_written_down_is_none(
    authority: Authority, tmp_path: Path, etag: str
) -> None:
    async with authority.server(gives(SOUND, f"ETag: {etag}")) as server:
        fetched = await fetcher(authority).fetch(server.url(), tmp_path / "sound")
    assert (fetched.etag, fetched.last_modified) == (None, None)


@pytest.mark.parametrize("host", ["[::1]", "sound.example"])
async def test_ipv6_is_spoken_too(authority: Authority, tmp_path: Path, host: str) -> None:
    fetching = Fetcher([IPv6Network("::1/128")], authority.file, QUICK, Resolver([["::1"]]))
    async with authority.server(gives(SOUND), host.strip("[]"), address="::1") as server:
        assert (await fetching.fetch(server.url(host=host), tmp_path / "sound")).bytes == len(SOUND)


async def test_a_chunked_body_arrives_whole(authority: Authority, tmp_path: Path) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (SOUND[:10], SOUND[10:])) + b"0\r\n\r\n"
    async with authority.server(says("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", chunks)) as server:
        assert (await fetcher(authority).fetch(server.url(), tmp_path / "sound")).bytes == len(SOUND)
    assert (tmp_path / "sound").read_bytes() == SOUND


async def test_redirects_are_followed_three_times(authority: Authority, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        step = int(head[len("GET /") :].partition(" ")[0])
        reply = gives(SOUND) if step == 0 else leads(f"/{step - 1}", 307)
        await reply(reader, writer, head)

    async with authority.server(answer) as server:
        fetching = fetcher(authority)
        fetched = await fetching.fetch(server.url("/3"), tmp_path / "sound")
        assert fetched.address == server.url("/0")
        error = await refusal(fetching, server.url("/4"), tmp_path)
        assert "more than 3 times" in error.reason


async def test_an_ip_address_is_fetched_from_with_a_certificate_for_it(
    authority: Authority, tmp_path: Path
) -> None:
    resolver = Resolver([["127.0.0.2"]])
    async with authority.server(gives(SOUND), "127.0.0.1") as server:
        fetching = Fetcher(LOOPBACK, authority.file, QUICK, resolver)
        for host in ("127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"):
            fetched = await fetching.fetch(server.url(host=host), tmp_path / "sound")
            assert fetched.address == server.url(host="127.0.0.1")
    assert resolver.asked == []


async def test_the_system_is_asked_for_names() -> None:
    assert "127.0.0.1" in [*await resolved("localhost", 443), "127.0.0.1"]
    assert {*await resolved("localhost", 443)} <= {"127.0.0.1", "::1"}


HUGE = "HTTP/1.1 200 OK\nContent-Length: 4294967296"
CHUNKED = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"
ANSWERS: dict[str, tuple[Answer, str]] = {
    "missing": (says("HTTP/1.1 404 Not Found\nContent-Length: 4", b"gone"), "status 404"),
    "forbidden": (says("HTTP/1.1 403 Forbidden\nContent-Length: 0"), "asks who we are"),
    "broken": (says("HTTP/1.1 500 Oh\nContent-Length: 0"), "status 500"),
    "part": (says("HTTP/1.1 206 Partial\nContent-Length: 4", b"RIFF"), "status 206"),
    "not_modified": (says("HTTP/1.1 304 Not Modified"), "status 304"),
    "upgrade": (says("HTTP/1.1 101 Switching\nUpgrade: x\nConnection: upgrade"), "status 101"),
    "nowhere": (says("HTTP/1.1 302 Found\nContent-Length: 0"), "without saying where"),
    "announced_too_big": (says(HUGE), "bigger than 0.5 MB"),
    "really_too_big": (endless(CHUNKED, b"10000\r\n" + bytes(65_536) + b"\r\n"), "bigger than 0.5 MB"),
    "packed": (gives(gzip.compress(bytes(10_000_000)), "Content-Encoding: gzip"), "packed ('gzip')"),
    "packed_twice": (gives(b"x", "Content-Encoding: identity, br"), "packed"),
    "no_length": (says("HTTP/1.1 200 OK\nConnection: close", SOUND), "does not say how long"),
    "cut_off": (says("HTTP/1.1 200 OK\nContent-Length: 1000", b"RIFF"), "broke off"),
    "cut_off_chunk": (says("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"10\r\nRIFF"), "broke off"),
    "two_lengths": (says("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2", b"ab"), "malformed"),
    "negative_length": (says("HTTP/1.1 200 OK\nContent-Length: -1"), "malformed"),
    "no_http": (says("SSH-2.0-OpenSSH_9.2"), "malformed"),
    "silent": (endless("", b"", 0.05), "does not answer"),
    "hangs_up": (says(""), "broke off"),
    "slow_head": (endless("HTTP/1.1 200 OK\n", b"X", 0.02), "within 1 s"),
    "slow_body": (endless(HUGE.replace("4294967296", "400000") + "\n\n", b"x", 0.02), "within 1 s"),
    "stalls": (endless(HUGE.replace("4294967296", "400000") + "\n\n", b"", 0.05), "stopped in the middle"),
    "long_line": (endless("HTTP/1.1 200 OK\nX: ", b"x" * 1_000), "headers are too big"),
    "many_headers": (endless("HTTP/1.1 200 OK\n", b"X: y\r\n" * 100), "headers are too big"),
    "continues": (endless("", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01), "within 1 s"),
    "long_chunk_line": (endless(CHUNKED, b"1;" + b"x" * 10_000), ""),
    "drips_chunks": (endless(CHUNKED, b"1\r\nx\r\n", 0.01), "within 1 s"),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_server_that_misbehaves_is_named_in_bounded_time(
    authority: Authority, tmp_path: Path, kind: str
) -> None:
    answer, reason = ANSWERS[kind]
    async with authority.server(answer) as server:
        began = time.monotonic()
        error = await refusal(fetcher(authority), server.url(), tmp_path)
        assert time.monotonic() - began < QUICK.total_s + 1
        assert len(server.heads) == (2 if kind == "hangs_up" else 1), "aiohttp asks a mute server once more"
    assert reason in error.reason
    assert error.name == f"url “{server.url()}”"


async def test_a_server_without_tls_or_without_a_server(authority: Authority, tmp_path: Path) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    server = Server(listening.sockets[0].getsockname()[1])
    assert "TLS" in (await refusal(fetcher(authority), server.url(), tmp_path)).reason
    listening.close()
    await listening.wait_closed()
    (tmp_path / "again").mkdir()
    error = await refusal(fetcher(authority), server.url(), tmp_path / "again")
    assert "cannot be reached" in error.reason


async def test_a_certificate_must_be_trusted_and_for_this_name(authority: Authority, tmp_path: Path) -> None:
    async with authority.server(gives(SOUND), "other.example", "127.0.0.1") as server:
        for at, fetching in enumerate((fetcher(authority), fetcher(authority, trusting=False))):
            room = tmp_path / str(at)
            room.mkdir()
            error = await refusal(fetching, server.url(), room)
            assert "certificate" in error.reason
            assert server.heads == [], "nothing was asked of it"
        await fetcher(authority).fetch(server.url(host="other.example"), tmp_path / "sound")


async def test_names_that_lead_nowhere(authority: Authority, tmp_path: Path) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return HOME

    answers: list[tuple[Resolve, str]] = [
        (unknown, "no server is known"),
        (never, "within 1 s"),
        (Resolver([[]]), "0 addresses"),
        (Resolver([HOME * 17]), "17 addresses"),
    ]
    for at, (resolve, reason) in enumerate(answers):
        room = tmp_path / str(at)
        room.mkdir()
        fetching = Fetcher(LOOPBACK, authority.file, QUICK, resolve)
        assert reason in (await refusal(fetching, "https://sound.example/a.wav", room)).reason


async def test_a_cancelled_fetch_leaves_nothing(authority: Authority, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    answer = endless("HTTP/1.1 200 OK\nContent-Length: 400000\n\n", b"x" * 100, 0.01)
    async with authority.server(answer) as server:
        fetching = asyncio.create_task(fetcher(authority).fetch(server.url(), room / "sound"))
        async with asyncio.timeout(5):
            while not list(room.iterdir()):  # noqa: ASYNC110 - a file tells nobody that it is there
                await asyncio.sleep(0.01)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert list(room.iterdir()) == []


async def test_a_disk_that_refuses_is_named(authority: Authority, tmp_path: Path) -> None:
    async with authority.server(gives(SOUND)) as server:
        with pytest.raises(SoundUnavailable, match=r"cannot be stored \(No such file"):
            await fetcher(authority).fetch(server.url(), tmp_path / "missing" / "sound")


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nnonsense"])
def test_a_file_of_certificates_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SoundUnavailable, match=r"ca\.pem: no certificates can be read from it"):
        Fetcher(ca_file=path)


def test_the_limits_of_the_product() -> None:
    assert (Limits().total_s, Limits().size_bytes, Limits().redirects) == (10.0, 20_000_000, 3)
