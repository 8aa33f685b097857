"""One rule in one call: its window, how often it was met, and what was not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from earhook.client import ChannelName

from .language import CALL, CallRule

__all__ = ["Detection", "Verdict", "Watch"]


class Detection(NamedTuple):
    """What a rule is about has happened, once."""

    channel: ChannelName | None
    start: int
    end: int
    evidence: tuple[str, ...]


class Verdict(NamedTuple):
    """The rule is met.

    Attributes:
        detections: What met it; empty for what did not happen.
    """

    start: int
    end: int
    position: int
    detections: tuple[Detection, ...]


@dataclass(slots=True)
class _Window:
    start: int
    end: int | None

    def holds(self, position: int) -> bool:
        return self.start <= position and (self.end is None or position < self.end)


@dataclass(slots=True)
class Watch:
    """Positions in, verdicts out. `rate` turns the seconds of the rule into positions."""

    rule: CallRule
    rate: int
    _window: _Window | None = None
    _met: list[Detection] = field(default_factory=list)
    _early: deque[Detection] = field(default_factory=lambda: deque(maxlen=_MOST_EARLY))
    """What happened before it was known where the window is."""
    _is_settled: bool = False

    def __post_init__(self) -> None:
        if self.rule.since == CALL and self.rule.last_seconds is None:
            self.open(0)

    @property
    def is_open(self) -> bool:
        """Whether it is known where the window begins."""
        return self._window is not None

    def open(self, origin: int) -> list[Verdict]:
        """The window counts from here. Only the first call of this counts."""
        if self._window is not None or self.rule.last_seconds is not None:
            return []
        start = origin + self._samples(self.rule.start_seconds or 0)
        end = None
        if self.rule.end_seconds is not None:
            end = origin + self._samples(self.rule.end_seconds)
        elif self.rule.first_seconds is not None:
            end = start + self._samples(self.rule.first_seconds)
        return self._opened(_Window(start, end))

    def detect(self, detection: Detection) -> list[Verdict]:
        """It has happened."""
        if self._window is None:
            self._early.append(detection)
            return []
        if self._is_settled or not self._window.holds(detection.start):
            return []
        self._met.append(detection)
        if len(self._met) < self.rule.threshold:
            return []
        met, self._met = tuple(self._met), []
        self._is_settled = not self.rule.repeat
        if self.rule.negate:
            return []
        start = min(one.start for one in met)
        end = max(one.end for one in met)
        return [Verdict(start, end, end, met)]

    def advance(self, position: int) -> list[Verdict]:
        """All that happened before `position` was told."""
        window = self._window
        if window is None or window.end is None or position < window.end:
            return []
        return self._missing(window.start, window.end)

    def finish(self, position: int) -> list[Verdict]:
        """The call ended here."""
        verdicts: list[Verdict] = []
        if self.rule.last_seconds is not None and self._window is None:
            start = max(position - self._samples(self.rule.last_seconds), 0)
            verdicts = self._opened(_Window(start, None))
        window = self._window
        if window is None or window.start >= position:
            return verdicts
        return verdicts + self._missing(window.start, min(window.end or position, position))

    def _opened(self, window: _Window) -> list[Verdict]:
        self._window = window
        early = sorted(self._early, key=lambda one: one.end)
        self._early.clear()
        return [verdict for detection in early for verdict in self.detect(detection)]

    def _missing(self, start: int, end: int) -> list[Verdict]:
        if self._is_settled or not self.rule.negate:
            return []
        self._is_settled = True
        return [Verdict(start, end, end, ())]

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate)


_MOST_EARLY: Final = 256
