"""Where there is no audio, and why."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from .pipeline import Pipeline

__all__ = ["Gap", "GapReason", "gaps_of"]


class GapReason(IntEnum):
    """Why positions have no audio; the numbers are those of the PCM stream."""

    PAUSED = 1
    """Either side paused the call; what was said is stored nowhere."""
    DISCARDED = 2
    """The peer threw the audio away and said so."""
    OVERRUN = 3
    """A reader fell behind its ring and lost its own oldest audio."""
    MALFORMED = 4
    """The peer sent bytes that are not audio of the negotiated format."""
    UNREPORTED = 5
    """The peer's clock jumped without a word about why."""

    @property
    def word(self) -> str:
        """The name in JSON, logs and metrics."""
        return self.name.lower()


class Gap(NamedTuple):
    """A span of positions without audio."""

    position: int
    samples: int
    reason: GapReason


def gaps_of(pipeline: Pipeline) -> list[Gap]:
    """List the gaps of a call, oldest first; the most recent 1024."""
    return [
        Gap(position, samples, GapReason(reason)) for position, samples, reason in pipeline.gaps()
    ]
