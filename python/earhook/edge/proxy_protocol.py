"""The PROXY protocol, versions 1 and 2, read strictly. Pure.

A proxy that passes connections on without looking into them says in a first header for whom. It
comes before TLS, from a listed proxy only; so what is not exactly right ends the connection.
The rules are those of `proxy-protocol.txt` of the HAProxy project, §2.1 and §2.2.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["MAX_HEADER_BYTES", "ProxyFault", "ProxyHeader", "ProxyHeaderReader"]

MAX_HEADER_BYTES: Final = 1024


class ProxyFault(StrEnum):
    """Which rule a header breaks; for the operator's log."""

    SIGNATURE = "signature"
    LINE = "line"
    ADDRESS = "address"
    VERSION = "version"
    FAMILY = "family"
    LENGTH = "length"
    EXTENSION = "extension"


class ProxyHeader(NamedTuple):
    """What a proxy said. `address` None: it speaks for itself, as in a health check."""

    address: str | None


class ProxyHeaderReader:
    """Collects a header in chunks of any size, and takes nothing of what comes behind it."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def belonging(self, seen: bytes) -> int:
        """How many of the bytes that arrived next belong to the header: 1 or more."""
        certain = self._certain_bytes() - len(self._buffer)
        if certain > 0:
            return min(certain, len(seen))
        end = seen.find(b"\n")
        return min(end + 1 or len(seen), _MAX_LINE_BYTES + 1)

    def feed(self, chunk: bytes) -> ProxyHeader | ProxyFault | None:
        """Take what `belonging` counted. None: more is needed. Not to be fed after an answer."""
        self._buffer += chunk
        buffer = bytes(self._buffer)
        if buffer.startswith(_SIGNATURE[: len(buffer)]) and len(buffer) < _SIGNATURE_BYTES:
            return None
        if buffer.startswith(_SIGNATURE):
            return _read_binary(buffer)
        if not buffer.startswith(_PREFIX[: len(buffer)]):
            return ProxyFault.SIGNATURE
        if b"\n" not in buffer:
            return ProxyFault.LENGTH if len(buffer) >= _MAX_LINE_BYTES else None
        return _read_line(buffer)

    def _certain_bytes(self) -> int:
        """The length that the header has at least, as far as it is known."""
        buffer = self._buffer
        if len(buffer) < _SIGNATURE_BYTES:
            return _SIGNATURE_BYTES  # shorter than the shortest line of version 1, too
        if not buffer.startswith(_SIGNATURE):
            return 0
        if len(buffer) < _FIXED_BYTES:
            return _FIXED_BYTES
        return _FIXED_BYTES + int.from_bytes(buffer[14:16])


def _read_line(buffer: bytes) -> ProxyHeader | ProxyFault:
    """Version 1: one line of text."""
    if len(buffer) > _MAX_LINE_BYTES:
        return ProxyFault.LENGTH
    if _UNKNOWN_LINE.fullmatch(buffer) is not None:
        return ProxyHeader(None)
    matched = _LINE.fullmatch(buffer)
    if matched is None:
        return ProxyFault.LINE
    family = socket.AF_INET if matched["family"] == b"4" else socket.AF_INET6
    if any(int(matched[port]) > 65535 for port in ("source_port", "destination_port")):
        return ProxyFault.LINE
    addresses = [_text_address(family, matched[name]) for name in ("source", "destination")]
    if None in addresses:
        return ProxyFault.ADDRESS
    return ProxyHeader(addresses[0])


def _text_address(family: int, text: bytes) -> str | None:
    try:
        return _address(socket.inet_pton(family, text.decode("ascii")))
    except OSError:
        return None


def _read_binary(buffer: bytes) -> ProxyHeader | ProxyFault | None:
    """Version 2: a fixed part, addresses, and extensions that nobody here needs."""
    if len(buffer) < _FIXED_BYTES:
        return None
    version, command = buffer[12] >> 4, buffer[12] & 15
    if version != 2 or command not in {_LOCAL, _PROXY}:
        return ProxyFault.VERSION
    rest_bytes = int.from_bytes(buffer[14:16])
    if _FIXED_BYTES + rest_bytes > MAX_HEADER_BYTES:
        return ProxyFault.LENGTH
    if len(buffer) < _FIXED_BYTES + rest_bytes:
        return None
    rest = buffer[_FIXED_BYTES:]
    if command == _LOCAL:
        return ProxyHeader(None)  # addresses, if there are any, mean nothing
    size = _ADDRESS_BYTES.get(buffer[13])
    if size is None:
        return ProxyFault.FAMILY
    addresses_bytes = 2 * size + _PORTS_BYTES if size else 0
    if len(rest) < addresses_bytes:
        return ProxyFault.LENGTH
    if not _are_extensions(rest[addresses_bytes:]):
        return ProxyFault.EXTENSION
    return ProxyHeader(_address(rest[:size]) if size else None)


def _are_extensions(rest: bytes) -> bool:
    """Whether the rest is whole type-length-value triples."""
    while rest:
        if len(rest) < 3:
            return False
        size = 3 + int.from_bytes(rest[1:3])
        if len(rest) < size:
            return False
        rest = rest[size:]
    return True


def _address(packed: bytes) -> str:
    address = ipaddress.ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)


_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_SIGNATURE_BYTES: Final = len(_SIGNATURE)
_FIXED_BYTES: Final = 16
_LOCAL: Final = 0
_PROXY: Final = 1
_PORTS_BYTES: Final = 4
_ADDRESS_BYTES: Final = {0x00: 0, 0x11: 4, 0x21: 16}
"""By family and transport: unspecified, TCP over IPv4, TCP over IPv6. We serve nothing else."""
_PREFIX: Final = b"PROXY "
_MAX_LINE_BYTES: Final = 107
_UNKNOWN_LINE: Final = re.compile(rb"PROXY UNKNOWN(?: [\x20-\x7e]*)?\r\n")
_PORT: Final = rb"(?:0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(
    rb"PROXY TCP(?P<family>[46]) (?P<source>[0-9A-Fa-f:.]+) (?P<destination>[0-9A-Fa-f:.]+) "
    rb"(?P<source_port>" + _PORT + rb") (?P<destination_port>" + _PORT + rb")\r\n"
)
