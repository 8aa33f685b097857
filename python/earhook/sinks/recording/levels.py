"""How loud each side of a recording is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from earhook.media.format import BYTES_PER_SAMPLE, Channel
from earhook.media.levels import measure_levels
from earhook.media.wav import WavCodec

__all__ = ["LevelMeter", "decibels"]

FULL_SCALE: Final = 32768.0


class LevelMeter:
    """Peak and RMS per channel of all audio that is added; silence in gaps is not audio."""

    def __init__(self, codec: WavCodec, channels: Sequence[int]) -> None:
        self._codec = codec
        self._channels = tuple(channels)
        self._group_bytes = BYTES_PER_SAMPLE[codec] * len(self._channels)
        self._samples = 0
        self._energies = [0] * len(self._channels)
        self._peaks = [0] * len(self._channels)

    def add(self, audio: bytes | memoryview) -> None:
        """Add interleaved audio in the meter's codec: whole sample groups."""
        peaks, energies = self._peaks, self._energies
        levels = measure_levels(audio, self._codec, len(self._channels))
        for lane, (peak, energy) in enumerate(levels):
            peaks[lane] = max(peaks[lane], peak)
            energies[lane] += energy
        self._samples += len(audio) // self._group_bytes

    def as_json(self) -> dict[str, Any]:
        """Peak (0 to 32768) and RMS by the channels' names."""
        return {
            Channel(channel).word: {
                "peak": self._peaks[lane],
                "rms": round(math.sqrt(self._energies[lane] / max(1, self._samples)), 1),
            }
            for lane, channel in enumerate(self._channels)
        }


def decibels(level: Mapping[str, Any], key: str) -> str:
    """Write a level as people read it: decibels below full scale."""
    value = level.get(key)
    if not isinstance(value, int | float) or value <= 0:
        return "silent"
    return f"{round(20 * math.log10(value / FULL_SCALE))} dB"
