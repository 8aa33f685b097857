"""Networks: the same answers as `ipaddress` gives; and the allow-list made of them."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from earhook.edge.access import Access, read_networks
from earhook.edge.networks import Networks, address_bits
from earhook.edge.settings import AccessSettings
from earhook.errors import ConfigurationError


def network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, cut: int) -> str:
    """A network around an address: small families of prefixes, so that hits are common."""
    length = address.max_prefixlen - cut
    return str(ipaddress.ip_network((int(address), length), strict=False))


def plainly(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network; one of IPv4 addresses in IPv6 clothes is one of IPv4 addresses."""
    found = ipaddress.ip_network(text)
    inner = getattr(found.network_address, "ipv4_mapped", None)
    if inner is None or found.prefixlen < 96:
        return found
    return ipaddress.IPv4Network((int(inner), found.prefixlen - 96))


near_v4 = st.integers(0xC0000200, 0xC00002FF).map(ipaddress.IPv4Address)
near_v6 = st.integers(0, 255).map(lambda low: ipaddress.IPv6Address((0x20010DB8 << 96) + low))
near = near_v4 | near_v6 | st.ip_addresses()


@given(st.lists(st.tuples(near, st.integers(0, 32)), max_size=12), st.lists(near, max_size=12))
@example([(ipaddress.IPv6Address("::ffff:0:0"), 0)], [ipaddress.IPv4Address("0.0.0.0")])
@example([(ipaddress.IPv6Address("::ffff:0:0"), 32)], [ipaddress.IPv6Address("::ffff:1.2.3.4")])
def test_the_answer_is_that_of_ipaddress(
    around: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]],
    asked: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    texts = [network(*each) for each in around]
    slow = [plainly(text) for text in texts]
    quick = Networks(texts)
    for address in asked:
        plain = getattr(address, "ipv4_mapped", None) or address
        expected = any(plain in each for each in slow if each.version == plain.version)
        assert (str(address) in quick) == expected


@pytest.mark.parametrize(
    ("listed", "address", "inside"),
    [
        ("0.0.0.0/0", "203.0.113.9", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "2001:db8::1", True),
        ("::/0", "203.0.113.9", False),
        ("192.0.2.0/24", "::ffff:192.0.2.77", True),
        ("::ffff:192.0.2.0/120", "192.0.2.77", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "nobody", False),
        ("0.0.0.0/0", "192.0.2.7\x00", False),
        ("0.0.0.0/0", "192.0.2.07", False),
        ("0.0.0.0/0", "3221225991", False),
        ("0.0.0.0/0", "192.0.2.7é", False),
    ],
)
def test_spellings(listed: str, address: str, *, inside: bool) -> None:
    assert (address in Networks([listed])) == inside


def test_an_address_is_read_or_it_is_none() -> None:
    assert address_bits("192.0.2.1") == address_bits("::ffff:192.0.2.1") == (32, 0xC0000201)
    assert address_bits("::1") == (128, 1)
    assert address_bits("::1 ") is None


@pytest.mark.parametrize("text", ["", "x", "192.0.2.1/24", "192.0.2.0/33", "300.0.0.0/8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Networks([text])
    with pytest.raises(ValueError, match=r".+"):
        AccessSettings(networks=(text,))


def test_without_a_list_anybody_may_knock_and_with_an_empty_one_nobody() -> None:
    assert Access().allows("192.0.2.1")
    assert Access().is_open
    assert not Access(()).allows("192.0.2.1")
    assert not Access(()).is_open


def test_a_list_is_replaced_as_a_whole_and_each_source_on_its_own() -> None:
    access = Access(["192.0.2.0/24"])
    access.replace(["198.51.100.0/24"], "published")
    assert access.allows("192.0.2.1")
    assert access.allows("198.51.100.1")
    assert len(access) == 2
    access.replace(["203.0.113.0/24"])
    assert not access.allows("192.0.2.1")
    assert access.allows("198.51.100.1")
    access.replace((), "published")
    assert not access.allows("198.51.100.1")
    access.replace(None)
    assert not access.allows("203.0.113.1"), "the other source is still there, and empty"
    access.replace(None, "published")
    assert access.is_open


def test_a_list_that_is_none_leaves_the_old_one() -> None:
    access = Access(["192.0.2.0/24"])
    with pytest.raises(ValueError, match="nonsense"):
        access.replace(["nonsense"])
    assert access.allows("192.0.2.1")
    assert not access.allows("198.51.100.1")


def test_the_file_and_the_configuration_make_one_list(tmp_path: Path) -> None:
    path = tmp_path / "networks"
    path.write_text("# ours\n\n 198.51.100.0/24  # office\n2001:db8::/32\n")
    networks = read_networks(AccessSettings(networks=("192.0.2.0/24",), networks_file=path))
    assert [str(each) for each in networks or ()] == [
        "192.0.2.0/24",
        "198.51.100.0/24",
        "2001:db8::/32",
    ]
    assert read_networks(None) is None
    assert read_networks(AccessSettings()) == ()


def test_every_bad_line_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "networks"
    path.write_text("192.0.2.0/24\nnonsense\n192.0.2.1/24\n")
    with pytest.raises(ConfigurationError) as raised:
        read_networks(AccessSettings(networks_file=path))
    assert [str(fault).partition(":")[0] for fault in raised.value.faults] == [
        f"access.networks_file {path} line 2",
        f"access.networks_file {path} line 3",
    ]
    assert all(fault.remedy for fault in raised.value.faults)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"#" * (1 << 20) + b"\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "networks"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=str(path)):
        read_networks(AccessSettings(networks_file=path))
