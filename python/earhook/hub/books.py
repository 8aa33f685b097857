"""The books of the calls that are live at one door, added up when somebody asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earhook.media.format import MediaFormat
    from earhook.media.pipeline import Pipeline
    from earhook.protocol.stream import Tally

__all__ = ["LiveBooks"]


@dataclass(slots=True)
class LiveBooks:
    """Frames and samples of the calls that are live now, added up when somebody asks.

    `samples_in = written + sum(dropped.values())`, as for each call.
    """

    frames: Counter[str] = field(default_factory=Counter)
    audio_bytes: Counter[str] = field(default_factory=Counter)
    samples_in: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, media: MediaFormat, pipeline: Pipeline, tally: Tally) -> None:
        """Add one call."""
        self.frames[media.codec] += pipeline.frames
        self.audio_bytes[media.codec] += tally.samples_in * media.bytes_per_group
        self.samples_in += tally.samples_in
        self.written += pipeline.written_samples
        for reason, samples in tally.samples_dropped.items():
            if samples:
                self.dropped[reason.value] += samples
        if tally.samples_kept > pipeline.written_samples:
            self.dropped["fault"] += tally.samples_kept - pipeline.written_samples
