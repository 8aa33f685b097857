"""Which stretches of a call are not in its recording, and why. Bounded, whatever a peer does."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["GapLog"]

MAX_ENTRIES: Final = 1024


class GapLog:
    """Spans in the order in which they were met; the totals by reason are always complete."""

    def __init__(self) -> None:
        self.omitted = 0
        self._spans: list[list[int | str]] = []
        self._end: tuple[int, str] | None = None
        self._samples: dict[str, int] = {}

    def add(self, position: int, samples: int, reason: str) -> None:
        """Note a span; one that continues the last, for the same reason, joins it."""
        self._samples[reason] = self._samples.get(reason, 0) + samples
        joins = self._end == (position, reason)
        self._end = (position + samples, reason)
        if joins and not self.omitted:
            begin = self._spans[-1][0]
            self._spans[-1] = [begin, position + samples - int(begin), reason]
        elif len(self._spans) < MAX_ENTRIES:
            self._spans.append([position, samples, reason])
        elif not joins:
            self.omitted += 1

    @property
    def samples(self) -> dict[str, int]:
        """Samples per channel by reason."""
        return dict(self._samples)

    def as_json(self) -> list[dict[str, Any]]:
        """The first 1024 spans."""
        return [
            {"position": position, "samples": samples, "reason": reason}
            for position, samples, reason in self._spans
        ]
