"""A pause whose consumer is gone stays, and is told of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from earhook.client import CallOpened, Stream, connect
from earhook.sinks.pcm_stream import pauses


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "LEFT_SECONDS", 0.1)


async def pause(stream: Stream) -> Any:
    opened = await asyncio.wait_for(anext(stream), 5)
    assert isinstance(opened, CallOpened)
    await stream.pause(opened.call)
    return opened.call


def left(gateway: Any) -> list[str]:
    return [session for session, event in gateway.published if event.kind == "pause_left"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pause_that_outlives_its_consumer_is_told_once(
    run: Any, until: Any, house: Any, when: str
) -> None:
    """Whether the peer has carried it out by then, or does so later."""

    async def story() -> None:
        async with house() as gateway:
            speaker, other = gateway.open(), gateway.open()
            async with connect(gateway.address, events=True, sessions=[speaker.session]) as stream:
                await pause(stream)
                if when == "before":
                    gateway.publish(speaker, "paused", by="gateway")
                gateway.publish(other, "paused", by="peer")
            await until(lambda: not gateway.subscribers())
            if when == "after":
                gateway.publish(speaker, "paused", by="gateway")
            await until(lambda: left(gateway) == [speaker.session])
            assert gateway.counter("pauses_left") == 1
            async with connect(gateway.address, events=True, sessions=[speaker.session]) as again:
                opened = await asyncio.wait_for(anext(again), 5)
                await again.resume(opened.call)
                gateway.publish(speaker, "resumed", start=0, samples=8000, reason="paused")
            gateway.publish(speaker, "paused", by="peer")
            await until(lambda: not gateway.subscribers())
            assert left(gateway) == [speaker.session]

    run(story())


@pytest.mark.parametrize("how", ["resume", "resumed", "end", "pause"])
def test_what_is_taken_care_of_is_not_told(run: Any, until: Any, house: Any, how: str) -> None:
    async def story() -> None:
        async with house() as gateway:
            speaker, marker = gateway.open(), gateway.open()
            async with connect(gateway.address, events=True, sessions=[speaker.session]) as stays:
                call = (await asyncio.wait_for(anext(stays), 5)).call
                async with connect(
                    gateway.address, events=True, sessions=[speaker.session]
                ) as stream:
                    await pause(stream)
                    gateway.publish(speaker, "paused", by="gateway")
                await until(lambda: gateway.subscribers() == 1)
                if how == "resume":
                    await stays.resume(call)
                elif how == "pause":
                    await stays.pause(call)
                elif how == "resumed":
                    gateway.publish(speaker, "resumed", start=0, samples=8000, reason="paused")
                else:
                    gateway.end(speaker)
                # Another one that is left later is told; this one would have been before.
                async with connect(
                    gateway.address, events=True, sessions=[marker.session]
                ) as stream:
                    await pause(stream)
                    gateway.publish(marker, "paused", by="gateway")
                await until(lambda: left(gateway))
                assert left(gateway) == [marker.session]

    run(story())
