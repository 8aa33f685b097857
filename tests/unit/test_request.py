"""Request heads, strictly: one reading of a request, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.edge.request import Fault, HeadReader, RequestHead, parse_head

GOOD = (
    b"GET /audiohook?x=%41 HTTP/1.1\r\nHost: gateway.example:8443\r\n"
    b"upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nX-Empty:\r\nX-Pad: \t a b \t"
)


def read(head: bytes, max_headers: int = 64) -> RequestHead | Fault:
    return parse_head(head, max_headers)


def with_headers(*lines: bytes, request: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([request, b"Host: a", *lines])


def test_a_good_head_is_read_as_it_was_sent() -> None:
    head = read(GOOD)
    assert isinstance(head, RequestHead)
    assert (head.method, head.target, head.minor_version) == ("GET", b"/audiohook?x=%41", 1)
    assert head.path == "/audiohook"
    assert head.headers[1] == ("upgrade", "WebSocket")
    assert head.value("x-pad") == "a b"
    assert head.value("x-empty") == ""
    assert head.value("absent") is None
    assert head.lists("connection", "upgrade")
    assert head.lists("upgrade", "websocket")
    assert not head.lists("connection", "close")


def test_lines_of_one_header_are_one_list() -> None:
    head = read(with_headers(b"Connection: keep-alive", b"connection: Upgrade"))
    assert isinstance(head, RequestHead)
    assert head.value("connection") == "keep-alive, Upgrade"
    assert head.lists("connection", "upgrade")


def test_bytes_above_ascii_in_values_are_latin_1() -> None:
    head = read(with_headers(b"X-City: S\xe3o Paulo"))
    assert isinstance(head, RequestHead)
    assert head.value("x-city") == "São Paulo"


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"GET  / HTTP/1.1\r\nHost: a", Fault.REQUEST_LINE),
        (b"GET / HTTP/1.1 \r\nHost: a", Fault.REQUEST_LINE),
        (b"GET /", Fault.REQUEST_LINE),
        (b"GET /a b HTTP/1.1\r\nHost: a", Fault.REQUEST_LINE),
        (b"G@T / HTTP/1.1\r\nHost: a", Fault.METHOD),
        (b" GET / HTTP/1.1\r\nHost: a", Fault.REQUEST_LINE),
        (b"GET http://a/ HTTP/1.1\r\nHost: a", Fault.TARGET),
        (b"GET * HTTP/1.1\r\nHost: a", Fault.TARGET),
        (b"GET /\x7f HTTP/1.1\r\nHost: a", Fault.TARGET),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a", Fault.TARGET),
        (b"GET /#f HTTP/1.1\r\nHost: a", Fault.TARGET),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a", Fault.TARGET),
        (b"GET / HTTP/2.0\r\nHost: a", Fault.VERSION),
        (b"GET / HTTP/1.2\r\nHost: a", Fault.VERSION),
        (b"GET / http/1.1\r\nHost: a", Fault.VERSION),
        (b"GET / HTTP/1.1", Fault.HOST),
        (b"GET / HTTP/1.1\r\nHost:", Fault.HOST),
        (b"GET / HTTP/1.1\r\nHost: a, b", Fault.HOST),
        (b"GET / HTTP/1.1\r\nHost: a@b", Fault.HOST),
        (b"GET / HTTP/1.1\r\nHost: a/b", Fault.HOST),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a", Fault.REPEATED),
        (with_headers(b"X-API-KEY: a", b"x-api-key: b"), Fault.REPEATED),
        (with_headers(b"Signature: a", b"Signature: b"), Fault.REPEATED),
        (with_headers(b"Audiohook-Session-Id: a", b"audiohook-session-id: b"), Fault.REPEATED),
        (with_headers(b"No colon"), Fault.HEADER_LINE),
        (with_headers(b"Spaced : a"), Fault.HEADER_LINE),
        (with_headers(b": a"), Fault.HEADER_LINE),
        (with_headers(b"X: a", b" folded"), Fault.HEADER_LINE),
        (with_headers(b"X: a\x00b"), Fault.HEADER_LINE),
        (with_headers(b"X: a\x0bb"), Fault.HEADER_LINE),
        (with_headers(b"X\xe9: a"), Fault.HEADER_LINE),
        (with_headers(b""), Fault.HEADER_LINE),
        (with_headers(b"X: a\nY: b"), Fault.BARE_LINE_FEED),
        (with_headers(b"X: a\rY: b"), Fault.BARE_LINE_FEED),
        (with_headers(b"Transfer-Encoding: chunked"), Fault.FRAMING),
        (with_headers(b"Transfer-Encoding: identity"), Fault.FRAMING),
        (with_headers(b"Content-Length: 5"), Fault.FRAMING),
        (with_headers(b"Content-Length: +0"), Fault.FRAMING),
        (with_headers(b"Content-Length: 0x0"), Fault.FRAMING),
        (with_headers(b"Content-Length: 0, 0"), Fault.FRAMING),
        (with_headers(b"Content-Length: -1"), Fault.FRAMING),
        (with_headers(b"Content-Length: 99999999999999999999"), Fault.FRAMING),
        (with_headers(b"Content-Length: 0", b"Content-Length: 0"), Fault.REPEATED),
    ],
)
def test_what_two_servers_could_read_differently_is_a_fault(head: bytes, fault: Fault) -> None:
    assert read(head) is fault
    assert fault.status == 400


def test_a_request_without_body_may_say_so() -> None:
    assert isinstance(read(with_headers(b"Content-Length: 0")), RequestHead)


def test_http_1_0_needs_no_host() -> None:
    head = read(b"GET /livez HTTP/1.0")
    assert isinstance(head, RequestHead)
    assert head.minor_version == 0


def test_too_many_headers_are_a_fault_of_their_own() -> None:
    lines = [b"X-%d: a" % number for number in range(63)]
    assert isinstance(read(with_headers(*lines)), RequestHead)
    assert read(with_headers(*lines, b"One-more: a")) is Fault.TOO_MANY
    assert Fault.TOO_MANY.status == 431


@given(st.lists(st.integers(1, 40), max_size=60), st.binary(max_size=40))
def test_any_chunking_gives_the_same_head_and_the_same_rest(sizes: list[int], rest: bytes) -> None:
    stream = GOOD + b"\r\n\r\n" + rest
    whole = HeadReader(16_384, 64)
    expected = whole.feed(stream)
    reader, at, answer = HeadReader(16_384, 64), 0, None
    for size in [*sizes, *([1] * len(stream))]:
        chunk = stream[at : at + size]
        at += size
        answer = reader.feed(chunk)
        if answer is not None:
            break
    assert isinstance(answer, RequestHead)
    assert answer == expected
    assert reader.rest + stream[at:] == rest


@given(st.binary(max_size=300), st.lists(st.integers(1, 20), max_size=300))
def test_no_bytes_raise_and_a_fault_does_not_depend_on_chunks(
    garbage: bytes, sizes: list[int]
) -> None:
    stream = garbage + b"\r\n\r\n"
    whole = HeadReader(16_384, 64).feed(stream)
    reader, at, answer = HeadReader(16_384, 64), 0, None
    for size in [*sizes, *([1] * len(stream))]:
        answer = reader.feed(stream[at : at + size])
        at += size
        if answer is not None:
            break
    assert isinstance(whole, Fault) == isinstance(answer, Fault)


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00", b"\r\n", b"\x00", b"{", b" GET"])
def test_what_cannot_become_a_request_is_known_at_once(start: bytes) -> None:
    assert HeadReader(16_384, 64).feed(start) is Fault.METHOD


def test_a_bare_line_feed_is_known_before_the_end_of_the_head() -> None:
    reader = HeadReader(16_384, 64)
    assert reader.feed(b"GET / HTTP/1.1\r") is None
    assert reader.feed(b"\nHost: a") is None
    assert reader.feed(b"\n") is Fault.BARE_LINE_FEED


def test_a_head_that_is_too_large_is_refused_with_and_without_its_end() -> None:
    head = with_headers(b"X: " + b"a" * 2000)
    assert isinstance(HeadReader(len(head) + 4, 64).feed(head + b"\r\n\r\n"), RequestHead)
    assert HeadReader(len(head) + 3, 64).feed(head + b"\r\n\r\n") is Fault.TOO_LARGE
    endless = HeadReader(1024, 64)
    assert endless.feed(head[:1023]) is None
    assert endless.feed(b"a") is Fault.TOO_LARGE
