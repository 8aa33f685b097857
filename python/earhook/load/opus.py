"""What a decoder makes of the Opus that `--http` sends."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from earhook.media.feed import Feed
from earhook.media.format import MediaFormat
from earhook.media.intake import StreamFormat, open_intake
from earhook.media.pipeline import Budget, open_pipeline
from earhook.testing.opus_source import (
    CLOCK,
    PACKET_MILLISECONDS,
    PACKET_SAMPLES,
    OpusPackets,
    OpusTrack,
)

__all__ = ["CLOCK", "PACKET_MILLISECONDS", "OpusDecoding", "OpusPackets", "OpusTrack"]

KEPT_SAMPLES: Final = 16_000
"""Decoded audio is kept so long for blocks that come again."""
RATE: Final = 8000
Pcm = npt.NDArray[np.int16]


class OpusDecoding:
    """What a gateway makes of a track: the same decoder, given the same packets.

    Args:
        track: What is sent, from its beginning and without a gap.
    """

    def __init__(self, track: OpusTrack) -> None:
        self._track = track
        channels = track.packets.channels
        media = MediaFormat("OPUS", tuple(range(channels)), RATE)
        self._pipeline = open_pipeline(Budget(1 << 20), media, ring_seconds=1.0)
        stream = StreamFormat("OPUS", channels, CLOCK)
        self._intake = open_intake(self._pipeline, stream, media)
        self._intake.begin()
        self._feed = Feed()
        self._feed.attach(1, self._pipeline, channels=media.channels)
        self._given = 0
        self._end: int | None = None
        self._start = 0
        self._pcm: Pcm = np.empty((0, channels), np.int16)

    def end(self, samples: int) -> None:
        """No more than these were sent: it matters to the last milliseconds of the filter."""
        self._end = samples

    def wanted(self, channel: int, position: int, samples: int) -> Pcm:
        """What must lie there; fewer samples beyond the end."""
        reach = position + samples
        while self._reached < reach and self._give():
            self._take()
        begin = max(position - self._start, 0)
        wanted = self._pcm[begin : reach - self._start, channel]
        if (stale := position - self._start - KEPT_SAMPLES) > KEPT_SAMPLES:
            self._pcm = self._pcm[stale:]
            self._start += stale
        return wanted

    @property
    def _reached(self) -> int:
        return self._start + len(self._pcm)

    def _give(self) -> bool:
        """Decode another packet, or what the filter still holds; whether there was any."""
        if self._pipeline.ended:
            return False
        if self._end is not None and self._given >= self._end:
            self._intake.end()
            self._intake.finish()
            self._pipeline.end()
        else:
            self._intake.push(self._track.read(self._given, PACKET_SAMPLES))
            self._given += PACKET_SAMPLES
        return True

    def _take(self) -> None:
        for _call, _position, _gap, _reason, audio in self._feed.drain_blocks(1 << 20):
            taken = np.frombuffer(audio, "<i2").reshape(-1, self._pcm.shape[1])
            self._pcm = np.concatenate([self._pcm, taken])
