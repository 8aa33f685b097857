"""Taking items of a stream, and holding them to what was said."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from earhook.client import Block, CallClosed, CallOpened, Gap, Item, Stream

CHANNEL = {"external": 0, "internal": 1}


async def until_closed(stream: Stream, calls: int = 1) -> list[Item]:
    """Every item until so many calls have closed."""
    items: list[Item] = []
    async with asyncio.timeout(20):
        async for item in stream:
            items.append(item)
            calls -= isinstance(item, CallClosed)
            if calls == 0:
                return items
    pytest.fail("the stream ended")


def check(speaker: Any, items: list[Item]) -> tuple[int, int]:
    """Blocks and gaps of a call are contiguous and true. Delivered and missing, of each channel."""
    mine = [item for item in items if item.call.session_id == speaker.session]
    opened = [item for item in mine if isinstance(item, CallOpened)]
    assert len(opened) == 1
    closed = [item for item in mine if isinstance(item, CallClosed)]
    counts = {check_channel(speaker, mine, name, opened[0]) for name in opened[0].call.channels}
    assert len(counts) == 1, "the channels differ"
    delivered, missing, end = counts.pop()
    for last in closed:
        assert mine[-1] is last
        assert end == last.position == speaker.position
        for totals in last.totals.channels.values():
            assert (totals.delivered, sum(totals.missing.values())) == (delivered, missing)
    return delivered, missing


def check_channel(
    speaker: Any, items: list[Item], name: str, opened: CallOpened
) -> tuple[int, int, int]:
    position, delivered, missing, since = opened.position, 0, 0, []
    for item in items:
        if isinstance(item, Gap | Block) and item.channel == name:
            assert item.position == position
            if isinstance(item, Gap):
                position += item.samples
                missing += item.samples
                since.append(item)
                continue
            assert item.samples.dtype == np.dtype("<i2")
            assert not item.samples.flags.writeable
            said = speaker.said(CHANNEL[name], position, len(item.samples))
            assert np.array_equal(item.samples, said)
            position += len(item.samples)
            delivered += len(item.samples)
            assert item.gap_before == tuple(since)
            since = []
    return delivered, missing, position
