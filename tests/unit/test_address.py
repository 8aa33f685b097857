"""Addresses of PCM streams."""

from __future__ import annotations

import pytest

from earhook.address import TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/earhook/pcm.sock", UnixAddress("/run/earhook/pcm.sock")),
        ("unix:pcm.sock", UnixAddress("pcm.sock")),
        ("tcp:127.0.0.1:9300", TcpAddress("127.0.0.1", 9300)),
        ("tcp:[::1]:0", TcpAddress("::1", 0)),
        ("tls:pcm.example:65535", TcpAddress("pcm.example", 65535, tls=True)),
    ],
)
def test_an_address_reads_as_it_is_written(text: str, address: object) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "unix", "unix:", "unix:\0abstract", f"unix:/{'x' * 107}", "/run/pcm.sock"),
        *("tcp:9300", "tcp::9300", "tcp:host", "tcp:host:", "tcp:host:x", "tcp:host:65536"),
        *("tcp:::1:9300", "tcp:host:-1", "tcp:host:٣", "udp:host:1", "tcp:[]:1"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unix:|host:port|brackets|107"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("pcm.example", False)),
    ],
)
def test_what_only_this_machine_can_reach(host: str, loopback: bool) -> None:
    assert TcpAddress(host, 1).is_loopback is loopback
