"""Fingerprints of what was used already: one table for all worker processes."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Self

from .shared_table import Place, SharedTable, TableKind

__all__ = ["Remembered", "ReplayStore"]

_KIND: Final = TableKind("replay", b"earhook replay 1", "d", lock_seconds=0.02)
_SAMPLED_BUCKETS: Final = 64


class Remembered(Enum):
    """What came of remembering a fingerprint."""

    NEW = auto()
    REPEATED = auto()
    FULL = auto()
    """There is no slot left whose time is over."""
    BUSY = auto()
    """Another process has held the bucket for too long."""


class ReplayStore:
    """The table as this process sees it: a fingerprint, and until when it counts.

    Not for several threads. `ReplayStore.create` makes a table, `ReplayStore.attach` joins one by
    its descriptor.
    """

    def __init__(self, table: SharedTable) -> None:
        self._table = table

    @classmethod
    def create(cls, capacity: int) -> Self:
        """Make a table for that many fingerprints."""
        return cls(SharedTable.create(_KIND, capacity))

    @classmethod
    def attach(cls, descriptor: int) -> Self:
        """Join a table by a descriptor of it, which is the store's from then on.

        Raises:
            ValueError: It is something else.
        """
        return cls(SharedTable(_KIND, descriptor))

    def fileno(self) -> int:
        """The descriptor to hand to a worker; it is not inheritable as it is."""
        return self._table.fileno()

    @property
    def slots(self) -> int:
        """Fingerprints that fit in at most."""
        return self._table.slots

    def living(self, now: float) -> int:
        """Slots in use: counted in a small table, estimated from a sample in a large one."""
        buckets = self._table.buckets
        sampled = range(0, buckets, max(1, buckets // _SAMPLED_BUCKETS))
        found = sum(sum(until >= now for until in self._table.numbers(each)) for each in sampled)
        return round(found * buckets / len(sampled))

    def remember(self, text: bytes, now: float, until: float) -> Remembered:
        """Remember a text, unless it is remembered already.

        Args:
            text: What is to be known again; only a fingerprint of it is kept.
            now: Seconds, above 0, of the clock that all processes share.
            until: The last moment at which the text has to be known.
        """
        place = self._table.place_of(text)
        with self._table.held(place.bucket) as is_held:
            if not is_held:
                return Remembered.BUSY
            return self._remember(place, now, until)

    def _remember(self, place: Place, now: float, until: float) -> Remembered:
        table = self._table
        expiries = table.numbers(place.bucket)
        slot = table.find(place)
        if slot is None:
            slot = expiries.index(min(expiries))
            if expiries[slot] >= now:
                return Remembered.FULL
            table.write_fingerprint(place, slot)
        elif expiries[slot] >= now:
            return Remembered.REPEATED
        table.write_number(place.bucket, slot, until)
        return Remembered.NEW
