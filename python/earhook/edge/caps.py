"""How many connections strangers hold, in total and per address. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from .tally import Closing

if TYPE_CHECKING:
    from .settings import ConnectionLimits

__all__ = ["Place", "Strangers"]


class Strangers:
    """Places for connections that have not proved who they are.

    The table holds only addresses that have a place now, so it is never longer than the total.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._shared = [ipaddress.ip_network(network) for network in limits.shared_addresses]
        self._by_address: Counter[str] = Counter()
        self._count = 0

    @property
    def count(self) -> int:
        """Places taken."""
        return self._count

    @property
    def addresses(self) -> int:
        """Addresses that have at least one place."""
        return len(self._by_address)

    def enter(self, address: str) -> Place | Closing:
        """Take a place for a connection from `address`, or say which limit is reached."""
        if self._count >= self._limits.unproven:
            return Closing.FULL
        key = self._key(address)
        if key and self._by_address[key] >= self._limits.unproven_per_address:
            return Closing.ADDRESS_FULL
        self._count += 1
        if key:
            self._by_address[key] += 1
        return Place(lambda: self._leave(key))

    def _leave(self, key: str) -> None:
        self._count -= 1
        if key:
            self._by_address[key] -= 1
            if not self._by_address[key]:
                del self._by_address[key]

    def _key(self, address: str) -> str:
        """What an address counts as; empty for addresses that many clients share."""
        host = address.partition("%")[0]
        try:
            parsed = ipaddress.ip_address(host)
        except ValueError:
            return host
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if any(parsed in network for network in self._shared):
            return ""
        if parsed.version == 6:
            # One customer of a provider usually has a whole /64.
            return str(ipaddress.ip_network((int(parsed), 64), strict=False))
        return str(parsed)


class Place:
    """One taken place. Giving it back twice does nothing the second time."""

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def leave(self) -> None:
        """Give the place back."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None
