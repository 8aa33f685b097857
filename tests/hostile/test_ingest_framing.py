"""Requests that two servers may read differently, on the ingest port: one answer, and the end."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from earhook.testing.raw_http import digest_server, digest_text, raw_http_peer

POST = b"POST /stream HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"

REFUSED: dict[str, tuple[bytes, int]] = {
    # Lengths (RFC 9112 §6.3).
    "length and chunked": (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunked and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
    "equal lengths": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    "list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\na", 400),
    "signed length": (POST + b"Content-Length: +1\r\n\r\na", 400),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "hexadecimal length": (POST + b"Content-Length: 0x1\r\n\r\na", 400),
    "length with underscore": (POST + b"Content-Length: 1_0\r\n\r\n", 400),
    "fractional length": (POST + b"Content-Length: 1.0\r\n\r\na", 400),
    "empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "length in words": (POST + b"Content-Length: one\r\n\r\n", 400),
    "length in other digits": (POST + b"Content-Length: \xb2\r\n\r\n", 400),
    "length of 2^63": (POST + b"Content-Length: 9223372036854775808\r\n\r\n", 400),
    "length of 2^64 + 1": (POST + b"Content-Length: 18446744073709551617\r\n\r\n", 400),
    "length over the limit": (POST + b"Content-Length: 1048577\r\n\r\n", 413),
    "length on get": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", 400),
    "chunked on get": (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "length on head": (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", 400),
    # Transfer codings (RFC 9112 §6.1).
    "gzip, chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunked, gzip": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 501),
    "chunked twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 501),
    "chunked in two lines": (POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", 400),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "quoted chunked": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n', 501),
    "chunked with a parameter": (POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n", 501),
    "chunked with a comma": (POST + b"Transfer-Encoding: chunked,\r\n\r\n", 501),
    "empty coding": (POST + b"Transfer-Encoding:\r\n\r\n", 501),
    "vertical tab before chunked": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "coding in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "body in HTTP/1.0": (b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\na", 400),
    "no length in HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: a\r\n\r\n", 411),
    # Header lines (RFC 9112 §5).
    "space before colon": (POST + b"Content-Length : 1\r\n\r\na", 400),
    "tab before colon": (POST + b"Transfer-Encoding\t: chunked\r\n\r\n", 400),
    "leading space": (POST + b" Content-Length: 1\r\n\r\na", 400),
    "folded line": (POST + b"X: a\r\n Content-Length: 1\r\n\r\na", 400),
    "folded value": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n", 400),
    "line feed in the head": (POST + b"X: a\nContent-Length: 1\r\n\r\na", 400),
    "carriage return in the head": (POST + b"X: a\rContent-Length: 1\r\n\r\na", 400),
    "nul in a value": (POST + b"X: a\x00b\r\n\r\n", 400),
    "nul in a name": (POST + b"X\x00: a\r\n\r\n", 400),
    "no name": (POST + b": a\r\n\r\n", 400),
    "no colon": (POST + b"Content-Length\r\n\r\n", 400),
    "line feeds only": (b"POST / HTTP/1.1\nHost: a\n\n", 400),
    "no host": (b"POST / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (POST + b"Host: b\r\n\r\n", 400),
    "host with a path": (b"POST / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "two credentials": (POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
    "65 header lines": (POST + b"X: a\r\n" * 64 + b"\r\n", 431),
    "large header": (POST + b"X: " + b"a" * 17_000 + b"\r\n\r\n", 431),
    "endless head": (POST + b"X: " + b"a" * 17_000, 431),
    # Request lines (RFC 9112 §3).
    "http/0.9": (b"GET /\r\n\r\n", 400),
    "http/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "http/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "lower case version": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab for a space": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "leading line": (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "absolute target": (b"POST http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "authority target": (b"CONNECT b:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "asterisk target": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment in the target": (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "long target": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "connect with a path": (b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "trace": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "put": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", 405),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "lower case method": (b"post / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "tls on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "other expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417),
    "two expectations": (POST + b"Expect: 100-continue, x\r\nContent-Length: 1\r\n\r\n", 417),
    # Chunks (RFC 9112 §7.1).
    "no chunk size": (CHUNKED + b"\r\n", 400),
    "chunk size in words": (CHUNKED + b"five\r\nabcde\r\n0\r\n\r\n", 400),
    "negative chunk size": (CHUNKED + b"-1\r\na\r\n0\r\n\r\n", 400),
    "signed chunk size": (CHUNKED + b"+1\r\na\r\n0\r\n\r\n", 400),
    "chunk size with 0x": (CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", 400),
    "chunk size with underscore": (CHUNKED + b"1_0\r\na\r\n0\r\n\r\n", 400),
    "chunk size of 2^64": (CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n", 400),
    "chunk size with zeros": (CHUNKED + b"000000001\r\na\r\n0\r\n\r\n", 400),
    "chunk size over the limit": (CHUNKED + b"100001\r\n", 413),
    "space before chunk size": (CHUNKED + b" 1\r\na\r\n0\r\n\r\n", 400),
    "space behind chunk size": (CHUNKED + b"1 \r\na\r\n0\r\n\r\n", 400),
    "line feed behind chunk size": (CHUNKED + b"1\na\r\n0\r\n\r\n", 400),
    "carriage return behind chunk size": (CHUNKED + b"1\ra\r\n0\r\n\r\n", 400),
    "line feed behind a chunk": (CHUNKED + b"1\r\na\n0\r\n\r\n", 400),
    "nothing behind a chunk": (CHUNKED + b"1\r\na0\r\n\r\n", 400),
    "chunk too long": (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
    "chunk too short": (CHUNKED + b"3\r\na\r\n0\r\n\r\n" + BEHIND, 400),
    "long extension": (CHUNKED + b"1;" + b"a" * 65 + b"\r\na\r\n0\r\n\r\n", 400),
    "line feed in an extension": (CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n", 400),
    "nul in an extension": (CHUNKED + b"1;a\x00\r\na\r\n0\r\n\r\n", 400),
    "trailer": (CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n", 400),
    "request in place of the end": (CHUNKED + b"0\r\n" + BEHIND, 400),
    "line feed for the end": (CHUNKED + b"0\r\n\n", 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_doubtful_gets_one_fixed_answer_and_the_end(run: Any, name: str) -> None:
    message, status = REFUSED[name]

    async def work() -> None:
        async with digest_server() as server, raw_http_peer(server.port) as peer:
            peer.send(message + BEHIND)
            answer = await peer.response()
            assert answer.status == status
            assert answer.headers["Connection"] == "close"
            assert "Server" not in answer.headers
            assert await peer.rest() == b"", "one answer and nothing behind it"
            snapshot = server.snapshot()
            assert sum(snapshot.request_faults.values()) == 1
            assert snapshot.faults == 0

    run(work())


def answered(method: str, body: bytes) -> str:
    return digest_text(method, len(body), hashlib.sha256(body).hexdigest())


TAKEN: dict[str, tuple[bytes, str, bytes]] = {
    "get": (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", b""),
    "empty post": (POST + b"\r\n", "POST", b""),
    "length of nothing": (POST + b"Content-Length: 0\r\n\r\n", "POST", b""),
    "length": (POST + b"Content-Length: 3\r\n\r\nabc", "POST", b"abc"),
    "length with zeros": (POST + b"Content-Length: 003\r\n\r\nabc", "POST", b"abc"),
    "body like a request": (
        POST + b"Content-Length: %d\r\n\r\n" % len(BEHIND) + BEHIND,
        "POST",
        BEHIND,
    ),
    "chunked": (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "POST", b"abcde"),
    "chunked in capitals": (
        POST + b"TRANSFER-ENCODING: Chunked\r\n\r\n" + b"A\r\n0123456789\r\n0\r\n\r\n",
        "POST",
        b"0123456789",
    ),
    "no chunks": (CHUNKED + b"0\r\n\r\n", "POST", b""),
    "chunk of line ends": (CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "POST", b"\r\n0\r\n\r\n"),
    "short extension": (CHUNKED + b"1;a=b\r\na\r\n0;c\r\n\r\n", "POST", b"a"),
    "gzip content": (
        POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        "POST",
        b"abc",
    ),
    "upgrade to nothing": (
        POST + b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
        "POST",
        b"abc",
    ),
}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", TAKEN)
def test_what_is_well_formed_is_read_to_its_end_and_no_further(
    run: Any, wire: Any, name: str, *, tls: bool
) -> None:
    message, method, body = TAKEN[name]

    async def work() -> None:
        async with (
            digest_server(certificate=wire.certificate if tls else None) as server,
            raw_http_peer(server.port, wire.client_context if tls else None) as peer,
        ):
            peer.send(message + message)
            for _ in range(2):
                answer = await peer.response()
                assert answer.status == 200
                assert json.loads(answer.body) == {"said": answered(method, body)}
                assert ("Strict-Transport-Security" in answer.headers) == tls
            for byte in message:
                peer.send(bytes([byte]))
            assert json.loads((await peer.response()).body) == {"said": answered(method, body)}
            assert server.snapshot().request_faults == {}

    run(work())


@pytest.mark.parametrize("name", ["unknown method", "chunk size in words", "endless head"])
def test_over_tls_every_refusal_asks_for_tls_for_good(run: Any, wire: Any, name: str) -> None:
    message, status = REFUSED[name]

    async def work() -> None:
        async with (
            digest_server(certificate=wire.certificate) as server,
            raw_http_peer(server.port, wire.client_context) as peer,
        ):
            peer.send(message)
            answer = await peer.response()
            assert answer.status == status
            assert "Strict-Transport-Security" in answer.headers

    run(work())


def test_no_answer_has_words_of_the_request(run: Any) -> None:
    async def work() -> None:
        async with digest_server() as server:
            for line in (b"GET /CANARY HTTP/1.1", b"CANARY / HTTP/1.1", b"GET CANARY HTTP/1.1"):
                async with raw_http_peer(server.port) as peer:
                    peer.send(line + b"\r\nHost: CANARY\r\nX: CANARY\x01\r\n\r\n")
                    assert b"CANARY" not in await peer.rest()

    run(work())
