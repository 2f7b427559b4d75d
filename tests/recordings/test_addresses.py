"""Every special range is refused, in every spelling; nothing here opens a socket."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.addresses import destination, judged, literal, networks, shown
from recordings.errors import SoundUnavailable

SPECIAL_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
)
SPECIAL_V6 = (
    *("::/128", "::1/128", "::/96", "100::/64", "64:ff9b:1::/48", "2001::/32", "2001:2::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16"),
    *("fc00::/7", "fd00:ec2::254/128", "fe80::/10", "fec0::/10", "ff00::/8", "4000::/2", "8000::/1"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "223.255.255.254", "2606:4700::1111", "2a00:1450:4001::1")


def inside(networks: tuple[str, ...]) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    """Any address of any of these networks, and often their first and last."""
    return st.sampled_from([ip_network(each) for each in networks]).flatmap(
        lambda net: st.one_of(
            st.sampled_from([net[0], net[-1]]),
            st.integers(0, net.num_addresses - 1).map(lambda at: net[at]),
        )
    )


@given(inside((*SPECIAL_V4, *SPECIAL_V6)))
def test_no_special_address_is_fit(address: IPv4Address | IPv6Address) -> None:
    assert isinstance(judged(str(address)), str)
    assert isinstance(judged(str(int(address)) if address.version == 4 else address.exploded), str)


@given(inside(SPECIAL_V4))
def test_nor_inside_an_address_of_the_other_kind(inner: IPv4Address | IPv6Address) -> None:
    number = int(inner)
    for outer in (
        IPv6Address(0xFFFF_0000_0000 | number),  # IPv4-mapped
        IPv6Address(number),  # IPv4-compatible
        IPv6Address((0x0064_FF9B << 96) | number),  # NAT64
        IPv6Address((0x2002 << 112) | (number << 80) | 1),  # 6to4
        IPv6Address((0x2001_0000 << 96) | (number << 64) | (number ^ 0xFFFF_FFFF)),  # Teredo
    ):
        assert isinstance(judged(str(outer)), str), outer


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_what_is_fit_in_ipv4_is_public_by_python_too(address: IPv4Address) -> None:
    fit = judged(str(address)) == address
    special = any(address in IPv4Network(each) for each in SPECIAL_V4)
    assert fit == (not special and address.is_global and not address.is_multicast)


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_what_is_fit_in_ipv6_is_global_unicast(address: IPv6Address) -> None:
    if judged(str(address)) == address:
        assert address in IPv6Network("2000::/3") or address in IPv6Network("64:ff9b::/96")
        assert not any(address in IPv6Network(each) for each in SPECIAL_V6)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_fit(address: str) -> None:
    assert judged(address) == ip_address(address)


def test_a_mapped_address_is_what_it_maps_to_and_nat64_is_as_good_as_what_it_leads_to() -> None:
    assert judged("::ffff:8.8.8.8") == IPv4Address("8.8.8.8")
    assert judged("64:ff9b::808:808") == IPv6Address("64:ff9b::808:808")


@pytest.mark.parametrize(
    "told", ["fe80::1%eth0", "2606:4700::1111%2", "", "localhost", "8.8.8.8/32", "1.2.3"]
)
def test_what_is_no_plain_address_is_not_fit(told: str) -> None:
    assert isinstance(judged(told, [IPv6Network("::/0"), IPv4Network("0.0.0.0/0")]), str)


def test_the_operator_may_allow_a_network_and_only_that() -> None:
    allowed = networks(["10.1.0.0/16", " fd12:3456::/32"])
    assert judged("10.1.2.3", allowed) == IPv4Address("10.1.2.3")
    assert judged("::ffff:10.1.2.3", allowed) == IPv4Address("10.1.2.3")
    assert judged("fd12:3456::5", allowed) == IPv6Address("fd12:3456::5")
    assert isinstance(judged("10.2.0.1", allowed), str)
    assert isinstance(judged("fd12:3457::5", allowed), str)
    assert isinstance(judged("2002:0a01:0203::1", allowed), str), "a tunnel into it is not it"


@pytest.mark.parametrize("written", ["10.1.0.0/33", "10.1.2.3/16", "intranet", ""])
def test_a_network_that_is_none_is_named(written: str) -> None:
    with pytest.raises(SoundUnavailable, match="it is not a network; write it like"):
        networks([written])


ODD = {
    "2130706433": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "127.0.0.1.": "127.0.0.1",
    "１２７.０.０.１": "127.0.0.1",
    "①②⑦.0.0.1": "127.0.0.1",
    "127。0。0。1": "127.0.0.1",
    "0": "0.0.0.0",
    "0xa9fea9fe": "169.254.169.254",
    "[::1]": "::1",
    "[0:0::0:1]": "::1",
    "[::ffff:127.0.0.1]": "127.0.0.1",
    "[::ffff:7f00:1]": "127.0.0.1",
    "8.8.8.8": "8.8.8.8",
}


@pytest.mark.parametrize("host", ODD)
def test_a_number_is_a_number_however_it_is_written(host: str) -> None:
    number = literal(destination(f"https://{host}/a.wav"))
    assert number == ip_address(ODD[host])
    assert isinstance(judged(str(number)), str) == (host != "8.8.8.8")


REFUSED = {
    "http://sound.example/a.wav": "http instead of https",
    "file:///etc/hostname": "file instead of https",
    "gopher://sound.example/": "gopher instead of https",
    "ftp://sound.example/a.wav": "ftp instead of https",
    "//sound.example/a.wav": "no instead of https",
    "sound.example/a.wav": "instead of https",
    "data:audio/wav;base64,UklGRg==": "instead of https",
    "https://": "does not name a web server",
    "https:///a.wav": "does not name a web server",
    "https:a.wav": "does not name a web server",
    "https://us:er@sound.example/": "name or password",
    "https://user@sound.example/": "name or password",
    "https://:@sound.example/": "name or password",
    "https://@127.0.0.1/": "name or password",
    "https://sound.example\\@127.0.0.1/": "some that no address has",
    "https://sound.example:0/": "port 0",
    "https://sound.example:65536/": "not a web address",
    "https://sound.example:port/": "not a web address",
    "https://sound example/": "some that no address has",
    "https://sound.example/\r\nHost: other": "some that no address has",
    "https://sound.example/\0": "some that no address has",
    "https://sound%2eexample/": "not a web address",
    "https://a..b/": "does not name a web server",
    "https://[::1/": "not a web address",
    "https://[v1.a]:x/": "not a web address",
    "https://[fe80::1%25lo]/": "not a web address",
    "https://1.2.3.4.5/": "not a web address",
    "https://0x7f.0x0.zz.09/": "not a web address",
    "https://127.0.0.1.../": "does not name a web server",
    "https://" + "a" * 64 + ".example/": "does not name a web server",
    "https://sound.example/" + "a" * 2_000: "more than 2000 characters",
}


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_must_not_be_followed_is_named_with_the_reason_and_the_mend(address: str) -> None:
    with pytest.raises(SoundUnavailable) as caught:
        destination(address)
    assert REFUSED[address] in caught.value.reason
    assert caught.value.mend
    assert caught.value.name.startswith("url “")
    assert len(caught.value.name) < 80


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    complaints: list[str] = []
    for address in (text, f"https://{text}", f"https://sound.example{text}"):
        try:
            url = destination(address)
        except SoundUnavailable as error:
            complaints.append(str(error))
        else:
            assert (url.scheme, url.raw_user, url.raw_password) == ("https", None, None)
            assert url.raw_host
            assert url.port
    assert all(complaint.isprintable() for complaint in complaints)


def test_a_message_holds_no_secret() -> None:
    assert shown("https://me:secret@h.example/a.wav?token=secret#secret") == "url “https://h.example/a.wav…”"
    assert shown("https://h.example/a.wav") == "url “https://h.example/a.wav”"
