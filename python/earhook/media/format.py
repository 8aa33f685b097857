"""What a peer sends: codec, channels and their order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = ["BYTES_PER_SAMPLE", "CODECS", "SAMPLE_RATE", "Channel", "MediaFormat"]

SAMPLE_RATE: Final = 8000
"""Samples per second and channel; AudioHook knows no other rate."""

BYTES_PER_SAMPLE: Final = {"PCMU": 1, "PCMA": 1, "L16": 2, "L16BE": 2}
"""Codecs of samples one after the other, and what one sample of one channel takes in each."""

CODECS: Final = (*BYTES_PER_SAMPLE, "OPUS", "OGG")
"""All codecs that the core decodes."""


class Channel(IntEnum):
    """Whose voice: these numbers are the same everywhere, whatever order was negotiated."""

    EXTERNAL = 0
    INTERNAL = 1

    @property
    def word(self) -> str:
        """The name in JSON: `external` (the customer) or `internal` (the agent)."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Channel:
        """Find the channel of a word.

        Raises:
            ValueError: Neither `external` nor `internal`.
        """
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"{word!r} is neither external nor internal") from None


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """What a peer sends, and how its ring holds it.

    Attributes:
        codec: What is sent: `PCMU`, `PCMA`, `L16` (low byte first), `L16BE`, `OPUS` or `OGG`.
        channels: Channel numbers in the order in which they are interleaved.
        rate: Samples per second and channel in the ring. Frames of AudioHook have the same one;
            bodies of an intake may have another (see `earhook.media.intake.StreamFormat`).

    Raises:
        ValueError: On construction, for a codec, channels or a rate that cannot be.
    """

    codec: str
    channels: tuple[int, ...]
    rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise ValueError(f"unknown codec {self.codec!r}: one of {', '.join(CODECS)}")
        if not self.channels or sorted(set(self.channels)) != sorted(self.channels):
            raise ValueError(f"channels {self.channels}: at least one, each once")
        if not set(self.channels) <= set(Channel):
            raise ValueError(f"channels {self.channels}: 0 is external, 1 is internal")
        if self.rate <= 0:
            raise ValueError(f"rate {self.rate}: must be positive")

    @property
    def bytes_per_group(self) -> int:
        """Bytes of one sample group: one sample of every channel.

        Raises:
            ValueError: Opus has no sample groups.
        """
        if self.codec not in BYTES_PER_SAMPLE:
            raise ValueError(f"{self.codec} has no sample groups: its packets vary in length")
        return BYTES_PER_SAMPLE[self.codec] * len(self.channels)

    @property
    def words(self) -> tuple[str, ...]:
        """The channels in their order, as words."""
        return tuple(Channel(channel).word for channel in self.channels)

    def samples_of(self, payload_bytes: int) -> int:
        """Count the samples per channel in a frame.

        Raises:
            ValueError: The frame is not whole sample groups.
        """
        samples, rest = divmod(payload_bytes, self.bytes_per_group)
        if rest:
            raise ValueError(f"{payload_bytes} bytes: groups are of {self.bytes_per_group} bytes")
        return samples

    def samples_in(self, seconds: float) -> int:
        """Count the samples per channel in a time, to the nearest."""
        return round(seconds * self.rate)

    def seconds_of(self, samples: int) -> float:
        """Say how long so many samples per channel last."""
        return samples / self.rate
