"""Connections break at any moment; within the ring's span not a sample is lost or repeated."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from earhook.client import (
    Block,
    CallClosed,
    CallOpened,
    Gap,
    Item,
    Stream,
    StreamRefused,
    connect,
    serve,
)

from .listening import check, until_closed


def cut(stream: Stream) -> None:
    """End the connection under a stream, as a broken network does."""
    for link in list(stream._links):
        link.close()


def test_resume_loses_and_repeats_nothing(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        chance = random.Random(7)
        async with (
            house(ring_seconds=30.0) as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            speakers = [gateway.open() for _ in range(3)]
            items: list[Item] = []
            for _ in range(12):
                for speaker in speakers:
                    speaker.push(chance.randrange(1, 4000))
                    speaker.gap(chance.randrange(3), 1)
                taken = chance.randrange(12)
                items += [await asyncio.wait_for(anext(stream), 5) for _ in range(taken)]
                cut(stream)
                await until(lambda: stream.connections == 1)
            for speaker in speakers:
                gateway.end(speaker)
            while sum(isinstance(item, CallClosed) for item in items) < 3:
                items.append(await asyncio.wait_for(anext(stream), 5))
            for speaker in speakers:
                assert check(speaker, items)[0] == speaker.call.pipeline.written_samples
            assert all(item.totals.verified for item in items if isinstance(item, CallClosed))
            assert gateway.counter("resumed") >= 3

    run(scenario())


def test_calls_that_began_and_ended_while_away_are_had_in_full(
    run: Any, house: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            house(ring_seconds=30.0) as gateway,
            connect(gateway.address, gaps=True, events=True, start="now") as stream,
        ):
            known, done = gateway.open(), gateway.open()
            known.push(100)
            done.push(100)
            gateway.end(done)
            items = await until_closed(stream)
            cut(stream)
            begun, passed = gateway.open(), gateway.open()
            for speaker in (known, begun, passed):
                speaker.push(5000)
            gateway.end(passed)
            await until(lambda: stream.connections == 1)
            gateway.end(known)
            gateway.end(begun)
            items += await until_closed(stream, calls=3)
            for speaker in (known, begun, passed, done):
                assert check(speaker, items) == (speaker.position, 0)

    run(scenario())


def test_beyond_the_ring_the_loss_is_marked(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with (
            house(ring_seconds=1.0) as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            speaker = gateway.open()
            speaker.push(1000)
            items = [await asyncio.wait_for(anext(stream), 5) for _ in range(3)]
            cut(stream)
            await until(lambda: gateway.subscribers() == 0)
            speaker.push(10_000)
            await until(lambda: stream.connections == 1)
            gateway.end(speaker)
            items += await until_closed(stream)
            assert check(speaker, items) == (9000, 2000)
            closed = items[-1]
            assert isinstance(closed, CallClosed)
            assert closed.totals.channels["external"].missing == {"overrun": 2000}

    run(scenario())


def test_calls_of_a_gateway_that_came_back_as_another_are_lost(
    run: Any, house: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house() as first:
            stream = connect(first.address, gaps=True, events=True)
            async with stream:
                speaker = first.open()
                speaker.push(640)
                items = [await asyncio.wait_for(anext(stream), 5) for _ in range(3)]
                await first.sink.stop(1.0)
                async with house() as second:
                    await until(lambda: second.subscribers() == 1)
                    items += await until_closed(stream)
                    closed = items[-1]
                    assert isinstance(closed, CallClosed)
                    assert (closed.reason, closed.position) == ("lost", 640)
                    assert not closed.totals.verified
                    successor = second.open()
                    second.end(successor)
                    assert len(await until_closed(stream)) == 2

    run(scenario())


def test_without_reconnect_the_end_of_the_gateway_ends_the_stream(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            async with connect(gateway.address, reconnect=False) as stream:
                speaker = gateway.open()
                speaker.push(300)
                await gateway.sink.stop(2.0)
                blocks = [item async for item in stream]
                assert [len(block.samples) for block in blocks] == [300, 300]
            async with asyncio.timeout(5):
                with pytest.raises(FileNotFoundError):
                    async with connect(gateway.address, give_up_seconds=0):
                        pass

    run(scenario())


def test_the_gateway_dials_and_dials_again(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with serve("tcp:127.0.0.1:0", gaps=True, events=True) as service:
            async with (
                house(connect=service.address, ring_seconds=30.0) as east,
                house(connect=service.address, ring_seconds=30.0) as west,
            ):
                await until(lambda: service.connections == 2)
                speakers = [east.open(), west.open()]
                for _ in range(3):
                    for speaker in speakers:
                        speaker.push(2000)
                    cut(service)
                    await until(lambda: service.connections == 0)
                    await until(lambda: service.connections == 2)
                east.end(speakers[0])
                west.end(speakers[1])
                items = await until_closed(service, calls=2)
                for speaker in speakers:
                    assert check(speaker, items) == (6000, 0)
                assert east.sink.snapshot().detail == f"connected with {service.address}"

    run(scenario())


def test_a_service_that_is_not_there_yet_is_no_fault(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with serve("tcp:127.0.0.1:0") as earlier:
            address = earlier.address
        async with house(connect=address, redial_seconds=0.1, ring_seconds=30.0) as gateway:
            speaker = gateway.open()
            speaker.push(123)
            await until(lambda: "cannot reach" in gateway.sink.snapshot().detail)
            assert gateway.sink.snapshot().healthy
            async with serve(address) as service:
                block = await asyncio.wait_for(anext(service), 5)
                assert isinstance(block, Block)
                assert (block.position, len(block.samples)) == (0, 123)

    run(scenario())


def test_plain_asyncio_will_do(house: Any) -> None:
    async def scenario() -> None:
        async with (
            house(listen="tcp:127.0.0.1:0") as gateway,
            connect(gateway.address, gaps=True, events=True, buffer_bytes=1 << 14) as stream,
        ):
            speaker = gateway.open()
            for _ in range(20):
                speaker.push(1600)
            cut(stream)
            gateway.end(speaker)
            items = await until_closed(stream)
            check(speaker, items)
            assert sum(isinstance(item, CallOpened | Gap) for item in items) >= 1

    asyncio.run(scenario())


def test_a_refusal_that_is_final_is_raised(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house(listen="tcp:127.0.0.1:0", token="sesame") as gateway:
            for token in (None, "wrong", ""):
                with pytest.raises(StreamRefused) as refused:
                    async with connect(gateway.address, token=token):
                        pass
                assert refused.value.code == "unauthorized"
            async with connect(gateway.address, token="sesame", events=True) as stream:
                gateway.end(gateway.open())
                assert len(await until_closed(stream)) == 2
            assert gateway.counter("cut_unauthorized") == 3

    run(scenario())
