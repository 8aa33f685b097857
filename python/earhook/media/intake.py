"""Bodies of call audio into a ring. `Intake` and `EncryptionKeys` are the native classes."""

from __future__ import annotations

from dataclasses import dataclass

from earhook._core import EncryptionKeys, Intake, Pipeline

from .format import MediaFormat

__all__ = ["EncryptionKeys", "Intake", "StreamFormat", "open_intake"]


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a sender announces of the bodies of one call.

    Attributes:
        codec: `PCMU`, `PCMA`, `L16BE`, `OPUS` (packets behind their lengths) or `OGG`.
        channels: How many are interleaved: 1 or 2.
        wire_rate: Samples per second and channel on the wire; 48000 for Opus, its clock.
    """

    codec: str
    channels: int
    wire_rate: int


def open_intake(pipeline: Pipeline, stream: StreamFormat, media: MediaFormat) -> Intake:
    """Make the intake of a call whose pipeline is open.

    Args:
        pipeline: Of the call; it has been made for `media`.
        stream: What the sender announces.
        media: What the ring holds: its rate is what the audio is converted to.

    Raises:
        ValueError: Another number of channels than the pipeline has, or rates that cannot be.
    """
    return Intake(
        pipeline,
        codec=stream.codec,
        channels=stream.channels,
        wire_rate=stream.wire_rate,
        rate=media.rate,
    )
