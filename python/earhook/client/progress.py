"""How far one call has come, over all connections: what is new, what is a repetition. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from earhook.errors import StreamError
from earhook.media.format import Channel

from .items import Block, Call, CallClosed, ChannelName, ChannelTotals, ClosedTotals, Gap

__all__ = ["Attachment", "Lane", "Progress"]

MISSING = "missing"


class Lane:
    """One channel of one call. Whatever arrives, what it gives is contiguous."""

    __slots__ = ("_call", "_gaps", "channel", "consumed", "delivered", "missing", "position")

    def __init__(self, call: Call, channel: ChannelName, position: int) -> None:
        self.channel = channel
        self.position = position
        """The next position to be given."""
        self.consumed = position
        """The next position that the program has not seen."""
        self.delivered = 0
        self.missing: dict[str, int] = {}
        self._call = call
        self._gaps: list[Gap] = []

    def audio(self, position: int, pcm: bytes) -> Iterator[Block | Gap]:
        """Take in samples; what came before is left out, a hole becomes a gap."""
        if position > self.position:
            yield from self.gap(self.position, position - self.position, MISSING)
        repeated = self.position - position
        samples = np.frombuffer(pcm, dtype="<i2")[repeated:]
        if not len(samples):
            return
        gaps, self._gaps = self._gaps, []
        block = Block(self._call, self.channel, self.position, samples, tuple(gaps))
        self.position += len(samples)
        self.delivered += len(samples)
        yield block

    def gap(self, position: int, samples: int, reason: str) -> Iterator[Gap]:
        """Take in a gap; what came before is left out."""
        if position > self.position:
            yield from self.gap(self.position, position - self.position, MISSING)
        left = position + samples - self.position
        if left <= 0:
            return
        gap = Gap(self._call, self.channel, self.position, left, reason)
        self.position += left
        self.missing[reason] = self.missing.get(reason, 0) + left
        self._gaps.append(gap)
        yield gap


class Progress:
    """All channels of one call."""

    def __init__(self, call: Call, position: int) -> None:
        self.call = call
        self.lanes: dict[ChannelName, Lane] = {
            channel: Lane(call, channel, position) for channel in call.channels
        }
        self.by_number: dict[int, Lane] = {
            Channel.from_word(name): lane for name, lane in self.lanes.items()
        }

    @property
    def position(self) -> int:
        """Everything before it has been given, in all channels: where to resume."""
        return min(lane.position for lane in self.lanes.values())

    @property
    def consumed(self) -> int:
        """Everything before it has been seen by the program."""
        return min(lane.consumed for lane in self.lanes.values())

    def closed(
        self, reason: str, position: int, books: dict[str, object], *, verified: bool
    ) -> Iterator[Gap | CallClosed]:
        """The last items of a call that ends at `position`."""
        for lane in self.lanes.values():
            yield from lane.gap(position, 0, MISSING)
        channels = {
            name: ChannelTotals(lane.delivered, dict(lane.missing))
            for name, lane in self.lanes.items()
        }
        totals = ClosedTotals(channels, books, verified)
        yield CallClosed(self.call, reason, position, totals)

    def lost(self) -> Iterator[Gap | CallClosed]:
        """The last items of a call of which nothing more will come."""
        end = max(lane.position for lane in self.lanes.values())
        return self.closed("lost", end, {}, verified=False)


class Attachment:
    """One call on one connection: what arrived on it, to be compared with the gateway's books."""

    __slots__ = ("_audio", "_gaps", "_lanes", "_start", "acked", "is_repeat", "progress")

    def __init__(self, progress: Progress, position: int, *, is_repeat: bool = False) -> None:
        self.progress = progress
        self.acked = position
        self.is_repeat = is_repeat
        """Of a call that had its close on an earlier connection: nothing of it is given."""
        self._start = position
        self._lanes = progress.by_number
        self._audio: dict[int, int] = dict.fromkeys(self._lanes, 0)
        self._gaps = 0

    def audio(self, channel: int, position: int, pcm: bytes) -> Iterator[Block | Gap]:
        """Count and pass on.

        Raises:
            StreamError: The call was opened without that channel.
        """
        lane = self._lanes.get(channel)
        if lane is None:
            raise StreamError(f"audio of channel {channel}, which the call was opened without")
        self._audio[channel] += len(pcm) // 2
        return lane.audio(position, pcm)

    def gap(self, position: int, samples: int, reason: str) -> Iterator[Gap]:
        """Count and pass on, for every channel."""
        self._gaps += samples
        for lane in self._lanes.values():
            yield from lane.gap(position, samples, reason)

    def agrees(self, forwarded: object, end: int) -> bool:
        """Whether what arrived is what the gateway says it sent, up to the end of the call."""
        return all(
            samples == forwarded and self._start + samples + self._gaps == end
            for samples in self._audio.values()
        )
