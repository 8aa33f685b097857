"""One channel of what is said, as PCM that can be looked up by position."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from earhook.media.g711 import decode_g711
from earhook.testing.peer_setup import MediaChoice
from earhook.testing.sources import Source

from .opus import OpusDecoding

__all__ = ["Lane", "OpusLane", "Pcm", "SourceLane"]

NEEDLE_SAMPLES: Final = 16
"""So many samples in a row of pseudo-random audio lie at one place only."""
Pcm = npt.NDArray[np.int16]


class Lane(Protocol):
    """What one channel of a call says.

    Attributes:
        knows_its_end: Whether the last block can be told only when it is known how much was sent.
    """

    knows_its_end: bool

    def wanted(self, position: int, samples: int) -> Pcm:
        """What must lie there."""
        ...

    def find(self, samples: Pcm) -> int | None:
        """The position at which exactly this lies; None if nowhere, or if it cannot be told."""
        ...

    def end(self, samples: int) -> None:
        """So much was sent."""
        ...


class SourceLane:
    """A source that is coded without loss.

    Args:
        source: Endless.
        channel: Canonical number.
        searchable: Whether a stretch of it lies at one place only.
    """

    knows_its_end = False

    def __init__(self, source: Source, channel: int, *, searchable: bool) -> None:
        wire = source.track(MediaChoice(channels=(channel,))).wire
        self._pcm = _decoded(wire)
        self._offset = source.offset_samples
        self._searchable = searchable

    def wanted(self, position: int, samples: int) -> Pcm:
        """What must lie there."""
        begin = (position + self._offset) % len(self._pcm)
        piece = self._pcm[begin : begin + samples]
        while len(piece) < samples:
            piece = np.concatenate([piece, self._pcm[: samples - len(piece)]])
        return piece

    def find(self, samples: Pcm) -> int | None:
        """The position at which exactly this lies; None if nowhere, or if it cannot be told."""
        if not self._searchable or len(samples) < NEEDLE_SAMPLES:
            return None
        needle = samples[:NEEDLE_SAMPLES].tobytes()
        pool, place = self._pcm.tobytes(), -1
        while (place := pool.find(needle, place + 1)) >= 0:
            position = (place // 2 - self._offset) % len(self._pcm)
            if place % 2 == 0 and np.array_equal(self.wanted(position, len(samples)), samples):
                return position
        return None

    def end(self, samples: int) -> None:
        """So much was sent: that changes nothing here."""


class OpusLane:
    """A channel that only a decoder can tell.

    Args:
        decoding: Shared by the channels of a call.
        channel: Canonical number.
    """

    knows_its_end = True

    def __init__(self, decoding: OpusDecoding, channel: int) -> None:
        self._decoding = decoding
        self._channel = channel

    def wanted(self, position: int, samples: int) -> Pcm:
        """What must lie there."""
        wanted = self._decoding.wanted(self._channel, position, samples)
        missing = samples - len(wanted)
        return np.concatenate([wanted, np.zeros(missing, np.int16)]) if missing else wanted

    def find(self, _samples: Pcm) -> int | None:
        """It cannot be told: another place sounds the same, but is not."""
        return None

    def end(self, samples: int) -> None:
        """So much was sent."""
        self._decoding.end(samples)


@lru_cache(maxsize=16)
def _decoded(wire: bytes) -> Pcm:
    """PCM of codes that many calls share."""
    return np.frombuffer(decode_g711(wire, "PCMU"), "<i2")
