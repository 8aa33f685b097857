"""Peers of the ingest port that are slow on purpose, or send a great deal of very little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from earhook.edge.arrival import EdgeRules
from earhook.edge.settings import ConnectionLimits
from earhook.ingest.exchange import BodyError, BodyTooSlow, Exchange
from earhook.ingest.reply import Reply, plain_reply
from earhook.ingest.settings import IngestLimits
from earhook.testing.raw_http import digest_server, raw_http_peer

POST = b"POST /stream HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
QUICK = IngestLimits(
    head_seconds=0.5,
    keep_alive_seconds=0.8,
    body_window_seconds=0.5,
    body_seconds=3.0,
    stream_idle_seconds=0.5,
    stream_bytes_per_second=100,
    stream_window_seconds=0.7,
)

# What is sent at once, what then a byte (or piece) at a time, the answer, and the word for it.
SLOW: dict[str, tuple[bytes, bytes, int, str]] = {
    "no bytes": (b"", b"", 0, "silent"),
    "a head byte by byte": (b"", POST * 50, 408, "head"),
    "half a head, then silence": (POST, b"", 408, "head"),
    "a body byte by byte": (POST + b"Content-Length: 1000\r\n\r\n", b"a" * 1000, 408, "body"),
    "a head, then silence": (POST + b"Content-Length: 1000\r\n\r\n", b"", 408, "body"),
    "endless small chunks": (CHUNKED, b"1\r\na\r\n" * 200, 408, "stream-rate"),
    "a chunk without an end": (CHUNKED + b"ff\r\n", b"a" * 200, 408, "stream-rate"),
    "a stream that falls silent": (CHUNKED + b"ff\r\n" + b"a" * 200, b"", 408, "stream-idle"),
}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", SLOW)
def test_each_slow_shape_is_cut_in_time(
    run: Any, wire: Any, until: Any, name: str, *, tls: bool
) -> None:
    at_once, then, status, word = SLOW[name]

    async def work() -> None:
        heard: list[object] = []
        async with (
            digest_server(QUICK, wire.certificate if tls else None, _reader(heard)) as server,
            raw_http_peer(server.port, wire.client_context if tls else None) as peer,
        ):
            started = time.monotonic()
            peer.send(at_once)
            trickle = asyncio.create_task(_trickle(peer.send, then))
            answer = await peer.response()
            trickle.cancel()
            assert answer.status == status
            assert 0.4 < time.monotonic() - started < 2.0
            assert await peer.rest() == b""
            assert server.snapshot().slow == {word: 1}
            await until(lambda: server.snapshot().unproven == 0)
            has_body = word in {"body", "stream-rate", "stream-idle"}
            assert [type(each) for each in heard] == [BodyTooSlow] * has_body

    run(work())


def _reader(heard: list[object]) -> Callable[[Exchange], Any]:
    async def answer(exchange: Exchange) -> Reply:
        try:
            async for _ in exchange.body():
                pass
        except BodyError as error:
            heard.append(error)
            raise
        return plain_reply(200)

    return answer


async def _trickle(send: Callable[[bytes], None], message: bytes) -> None:
    """A byte each 20 ms: by waiting for something that does not happen."""
    for byte in message:
        send(bytes([byte]))
        try:
            async with asyncio.timeout(0.02):
                await asyncio.Event().wait()
        except TimeoutError:
            continue


def test_a_kept_connection_is_closed_without_a_word(run: Any) -> None:
    async def work() -> None:
        async with digest_server(QUICK) as server, raw_http_peer(server.port) as peer:
            peer.send(POST + b"\r\n")
            assert (await peer.response()).status == 200
            started = time.monotonic()
            assert await peer.rest() == b""
            assert 0.6 < time.monotonic() - started < 1.5
            assert server.snapshot().slow == {"keep-alive": 1}

    run(work())


def test_a_stream_that_keeps_coming_is_not_cut(run: Any) -> None:
    async def work() -> None:
        async with digest_server(QUICK) as server, raw_http_peer(server.port) as peer:
            peer.send(CHUNKED)
            await _trickle(peer.send, b"")
            for _ in range(100):
                peer.send(b"5\r\nabcde\r\n")
                await _trickle(lambda _: None, b"x")
            peer.send(b"0\r\n\r\n")
            answer = await peer.response()
            assert answer.status == 200
            assert b"POST 500 " in answer.body
            assert server.snapshot().slow == {}

    run(work())


def test_whoever_does_not_read_answers_gets_no_more_of_them_and_is_cut(run: Any) -> None:
    limits = IngestLimits(answer_seconds=0.3)
    requests = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") * 2000

    async def work() -> None:
        async with (
            digest_server(limits, answer=_large_answer) as server,
            raw_http_peer(server.port) as peer,
        ):
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.send(requests)
            async with asyncio.timeout(5):
                while server.connections:
                    await _trickle(lambda _: None, b"x")
            assert server.snapshot().slow == {"answer": 1}
            assert server.snapshot().responses[200] < 2000

    run(work())


async def _large_answer(_exchange: Exchange) -> Reply:
    return Reply(200, (), b"x" * 100_000)


def test_a_flood_of_tiny_chunks_costs_others_little(run: Any) -> None:
    flood = b"1\r\na\r\n" * 200_000

    async def work() -> None:
        async with (
            digest_server() as server,
            raw_http_peer(server.port) as rude,
            raw_http_peer(server.port) as polite,
        ):
            loop = asyncio.get_running_loop()
            rude.send(CHUNKED + flood)
            worst, count = 0.0, 0
            started = time.monotonic()
            while time.monotonic() - started < 1.0:
                asked = loop.time()
                polite.send(POST + b"Content-Length: 3\r\n\r\nabc")
                assert (await polite.response()).status == 200
                worst, count = max(worst, loop.time() - asked), count + 1
            assert count > 20
            # One turn of the loop works on 512 chunks; three turns are needed for an answer.
            assert worst < 0.1
            rude.send(b"0\r\n\r\n")
            assert b"POST 200000 " in (await rude.response(20)).body

    run(work())


def test_strangers_are_counted_until_they_have_proved_who_they_are(run: Any, until: Any) -> None:
    rules = EdgeRules(ConnectionLimits(unproven=2))

    async def work() -> None:
        async with (
            digest_server(answer=_prove_if_named, rules=rules) as server,
            raw_http_peer(server.port) as known,
            raw_http_peer(server.port) as unknown,
        ):
            known.send(POST + b"Authorization: Bearer a\r\nContent-Length: 1\r\n\r\na")
            assert (await known.response()).status == 200
            unknown.send(POST + b"Content-Length: 1\r\n\r\na")
            assert (await unknown.response()).status == 401
            assert server.snapshot().unproven == 1
            async with raw_http_peer(server.port) as second, raw_http_peer(server.port) as third:
                await until(lambda: server.snapshot().closed_early == {"full": 1})
                assert await third.rest() == b""
                second.send(POST + b"Content-Length: 1\r\n\r\na")
                assert (await second.response()).status == 401

    run(work())


async def _prove_if_named(exchange: Exchange) -> Reply:
    if exchange.head.value("authorization") is None:
        return plain_reply(401)
    exchange.proven()
    return plain_reply(200)


def test_there_are_no_more_connections_than_the_limit(run: Any, until: Any) -> None:
    async def work() -> None:
        async with digest_server(IngestLimits(connections=3)) as server:
            peers = [raw_http_peer(server.port) for _ in range(4)]
            for peer in peers:
                await peer.__aenter__()
            await until(lambda: server.snapshot().closed_early == {"full": 1})
            assert server.connections == 3
            for peer in peers:
                await peer.__aexit__(None, None, None)
            await until(lambda: server.snapshot().unproven == 0)
            assert server.connections == 0

    run(work())
