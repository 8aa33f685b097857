"""A latency histogram of plain ints, cheap enough to feed once per call or per tick."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Histogram"]

LATENCY_BOUNDS_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class Histogram:
    """Counts of values at or below each bound. Not thread-safe; feed it on the loop's thread."""

    __slots__ = ("_bounds", "_counts", "maximum", "total")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS_SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0
        self.maximum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value
        self.maximum = max(self.maximum, value)

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds; above the last one there is one bucket more."""
        return self._bounds

    @property
    def counts(self) -> tuple[int, ...]:
        """Values in each bucket."""
        return tuple(self._counts)

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add the values of another histogram of these bounds; `maximum` stays."""
        self._counts = [own + other for own, other in zip(self._counts, counts, strict=True)]
        self.total += total

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Pairs of upper bound and count so far, as the text format of Prometheus wants them."""
        pairs: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            running += count
            pairs.append(("+Inf" if bound is None else repr(bound), running))
        return pairs

    def quantile(self, share: float) -> float:
        """The upper bound of the bucket in which that share of the values is reached."""
        wanted = share * self.count
        running = 0
        for bound, count in zip(self._bounds, self._counts, strict=False):
            running += count
            if running >= wanted:
                return min(bound, self.maximum)
        return self.maximum
