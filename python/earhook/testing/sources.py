"""Where a simulated call's audio comes from: every sample of it known at any later time.

A source is mu-law, because that is what Genesys sends; what a receiver must hold in the end is
`source.pcm(...)`, sample for sample. Sources are immutable and cheap to share between calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from earhook.media.g711 import decode_g711, encode_g711

from .peer_setup import STEREO_OFFERS, MediaChoice

__all__ = ["Source", "Track"]

SILENT_CODE: Final = 0xFF
POOL_SAMPLES: Final = 1_048_573
"""Samples per channel (131 s) of pseudo-random codes that all seeds share. Prime, so that no
frame size divides it and a repeated stretch never falls on a frame border."""


@dataclass(frozen=True, slots=True)
class Source:
    """Mu-law codes of one or two channels, with a start and perhaps an end.

    Attributes:
        codes: Interleaved in the order of `channels`.
        channels: Canonical channel numbers that the source has: 0 the customer, 1 the agent.
        length_samples: Samples per channel until it ends; None repeats `codes` for ever.
        offset_samples: Where in `codes` position 0 lies.
    """

    codes: bytes = field(repr=False)
    channels: tuple[int, ...] = (0, 1)
    length_samples: int | None = None
    offset_samples: int = 0

    @classmethod
    def once(cls, codes: bytes, channels: tuple[int, ...] = (0, 1)) -> Source:
        """Play `codes` from beginning to end."""
        return cls(codes, channels, len(codes) // len(channels))

    @classmethod
    def silence(cls) -> Source:
        """Nobody speaks, for ever."""
        return cls(bytes([SILENT_CODE]) * 3200)

    @classmethod
    def tone(cls, hertz: Sequence[int] = (440, 660), peak: int = 8000) -> Source:
        """A sine on each side, for ever: the customer's first. Whole hertz only."""
        turns = np.arange(8000)[:, None] * np.asarray(hertz) / 8000.0
        pcm = (np.sin(turns * 2 * np.pi) * peak).astype("<i2")
        return cls(encode_g711(pcm.tobytes(), "PCMU"), tuple(range(len(hertz))))

    @classmethod
    def ramp(cls) -> Source:
        """Codes that count: up with the position on channel 0, down on channel 1, modulo 256."""
        up = np.arange(256, dtype=np.uint8)
        return cls(np.stack([up, up[::-1]], axis=1).tobytes())

    @classmethod
    def random(cls, seed: str) -> Source:
        """Pseudo-random codes, for ever, another stretch of them for every seed.

        Audio that is lost, repeated, swapped between channels or mixed up between calls
        cannot look right (AudioHook protocol §14).
        """
        place = hashlib.blake2b(seed.encode(), digest_size=8).digest()
        return cls(_pool(), (0, 1), None, int.from_bytes(place) % POOL_SAMPLES)

    def limited(self, samples: int) -> Source:
        """The same, ending after `samples` at the latest."""
        own = self.length_samples
        limit = samples if own is None else min(samples, own)
        return Source(self.codes, self.channels, limit, self.offset_samples)

    @property
    def offers(self) -> tuple[MediaChoice, ...]:
        """What a Monitor integration offers for such audio."""
        if len(self.channels) == 1:
            return (MediaChoice(channels=self.channels),)
        return STEREO_OFFERS

    def track(self, media: MediaChoice) -> Track:
        """The source as the wire carries it."""
        codes = _arranged(self.codes, self.channels, media)
        return Track(codes, media.group_bytes, self.length_samples, self.offset_samples)

    def pcm(self, channel: int, start: int, samples: int) -> bytes:
        """16-bit PCM of one channel: what a receiver must hold for these positions.

        Shorter than asked where the source ends.
        """
        mono = self.track(MediaChoice(channels=(channel,)))
        return decode_g711(mono.read(start, samples), "PCMU")


@dataclass(frozen=True, slots=True)
class Track:
    """A source as interleaved wire bytes, readable at any position."""

    wire: bytes = field(repr=False)
    group_bytes: int
    length_samples: int | None
    offset_samples: int

    def left(self, position: int, samples: int) -> int:
        """How many of the next `samples` the source still has."""
        if self.length_samples is None:
            return samples
        return max(min(samples, self.length_samples - position), 0)

    def read(self, position: int, samples: int) -> bytes:
        """Bytes of `samples` sample groups from `position`; fewer at the end, none beyond."""
        samples = self.left(position, samples)
        begin = (position + self.offset_samples) * self.group_bytes
        wanted = samples * self.group_bytes
        begin %= len(self.wire)
        piece = self.wire[begin : begin + wanted]
        while len(piece) < wanted:
            piece += self.wire[: wanted - len(piece)]
        return piece


@lru_cache(maxsize=1)
def _pool() -> bytes:
    return hashlib.shake_128(b"earhook").digest(2 * POOL_SAMPLES)


@lru_cache(maxsize=64)
def _arranged(codes: bytes, channels: tuple[int, ...], media: MediaChoice) -> bytes:
    if channels != media.channels:
        lanes = np.frombuffer(codes, np.uint8).reshape(-1, len(channels))
        arranged = np.full((len(lanes), len(media.channels)), SILENT_CODE, np.uint8)
        for place, channel in enumerate(media.channels):
            if channel in channels:
                arranged[:, place] = lanes[:, channels.index(channel)]
        codes = arranged.tobytes()
    return codes if media.codec == "PCMU" else decode_g711(codes, "PCMU")
