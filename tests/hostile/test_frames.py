"""RFC 6455, frame by frame, in raw bytes: what must work; `table/frames.py` has what must not."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from earhook.transport.settings import FrameLimits, LimitSettings

CASES_UTF8_GOOD = [
    b"",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    b"\x00",
    b"\xc2\x80",
    b"\xe0\xa0\x80",
    b"\xf0\x90\x80\x80",
    b"\x7f",
    b"\xdf\xbf",
    b"\xef\xbf\xbf",
    b"\xf4\x8f\xbf\xbf",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbd",
    b"\xef\xbf\xbe",
]


def code_of(received: tuple[int, bytes] | None) -> int | None:
    """The code of a close frame."""
    assert received is not None
    assert received[0] == 8
    return struct.unpack(">H", received[1][:2])[0] if received[1] else None


def closes_with(run: Any, wire: Any, sent: bytes, code: int) -> None:
    """Send bytes; the only answer is a close frame of that code, then the end in 100 ms."""

    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            peer.send(sent)
            received = await peer.read_frame()
            assert code_of(received) == code
            assert received[1][2:] == b"", "the reason is nobody's business"
            assert await peer.seconds_to_end() < 0.5

    run(work())


def answers_with(run: Any, wire: Any, sent: bytes, *expected: tuple[int, bytes]) -> None:
    """Send bytes and a close; exactly the expected frames come back, then the close."""

    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            peer.send(sent + wire.close_frame(1000))
            received = await peer.read_all()
            assert received == [*expected, (wire.CLOSE, struct.pack(">H", 1000))]

    run(work())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65_535, 65_536])
@pytest.mark.parametrize("kind", [1, 2])
def test_messages_of_every_length_encoding_come_back(
    run: Any, wire: Any, size: int, kind: int
) -> None:
    payload = b"*" * size
    answers_with(run, wire, wire.frame(kind, payload), (kind, payload))


def test_messages_in_pieces_of_one_byte_of_the_stream_come_back(
    run: Any, wire: Any, until: Any
) -> None:
    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            sent = wire.frame(wire.TEXT, "Grüße".encode()) + wire.frame(wire.BINARY, b"\x00\xff")
            for byte in sent:
                peer.send(bytes([byte]))
                await peer.writer.drain()
            assert await peer.read_frame() == (wire.TEXT, "Grüße".encode())
            assert await peer.read_frame() == (wire.BINARY, b"\x00\xff")

    run(work())


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe", b"\xfe" * 125])
def test_pings_are_answered_with_their_payload(run: Any, wire: Any, payload: bytes) -> None:
    answers_with(run, wire, wire.frame(wire.PING, payload), (wire.PONG, payload))


def test_ten_pings_are_answered_in_order(run: Any, wire: Any) -> None:
    payloads = [f"payload-{number}".encode() for number in range(10)]
    sent = b"".join(wire.frame(wire.PING, payload) for payload in payloads)
    answers_with(run, wire, sent, *((wire.PONG, payload) for payload in payloads))


def test_pongs_that_nobody_asked_for_are_ignored(run: Any, wire: Any) -> None:
    sent = wire.frame(wire.PONG, b"unsolicited") + wire.frame(wire.PING, b"p")
    answers_with(run, wire, sent, (wire.PONG, b"p"))


@pytest.mark.parametrize("kind", [1, 2])
def test_fragments_come_back_as_one_message(run: Any, wire: Any, kind: int) -> None:
    sent = wire.frame(kind, b"frag", fin=False)
    sent += wire.frame(wire.CONTINUATION, b"", fin=False) + wire.frame(wire.CONTINUATION, b"ment")
    answers_with(run, wire, sent, (kind, b"fragment"))


def test_control_frames_may_come_between_fragments(run: Any, wire: Any) -> None:
    sent = wire.frame(wire.TEXT, b"frag", fin=False) + wire.frame(wire.PING, b"between")
    sent += wire.frame(wire.CONTINUATION, b"ment")
    answers_with(run, wire, sent, (wire.PONG, b"between"), (wire.TEXT, b"fragment"))


def test_the_largest_message_may_come_in_the_most_fragments(run: Any, wire: Any) -> None:
    sent = wire.frame(wire.BINARY, bytes(1024), fin=False)
    sent += wire.frame(wire.CONTINUATION, bytes(1024), fin=False) * 62
    sent += wire.frame(wire.CONTINUATION, bytes(1024))
    answers_with(run, wire, sent, (wire.BINARY, bytes(65_536)))


@pytest.mark.parametrize("payload", CASES_UTF8_GOOD)
def test_text_that_is_utf8_comes_back(run: Any, wire: Any, payload: bytes) -> None:
    fragments = wire.frame(wire.TEXT, payload[:1], fin=False) + b"".join(
        wire.frame(wire.CONTINUATION, payload[at : at + 1], fin=False)
        for at in range(1, len(payload))
    )
    sent = wire.frame(wire.TEXT, payload) + fragments + wire.frame(wire.CONTINUATION)
    answers_with(run, wire, sent, (wire.TEXT, payload), (wire.TEXT, payload))


def test_a_character_may_be_split_between_fragments(run: Any, wire: Any) -> None:
    euro = "€".encode()
    sent = wire.frame(wire.TEXT, euro[:1], fin=False) + wire.frame(0, euro[1:])
    answers_with(run, wire, sent, (wire.TEXT, euro))


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 3999, 4000, 4999]
)
def test_good_close_codes_are_answered_in_kind(run: Any, wire: Any, code: int) -> None:
    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            peer.send(wire.close_frame(code, b"a reason"))
            assert code_of(await peer.read_frame()) == code
            assert await peer.read_frame() is None

    run(work())


def test_a_close_without_a_code_is_answered_with_1000(run: Any, wire: Any) -> None:
    closes_with(run, wire, wire.close_frame(), 1000)


@pytest.mark.parametrize("after", ["close", "text", "ping", "garbage"])
def test_what_follows_a_close_does_not_count(run: Any, wire: Any, after: str) -> None:
    follows = {
        "close": wire.close_frame(1001),
        "text": wire.frame(wire.TEXT, b"too late"),
        "ping": wire.frame(wire.PING, b"too late"),
        "garbage": b"\xff" * 64,
    }[after]

    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            peer.send(wire.close_frame(1000) + follows)
            assert await peer.read_all() == [(wire.CLOSE, struct.pack(">H", 1000))]

    run(work())


@pytest.mark.parametrize("tls", [False, True])
def test_a_limit_once_crossed_cuts_the_connection(run: Any, wire: Any, *, tls: bool) -> None:
    floods = {
        "fragments": wire.frame(wire.BINARY, b"", fin=False)
        + wire.frame(wire.CONTINUATION, b"", fin=False) * 64,
        "frame-rate": wire.frame(wire.BINARY, b"") * 201,
        "control-rate": wire.frame(wire.PING, b"") * 11,
    }

    async def work() -> None:
        for rule, sent in floods.items():
            async with wire.serve(tls=tls) as server, wire.dial(server) as peer:
                peer.send(sent)
                assert await peer.seconds_to_end() < 0.2, rule
                assert server.snapshot().broken == {rule: 1}

    run(work())


def test_what_stays_within_the_limits_is_left_alone(run: Any, wire: Any) -> None:
    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            peer.send(wire.frame(wire.BINARY, b"x") * 190 + wire.frame(wire.PING) * 10)
            for _ in range(190):
                assert await peer.read_frame() == (wire.BINARY, b"x")
            for _ in range(10):
                assert await peer.read_frame() == (wire.PONG, b"")
            assert server.snapshot().broken == {}

    run(work())


def test_a_peer_that_does_not_read_is_cut(run: Any, wire: Any, until: Any) -> None:
    limits = LimitSettings(frames=FrameLimits(frames_per_second=100_000))

    async def work() -> None:
        async with wire.serve(limits) as server, wire.dial(server) as peer:
            peer.reader._transport.pause_reading()
            for _ in range(2_000):
                peer.send(wire.frame(wire.BINARY, bytes(65_536)))
                if server.snapshot().broken:
                    break
                if peer.writer.transport.get_write_buffer_size() > 1 << 20:
                    break
            await until(lambda: server.connections == 0)
            assert server.snapshot().broken == {"unsent": 1}

    run(work())
