"""How loud each side of a recording is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from earhook.media.format import Channel
from earhook.media.g711 import decode_g711
from earhook.media.wav import WavCodec

__all__ = ["LevelMeter", "decibels"]

FULL_SCALE: Final = 32768.0
_SAMPLE: Final = np.dtype("<i2")


class LevelMeter:
    """Peak and RMS per channel of all audio that is added; silence in gaps is not audio."""

    def __init__(self, codec: WavCodec, channels: Sequence[int]) -> None:
        self._codec = codec
        self._channels = tuple(channels)
        self._samples = 0
        self._squares = [0.0] * len(self._channels)
        self._peaks = [0] * len(self._channels)

    def add(self, audio: bytes | memoryview) -> None:
        """Add interleaved audio in the meter's codec: whole sample groups."""
        pcm = audio if self._codec == "L16" else decode_g711(audio, self._codec)
        interleaved = np.frombuffer(pcm, _SAMPLE).astype(np.float32)
        if not len(interleaved):
            return
        # Each lane in one piece, and the bare reductions: this runs for every frame of every
        # call, and takes as long as the write itself.
        lanes = interleaved.reshape(-1, len(self._channels)).T.copy()
        highest = np.maximum.reduce(lanes, axis=1).tolist()
        lowest = np.minimum.reduce(lanes, axis=1).tolist()
        self._samples += lanes.shape[1]
        for number, lane in enumerate(lanes):
            self._squares[number] += float(lane.dot(lane))
            peak = int(max(highest[number], -lowest[number]))
            self._peaks[number] = max(self._peaks[number], peak)

    def as_json(self) -> dict[str, Any]:
        """Peak (0 to 32768) and RMS by the channels' names."""
        return {
            Channel(channel).word: {
                "peak": self._peaks[lane],
                "rms": round(math.sqrt(self._squares[lane] / max(1, self._samples)), 1),
            }
            for lane, channel in enumerate(self._channels)
        }


def decibels(level: Mapping[str, Any], key: str) -> str:
    """Write a level as people read it: decibels below full scale."""
    value = level.get(key)
    if not isinstance(value, int | float) or value <= 0:
        return "silent"
    return f"{round(20 * math.log10(value / FULL_SCALE))} dB"
