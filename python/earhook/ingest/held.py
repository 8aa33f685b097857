"""What blocks keep of memory while they are read, wait for their turn, and are taken.

A block that has come stays until it was taken, even when its sender has gone meanwhile. So it is
these books, and not the connections, that bound how many there are. Each party has its share:
what one holds keeps no other one from sending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .refusal import Refusal, Word

if TYPE_CHECKING:
    from .credentials import Party
    from .settings import IngestSettings

__all__ = ["HeldBlocks", "HeldBytes"]

BUFFER_RETRY_SECONDS: Final = 1


class HeldBlocks:
    """The blocks of all calls that are under way. On the loop's thread only.

    The tables hold only parties that have a block here now.

    Attributes:
        buffered_bytes: Of all of them.
    """

    def __init__(self) -> None:
        self.buffered_bytes = 0
        self._bytes: Counter[Party] = Counter()
        self._blocks: Counter[Party] = Counter()

    @property
    def parties(self) -> int:
        """Those with a block under way."""
        return len(self._blocks)

    @contextmanager
    def hold(self, party: Party, settings: IngestSettings) -> Iterator[HeldBytes]:
        """Count what is kept of a block while it is under way.

        Args:
            party: Whose block it is.
            settings: How much may be kept.

        Raises:
            Refusal: There are too many already.
        """
        most = settings.limits.connections
        if self._blocks.total() >= most or self._blocks[party] >= max(1, most // _SHARES):
            raise _refusal()
        self._blocks[party] += 1
        held = HeldBytes(self, party, settings)
        try:
            yield held
        finally:
            self.buffered_bytes -= held.size_bytes
            _take(self._bytes, party, held.size_bytes)
            _take(self._blocks, party, 1)

    def add(self, party: Party, more_bytes: int, settings: IngestSettings) -> None:
        """`HeldBytes.add` calls it.

        Raises:
            Refusal: See there.
        """
        most = settings.buffer_mib << 20
        # A share is a block at least.
        share = max(most // _SHARES, settings.limits.body_bytes)
        own = self._bytes.get(party, 0) + more_bytes
        if own > share or self.buffered_bytes + more_bytes > most:
            raise _refusal()
        self._bytes[party] = own
        self.buffered_bytes += more_bytes


class HeldBytes:
    """What is kept of one block.

    Attributes:
        size_bytes: Kept so far.
    """

    __slots__ = ("_blocks", "_party", "_settings", "size_bytes")

    def __init__(self, blocks: HeldBlocks, party: Party, settings: IngestSettings) -> None:
        self._blocks = blocks
        self._party = party
        self._settings = settings
        self.size_bytes = 0

    def add(self, more_bytes: int) -> None:
        """Keep more.

        Raises:
            Refusal: There is no memory for it.
        """
        self._blocks.add(self._party, more_bytes, self._settings)
        self.size_bytes += more_bytes


def _take(table: Counter[Party], party: Party, number: int) -> None:
    table[party] -= number
    if not table[party]:
        del table[party]


def _refusal() -> Refusal:
    return Refusal.retry(503, Word.BUFFERS_FULL, BUFFER_RETRY_SECONDS)


_SHARES: Final = 2
"""A party may hold half: with two of them, both can send."""
