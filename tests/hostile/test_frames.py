"""RFC 6455, frame by frame, in raw bytes: what the Autobahn suite asks in sections 1-7 and 10."""

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
CASES_UTF8_BAD = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xbf",
    b"\xc0 ",
    b"\xe2\x82",
    b"\xf0\x90\x80",
    b"\xfe",
    b"\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xc1\xbf",
    b"\xed\xa0\x80",
    b"\xed\xad\xbf\xed\xb0\x80",
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


@pytest.mark.parametrize("kind", [8, 9, 10])
def test_control_frames_of_more_than_125_bytes_are_refused(run: Any, wire: Any, kind: int) -> None:
    closes_with(run, wire, wire.frame(kind, b"*" * 126), 1002)


@pytest.mark.parametrize("kind", [8, 9, 10])
def test_control_frames_in_fragments_are_refused(run: Any, wire: Any, kind: int) -> None:
    closes_with(run, wire, wire.frame(kind, b"", fin=False), 1002)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("kind", [1, 2, 9])
def test_reserved_bits_are_refused(run: Any, wire: Any, rsv: int, kind: int) -> None:
    closes_with(run, wire, wire.frame(kind, b"x", rsv=rsv), 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_are_refused(run: Any, wire: Any, opcode: int) -> None:
    closes_with(run, wire, wire.frame(opcode, b"x"), 1002)


def test_frames_without_a_mask_are_refused(run: Any, wire: Any) -> None:
    closes_with(run, wire, b"\x82\x01x", 1002)


@pytest.mark.parametrize(
    "head",
    [
        b"\x82\xfe\x00\x05",  # 16 bits for what fits into 7
        b"\x82\xff\x00\x00\x00\x00\x00\x00\x01\x00",  # 64 bits for what fits into 16
        b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00",  # the highest bit, which must be zero
    ],
)
def test_lengths_that_are_not_minimal_are_refused(run: Any, wire: Any, head: bytes) -> None:
    closes_with(run, wire, head + bytes(16), 1002)


@pytest.mark.parametrize("size", [65_537, 70_000, 300_000, 9_000_000, 1 << 62])
def test_a_frame_declared_too_large_is_never_delivered(run: Any, wire: Any, size: int) -> None:
    head = b"\x82\xff" + struct.pack(">Q", size) + bytes(4)
    closes_with(run, wire, head + bytes(min(size, 100_000)), 1009)


@pytest.mark.parametrize("kind", [1, 2])
def test_fragments_come_back_as_one_message(run: Any, wire: Any, kind: int) -> None:
    sent = wire.frame(kind, b"frag", fin=False)
    sent += wire.frame(wire.CONTINUATION, b"", fin=False) + wire.frame(wire.CONTINUATION, b"ment")
    answers_with(run, wire, sent, (kind, b"fragment"))


def test_control_frames_may_come_between_fragments(run: Any, wire: Any) -> None:
    sent = wire.frame(wire.TEXT, b"frag", fin=False) + wire.frame(wire.PING, b"between")
    sent += wire.frame(wire.CONTINUATION, b"ment")
    answers_with(run, wire, sent, (wire.PONG, b"between"), (wire.TEXT, b"fragment"))


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_of_nothing_is_refused(run: Any, wire: Any, *, fin: bool) -> None:
    closes_with(run, wire, wire.frame(wire.CONTINUATION, b"x", fin=fin), 1002)


@pytest.mark.parametrize("second", [1, 2])
@pytest.mark.parametrize("fin", [True, False])
def test_a_new_message_within_a_message_is_refused(
    run: Any, wire: Any, second: int, *, fin: bool
) -> None:
    sent = wire.frame(wire.TEXT, b"one", fin=False) + wire.frame(second, b"two", fin=fin)
    closes_with(run, wire, sent, 1002)


def test_fragments_that_add_up_to_too_much_are_refused(run: Any, wire: Any) -> None:
    sent = wire.frame(wire.BINARY, bytes(40_000), fin=False)
    closes_with(run, wire, sent + wire.frame(wire.CONTINUATION, bytes(30_000)), 1009)


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


@pytest.mark.parametrize("payload", CASES_UTF8_BAD)
def test_text_that_is_not_utf8_is_refused(run: Any, wire: Any, payload: bytes) -> None:
    closes_with(run, wire, wire.frame(wire.TEXT, payload), 1007)


def test_text_in_fragments_is_refused_at_the_first_byte_that_cannot_be(run: Any, wire: Any) -> None:
    # The message is not complete, so only a check of what has come can find it.
    sent = wire.frame(wire.TEXT, b"\xf4", fin=False) + wire.frame(0, b"\x90", fin=False)
    closes_with(run, wire, sent, 1007)


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


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
)
def test_bad_close_codes_are_refused(run: Any, wire: Any, code: int) -> None:
    closes_with(run, wire, wire.close_frame(code), 1002)


def test_a_close_without_a_code_is_answered_with_1000(run: Any, wire: Any) -> None:
    closes_with(run, wire, wire.close_frame(), 1000)


def test_a_close_of_one_byte_is_refused(run: Any, wire: Any) -> None:
    closes_with(run, wire, wire.frame(wire.CLOSE, b"\x03"), 1002)


def test_a_close_reason_that_is_not_utf8_is_refused(run: Any, wire: Any) -> None:
    closes_with(run, wire, wire.close_frame(1000, b"\xff\xfe"), 1007)


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
