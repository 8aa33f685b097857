"""The watch on the event loop: how late it is, and a line when something stood in its way."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from .histogram import Histogram
from .logging import get_logger, report_lost, report_suppressed

if TYPE_CHECKING:
    import asyncio

    from earhook.clock import Clock

__all__ = ["LoopWatch"]

TICK_SECONDS: Final = 0.05
STALL_SECONDS: Final = 0.25
"""No call may stay unread for longer than this, so a loop that is later than it gets a line."""
RECENT_SECONDS: Final = 60
LATEST_TICKS: Final = 100
"""The last five seconds of a punctual loop."""

_LOG: Final = get_logger(__name__)


class LoopWatch:
    """Measures by how much the loop is late for a timer of its own, twenty times a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._second_ends = 0.0
        self._second_maximum = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT_SECONDS)
        # Full from the start, so that a hiccup while everything is loaded is one of many too.
        self._latest: deque[float] = deque([0.0] * LATEST_TICKS, maxlen=LATEST_TICKS)
        self.lag = Histogram()

    @property
    def recent_maximum_seconds(self) -> float:
        """The worst lag of the last minute."""
        return max(self._second_maximum, max(self._recent, default=0.0))

    def recent_lag_seconds(self, share: float) -> float:
        """The lag that no more than `1 - share` of the latest ticks exceeded."""
        rank = max(1, math.ceil(share * LATEST_TICKS))
        return sorted(self._latest)[rank - 1]

    def start(self) -> None:
        """Begin to watch."""
        now = self._clock.monotonic_seconds()
        self._second_ends = now + 1.0
        self._arm(now)

    def stop(self) -> None:
        """Cease to watch, and write what the limit on log lines still held back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        report_suppressed()

    def _arm(self, now: float) -> None:
        self._due = now + TICK_SECONDS
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        now = self._clock.monotonic_seconds()
        lag = max(0.0, now - self._due)
        self.lag.observe(lag)
        self._latest.append(lag)
        self._second_maximum = max(self._second_maximum, lag)
        if now >= self._second_ends:
            self._finish_second(now)
        self._arm(now)

    def _finish_second(self, now: float) -> None:
        if self._second_maximum >= STALL_SECONDS:
            _LOG.warning("loop.stalled", lag_seconds=round(self._second_maximum, 3))
        self._recent.append(self._second_maximum)
        self._second_maximum = 0.0
        self._second_ends = now + 1.0
        report_lost()
        report_suppressed()
