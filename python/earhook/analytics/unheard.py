"""Which stretches of a call nobody recognised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from earhook.client import ChannelName

__all__ = ["Unheard"]


class Unheard:
    """One call: gaps and pauses, the time before we listened, channels that nobody recognises."""

    def __init__(self, recognised: Iterable[ChannelName], start: int) -> None:
        self._recognised = frozenset(recognised)
        self._spans: dict[ChannelName, list[tuple[int, int]]] = {
            channel: [(0, start)] if start else [] for channel in self._recognised
        }

    def add(self, channel: ChannelName, start: int, end: int) -> None:
        """Spans of a channel come in order, or later; what joins the last one lengthens it."""
        spans = self._spans.setdefault(channel, [])
        if spans and start < spans[-1][0]:  # an engine that fails tells of what lies behind
            if end > start:
                spans[:] = _joined([*spans, (start, end)])
        elif spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif end > start:
            spans.append((start, end))
        if len(spans) > _MOST_SPANS:  # two neighbours become one: rather too much than too little
            spans[:2] = [(spans[0][0], spans[1][1])]

    def samples(self, channel: ChannelName, start: int, end: int) -> int:
        """How much between two positions was not heard."""
        if channel not in self._recognised:
            return max(end - start, 0)
        spans = self._spans[channel]
        return sum(max(min(end, stop) - max(start, begin), 0) for begin, stop in spans)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same, in order and apart."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


_MOST_SPANS: Final = 1024
