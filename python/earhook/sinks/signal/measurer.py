"""The thread of the signal sink: ten times a second it measures what has come.

It only tells the core to; that takes the audio out of the rings and measures it with the
interpreter released. The loop's thread waits for it nowhere longer than for about ten frames.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from earhook.errors import CoreFault
from earhook.media.signal import SignalFeed
from earhook.ops.logging import get_logger

__all__ = ["Measurer"]

TURN_SECONDS: Final = 0.1

logger = get_logger(__name__)


class Measurer:
    """Measures all calls of a feed until it is told to end.

    Args:
        feed: What to measure.
        on_found: Called in this thread when there is something to take from the feed.

    Attributes:
        cpu_seconds: What measuring has taken so far.
    """

    def __init__(self, feed: SignalFeed, on_found: Callable[[], None]) -> None:
        self.cpu_seconds = 0.0
        self._feed = feed
        self._on_found = on_found
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signal", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop after the turn that is under way."""
        self._ending.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._ending.wait(TURN_SECONDS):
            try:
                while self._feed.measure():
                    pass
            except CoreFault:
                logger.exception("signal.defect")
            self.cpu_seconds = time.thread_time()
            if self._feed.pending:
                self._on_found()
