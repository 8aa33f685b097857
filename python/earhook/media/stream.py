"""The PCM stream: what its numbers mean, and its frames in both directions.

Audio and gap frames are encoded by `media.feed.Feed.drain`; here are the rest. The functions,
`FrameDecoder` and `Merger` are the native ones themselves.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from earhook._core import FrameDecoder, Merger, encode_ack, encode_frame

from .gaps import GapReason

__all__ = [
    "ALL_CHANNELS",
    "CONNECTION",
    "MAX_CONSUMER_FRAME_BYTES",
    "STREAM_VERSION",
    "Frame",
    "FrameDecoder",
    "FrameKind",
    "GapReason",
    "Merger",
    "encode_ack",
    "encode_frame",
]

STREAM_VERSION: Final = 1
ALL_CHANNELS: Final = 255
"""The channel of a frame that concerns every channel of its call."""
CONNECTION: Final = 0
"""The call of a frame that concerns the connection itself."""
MAX_CONSUMER_FRAME_BYTES: Final = 256 << 10


class FrameKind(IntEnum):
    """What a frame says. A receiver skips kinds that it does not know."""

    HELLO = 1
    SUBSCRIBE = 2
    OPEN = 3
    AUDIO = 4
    GAP = 5
    EVENT = 6
    CLOSE = 7
    ACK = 8
    COMMAND = 9


class Frame(NamedTuple):
    """A name for each place of the tuples that `FrameDecoder.feed` gives.

    The decoder gives plain tuples; `Frame._make(tuple)` names them where that is worth its cost.
    """

    kind: int
    call: int
    channel: int
    position: int
    samples: int
    reason: int
    body: bytes
