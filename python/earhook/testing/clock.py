"""A clock that only tests move."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """Stands still until it is advanced. Satisfies `earhook.clock.Clock`."""

    def __init__(
        self, monotonic_seconds: float = 1_000.0, wall_seconds: float = 1_767_225_600.0
    ) -> None:
        """Set it.

        Args:
            monotonic_seconds: What `monotonic_seconds` begins with.
            wall_seconds: What `wall_seconds` begins with; 2026-01-01 00:00 UTC.
        """
        self._monotonic = monotonic_seconds
        self._wall = wall_seconds

    def monotonic_seconds(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def wall_seconds(self) -> float:
        """Seconds since the Unix epoch."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks.

        Raises:
            ValueError: Less than no time.
        """
        if seconds < 0:
            raise ValueError(f"{seconds} s: time does not go back; see `set_wall`")
        self._monotonic += seconds
        self._wall += seconds

    def set_wall(self, wall_seconds: float) -> None:
        """Set the wall clock, as a time server or an operator does; it may go back."""
        self._wall = wall_seconds
