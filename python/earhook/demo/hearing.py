"""The consumer of the demo: it knows what every call should sound like, and listens for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from earhook.client import Block, CallClosed, CallOpened, Gap, Item
from earhook.clock import SystemClock
from earhook.media.format import Channel

from .posted import PlacedCall

__all__ = ["Audience", "Hearing"]

CELL_SAMPLES: Final = 4_000
"""Loudness is kept per half second."""


@dataclass(slots=True)
class Hearing:
    """One call as it arrived. Channel 0 is the customer, 1 the agent.

    Attributes:
        arrived: Samples per channel that came, every one equal to the source.
        wrong: Samples that differ from the source at their position.
        gaps: Samples per channel without audio, by reason.
        peaks: Loudest sample of the last block of each channel.
        loudness: Loudest sample per half second and channel.
        silences: Half seconds in which a gap lies.
        lags: Seconds from when a frame left the peer until it had arrived here, each.
        verified: The gateway's own totals agreed with what came; None while the call is open.
    """

    peer: PlacedCall
    position: int = 0
    arrived: list[int] = field(default_factory=lambda: [0, 0])
    wrong: int = 0
    gaps: list[dict[str, int]] = field(default_factory=lambda: [{}, {}])
    peaks: list[int] = field(default_factory=lambda: [0, 0])
    loudness: dict[int, list[int]] = field(default_factory=dict)
    silences: set[int] = field(default_factory=set)
    lags: list[float] = field(default_factory=list)
    verified: bool | None = None

    def block(self, channel: int, block: Block) -> None:
        """Audio came: compare it with the source at its very position."""
        samples = block.samples
        expected = np.frombuffer(
            self.peer.source.pcm(channel, block.position, len(samples)), dtype="<i2"
        )
        if len(expected) == len(samples):
            self.wrong += int(np.count_nonzero(expected != samples))
        else:
            self.wrong += len(samples)
        self.arrived[channel] += len(samples)
        end = block.position + len(samples)
        if end > self.position and end == self.peer.position:
            self.lags.append(_CLOCK.monotonic_seconds() - self.peer.record.last_frame_seconds)
        self.position = max(self.position, end)
        loud = np.abs(samples.astype(np.int32))
        self.peaks[channel] = int(loud.max())
        cell = self.loudness.setdefault(block.position // CELL_SAMPLES, [0, 0])
        cell[channel] = max(cell[channel], self.peaks[channel])

    def gap(self, channel: int, gap: Gap) -> None:
        """A stretch without audio."""
        reasons = self.gaps[channel]
        reasons[gap.reason] = reasons.get(gap.reason, 0) + gap.samples
        end = gap.position + gap.samples
        self.position = max(self.position, end)
        self.peaks[channel] = 0
        self.silences.update(range(gap.position // CELL_SAMPLES, -(-end // CELL_SAMPLES)))


class Audience:
    """All calls of the demo, by session."""

    def __init__(self, peers: Mapping[str, PlacedCall]) -> None:
        self.hearings: dict[str, Hearing] = {}
        self._peers = peers

    @property
    def closed(self) -> int:
        """Calls that have come to their end here."""
        return sum(hearing.verified is not None for hearing in self.hearings.values())

    def take(self, item: Item) -> None:
        """One item of the stream."""
        session = item.call.session_id
        peer = self._peers.get(session)
        if peer is None:
            return
        hearing = self.hearings.setdefault(session, Hearing(peer))
        if isinstance(item, Block):
            hearing.block(Channel.from_word(item.channel), item)
        elif isinstance(item, Gap):
            hearing.gap(Channel.from_word(item.channel), item)
        elif isinstance(item, CallClosed):
            hearing.verified = item.totals.verified
        elif isinstance(item, CallOpened):
            hearing.position = item.position


_CLOCK: Final = SystemClock()
