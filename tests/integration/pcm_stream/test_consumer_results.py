"""What one consumer finds out of a call, all others are told, and every way out."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from earhook.client import Call, CallClosed, CallEvent, CallOpened, CommandRefused, Stream, connect
from earhook.media.stream import FrameKind
from earhook.sinks.pcm_stream.watch import Inbound

STARTED = {
    "engine": "scripted",
    "state": "started",
    "dropped_seconds": 0.0,
    "behind_seconds": None,
}


def entry(position: int, **details: Any) -> dict[str, Any]:
    return {"type": "analysis", "position": position, "details": {**STARTED, **details}}


async def first_call(stream: Stream) -> Call:
    opened = await asyncio.wait_for(anext(stream), 5)
    assert isinstance(opened, CallOpened)
    return opened.call


async def until_closed(stream: Stream) -> list[CallEvent]:
    """The events of a stream, up to the first close."""
    events: list[CallEvent] = []
    async with asyncio.timeout(10):
        async for item in stream:
            if isinstance(item, CallEvent):
                events.append(item)
            if isinstance(item, CallClosed):
                return events
    pytest.fail("the stream ended")


def test_everybody_else_is_told(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with (
            house() as gateway,
            connect(gateway.address, events=True) as speaking,
            connect(gateway.address, events=True) as listening,
        ):
            speaker = gateway.open()
            call, _ = await first_call(speaking), await first_call(listening)
            speaker.push(1600)
            await speaking.results(call, [entry(n, engine=f"{n}") for n in range(70)])
            gateway.end(speaker)
            heard = await until_closed(listening)
            assert [event.details["engine"] for event in heard] == [f"{n}" for n in range(70)]
            assert {(event.kind, event.by) for event in heard} == {("analysis", "consumer")}
            assert await until_closed(speaking) == []
            told = [(s, e.position, e.personal, e.by) for s, e in gateway.published]
            assert told == [(speaker.session, n, True, "consumer") for n in range(70)]

    run(scenario())


def test_last_words_are_taken_until_the_call_is_forgotten(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as stream:
            speaker, other = gateway.open(), gateway.open()
            call = await first_call(stream)
            speaker.push(1600)
            gateway.end(speaker)
            await until_closed(stream)
            await stream.results(call, [entry(1600)])
            assert [event.position for _, event in gateway.published] == [1600]
            with pytest.raises(CommandRefused, match="not open"):
                await stream.pause(call)
            gateway.forget(speaker)
            with pytest.raises(CommandRefused, match="no such call"):
                await stream.results(call, [entry(1600)])
            assert len(gateway.published) == 1
            assert gateway.live == {other.session: other}

    run(scenario())


def test_only_who_had_the_call_may_speak_of_it(run: Any, house: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            hidden, shown, ended = gateway.open(), gateway.open(), gateway.open()
            gateway.end(ended)
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe(filter={"sessions": [shown.session]})
            await consumer.until(FrameKind.OPEN)
            asked = [
                (0, {"session": hidden.session}, False),
                (0, {"session": ended.session}, False),
                (0, {}, False),
                (9, {}, False),
                (1, {}, True),
                (0, {"session": shown.session.upper()}, True),
                (1, {"entries": [entry(1)]}, False),
            ]
            for identifier, (number, body, _) in enumerate(asked):
                order = {"command": "results", "entries": [entry(0)], **body}
                consumer.say(FrameKind.COMMAND, number, id=identifier, **order)
            answers: dict[int, bool] = {}
            while len(answers) < len(asked):
                await consumer.read()
                bodies = [
                    orjson.loads(f.body) for f in consumer.frames if f.kind == FrameKind.EVENT
                ]
                answers = {b["id"]: b["ok"] for b in bodies if b["type"] == "command_result"}
            assert answers == {number: ok for number, (_, _, ok) in enumerate(asked)}
            assert [session for session, _ in gateway.published] == [shown.session] * 2

    run(scenario())


def test_results_are_commands_that_may_be_forbidden(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house(listen="tcp:127.0.0.1:0") as gateway:
            async with connect(gateway.address, events=True) as stream:
                gateway.open()
                with pytest.raises(CommandRefused, match="takes no commands"):
                    await stream.results(await first_call(stream), [entry(0)])
                assert gateway.published == []

    run(scenario())


class WatchedInbound(Inbound):
    """Counts how often there was too much."""

    pauses = 0

    def is_too_much(self, more_bytes: int) -> bool:
        self.pauses += super().is_too_much(more_bytes)
        return self.is_paused


def test_who_says_too_much_is_read_on_later(run: Any, house: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            gateway.open()
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe()
            await consumer.until(FrameKind.OPEN)
            (guest,) = gateway.sink._reception.guests
            guest._inbound = watched = WatchedInbound()
            entries = [entry(0)] * 64
            for identifier in range(80):
                consumer.say(
                    FrameKind.COMMAND, 1, command="results", id=identifier, entries=entries
                )
            answered = 0
            async with asyncio.timeout(10):
                while answered < 80:
                    await consumer.read()
                    answered = sum(b"command_result" in frame.body for frame in consumer.frames)
            assert len(gateway.published) == 80 * 64
            assert watched.pauses

    run(scenario())
