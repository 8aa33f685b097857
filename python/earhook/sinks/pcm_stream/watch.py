"""Watching one consumer: does it take what it is sent, does it send too much? Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["Inbound", "Movement"]

INBOUND_COST: Final = 10_000
INBOUND_BYTES: Final = 4 << 20
"""What a consumer may send between two ticks (a second) before we stop reading it until the next:
acks of ten thousand calls, or twenty seconds of audio to play for each of a dozen."""


class Inbound:
    """What a consumer has sent since the last tick."""

    __slots__ = ("bytes", "cost", "is_paused")

    def __init__(self) -> None:
        self.cost = 0
        self.bytes = 0
        self.is_paused = False

    def is_too_much(self, more_bytes: int) -> bool:
        """Count some more bytes; says whether to read no more until the next tick."""
        self.bytes += more_bytes
        self.is_paused = self.cost > INBOUND_COST or self.bytes > INBOUND_BYTES
        return self.is_paused

    def renew(self) -> bool:
        """Start over; says whether reading was stopped."""
        was_paused = self.is_paused
        self.cost = self.bytes = 0
        self.is_paused = False
        return was_paused


class Movement:
    """Whether a consumer takes what is sent to it.

    What the transport has got rid of tells, but behind TLS only in large steps: there, acks do.
    """

    __slots__ = ("_accepted_bytes", "_moved_at", "_progress", "written_bytes")

    def __init__(self, now: float) -> None:
        self.written_bytes = 0
        self._accepted_bytes = 0
        self._progress = 0
        self._moved_at = now

    def still_seconds(self, waiting_bytes: int, progress: int, now: float) -> float:
        """For how long nothing has moved although something waits."""
        accepted_bytes = self.written_bytes - waiting_bytes
        has_moved = accepted_bytes != self._accepted_bytes or progress != self._progress
        if has_moved or not waiting_bytes:
            self._accepted_bytes, self._progress = accepted_bytes, progress
            self._moved_at = now
        return now - self._moved_at
