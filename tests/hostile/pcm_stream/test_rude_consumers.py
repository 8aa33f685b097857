"""Consumers that break rules, flood or stall: they are cut with a reason, and cost nobody else."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import orjson
import pytest

from earhook.client import CallClosed, connect
from earhook.media.stream import FrameKind, encode_ack, encode_frame

HELLO = {"stream": "earhook-pcm", "version": 1, "role": "consumer"}
DEEP = b"[" * 100_000


def frame(kind: int, body: object) -> bytes:
    return encode_frame(kind, 0, body if isinstance(body, bytes) else orjson.dumps(body))


def header(length: int, kind: int) -> bytes:
    return struct.pack("<IBBHI", length, kind, 0, 0, 0)


GREETED = frame(FrameKind.HELLO, HELLO)
SUBSCRIBED = GREETED + frame(FrameKind.SUBSCRIBE, {})

RUDE: dict[str, tuple[bytes, str]] = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "bad_frame"),
    "length below the header": (header(7, 1), "bad_frame"),
    "longer than allowed": (header(256 << 10, 2), "bad_frame"),
    "not utf-8": (header(9, 1) + b"\xff", "bad_frame"),
    "an ack of the wrong length": (header(9, 8) + b"\0", "bad_frame"),
    "no json": (frame(1, b"{"), "bad_message"),
    "no object": (frame(1, [1]), "bad_message"),
    "nested": (frame(1, DEEP), "bad_message"),
    "empty": (header(8, 1), "bad_message"),
    "another stream": (frame(1, {**HELLO, "stream": "x"}), "bad_message"),
    "another role": (frame(1, {**HELLO, "role": "gateway"}), "bad_message"),
    "version 0": (frame(1, {**HELLO, "version": 0}), "unsupported_version"),
    "version true": (frame(1, {**HELLO, "version": True}), "unsupported_version"),
    "a name that is none": (frame(1, {**HELLO, "name": 5}), "bad_message"),
    "a token that is none": (frame(1, {**HELLO, "token": []}), "bad_message"),
    "subscribe first": (frame(2, {}), "unexpected_frame"),
    "hello twice": (GREETED * 2, "unexpected_frame"),
    "command before subscribe": (GREETED + frame(9, {}), "unexpected_frame"),
    "ack before subscribe": (GREETED + encode_ack(1, 255, 0), "unexpected_frame"),
    "subscribe twice": (SUBSCRIBED + frame(2, {}), "unexpected_frame"),
    "what gateways say": (SUBSCRIBED + frame(3, {}), "unexpected_frame"),
    "audio": (SUBSCRIBED + struct.pack("<IBBHIIQ", 20, 4, 0, 0, 1, 0, 0), "unexpected_frame"),
    "a command that is no object": (SUBSCRIBED + frame(9, []), "bad_message"),
    "filter": (GREETED + frame(2, {"filter": []}), "bad_message"),
    "a key the filter does not have": (
        GREETED + frame(2, {"filter": {"conversation": "x"}}),
        "bad_message",
    ),
    "one text for a list": (GREETED + frame(2, {"filter": {"keys": "west"}}), "bad_message"),
    "channels": (GREETED + frame(2, {"filter": {"channels": ["left"]}}), "bad_message"),
    "too many values": (GREETED + frame(2, {"filter": {"keys": ["k"] * 1025}}), "bad_message"),
    "start": (GREETED + frame(2, {"start": "yesterday"}), "bad_message"),
    "start of a list": (GREETED + frame(2, {"start": []}), "bad_message"),
    "resume": (GREETED + frame(2, {"resume": []}), "bad_message"),
    "resume before the beginning": (GREETED + frame(2, {"resume": {"s": -1}}), "bad_message"),
    "resume at a word": (GREETED + frame(2, {"resume": {"s": "0"}}), "bad_message"),
    "resume beyond all": (GREETED + frame(2, {"resume": {"s": 2**63}}), "bad_message"),
    "done": (GREETED + frame(2, {"done": [5]}), "bad_message"),
}


@pytest.mark.parametrize("rudeness", RUDE)
def test_a_broken_rule_ends_the_connection_with_its_code(
    run: Any, house: Any, raw_consumer: Any, until: Any, rudeness: str
) -> None:
    async def scenario() -> None:
        sent, code = RUDE[rudeness]
        async with house() as gateway:
            gateway.open()
            rude = await raw_consumer.dial(gateway.address)
            rude.writer.write(sent)
            close = await rude.until_end()
            assert close["code"] == code
            assert close["message"]
            await until(lambda: gateway.counter(f"cut_{code}") == 1)
            assert gateway.subscribers() == 0

    run(scenario())


@pytest.mark.parametrize("step", [1, 5, 17])
def test_any_chunking_is_understood(
    run: Any, house: Any, raw_consumer: Any, until: Any, step: int
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            consumer = await raw_consumer.dial(gateway.address)
            sent = SUBSCRIBED + encode_ack(1, 255, 7) + struct.pack("<IBBHI", 8, 77, 9, 9, 9)
            for at in range(0, len(sent), step):
                consumer.writer.write(sent[at : at + step])
                await consumer.writer.drain()
            await consumer.until(FrameKind.EVENT)
            assert gateway.subscribers() == 1

    run(scenario())


def test_silence_is_not_a_hello(run: Any, house: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with house(hello_seconds=0.2) as gateway:
            silent = await raw_consumer.dial(gateway.address)
            trickling = await raw_consumer.dial(gateway.address)
            trickling.writer.write(GREETED)
            assert (await silent.until_end())["message"] == "no hello within 0.2 s"
            assert (await trickling.until_end())["message"] == "no subscribe within 0.2 s"
            assert gateway.counter("cut_hello_timeout") == 2

    run(scenario())


def test_there_is_a_limit_to_consumers(run: Any, house: Any, raw_consumer: Any) -> None:
    async def scenario() -> None:
        async with house(max_subscribers=2) as gateway:
            consumers = []
            for _ in range(2):
                consumer = await raw_consumer.dial(gateway.address)
                consumer.subscribe()
                await consumer.until(FrameKind.EVENT)
                consumers.append(consumer)
            third = await raw_consumer.dial(gateway.address)
            third.subscribe()
            assert (await third.until_end())["code"] == "too_many_subscribers"

    run(scenario())


def test_strangers_that_say_nothing_are_limited_too(
    run: Any, house: Any, raw_consumer: Any
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            strangers = [await raw_consumer.dial(gateway.address) for _ in range(40)]
            closes = [await stranger.until_end() for stranger in strangers[-4:]]
            assert {close["code"] for close in closes} == {"too_many_subscribers"}

    run(scenario())


def test_who_takes_nothing_is_cut(run: Any, house: Any, raw_consumer: Any, until: Any) -> None:
    async def scenario() -> None:
        async with house(stuck_seconds=0.5) as gateway:
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open()
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            await until(lambda: gateway.counter("cut_stuck") == 1)
            gateway.end(speaker)
            books = gateway.settled[speaker.session]
            assert books.received == speaker.position - _since_cut(books, speaker)

    run(scenario())


def _since_cut(books: Any, speaker: Any) -> int:
    """Nobody reads what is pushed after the cut; nothing was."""
    return int(speaker.position - books.received)


def test_json_that_waits_for_a_consumer_is_bounded(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with (
            house(control_backlog_bytes=1 << 16) as gateway,
            connect(gateway.address, events=True) as healthy,
        ):
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 2)
            speaker = gateway.open()
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            sent = 0
            while gateway.counter("cut_control_backlog") == 0:
                gateway.publish(speaker, "note", text="x" * 1000)
                sent += 1
                assert sent < 1000
            assert gateway.subscribers() == 1
            gateway.end(speaker)
            kinds = []
            async with asyncio.timeout(10):
                async for item in healthy:
                    kinds.append(type(item).__name__)
                    if isinstance(item, CallClosed):
                        break
            assert kinds.count("CallEvent") == sent

    run(scenario())


def test_calls_that_come_and_go_do_not_pile_up(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house(control_backlog_bytes=1 << 16, ring_seconds=0.2) as gateway:
            stuck = await raw_consumer.dial(gateway.address, limit=4096)
            stuck.subscribe()
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open()
            await until(lambda: speaker.push(1600) or gateway.is_blocked())
            ring_bytes = gateway.budget.used_bytes
            for _ in range(500):
                brief = gateway.open()
                brief.push(400)
                gateway.end(brief)
                gateway.forget(brief)
                del brief
            assert gateway.counter("cut_control_backlog") == 1
            assert len(gateway.settled) == 500
            assert gateway.budget.used_bytes <= ring_bytes
            assert gateway.books().buffered == 0

    run(scenario())


def test_a_flood_of_acks_and_commands_is_slowed_not_obeyed(
    run: Any, house: Any, raw_consumer: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house() as gateway, connect(gateway.address, events=True) as healthy:
            gateway.open()
            flooding = await raw_consumer.dial(gateway.address)
            flooding.subscribe()
            await flooding.until(FrameKind.EVENT)
            command = encode_frame(FrameKind.COMMAND, 1, b'{"command":"pause"}')
            acks = encode_ack(1, 255, 2**64 - 1) * 50_000
            flooding.writer.write(command * 20_000 + acks)
            for _ in range(20):
                speaker = gateway.open()
                speaker.push(160)
                gateway.end(speaker)
                async with asyncio.timeout(2):
                    while not isinstance(await anext(healthy), CallClosed):
                        pass
            # A second's worth at most, plus what one read of the socket brings.
            assert len(gateway.commands) < 12_000

    run(scenario())


def test_coming_and_going_all_the_time_is_no_way_to_load_the_gateway(
    run: Any, house: Any, raw_consumer: Any
) -> None:
    async def scenario() -> None:
        async with house(max_subscribers=4) as gateway:
            codes = set()
            for _ in range(20):
                restless = await raw_consumer.dial(gateway.address)
                restless.subscribe()
                try:
                    await restless.until(FrameKind.EVENT)
                except EOFError:
                    codes.add((await restless.until_end())["code"])
                restless.close()
            assert codes == {"too_many_subscribers"}
            assert 4 <= gateway.counter("subscribed") < 20

    run(scenario())
