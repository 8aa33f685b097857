"""The ingest server with well-behaved peers: what it promises whoever answers."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest

from earhook.edge.access import Access
from earhook.edge.arrival import EdgeRules
from earhook.edge.settings import ConnectionLimits
from earhook.ingest.connection import IngestConnection
from earhook.ingest.exchange import BodyCut, Exchange
from earhook.ingest.open_request import OpenRequest
from earhook.ingest.reply import Reply, json_reply, plain_reply
from earhook.ingest.settings import IngestLimits
from earhook.testing.raw_http import digest_server, raw_http_peer

POST = b"POST /stream HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EXPECTS = b"Expect: 100-continue\r\n"


def told(body: bytes, lines: bytes = b"") -> bytes:
    return POST + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def _length(exchange: Exchange) -> Reply:
    length = sum([len(piece) async for piece in exchange.body()])
    return json_reply(200, {"bytes": length, "method": exchange.head.method})


async def _refuse(_exchange: Exchange) -> Reply:
    return plain_reply(401, headers=(("WWW-Authenticate", "Bearer"),))


def test_head_is_answered_without_a_body_and_get_with_one(run: Any) -> None:
    async def work() -> None:
        async with digest_server(answer=_length) as server, raw_http_peer(server.port) as peer:
            for _ in range(2):
                peer.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                head = await peer.response(to_head=True)
                peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                got = await peer.response()
                assert json.loads(got.body) == {"bytes": 0, "method": "GET"}
                assert int(head.headers["Content-Length"]) == len(got.body) + 1

    run(work())


def test_whoever_waits_for_it_is_told_to_go_on_at_once(run: Any) -> None:
    async def work() -> None:
        async with digest_server(answer=_length) as server, raw_http_peer(server.port) as peer:
            for lines in (b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"):
                peer.send(POST + EXPECTS + lines + b"\r\n")
                assert (await peer.response(0.5)).status == 100
                peer.send(b"abc" if b"Length" in lines else b"3\r\nabc\r\n0\r\n\r\n")
                assert json.loads((await peer.response()).body)["bytes"] == 3
            # Whoever does not wait is not told.
            peer.send(told(b"abc", EXPECTS))
            assert (await peer.response()).status == 200

    run(work())


@pytest.mark.parametrize(
    "refused", [told(b"a" * 60_000), CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", POST + b"\r\n"]
)
def test_a_refused_request_with_a_short_body_costs_no_connection(run: Any, refused: bytes) -> None:
    async def work() -> None:
        async with digest_server(answer=_refuse) as server, raw_http_peer(server.port) as peer:
            for _ in range(3):
                peer.send(refused)
                answer = await peer.response()
                assert answer.status == 401
                assert "Connection" not in answer.headers
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert server.snapshot().accepted == 1

    run(work())


def test_a_refused_request_that_waits_keeps_its_connection_in_step(run: Any) -> None:
    async def work() -> None:
        async with digest_server(answer=_refuse) as server, raw_http_peer(server.port) as peer:
            peer.send(POST + EXPECTS + b"Content-Length: 3\r\n\r\n")
            assert (await peer.response()).status == 100
            assert (await peer.response()).status == 401
            peer.send(b"abc" + told(b""))
            assert (await peer.response()).status == 401
            assert server.snapshot().accepted == 1

    run(work())


@pytest.mark.parametrize(
    "refused",
    [
        POST + b"Content-Length: 100000\r\n\r\n",
        CHUNKED + b"3\r\nabc\r\n",
        POST + EXPECTS + b"Transfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"ffff\r\n" + b"a" * 0xFFFF + b"\r\nffff\r\n" + b"a" * 0xFFFF + b"\r\n",
    ],
    ids=["long", "no end", "waits with a stream", "long in chunks"],
)
def test_a_refused_request_with_more_to_come_ends_its_connection(run: Any, refused: bytes) -> None:
    async def work() -> None:
        async with digest_server(answer=_refuse) as server, raw_http_peer(server.port) as peer:
            peer.send(refused)
            answer = await peer.response(1.0)
            assert answer.status == 401
            assert answer.headers["Connection"] == "close"
            assert await peer.rest() == b""

    run(work())


def test_an_early_answer_lets_the_body_go_on(run: Any) -> None:
    read: list[bytes] = []

    async def answer(exchange: Exchange) -> Reply:
        await exchange.acknowledge(json_reply(200, {"early": True}))
        await exchange.acknowledge(plain_reply(500))
        read.append(b"".join([piece async for piece in exchange.body()]))
        return plain_reply(500)

    async def work() -> None:
        async with digest_server(answer=answer) as server, raw_http_peer(server.port) as peer:
            for _ in range(2):
                peer.send(CHUNKED)
                assert json.loads((await peer.response()).body) == {"early": True}
                peer.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            peer.send(POST + EXPECTS + b"Content-Length: 1\r\n\r\n")
            assert [(await peer.response()).status for _ in range(2)] == [100, 200]
            assert b"".join(read) == b"abcdeabcde"
            assert server.snapshot().responses == {200: 3}

    run(work())


def test_what_came_before_the_peer_went_away_is_still_read(run: Any, until: Any) -> None:
    read: list[object] = []

    async def answer(exchange: Exchange) -> Reply:
        try:
            async for piece in exchange.body():
                read.append(piece)  # noqa: PERF401 - what came before an exception stays
        except BodyCut as error:
            read.append(type(error))
            raise
        return plain_reply(200)

    async def work() -> None:
        async with digest_server(answer=answer) as server:
            async with raw_http_peer(server.port) as peer:
                peer.send(CHUNKED + b"3\r\nabc\r\n5\r\nde")
                peer.writer.close()
            await until(lambda: read == [b"abcde", BodyCut])
            read.clear()
            # The end of the body and of the connection in one breath.
            async with raw_http_peer(server.port) as peer:
                peer.send(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n")
                peer.writer.close()
            await until(lambda: read == [b"abc"])
            await until(lambda: server.snapshot().connections == 0)
            assert server.snapshot().bodies_cut == 1
            assert server.snapshot().faults == 0

    run(work())


def test_a_body_that_is_cut_leaves_nothing_for_the_collector(run: Any, until: Any) -> None:
    def are_left() -> list[object]:
        return [it for it in gc.get_objects() if isinstance(it, OpenRequest | IngestConnection)]

    async def work() -> None:
        async with digest_server(answer=_length) as server:
            async with raw_http_peer(server.port) as peer:
                peer.send(CHUNKED + b"3\r\nabc\r\n5\r\nde")
                await until(are_left)
                peer.writer.close()
            await until(lambda: server.snapshot().bodies_cut == 1)
            await until(lambda: not are_left())

    gc.collect()
    gc.disable()
    try:
        run(work())
    finally:
        gc.enable()


def test_an_exception_of_ours_costs_its_connection_and_says_nothing(run: Any) -> None:
    async def answer(exchange: Exchange) -> Reply:
        if exchange.head.path == "/header":
            return Reply(200, (("X", "CANARY\r\nY: b"),))
        raise RuntimeError("CANARY")

    async def work() -> None:
        async with digest_server(answer=answer) as server:
            for path in (b"/header", b"/other"):
                async with raw_http_peer(server.port) as peer:
                    peer.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                    answered = await peer.rest()
                    assert answered.startswith(b"HTTP/1.1 500 ")
                    assert answered.count(b"HTTP/1.1") == 1
                    assert b"CANARY" not in answered
            assert server.snapshot().faults == 2

    run(work())


def test_who_reads_late_holds_up_the_sender_and_that_is_measured(run: Any, until: Any) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> Reply:
        await go_on.wait()
        read_bytes = sum([len(piece) async for piece in exchange.body()])
        return json_reply(200, {"bytes": read_bytes})

    async def work() -> None:
        async with digest_server(answer=answer) as server, raw_http_peer(server.port) as peer:
            body = b"10000\r\n" + bytes(65_536) + b"\r\n"
            peer.send(CHUNKED + body * 200 + b"0\r\n\r\n")
            await until(lambda: server.snapshot().read_pause_max_seconds > 0.2)
            assert server.snapshot().body_bytes < 2_000_000, "the rest waits in the sockets"
            go_on.set()
            assert json.loads((await peer.response()).body) == {"bytes": 200 * 65_536}
            assert server.snapshot().read_pause_max_seconds < 5.0
            assert server.snapshot().slow == {}

    run(work())


def test_requests_sent_without_waiting_are_answered_in_order(run: Any) -> None:
    async def work() -> None:
        async with digest_server(answer=_length) as server, raw_http_peer(server.port) as peer:
            peer.send(b"".join(told(b"a" * (length % 300)) for length in range(2000)))
            for length in range(2000):
                answer = await peer.response()
                assert json.loads(answer.body)["bytes"] == length % 300
            assert server.snapshot().accepted == 1

    run(work())


def test_a_peer_that_has_said_all_it_has_to_say_still_gets_its_answer(run: Any) -> None:
    async def work() -> None:
        async with digest_server(answer=_length) as server, raw_http_peer(server.port) as peer:
            peer.send(told(b"abc"))
            peer.writer.write_eof()
            answered = await peer.rest()
            assert answered.startswith(b"HTTP/1.1 200 ")
            assert answered.count(b"HTTP/1.1") == 1

    run(work())


@pytest.mark.parametrize("lines", [b"Connection: close\r\n", b""])
def test_the_last_answer_ends_the_connection(run: Any, lines: bytes) -> None:
    version = b"HTTP/1.1" if lines else b"HTTP/1.0"

    async def work() -> None:
        async with digest_server(answer=_length) as server, raw_http_peer(server.port) as peer:
            peer.send(b"GET / %b\r\nHost: a\r\n%b\r\n" % (version, lines))
            answer = await peer.response()
            assert answer.headers["Connection"] == "close"
            assert await peer.rest() == b""

    run(work())


def test_who_ends_politely_lets_open_requests_come_to_their_end(run: Any, until: Any) -> None:
    async def work() -> None:
        async with (
            digest_server(answer=_length) as server,
            raw_http_peer(server.port) as idle,
            raw_http_peer(server.port) as busy,
        ):
            idle.send(told(b""))
            assert (await idle.response()).status == 200
            busy.send(CHUNKED + b"3\r\nabc\r\n")
            await until(lambda: server.snapshot().open_requests == 1)
            server.refuse()
            server.stop_accepting()
            assert await idle.rest() == b""
            busy.send(b"0\r\n\r\n")
            answer = await busy.response()
            assert answer.status == 200
            assert answer.headers["Connection"] == "close"
            await until(lambda: server.connections == 0)

    run(work())


def test_a_stop_ends_every_answer(run: Any, until: Any) -> None:
    heard: list[str] = []

    async def answer(exchange: Exchange) -> Reply:
        try:
            if exchange.head.path == "/stubborn":
                await asyncio.Event().wait()
            assert not [piece async for piece in exchange.body()]
        except BaseException as error:
            heard.append(type(error).__name__)
            raise
        return plain_reply(200)

    async def work() -> None:
        async with (
            digest_server(answer=answer) as server,
            raw_http_peer(server.port) as reads,
            raw_http_peer(server.port) as hangs,
        ):
            reads.send(CHUNKED)
            hangs.send(CHUNKED.replace(b"/stream", b"/stubborn"))
            await until(lambda: server.snapshot().open_requests == 2)
            await server.stop(0.1)
            assert heard == ["BodyCut", "CancelledError"]
            assert server.connections == 0
            assert await reads.rest() == b""

    run(work())


def test_who_is_no_longer_on_the_list_is_refused_at_the_next_request(run: Any) -> None:
    access = Access(["127.0.0.0/8"])

    async def work() -> None:
        rules = EdgeRules(ConnectionLimits(), access)
        async with (
            digest_server(answer=_length, rules=rules) as server,
            raw_http_peer(server.port) as peer,
        ):
            peer.send(told(b"a"))
            assert (await peer.response()).status == 200
            access.replace(["192.0.2.0/24"])
            peer.send(told(b"a"))
            answer = await peer.response()
            assert answer.status == 403
            assert answer.headers["Connection"] == "close"
            assert server.snapshot().closed_early == {"not-allowed": 1}

    run(work())


def test_limits_can_be_replaced_for_connections_to_come(run: Any) -> None:
    async def work() -> None:
        async with digest_server(answer=_length) as server, raw_http_peer(server.port) as old:
            old.send(told(b""))
            assert (await old.response()).status == 200
            settings = server._settings.model_copy(update={"limits": IngestLimits(body_bytes=1024)})
            server.replace_limits(settings)
            old.send(told(b"a" * 2000))
            assert (await old.response()).status == 200
            async with raw_http_peer(server.port) as new:
                new.send(told(b"a" * 2000))
                assert (await new.response()).status == 413

    run(work())
