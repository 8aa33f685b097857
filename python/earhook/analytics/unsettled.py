"""Audio that an engine has taken and of which it has not told everything yet."""

from __future__ import annotations

from collections import deque

__all__ = ["Unsettled"]


class Unsettled:
    """Of one recogniser; lost if it fails. Gaps are no part of it."""

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque()

    def add(self, start: int, end: int, settled: int) -> None:
        """It has taken what comes next; what lies before `settled` needs to be kept no more."""
        if self._spans and self._spans[-1][1] == start:
            start, _ = self._spans.pop()
        self._spans.append((start, end))
        while self._spans and self._spans[0][1] <= settled:
            self._spans.popleft()

    def take(self, settled: int) -> list[tuple[int, int]]:
        """What is left of it from `settled` on; then there is nothing."""
        spans = [(max(start, settled), end) for start, end in self._spans if end > settled]
        self._spans.clear()
        return spans
