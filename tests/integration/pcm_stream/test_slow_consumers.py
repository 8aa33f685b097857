"""A consumer that does not read loses its own oldest audio, counted; nobody else notices."""

from __future__ import annotations

from typing import Any

import orjson

from earhook.client import Block, CallClosed, connect
from earhook.media.stream import FrameKind, GapReason

KINDS = frozenset({FrameKind.AUDIO, FrameKind.GAP})


def test_never_reading_costs_nobody_else_anything(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            house(ring_seconds=1.0) as gateway,
            connect(gateway.address, events=True) as healthy,
        ):
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 2)
            speakers = [gateway.open() for _ in range(4)]
            received = 0
            for _ in range(100):
                for speaker in speakers:
                    speaker.push(1600)
                received += 4 * 2 * 1600
                heard = 0
                while heard < 4 * 2 * 1600:
                    item = await anext(healthy)
                    heard += len(item.samples) if isinstance(item, Block) else 0
            slow = gateway.sink.snapshot().subscribers
            lags = sorted(row["lag_samples"] for row in slow)
            assert lags == [0, 4 * 8000]
            for speaker in speakers:
                gateway.end(speaker)
            closed = [item async for item in _closes(healthy, 4)]
            assert all(item.totals.verified for item in closed)
            assert all(not item.totals.channels["external"].missing for item in closed)

            # Now it reads: what it gets, and what it is told is gone, is everything.
            for number in range(1, 5):
                await stuck.until(FrameKind.CLOSE, number)
            assert gateway.books().buffered == 0
            for number in range(1, 5):
                check_books(stuck.frames, number, end=160_000)
            dropped = gateway.books().dropped["overrun"]
            gaps = sum(frame.samples for frame in stuck.frames if frame.kind == FrameKind.GAP)
            assert 0 < dropped == gaps

    run(scenario())


def test_what_is_not_read_until_the_call_is_forgotten_is_a_gap(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=1.0) as gateway:
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 1)
            blocker, quiet = gateway.open(), gateway.open()
            await until(lambda: blocker.push(1600) or gateway.is_blocked())
            quiet.push(500)
            late = gateway.open()
            late.push(300)
            for speaker in (blocker, quiet, late):
                gateway.end(speaker)
            assert gateway.settled == {}
            for speaker in (blocker, quiet, late):
                gateway.forget(speaker)
            assert len(gateway.settled) == 3
            assert gateway.books().buffered == 0
            assert gateway.budget.used_bytes > 0
            for number, end in enumerate((blocker.position, 500, 300), start=1):
                await stuck.until(FrameKind.CLOSE, number)
                check_books(stuck.frames, number, end=end)

    run(scenario())


def test_late_and_overrun_are_told_apart_where_a_consumer_comes_late_and_does_not_read(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=1.0) as gateway:
            speaker = gateway.open()
            speaker.push(12_000)
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 1)
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            speaker.push(10_000)
            gateway.end(speaker)
            gateway.forget(speaker)
            await stuck.until(FrameKind.CLOSE, 1)
            check_books(stuck.frames, 1, end=speaker.position)
            gaps = [frame for frame in stuck.frames if frame.kind == FrameKind.GAP]
            late = [(gap.position, gap.samples) for gap in gaps if gap.reason == GapReason.LATE]
            assert late == [(0, 4000)]
            assert gaps[-1].reason == GapReason.OVERRUN
            assert gateway.settled[speaker.session].late == 4000

    run(scenario())


def test_a_program_that_is_slow_keeps_its_connection_and_gets_gaps(
    run: Any, house: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            house(ring_seconds=1.0) as gateway,
            connect(gateway.address, events=True, gaps=True, buffer_bytes=1 << 16) as stream,
        ):
            speaker = gateway.open()
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            speaker.push(16_000)
            gateway.end(speaker)
            items = []
            async for item in stream:
                items.append(item)
                if isinstance(item, CallClosed):
                    break
            totals = items[-1].totals
            assert totals.verified
            external = totals.channels["external"]
            assert external.missing["overrun"] > 0
            assert external.delivered + external.missing["overrun"] == speaker.position
            assert gateway.books().dropped["overrun"] == external.missing["overrun"]
            assert gateway.counter("subscribed") == 1

    run(scenario())


async def _closes(stream: Any, count: int) -> Any:
    while count:
        item = await anext(stream)
        if isinstance(item, CallClosed):
            count -= 1
            yield item


def check_books(frames: Any, number: int, *, end: int) -> None:
    """What came of a call is contiguous in each channel, ends at the end, and is what is told."""
    mine = [frame for frame in frames if frame.call == number]
    assert mine[0].kind == FrameKind.OPEN
    assert mine[-1].kind == FrameKind.CLOSE
    books = orjson.loads(mine[-1].body)["books"]
    assert orjson.loads(mine[-1].body)["position"] == end
    for channel in (0, 1):
        position = forwarded = 0
        for frame in mine:
            if frame.kind in KINDS and frame.channel in (channel, 255):
                assert frame.position == position
                position += frame.samples
                forwarded += frame.samples if frame.kind == FrameKind.AUDIO else 0
        assert position == end
        assert forwarded == books["forwarded"]
        assert books["received"] == forwarded + sum(books["dropped"].values())
