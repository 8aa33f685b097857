"""Stretches of a call that were not heard, in whatever pieces they are found. Pure."""

from __future__ import annotations

from earhook.client import ChannelName

__all__ = ["Holes"]

Span = tuple[int, int]


class Holes:
    """They wait here until it is their turn between the words of their channel."""

    def __init__(self) -> None:
        self._spans: dict[ChannelName, list[Span]] = {}

    def add(self, channel: ChannelName, start: int, end: int) -> None:
        """Nobody heard this. A piece that joins the last one lengthens it."""
        spans = self._spans.setdefault(channel, [])
        if spans and spans[-1][0] <= start <= spans[-1][1]:
            start, end = spans[-1][0], max(end, spans[-1][1])
            spans.pop()
        spans.append((start, end))

    def take(self, channel: ChannelName, position: int | None = None) -> list[Span]:
        """Those that end before a position, or all: once, and in order."""
        spans = sorted(self._spans.pop(channel, ()))
        later = [one for one in spans if position is not None and one[1] > position]
        if later:
            self._spans[channel] = later
        return [one for one in spans if one not in later]
