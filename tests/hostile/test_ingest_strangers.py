"""Whoever is not authenticated holds no place for long, however politely."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from earhook.ingest.connection import MAX_REFUSALS
from earhook.ingest.exchange import Exchange
from earhook.ingest.reply import Reply, plain_reply
from earhook.ingest.settings import IngestLimits
from earhook.testing.raw_http import digest_server, raw_http_peer

QUICK = IngestLimits(head_seconds=0.4, keep_alive_seconds=30.0)
CHECK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def refuse(_exchange: Exchange) -> Reply:
    return plain_reply(401, headers=(("WWW-Authenticate", "Bearer"),))


async def let_in(exchange: Exchange) -> Reply:
    exchange.proven()
    return plain_reply(200)


@pytest.mark.parametrize("answer", [refuse, let_in])
def test_between_two_requests_only_who_is_known_may_wait(run: Any, until: Any, answer: Any) -> None:
    async def story() -> None:
        async with (
            digest_server(QUICK, answer=answer) as server,
            raw_http_peer(server.port) as peer,
        ):
            peer.send(CHECK)
            assert (await peer.response()).status in {200, 401}
            answered_at = time.monotonic()
            await until(lambda: not server.connections or time.monotonic() > answered_at + 1.0)
            assert server.connections == (0 if answer is refuse else 1)
            assert server.snapshot().unproven == 0

    run(story())


def test_looking_whether_we_live_again_and_again_keeps_no_place(run: Any, until: Any) -> None:
    async def story() -> None:
        async with (
            digest_server(QUICK, answer=refuse) as server,
            raw_http_peer(server.port) as peer,
        ):
            began = time.monotonic()
            while True:
                peer.send(CHECK)
                answer = await peer.response()
                assert answer.status == 401
                if answer.headers.get("Connection") == "close":
                    break
                assert time.monotonic() - began < 5.0
                answered_at = time.monotonic()
                await until(lambda since=answered_at: time.monotonic() > since + 0.1)
            assert time.monotonic() - began > 0.7, "a sender may come again with a fresh token"

    run(story())


def test_whoever_is_refused_again_and_again_has_to_connect_anew(run: Any) -> None:
    refused = 0

    async def answer(exchange: Exchange) -> Reply:
        nonlocal refused
        refused += 1
        return await (let_in if refused == MAX_REFUSALS else refuse)(exchange)

    async def story() -> None:
        async with digest_server(answer=answer) as server, raw_http_peer(server.port) as peer:
            ends = []
            for _ in range(2 * MAX_REFUSALS):
                peer.send(CHECK)
                ends.append((await peer.response()).headers.get("Connection") == "close")
            assert ends == [False] * (2 * MAX_REFUSALS - 1) + [True]

    run(story())


def test_a_body_that_nobody_wants_keeps_no_place(run: Any, until: Any) -> None:
    async def story() -> None:
        async with (
            digest_server(QUICK, answer=refuse) as server,
            raw_http_peer(server.port) as peer,
        ):
            peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
            assert (await peer.response()).status == 401
            began = time.monotonic()
            while server.connections:
                peer.send(b"a" * 200)  # well above the slowest rate
                sent_at = time.monotonic()
                await until(lambda since=sent_at: time.monotonic() > since + 0.05)
                assert sent_at - began < 3.0

    run(story())


def test_idle_connections_of_one_sender_leave_room_for_others(run: Any, until: Any) -> None:
    limits = IngestLimits(connections=10, head_seconds=0.4, keep_alive_seconds=30.0)

    async def story() -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(digest_server(limits, answer=let_in))
            for _ in range(10):
                peer = await stack.enter_async_context(raw_http_peer(server.port))
                peer.send(CHECK)
                assert (await peer.response()).status == 200
            idle_since = time.monotonic()
            await until(lambda: time.monotonic() > idle_since + 1.2)
            assert server.connections == 10
            async with raw_http_peer(server.port):
                await until(lambda: server.connections < 2)
            async with raw_http_peer(server.port) as late:
                late.send(CHECK)
                assert (await late.response()).status == 200

    run(story())
