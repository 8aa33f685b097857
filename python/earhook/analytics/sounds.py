"""What lines carry that is no speech: tones, keys and music, where the gateway has heard them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .segment import Segment

__all__ = ["Sounds"]

KINDS: Final = frozenset({"tone", "music", "dtmf"})
MOST_SPANS: Final = 512
"""Of a channel; the oldest are forgotten."""
PART: Final = 0.5


class Sounds:
    """One call. What is not known yet, because it goes on, covers nothing."""

    def __init__(self) -> None:
        self._spans: dict[str, deque[tuple[int, int]]] = {}

    def note(self, kind: str, details: Mapping[str, Any]) -> None:
        """Take an event of the PCM stream; most are about something else."""
        if kind not in KINDS:
            return
        channel, start, end = (details.get(name) for name in ("channel", "start", "end"))
        # Keys that the peer tells of have no place in the audio.
        if isinstance(channel, str) and isinstance(start, int) and isinstance(end, int):
            self._spans.setdefault(channel, deque(maxlen=MOST_SPANS)).append((start, end))

    def cover(self, segment: Segment) -> bool:
        """Whether more than half of a segment's words lie in them; of its time, without words."""
        spans = self._spans.get(segment.channel)
        if not spans:
            return False
        places = [(word.start, word.end) for word in segment.words]
        if not any(end > start for start, end in places):
            places = [(segment.start, segment.end)]
        heard = sum(end - start for start, end in places)
        covered = sum(_covered(start, end, spans) for start, end in places)
        return covered > PART * heard


def _covered(start: int, end: int, spans: Iterable[tuple[int, int]]) -> int:
    """How much of a stretch lies in spans; what lies in two of them counts once."""
    covered, at = 0, start
    for begin, stop in sorted(spans):
        first, last = max(begin, at), min(stop, end)
        if last > first:
            covered, at = covered + last - first, last
    return covered
