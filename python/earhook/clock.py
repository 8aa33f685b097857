"""The two clocks of the house. Nobody else reads time."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where time comes from; tests hand in one they move themselves."""

    def monotonic_seconds(self) -> float:
        """Seconds that never go back; the origin means nothing."""
        ...

    def wall_seconds(self) -> float:
        """Seconds since the Unix epoch, for signatures and for people."""
        ...


class SystemClock:
    """The machine's clocks."""

    monotonic_seconds = staticmethod(time.monotonic)
    wall_seconds = staticmethod(time.time)
