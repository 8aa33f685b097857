"""How many connections strangers hold, in total and per address. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .networks import Networks, address_bits
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
        self._shared = Networks(limits.shared_addresses)
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

    def replace_limits(self, limits: ConnectionLimits) -> None:
        """From now on; who has a place keeps it."""
        self._limits = limits
        self._shared = Networks(limits.shared_addresses)

    def enter(self, address: str) -> Place | Closing:
        """Take a place for a connection from `address`, or say which limit is reached.

        Args:
            address: Empty when it is not known yet: then the place counts in the total only.
        """
        if self._count >= self._limits.unproven:
            return Closing.FULL
        key = self._key(address)
        if self._is_full(key):
            return Closing.ADDRESS_FULL
        self._count += 1
        self._add(key)
        return Place(self, key)

    def move(self, place: Place, address: str) -> Closing | None:
        """Let a place count for another address; what it keeps it from if that is full."""
        key = self._key(address)
        if place.is_left or key == place.key:
            return None
        if self._is_full(key):
            return Closing.ADDRESS_FULL
        self._remove(place.key)
        self._add(key)
        place.key = key
        return None

    def leave(self, place: Place) -> None:
        """Take a place back; `Place.leave` calls it, once."""
        self._count -= 1
        self._remove(place.key)

    def _is_full(self, key: str) -> bool:
        # Looked up without adding: the table shall hold only addresses that are here.
        return bool(key) and self._by_address.get(key, 0) >= self._limits.unproven_per_address

    def _add(self, key: str) -> None:
        if key:
            self._by_address[key] += 1

    def _remove(self, key: str) -> None:
        if key:
            self._by_address[key] -= 1
            if not self._by_address[key]:
                del self._by_address[key]

    def _key(self, address: str) -> str:
        """What an address counts as; empty for addresses that many clients share."""
        read = address_bits(address)
        if read is None:
            return address
        if address in self._shared:
            return ""
        bits, value = read
        # One customer of a provider usually has a whole /64.
        return f"{value:x}" if bits == 32 else f"{value >> 64:x}::"


class Place:
    """One taken place. Giving it back twice does nothing the second time.

    Attributes:
        key: What it counts for; written by `Strangers` only.
    """

    __slots__ = ("_strangers", "key")

    def __init__(self, strangers: Strangers, key: str) -> None:
        self.key = key
        self._strangers: Strangers | None = strangers

    @property
    def is_left(self) -> bool:
        """Whether it was given back."""
        return self._strangers is None

    def move_to(self, address: str) -> Closing | None:
        """Count for another address from now on, or say why not. A place that is left may."""
        return None if self._strangers is None else self._strangers.move(self, address)

    def leave(self) -> None:
        """Give the place back."""
        strangers, self._strangers = self._strangers, None
        if strangers is not None:
            strangers.leave(self)
