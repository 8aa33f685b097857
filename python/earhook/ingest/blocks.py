"""Which blocks of a call have come, and where the next one goes. Pure.

Each block is taken at most once. Blocks are told apart by their sequence numbers; a block
without one, by where it begins. What was passed over is missing, and stays so: audio that comes
after its place in the stream was given away is late.

Positions count samples per channel in the clock of the sender's format.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from enum import StrEnum
from typing import Final, NamedTuple

from .refusal import Word

__all__ = ["BlockOrder", "Place", "Standing"]

REMEMBERED_RANGES: Final = 1024
SLACK_SECONDS: Final = 0.001
"""Senders compute positions from clocks of their own. Below this a difference is rounding."""


class Standing(StrEnum):
    """What a block is."""

    NEXT = "next"
    DUPLICATE = "duplicate"
    """It was taken before."""
    LATE = "late"
    """Its place was given away as missing."""
    BEYOND = "beyond"
    """Further ahead than any call can be."""


class Place(NamedTuple):
    """Where a block belongs.

    Attributes:
        standing: Only what is next may be taken.
        missing_blocks: Numbers that are skipped before it.
        gap_samples: Samples that are skipped before it.
    """

    standing: Standing
    missing_blocks: int = 0
    gap_samples: int = 0


class BlockOrder:
    """The blocks of one call.

    Attributes:
        next_sequence: The number that would follow without a gap; None until one was told.
        next_position: Where audio would go on without a gap.
    """

    def __init__(self, clock_rate: int, longest_seconds: float) -> None:
        """Begin a call.

        Args:
            clock_rate: Samples per second of positions.
            longest_seconds: Positions beyond it are refused, however they are told.
        """
        self.next_sequence: int | None = None
        self.next_position = 0
        self._slack = int(clock_rate * SLACK_SECONDS)
        self._last_position = int(clock_rate * longest_seconds)
        self._block_samples = 0
        self._faults: OrderedDict[int, Word] = OrderedDict()
        self._missing_numbers = _Ranges()
        self._missing_samples = _Ranges()

    def find(self, sequence: int | None, position: int | None) -> Place:
        """Say where a block belongs; nothing changes.

        Args:
            sequence: Its number. It decides whether the block has come before.
            position: Where it begins. It decides how much is missing before it; where there is no
                sequence, also whether the block has come before.
        """
        if position is not None and position > self._last_position:
            return Place(Standing.BEYOND)
        if sequence is None:
            return self._find_by_position(position)
        expected = self.next_sequence
        if expected is not None and sequence < expected:
            late = sequence in self._missing_numbers
            return Place(Standing.LATE if late else Standing.DUPLICATE)
        # A call's first block may have any number: what came before it was never for this call.
        missing_blocks = sequence if expected is None else sequence - expected
        known_length = 0 if expected is None else missing_blocks * self._block_samples
        gap_samples = known_length if position is None else self._ahead(position)
        if self.next_position + gap_samples > self._last_position:
            return Place(Standing.BEYOND)
        return Place(Standing.NEXT, missing_blocks, gap_samples)

    def skip(self, sequence: int | None, place: Place) -> None:
        """Give away what is missing before a block that is next."""
        if place.gap_samples:
            end = self.next_position + place.gap_samples
            self._missing_samples.add(self.next_position, end)
            self.next_position = end
        if sequence is not None:
            if place.missing_blocks:
                self._missing_numbers.add(sequence - place.missing_blocks, sequence)
            self.next_sequence = sequence

    def take(self, sequence: int | None, samples: int, fault: Word | None = None) -> None:
        """A block was taken, with so many samples; `skip` came before.

        Args:
            sequence: Its number, which is used up.
            samples: Of it.
            fault: Why that was not all of it.
        """
        self.next_position += samples
        if sequence is None:
            return
        self.next_sequence = sequence + 1
        if fault is None:
            self._block_samples = samples
            return
        self._faults[sequence] = fault
        if len(self._faults) > REMEMBERED_RANGES:
            self._faults.popitem(last=False)

    def fault_of(self, sequence: int | None) -> Word | None:
        """Why a block that was taken before was not taken to its end; None if it was."""
        return None if sequence is None else self._faults.get(sequence)

    @property
    def partly_taken(self) -> frozenset[int]:
        """The numbers of blocks that were taken, but not to their ends."""
        return frozenset(self._faults)

    def _find_by_position(self, position: int | None) -> Place:
        if position is None or position >= self.next_position - self._slack:
            return Place(Standing.NEXT, 0, self._ahead(position))
        late = position in self._missing_samples
        return Place(Standing.LATE if late else Standing.DUPLICATE)

    def _ahead(self, position: int | None) -> int:
        """How far a position lies ahead; 0 where it does not, or only by rounding."""
        if position is None or position <= self.next_position + self._slack:
            return 0
        return position - self.next_position


class _Ranges:
    """Ranges of integers, added in ascending order; the most recent are remembered."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        found = bisect_right(self._starts, number) - 1
        return found >= 0 and number < self._ends[found]

    def add(self, start: int, end: int) -> None:
        self._starts.append(start)
        self._ends.append(end)
        if len(self._starts) > REMEMBERED_RANGES:
            del self._starts[0], self._ends[0]
