"""Family W: WebSocket frames that break RFC 6455 or our limits, behind a good upgrade.

Expected is `close` with its code where the socket is closed in form, and `cut` where a limit was
crossed: who floods gets no farewell.
"""

from __future__ import annotations

import struct

from hostile.frames_sent import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame

from .cases import Case

NOT_UTF8 = {
    "a surrogate": b"\xce\xba\xed\xa0\x80edited",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "four bytes too high": b"\xf7\xbf\xbf\xbf",
    "just above the last": b"\xf4\x90\x80\x80",
    "a lone continuation": b"\x80",
    "another lone continuation": b"\xbf",
    "a start without its rest": b"\xc0 ",
    "three bytes cut": b"\xe2\x82",
    "four bytes cut": b"\xf0\x90\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "overlong slash": b"\xc0\xaf",
    "overlong in three": b"\xe0\x80\xaf",
    "overlong in two": b"\xc1\xbf",
    "the first surrogate": b"\xed\xa0\x80",
    "two surrogates": b"\xed\xad\xbf\xed\xb0\x80",
}
CLOSE_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
RESERVED_OPCODES = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
TOO_LARGE = (65_537, 70_000, 300_000, 9_000_000, 1 << 62)


def declared(size: int) -> bytes:
    """A binary frame that says it is so long, and some of it."""
    return b"\x82\xff" + struct.pack(">Q", size) + bytes(4) + bytes(min(size, 100_000))


TABLE = [
    *(
        Case(f"reserved bits {rsv} of opcode {kind}", frame(kind, b"x", rsv=rsv), "close 1002")
        for kind in (TEXT, BINARY, PING, CLOSE)
        for rsv in range(1, 8)
    ),
    *(
        Case(f"reserved opcode {opcode}", frame(opcode, b"x"), "close 1002")
        for opcode in RESERVED_OPCODES
    ),
    *(
        Case(f"control frame {kind} of 126 bytes", frame(kind, b"*" * 126), "close 1002")
        for kind in (CLOSE, PING, PONG)
    ),
    *(
        Case(f"control frame {kind} in fragments", frame(kind, b"", fin=False), "close 1002")
        for kind in (CLOSE, PING, PONG)
    ),
    *(
        Case(f"text that is not UTF-8: {name}", frame(TEXT, text), "close 1007")
        for name, text in NOT_UTF8.items()
    ),
    *(Case(f"close code {code}", close_frame(code), "close 1002") for code in CLOSE_CODES),
    *(Case(f"a frame of {size} bytes", declared(size), "close 1009") for size in TOO_LARGE),
    Case("no mask on audio", b"\x82\x01x", "close 1002"),
    Case("no mask on text", b"\x81\x02{}", "close 1002"),
    Case("no mask on a ping", b"\x89\x00", "close 1002"),
    Case("16 bits for what fits into 7", b"\x82\xfe\x00\x05" + bytes(9), "close 1002"),
    Case("64 bits for what fits into 7", b"\x82\xff" + bytes(7) + b"\x05" + bytes(9), "close 1002"),
    Case(
        "64 bits for what fits into 16", b"\x82\xff" + bytes(6) + b"\x01\0" + bytes(9), "close 1002"
    ),
    Case("the highest bit of a length", b"\x82\xff\x80" + bytes(20), "close 1002"),
    Case("a continuation of nothing", frame(CONTINUATION, b"x"), "close 1002"),
    Case("an open continuation of nothing", frame(CONTINUATION, b"", fin=False), "close 1002"),
    Case("text within text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), "close 1002"),
    Case("audio within text", frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), "close 1002"),
    Case("text within audio", frame(BINARY, b"a", fin=False) + frame(TEXT, b"b"), "close 1002"),
    Case(
        "fragments that add up to too much",
        frame(BINARY, bytes(40_000), fin=False) + frame(CONTINUATION, bytes(30_000)),
        "close 1009",
    ),
    Case(
        "a character split wrongly between fragments",
        frame(TEXT, b"\xf4", fin=False) + frame(CONTINUATION, b"\x90", fin=False),
        "close 1007",
    ),
    Case("a close of one byte", frame(CLOSE, b"\x03"), "close 1002"),
    Case("a close reason that is not UTF-8", close_frame(1000, b"\xff\xfe"), "close 1007"),
    Case("a close reason of 124 bytes", close_frame(1000, b"a" * 124), "close 1002"),
    Case("65 fragments", frame(BINARY, fin=False) + frame(0, fin=False) * 64, "cut"),
    Case("201 frames at once", frame(BINARY) * 201, "cut"),
    Case("11 pings at once", frame(PING) * 11, "cut"),
    Case("11 pongs that nobody asked for", frame(PONG) * 11, "cut"),
    Case("10,000 frames of one byte", frame(BINARY, b"x") * 10_000, "cut"),
    Case("a flood behind a close", close_frame(1000) + frame(BINARY, b"x") * 1000, "close 1000"),
    Case("garbage", b"\xff" * 5_000, "close 1002"),
    Case("another request", b"GET /audiohook HTTP/1.1\r\nHost: a\r\n\r\n", "close 1002"),
    Case("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "close 1002"),
]
