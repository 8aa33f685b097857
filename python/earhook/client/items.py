"""What a stream gives: audio, gaps, and what happens to calls. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Block",
    "Call",
    "CallClosed",
    "CallEvent",
    "CallOpened",
    "ChannelName",
    "ChannelTotals",
    "ClosedTotals",
    "Gap",
    "Item",
    "Participant",
]

ChannelName: TypeAlias = Literal["external", "internal"]
"""Whose voice: the customer's (`external`) or the agent's (`internal`)."""


@dataclass(frozen=True, slots=True)
class Participant:
    """The external party, as far as the peer tells. Personal; kept out of `repr`."""

    id: str = ""
    ani: str = field(default="", repr=False)
    ani_name: str = field(default="", repr=False)
    dnis: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call. All items of a call carry the same object, also after a reconnect.

    Attributes:
        channels: The channels that are delivered; a block has one of them.
        facts: Everything that the gateway said of the call, as it came; personal.
    """

    session_id: str
    conversation_id: str
    organization_id: str
    correlation_id: str
    key_name: str
    channels: tuple[ChannelName, ...]
    codec: str
    rate: int
    language: str | None
    opened_wall_seconds: float
    participant: Participant | None
    facts: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """Positions of one channel for which there is no audio.

    Attributes:
        reason: `paused`, `discarded`, `overrun` (we, or the path to us, were too slow),
            `malformed`, `unreported`, `missing` (it never came to the gateway, or the gateway gave
            neither audio nor a gap), `late` (it was gone before we came). Later
            gateways may know more of them.
    """

    call: Call
    channel: ChannelName
    position: int
    samples: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Audio of one channel of one call.

    Within a channel, blocks and gaps are contiguous: each begins where the last one ended.

    Attributes:
        position: Of the first sample, in samples since the start of the call. Divided by
            `call.rate` it is the time in the call, pauses included.
        samples: Shape `(n,)`, dtype `<i2`, read-only. It keeps the received frame alive; copy it
            if a small part is kept for long.
        gap_before: The gaps between the last block of this channel and this one, oldest first.
    """

    call: Call
    channel: ChannelName
    position: int
    samples: npt.NDArray[np.int16] = field(repr=False)
    gap_before: tuple[Gap, ...] = ()

    @property
    def seconds(self) -> float:
        """When in the call the first sample was spoken."""
        return self.position / self.call.rate


@dataclass(frozen=True, slots=True)
class CallOpened:
    """A call begins for us; `position` is where its audio does."""

    call: Call
    position: int


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something happened in a call: `paused`, `resumed`, `dtmf` and the like.

    It comes after all audio before its position; audio after it may have come already. Events
    are told once: what happens while the connection is down is not repeated.
    """

    call: Call
    kind: str
    position: int
    details: Mapping[str, Any] = field(repr=False)
    by: str = "gateway"
    """Who says so; `consumer`: another consumer of the stream, by the command `results`."""


@dataclass(frozen=True, slots=True)
class ChannelTotals:
    """What came of one channel: samples delivered, and samples missing by reason."""

    delivered: int
    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ClosedTotals:
    """What came of a call, over all connections.

    Attributes:
        channels: Per channel; `delivered` and `missing` add up to the whole span from the first
            position to the last.
        books: What the gateway says of its last reader: received, forwarded, dropped by reason,
            and `late` where there is any.
        verified: Whether that is what arrived on the last connection, sample for sample. False
            if the gateway went without a word.
    """

    channels: Mapping[ChannelName, ChannelTotals]
    books: Mapping[str, Any]
    verified: bool


@dataclass(frozen=True, slots=True)
class CallClosed:
    """A call has ended; nothing of it follows.

    Attributes:
        reason: The gateway's word for why; `lost` if the gateway does not know the call any more.
        position: The position after the last sample.
    """

    call: Call
    reason: str
    position: int
    totals: ClosedTotals


Item: TypeAlias = Block | Gap | CallOpened | CallEvent | CallClosed
"""Any item of a stream."""
