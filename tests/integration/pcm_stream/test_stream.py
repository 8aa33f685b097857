"""The sink and the SDK, joined by real sockets: every sample, in order, or a gap in its place."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from earhook.client import Block, CallClosed, CallEvent, CallOpened, Gap, Item, Stream, connect

CHANNEL = {"external": 0, "internal": 1}


async def take_until_closed(stream: Stream, calls: int) -> list[Item]:
    """Every item until so many calls have closed."""
    items: list[Item] = []
    async with asyncio.timeout(20):
        async for item in stream:
            items.append(item)
            calls -= isinstance(item, CallClosed)
            if calls == 0:
                return items
    pytest.fail("the stream ended")


def check(speaker: Any, items: list[Item]) -> tuple[dict[str, int], dict[str, int]]:
    """Blocks and gaps of a call are contiguous and true; delivered and missing per channel."""
    mine = [item for item in items if item.call.session_id == speaker.session]
    opened = next(item for item in mine if isinstance(item, CallOpened))
    closed = next((item for item in mine if isinstance(item, CallClosed)), None)
    delivered: dict[str, int] = {}
    missing: dict[str, int] = {}
    for name in opened.call.channels:
        position = opened.position
        since: list[Gap] = []
        for item in mine:
            if isinstance(item, Gap) and item.channel == name:
                assert item.position == position
                position += item.samples
                missing[name] = missing.get(name, 0) + item.samples
                since.append(item)
            if isinstance(item, Block) and item.channel == name:
                assert item.position == position
                assert item.samples.dtype == np.dtype("<i2")
                assert not item.samples.flags.writeable
                said = speaker.said(CHANNEL[name], position, len(item.samples))
                assert np.array_equal(item.samples, said)
                position += len(item.samples)
                delivered[name] = delivered.get(name, 0) + len(item.samples)
                assert item.gap_before == tuple(since)
                since = []
        if closed is not None:
            assert position == closed.position == speaker.position
            assert closed.totals.channels[name].delivered == delivered.get(name, 0)
            assert sum(closed.totals.channels[name].missing.values()) == missing.get(name, 0)
    return delivered, missing


@pytest.mark.parametrize("listen", ["unix", "tcp:127.0.0.1:0"])
def test_every_sample_arrives_in_order(run: Any, house: Any, listen: str) -> None:
    async def scenario() -> None:
        wishes = {} if listen == "unix" else {"listen": listen}
        async with house(**wishes) as gateway:
            async with connect(gateway.address, gaps=True, events=True) as stream:
                first, second = gateway.open(), gateway.open(media_channels=(1, 0))
                for size in (160, 1, 1600, 7, 8001):
                    first.push(size)
                    second.push(size + 3)
                    await asyncio.wait_for(anext(stream), 5)
                first.gap(4000, 1)
                first.push(800)
                gateway.end(first, "completed")
                gateway.end(second, "lost")
    run(scenario())
