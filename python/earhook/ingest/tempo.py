"""How fast audio of one call may be decoded. Pure.

Live audio comes as fast as it is spoken. Somebody who sends a file, or a few bytes that decode
to hours, comes faster; decoded at once it would overrun the ring and hold up every other call.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Tempo"]

TIMES_REAL_TIME: Final = 8.0
"""Sinks that read every 80 ms keep up with this in a ring of two seconds."""


class Tempo:
    """A bucket of audio: half a ring at once, then eight times as fast as it is spoken."""

    def __init__(self, rate: int, ring_seconds: float) -> None:
        self._rate = rate
        self._most_seconds = ring_seconds / 2
        self._left_seconds = self._most_seconds
        self._filled_at = 0.0

    def spend(self, samples: int, now: float) -> float:
        """Count what was decoded.

        Returns:
            For how many seconds nothing more should be decoded; mostly 0.
        """
        grown = self._left_seconds + (now - self._filled_at) * TIMES_REAL_TIME
        self._left_seconds = min(self._most_seconds, grown) - samples / self._rate
        self._filled_at = now
        return max(0.0, -self._left_seconds / TIMES_REAL_TIME)
