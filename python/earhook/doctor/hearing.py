"""The far end of the test call: what a PCM stream gave of it, compared sample by sample."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from earhook.client import Block, CallClosed, Gap, StreamRefused, connect
from earhook.errors import ConsumerError
from earhook.media.format import Channel
from earhook.testing.sources import Source

from .call import Placed
from .errand import FarEnd
from .finding import Finding, Step, doubtful, fine, wrong

__all__ = ["Hearing", "listening"]


@dataclass(slots=True)
class Hearing:
    """Everything that came of one call.

    Attributes:
        fault: Why nothing could be heard; empty if the stream stood.
        is_closed: The end of the call was told.
        verified: The gateway's own totals agreed.
        rate: Samples a second, as the gateway said.
    """

    fault: str = ""
    is_closed: bool = False
    verified: bool = False
    rate: int = 0
    blocks: list[Block] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, item: object) -> None:
        """One item of the stream."""
        if isinstance(item, Block):
            self.rate = item.call.rate
            self.blocks.append(item)
        elif isinstance(item, Gap):
            self.gaps.append(item)
        elif isinstance(item, CallClosed):
            self.is_closed = True
            self.verified = item.totals.verified
            self._ended.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended.set()

    async def ended(self, seconds: float) -> None:
        """Wait for the end of the call, not longer than that."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            pass

    def judge(self, placed: Placed) -> Finding:
        """Compare what came with what was said."""
        cure = "see the sink's counters, and that --verify names a pcm-stream sink of that gateway"
        if self.fault:
            return wrong(Step.AUDIO, self.fault, "check --verify, its token and authorities")
        if not self.blocks:
            return wrong(Step.AUDIO, "nothing of the call came out there", cure)
        if self.rate != 8000:
            evidence = f"came out at {self.rate} Hz: what is resampled is not compared"
            return doubtful(Step.AUDIO, evidence, "set [ingest] rate = 8000 to compare")
        counts = [_count(self.blocks, channel, placed.source) for channel in placed.channels]
        arrived = min(count[0] for count in counts)
        different = sum(count[1] for count in counts)
        missing = sum(gap.samples for gap in self.gaps)
        figures = {"arrived": arrived, "different": different, "missing": missing}
        evidence = f"{arrived:,} of {placed.sent_samples:,} samples a channel came out"
        if different or arrived != placed.sent_samples or missing:
            evidence += f", {different:,} of them not as they were sent, {missing:,} in gaps"
            return wrong(Step.AUDIO, evidence, cure, **figures)
        if not (self.is_closed and self.verified):
            evidence += "; but the gateway's totals were not confirmed"
            return doubtful(Step.AUDIO, evidence, cure, **figures)
        return fine(Step.AUDIO, f"{evidence}, every one as it was sent", **figures)


@asynccontextmanager
async def listening(far_end: FarEnd, session_id: str, seconds: float) -> AsyncIterator[Hearing]:
    """Hear one call while the block runs.

    Args:
        far_end: Where.
        session_id: Of the call, which has not begun.
        seconds: How long the connection may take.
    """
    hearing = Hearing()
    stream = connect(
        far_end.address,
        sessions=[session_id],
        gaps=True,
        events=True,
        name="earhook doctor",
        token=far_end.token,
        ssl=far_end.context,
        give_up_seconds=min(seconds, 5.0),
    )
    try:
        async with asyncio.timeout(seconds):
            await stream.__aenter__()
    except (OSError, ConsumerError) as error:  # TimeoutError is an OSError
        hearing.fault = _words(far_end, error)
        yield hearing
        return

    async def hear() -> None:
        try:
            async for item in stream:
                hearing.take(item)
        except (OSError, ConsumerError) as error:
            hearing.fault = _words(far_end, error)
        finally:
            hearing.end()

    task = asyncio.create_task(hear())
    try:
        yield hearing
    finally:
        task.cancel()
        await asyncio.wait([task])
        await stream.close()


def _count(blocks: list[Block], channel: int, source: Source) -> tuple[int, int]:
    """How many samples of a channel came, and how many of them are wrong."""
    arrived = different = 0
    for block in blocks:
        if int(Channel.from_word(block.channel)) != channel:
            continue
        expected = np.frombuffer(
            source.pcm(channel, block.position, len(block.samples)), dtype="<i2"
        )
        same = len(expected) == len(block.samples)
        arrived += len(block.samples)
        different += (
            int(np.count_nonzero(expected != block.samples)) if same else len(block.samples)
        )
    return arrived, different


def _words(far_end: FarEnd, error: Exception) -> str:
    if isinstance(error, StreamRefused):
        return f"{far_end.address} refuses us: {error.code}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{far_end.address}: its certificate is not trusted: {error.verify_message}"
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"{far_end.address} cannot be heard: {reason}"
