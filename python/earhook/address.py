"""Where a PCM stream lives: `unix:/path`, `tcp:host:port`, `tls:host:port`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["Address", "TcpAddress", "UnixAddress", "is_loopback", "parse_address"]

MAX_UNIX_PATH_BYTES: Final = 107
"""What fits into a socket address on Linux (unix(7)), its closing zero not counted."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket file on this machine."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port; with `tls`, spoken to in TLS."""

    host: str
    port: int
    tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether nothing but this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'tcp'}:{host}:{self.port}"


Address: TypeAlias = UnixAddress | TcpAddress


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_address(text: str) -> Address:
    """Read an address.

    Args:
        text: `unix:` and a path, or `tcp:` or `tls:` and `host:port`, an IPv6 host in brackets.

    Raises:
        ValueError: Anything else; the text says what is expected.
    """
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "unix":
        return _parse_unix(rest)
    if colon and scheme in ("tcp", "tls"):
        return _parse_tcp(rest, tls=scheme == "tls")
    raise ValueError(f"{text!r} is no address: write unix:/path, tcp:host:port or tls:host:port")


def _parse_unix(path: str) -> UnixAddress:
    if not path or "\0" in path:
        raise ValueError("unix: needs the path of a socket file, as in unix:/run/earhook/pcm.sock")
    if len(path.encode()) > MAX_UNIX_PATH_BYTES:
        raise ValueError(f"a socket's path may have {MAX_UNIX_PATH_BYTES} bytes; {path!r} has more")
    return UnixAddress(path)


def _parse_tcp(rest: str, *, tls: bool) -> TcpAddress:
    host, _, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{rest!r}: write an IPv6 host in brackets, as in tcp:[::1]:9300")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{rest!r} is no host:port")
    return TcpAddress(host, int(port), tls)
