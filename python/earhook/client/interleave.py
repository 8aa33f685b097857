"""Blocks of single channels put side by side again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .items import Block, Call, ChannelName, Gap

__all__ = ["Interleaver", "Piece"]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of a call.

    Attributes:
        position: Of its first sample.
        frames: Shape `(n, channels)`, dtype `<i2`; zeros where a channel has no audio. For a gap
            in all channels, None: nothing was heard, for `reason`.
        samples: Length per channel.
        reason: Of a gap; empty for audio.
    """

    position: int
    samples: int
    frames: npt.NDArray[np.int16] | None
    reason: str = ""


class Interleaver:
    """Joins the blocks and gaps of one call into pieces with all channels. Pieces are contiguous.

    It holds back what one channel is ahead of the others, which is at most a frame or so.

    Args:
        call: Whose items come.
        channels: The order in the pieces. A channel that the call does not have is silent.
    """

    def __init__(
        self, call: Call, channels: Sequence[ChannelName] = ("external", "internal")
    ) -> None:
        self._channels = tuple(channels)
        self._lanes: dict[ChannelName, deque[Block | Gap]] = {
            channel: deque() for channel in channels if channel in call.channels
        }
        self._position: int | None = None

    def add(self, item: Block | Gap) -> Iterator[Piece]:
        """Take in the next item of a channel; one that is not wanted changes nothing."""
        lane = self._lanes.get(item.channel)
        if lane is None:
            return
        lane.append(item)
        if self._position is None:
            self._position = item.position
        while all(self._lanes.values()):
            yield self._join(self._position)

    def _join(self, position: int) -> Piece:
        """The longest stretch in which every channel is one item."""
        heads = {channel: lane[0] for channel, lane in self._lanes.items()}
        end = min(_end(head) for head in heads.values())
        samples = end - position
        frames, reason = None, ""
        if all(isinstance(head, Gap) for head in heads.values()):
            reason = next(head.reason for head in heads.values() if isinstance(head, Gap))
        else:
            frames = np.zeros((samples, len(self._channels)), dtype="<i2")
        for channel, head in heads.items():
            if frames is not None and isinstance(head, Block):
                begin = position - head.position
                column = self._channels.index(channel)
                frames[:, column] = head.samples[begin : begin + samples]
            if _end(head) == end:
                self._lanes[channel].popleft()
        self._position = end
        return Piece(position, samples, frames, reason)


def _end(item: Block | Gap) -> int:
    samples = item.samples if isinstance(item, Gap) else len(item.samples)
    return item.position + samples
