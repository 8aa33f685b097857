"""What consumers ask of calls reaches the one door, checked, and is answered."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import orjson
import pytest

from earhook.client import Call, CallOpened, CommandRefused, Stream, connect
from earhook.media.stream import FrameKind
from earhook.protocol.commands import BargeIn, Disconnect, Finish, Pause, Play, RelayEvent, Resume
from earhook.protocol.messages import DisconnectReason, Entity


async def first_call(stream: Stream) -> Call:
    opened = await asyncio.wait_for(anext(stream), 5)
    assert isinstance(opened, CallOpened)
    return opened.call


def test_every_command_of_the_sdk(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as stream:
            gateway.open()
            speaker = gateway.open()
            await first_call(stream)
            call = await first_call(stream)
            await stream.pause(call)
            await stream.resume(call)
            await stream.send_event(call, [{"type": "x", "data": {"n": 1}}])
            await stream.play(call, np.arange(4, dtype=np.int16))
            await stream.play(call, np.zeros(100_000, np.int16))
            await stream.barge_in(call)
            await stream.finish(call)
            await stream.disconnect(call, "error", info="why", output_variables={"a": "b"})
            assert {session for session, _ in gateway.commands} == {speaker.session}
            commands = [command for _, command in gateway.commands]
            assert commands[:3] == [Pause(), Resume(), RelayEvent((Entity("x", {"n": 1}),))]
            assert commands[3] == Play(np.arange(4, dtype="<i2").tobytes())
            played = b"".join(c.audio for c in commands[4:] if isinstance(c, Play))
            assert len(played) == 200_000
            assert commands[-3:] == [
                BargeIn(),
                Finish(),
                Disconnect(DisconnectReason.ERROR, "why", {"a": "b"}),
            ]

    run(scenario())


def test_audio_is_brought_into_the_codec_of_the_call(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as stream:
            gateway.open(codec="PCMU")
            await stream.play(await first_call(stream), bytes(6))
            assert gateway.commands[0][1] == Play(b"\xff\xff\xff")

    run(scenario())


def test_refusals_reach_the_program(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as stream:
            speaker = gateway.open()
            call = await first_call(stream)
            gateway.refuse = CommandRefused("not while paused")
            with pytest.raises(CommandRefused, match="not while paused"):
                await stream.pause(call)
            gateway.refuse = None
            with pytest.raises(CommandRefused, match="reason is one of"):
                await stream.disconnect(call, "bored")
            gateway.end(speaker)
            await anext(stream)
            with pytest.raises(CommandRefused, match="not open"):
                await stream.pause(call)
            assert gateway.counter("commands_refused") == 2

    run(scenario())


def test_an_answer_comes_even_if_nobody_takes_the_audio(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with (
            house() as gateway,
            connect(gateway.address, events=True, buffer_bytes=1 << 14) as stream,
        ):
            speaker = gateway.open()
            call = await first_call(stream)
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            await stream.pause(call)
            assert gateway.commands == [(speaker.session, Pause())]

    run(scenario())


def test_commands_can_be_forbidden(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house(listen="tcp:127.0.0.1:0") as gateway:
            async with connect(gateway.address, events=True) as stream:
                gateway.open()
                with pytest.raises(CommandRefused, match="takes no commands"):
                    await stream.pause(await first_call(stream))
                assert gateway.commands == []

    run(scenario())


def test_commands_by_session_and_malformed_ones(run: Any, house: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            speaker, hidden = gateway.open(), gateway.open()
            consumer = await raw_consumer.dial(gateway.address)
            consumer.subscribe(filter={"sessions": [speaker.session]})
            await consumer.until(FrameKind.OPEN)
            upper = speaker.session.upper()
            audio = base64.b64encode(b"odd").decode()
            asked: list[tuple[int, dict[str, Any], bool]] = [
                (0, {"command": "pause", "session": upper}, True),
                (0, {"command": "pause", "session": hidden.session}, False),
                (0, {"command": "pause"}, False),
                (7, {"command": "pause"}, False),
                (1, {"command": "dance"}, False),
                (1, {"command": ["pause"]}, False),
                (1, {"command": "pause", "session": 5}, False),
                (1, {"command": "disconnect", "info": 5}, False),
                (1, {"command": "disconnect", "output_variables": {"a": 1}}, False),
                (1, {"command": "event", "entities": []}, False),
                (1, {"command": "event", "entities": [{"type": 1}]}, False),
                (1, {"command": "play", "audio": "?"}, False),
                (1, {"command": "play", "audio": ""}, False),
                (1, {"command": "play", "audio": audio}, False),
                (1, {"command": "play", "audio": audio, "encoding": "ogg"}, False),
                (1, {"command": "play", "audio": audio, "encoding": "wire"}, True),
            ]
            for identifier, (number, body, _) in enumerate(asked):
                consumer.say(FrameKind.COMMAND, number, id=identifier, **body)
            results: dict[int, bool] = {}
            seen = 0
            while len(results) < len(asked):
                await consumer.read()
                for frame in consumer.frames[seen:]:
                    body = orjson.loads(frame.body) if frame.kind == FrameKind.EVENT else {}
                    if body.get("type") == "command_result" and body["id"] is not None:
                        results[body["id"]] = body["ok"]
                    elif body.get("type") == "command_result":
                        # An envelope that cannot be read has no id to give back.
                        results[min(set(range(len(asked))) - results.keys())] = body["ok"]
                seen = len(consumer.frames)
            assert results == {number: ok for number, (_, _, ok) in enumerate(asked)}
            assert [command for _, command in gateway.commands] == [Pause(), Play(b"odd")]

    run(scenario())
