"""From an engine's clock, which counts the audio it was given, to positions in the call. Pure."""

from __future__ import annotations

from bisect import bisect_right

__all__ = ["Timeline"]


class Timeline:
    """What was given to one recogniser, end to end, and where in the call it lay.

    An engine knows nothing of gaps: they are not given to it. Its second 10 may be the call's
    second 70.

    Args:
        rate: Samples per second, of the engine's clock and of positions.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._given = 0
        # Where a stretch without gaps begins: in what was given, and in the call.
        self._starts: list[int] = []
        self._positions: list[int] = []

    @property
    def end(self) -> int:
        """The position after the last sample that was given."""
        return self._position(self._given)

    def give(self, position: int, samples: int) -> None:
        """So many samples from `position` on have been given."""
        if not self._starts or self.end != position:
            self._starts.append(self._given)
            self._positions.append(position)
        self._given += samples

    def at(self, seconds: float) -> int:
        """The position of a moment of the engine's clock; never after what was given."""
        return self._position(min(max(round(seconds * self._rate), 0), self._given))

    def end_at(self, seconds: float) -> int:
        """As `at`, for a moment at which something ends: the near side of a gap, not the far."""
        given = min(max(round(seconds * self._rate), 0), self._given)
        return self._position(given - 1) + 1 if given else self._position(0)

    def forget_before(self, position: int) -> None:
        """No moment before `position` is asked for again."""
        kept = max(bisect_right(self._positions, position) - 1, 0)
        del self._starts[:kept], self._positions[:kept]

    def _position(self, given: int) -> int:
        if not self._starts:
            return 0
        stretch = max(bisect_right(self._starts, given) - 1, 0)
        return self._positions[stretch] + given - self._starts[stretch]
