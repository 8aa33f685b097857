"""How fast audio of one call may be decoded. Pure.

Live audio comes as fast as it is spoken. Somebody who sends a file, or a few bytes that decode
to hours, comes faster; decoded at once it would overrun the ring and hold up every other call.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Tempo"]

TIMES_REAL_TIME: Final = 8.0
"""Sinks that read every 80 ms keep up with this in a ring of two seconds."""
TIMES_UNDER_STRAIN: Final = 1.5
"""Files can wait while the gateway has more to do than it can; whoever speaks is not slowed."""


class Tempo:
    """A bucket of audio: half a ring at once, then eight times as fast as it is spoken.

    Under strain it is one and a half times; so whoever sends what is spoken notices nothing.
    What comes in pieces, such as a page of Ogg, comes whole: nothing more is decoded before there
    is room for a piece as long as the longest so far.
    """

    def __init__(self, rate: int, ring_seconds: float) -> None:
        self._rate = rate
        self._most_seconds = ring_seconds / 2
        self._left_seconds = self._most_seconds
        self._piece_seconds = 0.0
        self._filled_at = 0.0
        self._times = TIMES_REAL_TIME

    def wait_seconds(self, now: float, *, is_strained: bool = False) -> float:
        """For how long nothing should be decoded yet; mostly 0.

        Args:
            now: Of the monotonic clock.
            is_strained: Whether the gateway has more to do than it can do well, from now on.
        """
        self._left_seconds, self._filled_at = self._left_at(now), now
        self._times = TIMES_UNDER_STRAIN if is_strained else TIMES_REAL_TIME
        return max(0.0, (self._piece_seconds - self._left_seconds) / self._times)

    def spend(self, samples: int, now: float) -> None:
        """Count what was decoded."""
        spent = samples / self._rate
        self._left_seconds = self._left_at(now) - spent
        self._piece_seconds = min(self._most_seconds, max(self._piece_seconds, spent))
        self._filled_at = now

    def _left_at(self, now: float) -> float:
        grown = self._left_seconds + (now - self._filled_at) * self._times
        return min(self._most_seconds, grown)
