"""Why a span of the stream has no audio."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["GapReason"]


class GapReason(IntEnum):
    """Reasons of gaps; the numbers go over the PCM stream and never change."""

    PAUSED = 1
    """The peer or we held a pause (AudioHook protocol §8)."""
    DISCARDED = 2
    """The peer reported audio that it will never send."""
    OVERRUN = 3
    """A reader was too slow and its own oldest audio was overwritten."""
    MALFORMED = 4
    """A frame that was not whole sample groups."""
    UNREPORTED = 5
    """The peer's clock moved ahead without saying why."""
    MISSING = 6
    """Audio was lost before it came to us."""
    LATE = 7
    """A reader came when it was gone already: nobody has lost it."""

    @property
    def word(self) -> str:
        """The name in JSON, logs and metrics."""
        return self.name.lower()
