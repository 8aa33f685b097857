"""Who the client is: PROXY headers of both versions, and `X-Forwarded-For`."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.edge.proxies import TrustedProxies
from earhook.edge.proxy_protocol import (
    MAX_HEADER_BYTES,
    ProxyFault,
    ProxyHeader,
    ProxyHeaderReader,
)
from earhook.edge.settings import ProxySettings

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BEHIND = b"\x16\x03\x01\n\r\nPROXY what belongs to TLS\r\n"


def v2(rest: bytes, *, version: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    """A header of version 2."""
    size = len(rest) if length is None else length
    return SIGNATURE + struct.pack(">BBH", version, family, size) + rest


def ends(family: int, source: str, destination: str) -> bytes:
    """Both addresses and ports."""
    packed = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    return packed + struct.pack(">HH", 40_000, 443)


V4 = ends(socket.AF_INET, "192.0.2.7", "198.51.100.1")
V6 = ends(socket.AF_INET6, "2001:db8::7", "2001:db8::1")
HASH = b"\x03\x00\x04abcd"
AWS = b"\xea\x00\x17\x01vpce-08d2bf15fac5001c9"[:26]

GOOD = {
    "v1 tcp4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "192.0.2.7"),
    "v1 tcp6": (b"PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", "2001:db8::7"),
    "v1 mapped": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7"),
    "v1 longest": (
        b"PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".replace(
            b"ffff:f...f:ffff", b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        ),
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown with a tail": (b"PROXY UNKNOWN ffff::1 what ever 1 2\r\n", None),
    "v2 tcp4": (v2(V4), "192.0.2.7"),
    "v2 tcp6": (v2(V6, family=0x21), "2001:db8::7"),
    "v2 extensions": (v2(V4 + HASH + AWS), "192.0.2.7"),
    "v2 largest": (
        v2(V4 + b"\x04" + struct.pack(">H", 993) + bytes(993)),
        "192.0.2.7",
    ),
    "v2 local": (v2(b"", version=0x20, family=0), None),
    "v2 local with addresses": (v2(V4, version=0x20), None),
    "v2 unspecified": (v2(b"", family=0), None),
    "v2 unspecified with extensions": (v2(HASH, family=0), None),
}

BAD = {
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc", ProxyFault.SIGNATURE),
    "http": (b"GET / HTTP/1.1\r\n\r\n", ProxyFault.SIGNATURE),
    "one byte": (b"x", ProxyFault.SIGNATURE),
    "lower case": (b"proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n", ProxyFault.SIGNATURE),
    "v1 no tail": (b"PROXY TCP4 192.0.2.7\r\n", ProxyFault.LINE),
    "v1 no carriage return": (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n", ProxyFault.LINE),
    "v1 two spaces": (b"PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n", ProxyFault.LINE),
    "v1 trailing space": (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n", ProxyFault.LINE),
    "v1 udp": (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", ProxyFault.LINE),
    "v1 port of six digits": (b"PROXY TCP4 192.0.2.7 198.51.100.1 123456 2\r\n", ProxyFault.LINE),
    "v1 port too large": (b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n", ProxyFault.LINE),
    "v1 port with a zero": (b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n", ProxyFault.LINE),
    "v1 signed port": (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n", ProxyFault.LINE),
    "v1 octal": (b"PROXY TCP4 192.0.2.010 198.51.100.1 1 2\r\n", ProxyFault.ADDRESS),
    "v1 families mixed": (b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n", ProxyFault.ADDRESS),
    "v1 families mixed the other way": (
        b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        ProxyFault.ADDRESS,
    ),
    "v1 bad destination": (b"PROXY TCP4 192.0.2.7 198.51.100 1 2\r\n", ProxyFault.ADDRESS),
    "v1 zone": (b"PROXY TCP6 fe80::1%0 ::1 1 2\r\n", ProxyFault.LINE),
    "v1 endless": (b"PROXY UNKNOWN " + b"x" * 200, ProxyFault.LENGTH),
    "v1 one too long": (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", ProxyFault.LENGTH),
    "v1 control character": (b"PROXY UNKNOWN \x00\r\n", ProxyFault.LINE),
    "v1 unknown in capitals only": (b"PROXY UNKNOWNS\r\n", ProxyFault.LINE),
    "v2 version": (v2(V4, version=0x11), ProxyFault.VERSION),
    "v2 command": (v2(V4, version=0x22), ProxyFault.VERSION),
    "v2 datagram": (v2(V4, family=0x12), ProxyFault.FAMILY),
    "v2 unix": (v2(bytes(216), family=0x31), ProxyFault.FAMILY),
    "v2 family": (v2(V4, family=0x41), ProxyFault.FAMILY),
    "v2 unspecified stream": (v2(b"", family=0x01), ProxyFault.FAMILY),
    "v2 short": (v2(V4[:-1]), ProxyFault.LENGTH),
    "v2 short for version 6": (v2(V4, family=0x21), ProxyFault.LENGTH),
    "v2 too large": (v2(b"", length=MAX_HEADER_BYTES - 15), ProxyFault.LENGTH),
    "v2 largest there is": (v2(b"", length=65_535), ProxyFault.LENGTH),
    "v2 extension cut": (v2(V4 + b"\x03\x00"), ProxyFault.EXTENSION),
    "v2 extension too long": (v2(V4 + b"\x03\x00\x09abcd"), ProxyFault.EXTENSION),
    "v2 signature broken": (b"\r\n\r\n\x00\r\nQUIT\r" + V4, ProxyFault.SIGNATURE),
}


def read(sent: bytes, cuts: list[int]) -> tuple[ProxyHeader | ProxyFault | None, bytes]:
    """Read as the entrance does, seeing chunks of these sizes: the answer, and what is left."""
    reader, left = ProxyHeaderReader(), sent
    sizes = iter(cuts)
    while left:
        seen = left[: next(sizes, len(left))]
        taken = reader.belonging(seen)
        assert 1 <= taken <= len(seen)
        answer = reader.feed(left[:taken])
        left = left[taken:]
        if answer is not None:
            return answer, left
    return None, left


@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_read_and_nothing_behind_it_is_touched(name: str) -> None:
    header, address = GOOD[name]
    assert read(header + BEHIND, []) == (ProxyHeader(address), BEHIND)
    assert read(header + BEHIND, [1] * 2000) == (ProxyHeader(address), BEHIND)
    for end in range(len(header)):
        assert read(header[:end], []) == (None, b""), "not complete, and so no answer"


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_exactly_right_is_a_fault(name: str) -> None:
    sent, fault = BAD[name]
    assert read(sent + BEHIND, [])[0] == fault
    assert read(sent + BEHIND, [1] * 2000)[0] == fault


@given(st.sampled_from(sorted(GOOD) + sorted(BAD)), st.lists(st.integers(1, 40)))
def test_any_chunking_gives_the_same_answer(name: str, cuts: list[int]) -> None:
    sent = {**GOOD, **BAD}[name][0]
    whole, _ = read(sent + BEHIND, [])
    chunked, left = read(sent + BEHIND, cuts)
    assert chunked == whole
    if name in GOOD:
        assert left == BEHIND


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21"]))
def test_random_bytes_end_in_an_answer_or_in_waiting(rest: bytes, start: bytes) -> None:
    answer, left = read(start + rest, [])
    assert isinstance(answer, ProxyHeader | ProxyFault) or left == b""


def proxies(protocol: str = "x-forwarded-for") -> TrustedProxies:
    settings = {"networks": ("10.0.0.0/8", "2001:db8:1::/48"), "protocol": protocol}
    return TrustedProxies(ProxySettings.model_validate(settings))


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (None, "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9,10.0.0.2 , 10.9.9.9", "203.0.113.9"),
        ("garbage, <script>, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:4711", "2001:db8::9"),
        ("203.0.113.9, 2001:db8:1::1", "203.0.113.9"),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.9"),
        ("", None),
        ("203.0.113.9,", None),
        ("unknown", None),
        ("_hidden", None),
        ("203.0.113.9 203.0.113.8", None),
        ("203.0.113", None),
        ("203.0.113.9:port", None),
        ("203.0.113.9:123456", None),
        ("[203.0.113.9", None),
        ("2001:db8::9]:1", None),
        ("fe80::1%eth0", None),
        ("nonsense, 10.0.0.2", None),
        ("1" * 5000, None),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_is_no_proxy(
    forwarded: str | None, client: str | None
) -> None:
    assert proxies().client_address("10.0.0.1", forwarded) == client


def test_only_the_configured_way_and_only_listed_proxies_count() -> None:
    assert proxies().forwards("10.0.0.1")
    assert not proxies().forwards("192.0.2.1")
    assert not proxies().announces("10.0.0.1")
    assert proxies("proxy").announces("10.0.0.1")
    assert not proxies("proxy").announces("192.0.2.1")
    assert not proxies("proxy").forwards("10.0.0.1")
    nobody = TrustedProxies()
    assert not nobody.trusts("10.0.0.1")
    assert not nobody.forwards("10.0.0.1")
    assert not nobody.announces("10.0.0.1")


def test_a_proxy_that_is_no_longer_listed_is_no_longer_believed() -> None:
    trusted = proxies()
    settings = {"networks": ("192.0.2.0/24",), "protocol": "proxy"}
    trusted.replace(ProxySettings.model_validate(settings))
    assert not trusted.trusts("10.0.0.1")
    assert trusted.announces("192.0.2.1")
    trusted.replace(None)
    assert not trusted.trusts("192.0.2.1")


@pytest.mark.parametrize("networks", [(), ("nonsense",), ("10.0.0.1/8",)])
def test_proxies_without_networks_are_a_fault_of_the_configuration(
    networks: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError, match="networks"):
        ProxySettings(networks=networks, protocol="proxy")
