"""Family O: bodies that are not the audio that they are said to be.

Expected is the status, the word of the answer if it has one, how many samples were accepted, and
`goes on` where the connection must be good for the next request. Damage that audio survives is
no fault of the request: it is answered with 200 and what could be heard.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from earhook.testing.payload_key import PayloadKey, Seal

from .cases import Case
from .posts import BEARER, HOST, LINE, header

KEY = PayloadKey(b"tables", bytes(range(16)), record_bytes=57)
OTHER_KEY = PayloadKey(b"tables", bytes(16), record_bytes=57)
UNKNOWN_KEY = PayloadKey(b"nobody", bytes(range(16)))
SILENCE = b"\xf8\xff\xfe"
"""20 ms of nothing in one CELT frame of 48 kHz, mono (RFC 6716 §3)."""
SERIAL = 7
HEAD = b"OpusHead\x01\x01\x38\x01" + struct.pack("<IhB", 48_000, 0, 0)
TAGS = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
MALFORMED, ENCRYPTION = "400 malformed, 0, goes on", "400 encryption, 0, goes on"
UNREAD = "200, 268, goes on"
"""Lengths within comments say nothing to us: what is not read cannot be too long."""
CHECKSUMS = []
for number in range(256):
    register = number << 24
    for _ in range(8):
        register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
    CHECKSUMS.append(register)


def page(
    packets: Sequence[bytes],
    number: int,
    granule: int,
    flags: int = 0,
    *,
    serial: int = SERIAL,
    version: int = 0,
) -> bytes:
    """An Ogg page of whole packets (RFC 3533 §6)."""
    table = b"".join(b"\xff" * (len(each) // 255) + bytes([len(each) % 255]) for each in packets)
    return sealed_page(table, b"".join(packets), (number, granule, flags, serial, version))


def sealed_page(table: bytes, body: bytes, fields: tuple[int, int, int, int, int]) -> bytes:
    """An Ogg page with its checksum, whatever is in it."""
    number, granule, flags, serial, version = fields
    head = b"OggS" + struct.pack("<BBqIII", version, flags, granule, serial, number, 0)
    bare = head + bytes([len(table)]) + table + body
    return bare[:22] + struct.pack("<I", checksum(bare)) + bare[26:]


def checksum(octets: bytes) -> int:
    """The checksum of a page (RFC 3533 §6)."""
    register = 0
    for octet in octets:
        register = (register << 8 & 0xFFFFFFFF) ^ CHECKSUMS[register >> 24 ^ octet]
    return register


def ogg(*pages: bytes, head: bytes = HEAD, tags: bytes = TAGS) -> bytes:
    """A stream that begins as it must, and these pages."""
    return page([head], 0, 0, 2) + page([tags], 1, 0) + b"".join(pages)


def audio_pages(count: int, *, first: int = 2, last_flags: int = 4) -> list[bytes]:
    """Pages of one silent packet each."""
    return [
        page([SILENCE], first + n, 312 + 960 * (first + n - 1), last_flags if n == count - 1 else 0)
        for n in range(count)
    ]


LAST_PAGES = audio_pages(2, first=5)
GOOD_OGG = ogg(*audio_pages(5))


def framed(*packets: bytes) -> bytes:
    """Packets, each behind its length in 16 bits."""
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def body(content_type: str, audio: bytes, *headers: bytes) -> bytes:
    """A call in one request of known length."""
    length = b"Content-Length: %d\r\n\r\n" % len(audio)
    kind = header(f"Content-Type: {content_type}")
    return (
        LINE + HOST + BEARER + kind + b"".join(headers) + b"Earhook-End: true\r\n" + length + audio
    )


def in_ogg(audio: bytes, expected: str) -> tuple[bytes, str]:
    """A body of Ogg."""
    return body("audio/ogg;codecs=opus", audio), expected


def in_packets(audio: bytes, expected: str) -> tuple[bytes, str]:
    """A body of framed packets."""
    return body("audio/opus", audio), expected


def in_law(audio: bytes, expected: str, kind: str = "audio/PCMU") -> tuple[bytes, str]:
    """A body of samples."""
    return body(kind, audio), expected


def sealed(audio: bytes, expected: str = ENCRYPTION) -> tuple[bytes, str]:
    """A body that is said to be encrypted."""
    return body("audio/PCMU", audio, b"Content-Encoding: aes128gcm\r\n"), expected


def records(count: int = 3, key: PayloadKey = KEY, *, last: bool = True) -> list[bytes]:
    """Header and full records of 40 samples each, the last one closed unless told not to."""
    seal = Seal(key, os.urandom(16))
    written = [seal.header, *seal.add(b"\xff" * 40 * (count - 1) + b"\xff")]
    closing = seal.finish() if last else b""
    return [piece for piece in (*written, closing) if piece]


def flipped(octets: bytes, at: int) -> bytes:
    """One bit changed."""
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)


OGG = {
    "no Ogg": in_ogg(b"hello, this is no Ogg at all" * 4, MALFORMED),
    "a WAV file": in_ogg(b"RIFF$\x08\0\0WAVEfmt " + bytes(100), MALFORMED),
    "an MP3 file": in_ogg(b"ID3\x04" + bytes(100), MALFORMED),
    "a FLAC file": in_ogg(b"fLaC" + bytes(100), MALFORMED),
    "bare packets": in_ogg(framed(*[SILENCE] * 9), MALFORMED),
    "Vorbis": in_ogg(ogg(*audio_pages(2), head=b"\x01vorbis" + bytes(23)), MALFORMED),
    "Theora": in_ogg(ogg(*audio_pages(2), head=b"\x80theora" + bytes(40)), MALFORMED),
    "a header of version 16": in_ogg(ogg(head=HEAD[:8] + b"\x10" + HEAD[9:]), MALFORMED),
    "a header without channels": in_ogg(ogg(head=HEAD[:9] + b"\x00" + HEAD[10:]), MALFORMED),
    "a header of five channels": in_ogg(
        ogg(head=HEAD[:9] + b"\x05" + HEAD[10:-1] + b"\x01\x03\x02\x00\x04\x01\x02\x03"), MALFORMED
    ),
    "a header of family 255": in_ogg(ogg(head=HEAD[:-1] + b"\xff\x01\x00\x00"), MALFORMED),
    "a header cut short": in_ogg(ogg(head=HEAD[:15]), MALFORMED),
    "a stereo header in mono": in_ogg(ogg(head=HEAD[:9] + b"\x02" + HEAD[10:]), MALFORMED),
    "comments that are none": in_ogg(ogg(*audio_pages(2), tags=b"OpusTagz" + bytes(8)), MALFORMED),
    "audio for comments": in_ogg(page([HEAD], 0, 0, 2) + page([SILENCE], 1, 960), MALFORMED),
    "a vendor of 4 GiB": in_ogg(ogg(*audio_pages(2), tags=TAGS[:8] + b"\xff" * 8), UNREAD),
    "4 billion comments": in_ogg(ogg(*audio_pages(2), tags=TAGS[:-4] + b"\xff" * 4), UNREAD),
    "a comment of 4 GiB": in_ogg(
        ogg(*audio_pages(2), tags=TAGS[:-4] + struct.pack("<II", 1, 0xFFFFFFFF)), UNREAD
    ),
    "comments without an end": in_ogg(
        page([HEAD], 0, 0, 2)
        + b"".join(
            sealed_page(b"\xff" * 255, bytes(65_025), (n, -1, 1 if n > 1 else 0, SERIAL, 0))
            for n in range(1, 13)
        ),
        MALFORMED,
    ),
    "a first page that is damaged": in_ogg(flipped(GOOD_OGG, 30), MALFORMED),
    "a page of another version": in_ogg(
        ogg(page([SILENCE], 2, 1272, version=1)), "200, 0, goes on"
    ),
    "a page in the middle that is damaged": in_ogg(
        ogg(*audio_pages(2, last_flags=0), flipped(page([SILENCE], 4, 3192), 28), *LAST_PAGES),
        "200, 748, goes on",
    ),
    "a page twice": in_ogg(
        ogg(*audio_pages(2, last_flags=0), *audio_pages(5)), "200, 748, goes on"
    ),
    "a page that was lost": in_ogg(
        ogg(*audio_pages(2, last_flags=0), *LAST_PAGES), "200, 748, goes on"
    ),
    "pages in the wrong order": in_ogg(
        ogg(*reversed(audio_pages(5, last_flags=0))), "200, 108, goes on"
    ),
    "a clock that jumps an hour": in_ogg(ogg(page([SILENCE], 3, 172_800_000)), "200, 108, goes on"),
    "a clock that jumps for ever": in_ogg(
        ogg(page([SILENCE], 3, (1 << 63) - 1)), "200, 108, goes on"
    ),
    "a clock that goes back": in_ogg(
        ogg(*audio_pages(3, last_flags=0), page([SILENCE], 5, 5)), "200, 588, goes on"
    ),
    "a clock below nothing": in_ogg(ogg(page([SILENCE], 2, -5)), "200, 108, goes on"),
    "a page number that jumps": in_ogg(ogg(page([SILENCE], 1 << 31, 1272)), "200, 108, goes on"),
    "packets of nothing": in_ogg(ogg(page([b""] * 255, 2, 1272)), "200, 0, goes on"),
    "a page of nothing, a thousand times": in_ogg(
        ogg(*(page([], 2 + n, -1) for n in range(1000))), "200, 0, goes on"
    ),
    "a packet that never ends": in_ogg(
        ogg(
            *(
                sealed_page(b"\xff" * 255, bytes(65_025), (n, -1, int(n > 2), SERIAL, 0))
                for n in range(2, 8)
            )
        ),
        "200, 0, goes on",
    ),
    "a continuation of nothing": in_ogg(ogg(page([SILENCE] * 2, 2, 1272, 1)), "200, 108, goes on"),
    "a packet that is no Opus": in_ogg(
        ogg(page([b"\x03\x00", SILENCE], 2, 2232)), "200, 108, goes on"
    ),
    "a body that is cut": in_ogg(GOOD_OGG[:-2], "200, 588, goes on"),
    "garbage behind the end": in_ogg(GOOD_OGG + b"\xaa" * 500, "200, 748, goes on"),
    "garbage between pages": in_ogg(ogg(b"OggOggOggS" * 30, *audio_pages(5)), "200, 748, goes on"),
    "100 KB of garbage between pages": in_ogg(
        ogg(b"Ogg" * 33_000, *audio_pages(5)), "200, 748, goes on"
    ),
    "another stream beside it": in_ogg(
        ogg(page([SILENCE], 0, 960, 2, serial=8), *audio_pages(5)), "200, 748, goes on"
    ),
    "a second stream of five channels": in_ogg(
        GOOD_OGG
        + page([HEAD[:9] + b"\x05" + HEAD[10:-1] + b"\x01\x03\x02\x00\x04\x01\x02\x03"], 0, 0, 2),
        "400 malformed, 748, goes on",
    ),
    "nothing but headers": in_ogg(ogg(), "200, 0, goes on"),
    "half a page header": in_ogg(GOOD_OGG[:20], "200, 0, goes on"),
}

PACKETS = {
    "a length without a packet": in_packets(b"\x00\x50", "200, 0, goes on"),
    "half a length": in_packets(b"\x00", "200, 0, goes on"),
    "a length beyond the end": in_packets(b"\xff\xff" + SILENCE, "200, 0, goes on"),
    "a WAV file for packets": in_packets(b"RIFF$\x08\0\0WAVEfmt " + bytes(100), "200, 0, goes on"),
    "packets that are no Opus": in_packets(framed(*[b"\xff\xff"] * 30), MALFORMED),
    "a count of no frames": in_packets(framed(*[b"\x03\x00"] * 30), MALFORMED),
    "a count of 63 frames": in_packets(framed(*[b"\x03\x3f" + bytes(63)] * 30), MALFORMED),
    "more than 120 ms": in_packets(framed(*[b"\x1b\x03" + bytes(9)] * 30), MALFORMED),
    "padding beyond the packet": in_packets(framed(*[b"\x03\x41\xff\xff\xff"] * 30), MALFORMED),
    "two equal frames of odd bytes": in_packets(framed(*[b"\x01" + bytes(3)] * 30), MALFORMED),
    "a frame longer than its packet": in_packets(framed(*[b"\x02\xfb" + bytes(3)] * 30), MALFORMED),
    "lengths in the wrong order": in_packets((b"\x03\x00" + SILENCE) * 9, "200, 0, goes on"),
}

LAWS = {
    "half a sample of L16": in_law(b"\x00" * 7, "200, 3, goes on", "audio/L16;rate=8000"),
    "half a group of stereo": in_law(b"\xff" * 7, "200, 3, goes on", "audio/PCMU;channels=2"),
    "three quarters of a group": in_law(
        b"\x00" * 7, "200, 1, goes on", "audio/L16;rate=8000;channels=2"
    ),
    "a WAV file for mu-law": in_law(b"RIFF$\x08\0\0WAVEfmt " + bytes(84), "200, 100, goes on"),
    "an Ogg file for mu-law": in_law(GOOD_OGG, f"200, {len(GOOD_OGG)}, goes on"),
}

SECRETS = {
    "plain audio": sealed(b"\xff" * 400),
    "nothing at all": sealed(b"\xff" * 0, "404 unknown-session, goes on"),
    "half a header": sealed(b"\xff" * 12),
    "a header without its key id": sealed(bytes(16) + struct.pack(">IB", 57, 255) + b"tables"),
    "a header alone": sealed(records()[0]),
    "an unknown key": sealed(b"".join(records(key=UNKNOWN_KEY))),
    "another key of that name": sealed(b"".join(records(key=OTHER_KEY))),
    "no key id": sealed(bytes(16) + struct.pack(">IB", 57, 0) + bytes(57)),
    "records of 17 bytes": sealed(bytes(16) + struct.pack(">IB", 17, 6) + b"tables" + bytes(17)),
    "records of nothing": sealed(bytes(16) + struct.pack(">IB", 0, 6) + b"tables" + bytes(57)),
    "records of 4 GiB": sealed(
        bytes(16) + struct.pack(">IB", 0xFFFFFFFF, 6) + b"tables" + bytes(57)
    ),
    "records of 16 MiB": sealed(bytes(16) + struct.pack(">IB", 1 << 24, 6) + b"tables" + bytes(57)),
    "another salt": sealed(flipped(b"".join(records()), 3)),
    "a bit of the first record": sealed(flipped(b"".join(records()), 40)),
    "a bit of the first tag": sealed(flipped(b"".join(records()), 27 + 56)),
    "zeros for a record": sealed(records()[0] + bytes(57)),
    "the second record first": sealed(b"".join([records()[0], *records()[2:]])),
    "only the last record": sealed(b"".join([(all_of := records())[0], all_of[-1]])),
    "the end cut off": sealed(b"".join(records())[:-1], "400 encryption, 80, goes on"),
    "the last record cut off": sealed(b"".join(records(last=False)), "400 encryption, 80, goes on"),
    "a bit of the last record": sealed(
        flipped(b"".join(records()), -5), "400 encryption, 80, goes on"
    ),
    "a record twice": sealed(
        b"".join([(some := records())[0], some[1], some[1], *some[2:]]),
        "400 encryption, 40, goes on",
    ),
    "records behind the last": sealed(
        b"".join(records()) + bytes(57), "400 encryption, 80, goes on"
    ),
    "two bodies in one": sealed(b"".join(records()) * 2, "400 encryption, 80, goes on"),
}

TABLE = [
    Case(f"{form}: {name}", *row)
    for form, rows in (("Ogg", OGG), ("packets", PACKETS), ("samples", LAWS), ("sealed", SECRETS))
    for name, row in rows.items()
]
