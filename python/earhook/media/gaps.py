"""Where there is no audio, and why."""

from __future__ import annotations

from typing import NamedTuple

from earhook.protocol.gaps import GapReason

from .pipeline import Pipeline

__all__ = ["Gap", "GapReason", "gaps_of"]


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
