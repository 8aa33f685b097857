"""The sink and the SDK, joined by real sockets: every sample, in order, or a gap in its place."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import numpy as np
import pytest

from earhook.client import (
    Block,
    CallClosed,
    CallEvent,
    CallOpened,
    connect,
    subscribe,
)

from .listening import check, until_closed


@pytest.mark.parametrize("wishes", [{}, {"listen": "tcp:127.0.0.1:0"}], ids=["unix", "tcp"])
def test_every_sample_arrives_in_order(run: Any, house: Any, wishes: dict[str, str]) -> None:
    async def scenario() -> None:
        async with (
            house(**wishes) as gateway,
            connect(gateway.address, gaps=True, events=True) as stream,
        ):
            first, second = gateway.open(), gateway.open(media_channels=(1, 0))
            for size in (160, 1, 1600, 7, 8001):
                first.push(size)
                second.push(size + 3)
            first.gap(4000, 1)
            first.push(800)
            gateway.end(first)
            gateway.end(second, "lost")
            items = await until_closed(stream, calls=2)
            assert check(first, items) == (160 + 1 + 1600 + 7 + 8001 + 800, 4000)
            assert check(second, items)[1] == 0
            closed = {item.call.session_id: item for item in items if isinstance(item, CallClosed)}
            assert closed[first.session].reason == "completed"
            assert closed[second.session].reason == "lost"
            assert all(item.totals.verified for item in closed.values())
            assert gateway.settled[first.session].forwarded == first.call.pipeline.written_samples
            books = gateway.books()
            assert (books.buffered, books.dropped.get("overrun", 0)) == (0, 0)

    run(scenario())


def test_the_facts_of_a_call_arrive(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as stream:
            speaker = gateway.open(language="en-US", key_name="west", input_variables={"a": "b"})
            opened = await asyncio.wait_for(anext(stream), 5)
            assert isinstance(opened, CallOpened)
            facts, call = speaker.call.facts, opened.call
            assert call.session_id == facts.session_id
            assert call.conversation_id == facts.conversation_id
            assert call.organization_id == facts.organization_id
            assert (call.key_name, call.language, call.codec) == ("west", "en-US", "L16")
            assert (call.channels, call.rate) == (("external", "internal"), 8000)
            assert call.participant is not None
            assert call.participant.ani == "+15550100"
            assert "+15550100" not in repr(call)
            assert call.facts["input_variables"] == {"a": "b"}
            assert stream.calls == (call,)

    run(scenario())


def test_the_short_form_gives_blocks_only(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            speaker = gateway.open()
            speaker.push(400)
            blocks = subscribe(gateway.address, channels=("internal",), reconnect=False)
            block = await asyncio.wait_for(anext(blocks), 5)
            assert (block.channel, block.position, block.seconds) == ("internal", 0, 0.0)
            assert np.array_equal(block.samples, speaker.said(1, 0, 400))
            await blocks.aclose()

    run(scenario())


def test_events_come_after_the_audio_before_them(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as stream:
            speaker = gateway.open()
            for number in range(50):
                speaker.push(100)
                gateway.publish(speaker, "dtmf", digit=str(number))
            gateway.end(speaker)
            items = await until_closed(stream)
            check(speaker, items)
            events = [item for item in items if isinstance(item, CallEvent)]
            assert [item.details["digit"] for item in events] == [str(n) for n in range(50)]
            for event in events:
                before = items[: items.index(event)]
                heard = sum(len(item.samples) for item in before if isinstance(item, Block))
                assert heard >= 2 * event.position

    run(scenario())


def test_start_and_now(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=1.0) as gateway:
            speaker = gateway.open()
            speaker.push(12_000)
            async with (
                connect(gateway.address, gaps=True, events=True) as all_of_it,
                connect(gateway.address, gaps=True, events=True, start="now") as from_now,
            ):
                speaker.push(500)
                gateway.end(speaker)
                assert check(speaker, await until_closed(all_of_it)) == (8500, 4000)
                items = await until_closed(from_now)
                assert isinstance(items[0], CallOpened)
                assert items[0].position == 12_000
                assert check(speaker, items) == (500, 0)
            books = gateway.settled[speaker.session]
            assert (books.received, books.forwarded) == (9000, 9000)
            assert (books.dropped, books.late) == ({}, 4000)

    run(scenario())


def test_filters(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            before = gateway.open(organization_id="AAAAAAAA-0000-0000-0000-000000000001")
            address = gateway.address
            async with (
                connect(
                    address, events=True, organizations=["aaaaaaaa-0000-0000-0000-000000000001"]
                ) as by_organization,
                connect(address, events=True, keys=["west"]) as by_key,
                connect(
                    address, events=True, sessions=[before.session], channels=["internal"]
                ) as by_session,
            ):
                west = gateway.open(key_name="west", media_channels=(0,))
                other = gateway.open()
                for speaker in (before, west, other):
                    speaker.push(300)
                    gateway.end(speaker)
                for stream, speaker in (
                    (by_organization, before),
                    (by_key, west),
                    (by_session, before),
                ):
                    items = await until_closed(stream)
                    assert {item.call.session_id for item in items} == {speaker.session}
                    assert check(speaker, items) == (300, 0)
                assert items[0].call.channels == ("internal",)
            # Nobody asked for it: settled, with nothing received.
            assert gateway.settled[other.session].received == 0

    run(scenario())


def test_a_call_without_a_wanted_channel_is_not_opened(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with (
            house() as gateway,
            connect(gateway.address, events=True, channels=["internal"]) as stream,
        ):
            mono, both = gateway.open(media_channels=(0,)), gateway.open()
            gateway.end(mono)
            gateway.end(both)
            items = await until_closed(stream)
            assert {item.call.session_id for item in items} == {both.session}

    run(scenario())


def test_calls_that_ended_a_moment_ago_can_still_be_heard(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            ended, gone = gateway.open(), gateway.open()
            for speaker in (ended, gone):
                speaker.push(700)
                gateway.end(speaker)
            gateway.forget(gone)
            async with connect(gateway.address, events=True) as stream:
                items = await until_closed(stream)
                assert {item.call.session_id for item in items} == {ended.session}
                assert check(ended, items) == (700, 0)
            async with connect(gateway.address, events=True, start="now") as stream:
                live = gateway.open()
                gateway.end(live)
                items = await until_closed(stream)
                assert {item.call.session_id for item in items} == {live.session}

    run(scenario())


def test_thousands_of_calls_are_opened_for_a_late_consumer(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=0.2, control_backlog_bytes=1 << 16) as gateway:
            speakers = [gateway.open() for _ in range(2000)]
            for speaker in speakers:
                speaker.push(20)
            async with connect(gateway.address, events=True) as stream:
                for speaker in speakers:
                    gateway.end(speaker)
                items = await until_closed(stream, calls=2000)
                assert sum(isinstance(item, CallOpened) for item in items) == 2000
                assert all(i.totals.verified for i in items if isinstance(i, CallClosed))
            assert gateway.books().forwarded == 2000 * 20
            assert len(gateway.settled) == 2000

    run(scenario())


def test_a_consumer_that_has_gone_leaves_nothing_for_the_collector(
    run: Any, until: Any, house: Any
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            speaker = gateway.open()
            async with connect(gateway.address) as stream:
                speaker.push(1600)
                await asyncio.wait_for(anext(stream), 5)
                (guest,) = gateway.sink._reception.guests
                gone = weakref.ref(guest)
                del guest
            await until(lambda: gone() is None)

    gc.disable()
    try:
        run(scenario())
    finally:
        gc.enable()
