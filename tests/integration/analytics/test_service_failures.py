"""Services that fall silent or hang up in mid call: the line goes on, and what is lost is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from earhook.analytics import hearing as hearing_module
from earhook.analytics.engine import EngineOptions
from earhook.analytics.engines import engine_socket, wyoming
from earhook.testing.engines import Spoken, WyomingServer

from .lines import RATE, noise
from .test_engines import SERVERS, engine_for
from .test_hearing import Story

CUT, AFTER = Spoken("my order number is lost", 0.4, 2.4), Spoken("hello again", 0.4, 0.8)
FAULTS = [
    ({"drop_after_seconds": 1.0}, ""),
    ({"close_after_seconds": 1.0}, ""),
    ({"mute_after_seconds": 1.0}, "the service has said nothing for 0.2 s"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing_module, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(engine_socket, "SILENT_SECONDS", 0.2)


@asynccontextmanager
async def line(engine: Any) -> AsyncIterator[Story]:
    """A line into an engine, until the end of the block."""
    told = Story(engine)
    told.hearing._pause_seconds = 0.05
    try:
        yield told
    finally:
        await told.hearing.close()
        await engine.close()


def pushing(told: Story, condition: Any) -> Any:
    """Whether it is so; as long as it is not, the call goes on."""

    def look() -> bool:
        if condition():
            return True
        told.push(0.02)
        return False

    return look


def lost(told: Story) -> list[tuple[int, int]]:
    """What was missed, in order and joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(told.missed):
        if joined and start == joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            assert not joined or start > joined[-1][1], "told twice"
            joined.append((start, end))
    return joined


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(("fault", "why"), FAULTS, ids=["cut", "closed", "mute"])
def test_the_line_goes_on_with_another_connection(
    run: Any, until: Any, name: str, fault: dict[str, float], why: str
) -> None:
    async def story() -> None:
        async with SERVERS[name]([CUT], [AFTER], **fault) as server:
            async with line(engine_for(name, server)) as told:
                finals: Any = lambda: [one for one in told.said if one.is_final]  # noqa: E731
                await until(pushing(told, finals))
                await told.hearing.finish()

                assert server.connections == 2
                assert finals()[0].text == AFTER.text
                assert len(told.failed) == 1
                assert why in str(told.failed[0])
                ((start, end),) = lost(told)
                assert end - start == told.hearing.dropped_samples
                # The first connection had begun to tell of what it heard; none of it was final.
                assert start <= 0.8 * RATE
                second = server.audio_bytes[1] // 2
                assert end + second == told.position
                assert finals()[0].words[0].start == pytest.approx(end + 0.4 * RATE, abs=2)

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_a_service_that_hangs_up_every_time_is_dialled_less_and_less_often(
    run: Any, until: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing_module, "LONGEST_PAUSE_SECONDS", 0.4)

    async def story() -> None:
        async with SERVERS[name]([CUT], close_after_seconds=0.0) as server:
            server.faulty_connections = 1000
            async with line(engine_for(name, server)) as told:
                loop = asyncio.get_running_loop()
                began = loop.time()
                await until(pushing(told, lambda: len(told.failed) >= 5), 20)
                # 0.05, 0.1, 0.2 and 0.4 s lie between them, and then never more.
                assert loop.time() - began >= 0.75
                assert told.hearing._pause_seconds == 0.4
                assert server.connections == 5
                await told.hearing.finish()
                assert told.hearing.dropped_samples == told.position
                assert lost(told) == [(0, told.position)]

    run(story())


def test_an_utterance_that_wyoming_never_answers_is_lost_and_the_next_is_not(
    run: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming, "ANSWER_SECONDS", 0.2)

    async def story() -> None:
        async with WyomingServer(["", "hello again"], mute_connections=1) as server:
            async with line(wyoming.make_engine(EngineOptions(address=server.address))) as told:
                speech = noise(1.0, level=4000)
                told.push(1.0)
                told.hear(speech)
                told.push(1.0)
                await until(lambda: told.failed)
                assert "no transcript within 0.2 s" in str(told.failed[0])
                await until(pushing(told, lambda: told.hearing._recogniser is not None))
                told.push(1.0)
                told.hear(speech)
                told.push(1.0)
                await until(lambda: told.said)
                assert [one.text for one in told.said] == ["hello again"]
                assert told.hearing.dropped_samples >= 0.9 * RATE
                assert lost(told)[0][0] <= RATE
                await told.hearing.finish()

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_a_pause_is_no_silence_of_the_service(
    run: Any, until: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent through it, so nothing need come back."""
    monkeypatch.setattr(engine_socket, "PAUSE_SECONDS", 0.1)

    async def story() -> None:
        async with (
            SERVERS[name]([CUT], mute_after_seconds=0.0) as server,
            line(engine_for(name, server)) as told,
        ):
            told.push(0.2)
            await until(lambda: sum(server.audio_bytes))
            loop = asyncio.get_running_loop()
            paused = loop.time()
            told.skip(60.0)
            await until(lambda: loop.time() - paused > 0.3)
            told.push(0.2)
            await told.hearing.finish()
            assert told.failed == []

    run(story())
