"""Sets of networks, asked about for every connection. Pure."""

from __future__ import annotations

import ipaddress
import socket
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, TypeAlias

__all__ = ["Network", "Networks", "address_bits"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Networks:
    """Networks of both families; a question costs a step per prefix length, not per network."""

    __slots__ = ("_by_family", "_count")

    def __init__(self, networks: Iterable[Network | str] = ()) -> None:
        """Take networks in CIDR notation.

        Raises:
            ValueError: One is no network, or has bits behind its prefix.
        """
        prefixes: dict[tuple[int, int], set[int]] = defaultdict(set)
        for each in networks:
            network = ipaddress.ip_network(each) if isinstance(each, str) else each
            bits, length = network.max_prefixlen, network.prefixlen
            first = int(network.network_address)
            if bits == 128 and length >= 96 and first >> 32 == _MAPPED_PREFIX:
                bits, length, first = 32, length - 96, first & 0xFFFF_FFFF
            prefixes[bits, bits - length].add(first >> (bits - length))
        self._count = sum(map(len, prefixes.values()))
        self._by_family = {
            family: tuple(
                (shift, frozenset(of)) for (bits, shift), of in prefixes.items() if bits == family
            )
            for family in (32, 128)
        }

    def __len__(self) -> int:
        return self._count

    def __contains__(self, address: str) -> bool:
        """Whether an address lies in one of them; what is no address lies in none."""
        read = address_bits(address)
        if read is None:
            return False
        family, value = read
        return any(value >> shift in prefixes for shift, prefixes in self._by_family[family])


def address_bits(address: str) -> tuple[int, int] | None:
    """Read an address as (bits of its family, value); None if it is none.

    An IPv4 address in IPv6 clothes counts as IPv4, and a zone (`%eth0`) for nothing.
    """
    host = address.partition("%")[0]
    try:
        if ":" not in host:
            return 32, int.from_bytes(socket.inet_pton(socket.AF_INET, host))
        value = int.from_bytes(socket.inet_pton(socket.AF_INET6, host))
    except (OSError, ValueError):
        return None
    if value >> 32 == _MAPPED_PREFIX:
        return 32, value & 0xFFFF_FFFF
    return 128, value


_MAPPED_PREFIX: Final = 0xFFFF
"""`::ffff:0:0/96` (RFC 4291 §2.5.5.2)."""
