"""A token bucket whose time is an argument."""

from __future__ import annotations

from typing import Final

__all__ = ["TokenBucket"]

# Waking exactly when a token is due must find it there, whatever binary fractions say.
_ROUNDING: Final = 1e-6


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run.

    Starts full. `now` is monotonic seconds and never goes back.
    """

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._level = float(burst)
        self._at = now

    def take(self, now: float, reserve: int = 0) -> bool:
        """Take one token if more than `reserve` are there; say whether it was taken."""
        self._fill(now)
        if self._level < 1 + reserve - _ROUNDING:
            return False
        self._level -= 1
        return True

    def ready_at(self, now: float, reserve: int = 0) -> float:
        """When `take` will succeed: `now`, or later."""
        self._fill(now)
        missing = 1 + reserve - self._level
        return now if missing <= _ROUNDING else now + missing / self._rate

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now
