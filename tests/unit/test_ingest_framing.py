"""The framing of requests: one verdict, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.edge.request import Fault
from earhook.ingest.framing import BodyFault, Broken, Ended, Opened, RequestFraming, Stage
from earhook.ingest.settings import IngestLimits

LIMITS = IngestLimits(body_bytes=4096, head_bytes=1024)
HEAD = b"POST /stream HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def read(pieces: list[bytes], *, proceeds: bool = True) -> list[object]:
    """What a connection says, with neighbouring bytes of a body joined."""
    framing, told = RequestFraming(LIMITS), list[object]()
    for piece in pieces:
        framing.feed(piece)
        while (event := framing.next_event()) is not None:
            if isinstance(event, bytes) and told and isinstance(told[-1], bytes):
                told[-1] += event
            else:
                told.append(event)
            if isinstance(event, Ended) and proceeds:
                framing.proceed()
    return told


def cut(message: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(message) + 1) for at in cuts), len(message)]
    return [message[start:end] for start, end in pairwise(edges)]


def told_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(chunks: list[bytes], extension: bytes = b"") -> bytes:
    lines = b"".join(b"%x%b\r\n%b\r\n" % (len(c), extension, c) for c in chunks if c)
    return CHUNKED + lines + b"0\r\n\r\n"


chunks = st.lists(st.binary(max_size=300), max_size=8)
requests = st.one_of(
    st.binary(max_size=1000).map(told_length),
    chunks.map(in_chunks),
    st.just(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
)
cuts = st.lists(st.integers(0, 5000), max_size=20)


@given(chunks, cuts)
def test_a_body_in_chunks_says_what_its_chunks_say(said: list[bytes], at: list[int]) -> None:
    opened, *rest = read(cut(in_chunks(said), at))
    assert isinstance(opened, Opened)
    assert opened.body_bytes is None
    body = b"".join(said)
    assert rest == ([body, Ended()] if body else [Ended()])


@given(st.lists(requests, min_size=1, max_size=4), cuts)
def test_requests_follow_each_other_however_they_are_cut(sent: list[bytes], at: list[int]) -> None:
    message = b"".join(sent)
    whole = read([message])
    assert read(cut(message, at)) == whole
    assert sum(isinstance(event, Ended) for event in whole) == len(sent)


MUTATIONS = (
    b"\n",
    b"\r",
    b"\x00",
    b" ",
    b"g",
    b"-1",
    b";",
    b"\r\n",
    b"0\r\n\r\n",
    b"ff",
    b":",
    b"5",
)


@given(requests, st.sampled_from(MUTATIONS), st.integers(0, 2000), cuts, st.booleans())
def test_the_verdict_on_any_bytes_does_not_depend_on_how_they_are_cut(
    sent: bytes, mutation: bytes, at: int, where: list[int], replaces: bool
) -> None:
    at %= len(sent) + 1
    message = sent[:at] + mutation + sent[at + len(mutation) * replaces :]
    whole, in_pieces = read([message]), read(cut(message, where))
    # Which of two rules is named first may depend on it; what is let through must not.
    assert [_kind(event) for event in in_pieces] == [_kind(event) for event in whole]


@given(st.binary(max_size=400), cuts)
def test_no_bytes_at_all_break_it(message: bytes, at: list[int]) -> None:
    for event in read(cut(CHUNKED + message, at)):
        assert isinstance(event, Opened | bytes | Ended | Broken)
    for event in read(cut(message, at)):
        assert isinstance(event, Opened | Ended | Broken | bytes)


def _kind(event: object) -> object:
    return "broken" if isinstance(event, Broken) else event


def test_nothing_follows_a_fault() -> None:
    framing = RequestFraming(LIMITS)
    framing.feed(CHUNKED + b"5\r\nabcdeXX")
    assert isinstance(framing.next_event(), Opened)
    assert framing.next_event() == b"abcde"
    assert framing.next_event() == Broken(BodyFault.CHUNK_END)
    framing.feed(b"5\r\nabcde\r\n0\r\n\r\n" + CHUNKED)
    assert framing.next_event() is None
    assert framing.stage is Stage.BROKEN


def test_the_next_request_is_not_read_before_this_one_is_answered() -> None:
    framing = RequestFraming(LIMITS)
    framing.feed(told_length(b"a") + b"\x00BAD")
    assert isinstance(framing.next_event(), Opened)
    assert framing.next_event() == b"a"
    assert framing.next_event() == Ended()
    assert framing.next_event() is None
    assert framing.waiting_bytes == 4
    framing.proceed()
    assert isinstance(framing.next_event(), Broken)


def test_a_flood_behind_a_request_is_a_fault() -> None:
    framing = RequestFraming(LIMITS)
    framing.feed(told_length(b""))
    while framing.next_event() is not None:
        pass
    for _ in range(17):
        framing.feed(bytes(65_536))
    assert framing.next_event() == Broken(BodyFault.PIPELINE)


def test_small_chunks_are_read_a_bounded_number_at_a_time() -> None:
    framing = RequestFraming(LIMITS)
    framing.feed(in_chunks([b"a"] * 2000))
    framing.next_event()
    sizes = []
    while isinstance(event := framing.next_event(), bytes):
        sizes.append(len(event))
        assert framing.is_behind == (sum(sizes) < 2000)
    assert len(sizes) == 4
    assert event == Ended()


FAULTS = {
    b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n": (BodyFault.METHOD, 501),
    b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n": (BodyFault.METHOD_NOT_ALLOWED, 405),
    b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n": (BodyFault.METHOD_NOT_ALLOWED, 405),
    HEAD + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n": (BodyFault.EXPECTATION, 417),
    HEAD + b"Content-Length: 4097\r\n\r\n": (BodyFault.BODY_TOO_LARGE, 413),
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n": (Fault.CODING, 501),
    HEAD + b"Transfer-Encoding: identity\r\n\r\n": (Fault.CODING, 501),
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n": (Fault.FRAMING, 400),
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n": (Fault.FRAMING, 400),
    b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n": (Fault.FRAMING, 400),
    b"POST / HTTP/1.0\r\n\r\n": (Fault.NO_LENGTH, 411),
    HEAD + b"X: " + b"a" * 1024 + b"\r\n\r\n": (Fault.TOO_LARGE, 431),
    HEAD + b"X: a\r\n" * 64 + b"\r\n": (Fault.TOO_MANY, 431),
    CHUNKED + b"g\r\n": (BodyFault.CHUNK_LINE, 400),
    CHUNKED + b"5 \r\n": (BodyFault.CHUNK_LINE, 400),
    CHUNKED + b"5\n": (BodyFault.CHUNK_LINE, 400),
    CHUNKED + b"5;" + b"a" * 65 + b"\r\n": (BodyFault.CHUNK_LINE, 400),
    CHUNKED + b"000000005\r\n": (BodyFault.CHUNK_LINE, 400),
    CHUNKED + b"1001\r\n": (BodyFault.CHUNK_TOO_LARGE, 413),
    CHUNKED + b"0\r\nX: a\r\n\r\n": (BodyFault.TRAILER, 400),
}


@pytest.mark.parametrize("message", FAULTS, ids=lambda message: repr(message[:60]))
def test_each_fault_has_its_word_and_its_status(message: bytes) -> None:
    broken = read([message])[-1]
    reason, status = FAULTS[message]
    assert broken == Broken(reason)
    assert isinstance(broken, Broken)
    assert broken.status == status


def test_a_short_extension_means_nothing() -> None:
    assert read([in_chunks([b"abc"], b' ;a="b"')])[1:] == [b"abc", Ended()]


def test_what_the_head_says_of_the_connection() -> None:
    for lines, expects, is_last in (
        (b"", False, False),
        (b"Connection: Close\r\n", False, True),
        (b"Expect: 100-Continue\r\n", True, False),
    ):
        opened = read([HEAD + lines + b"Content-Length: 1\r\n\r\n"])[0]
        assert isinstance(opened, Opened)
        assert (opened.expects_continue, opened.is_last) == (expects, is_last)
    opened = read([b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"])[0]
    assert isinstance(opened, Opened)
    assert opened.is_last
    assert opened.body_bytes == 0
