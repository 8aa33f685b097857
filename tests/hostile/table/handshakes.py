"""Family T: what comes instead of a TLS handshake that we take part in (RFC 5246, RFC 8446).

Expected is `refused`: nothing but an alert comes back, or one behind the answer to a hello, and the
connection ends before the limit of handshakes; or `late`: it is cut when that limit is over.
"""

from __future__ import annotations

import struct

from .cases import Case

ALERT, HANDSHAKE, APPLICATION, HEARTBEAT = 21, 22, 23, 24
TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304
ECDHE_GCM, ECDHE_CHACHA, TLS13_AES = 0xC02F, 0xCCA8, 0x1301
GOOD_SUITES = (TLS13_AES, 0xC02B, ECDHE_GCM, ECDHE_CHACHA)
P256, X25519 = 0x0017, 0x001D


def record(kind: int, payload: bytes, version: int = TLS10) -> bytes:
    """One record in the clear."""
    return struct.pack(">BHH", kind, version, len(payload)) + payload


def extension(number: int, body: bytes) -> bytes:
    """One extension of a hello."""
    return struct.pack(">HH", number, len(body)) + body


def listed(numbers: tuple[int, ...], length: str = ">H") -> bytes:
    """Numbers of 16 bits behind their length."""
    body = b"".join(struct.pack(">H", number) for number in numbers)
    return struct.pack(length, len(body)) + body


def extensions(versions: tuple[int, ...] = (TLS12,), groups: tuple[int, ...] = (P256,)) -> bytes:
    """What a client of today says."""
    return (
        extension(0, b"\x00\x0c\x00\x00\x09localhost")
        + extension(10, listed(groups))
        + extension(11, b"\x01\x00")
        + extension(13, listed((0x0403, 0x0804, 0x0401)))
        + extension(43, listed(versions, ">B"))
    )


def hello(
    version: int = TLS12,
    suites: tuple[int, ...] = GOOD_SUITES,
    more: bytes | None = None,
    session: bytes = b"",
    compression: bytes = b"\x01\x00",
) -> bytes:
    """The body of a ClientHello in its handshake header."""
    written = extensions() if more is None else more
    body = struct.pack(">H", version) + bytes(32)
    body += bytes([len(session)]) + session + listed(suites) + compression
    body += struct.pack(">H", len(written)) + written
    return b"\x01" + len(body).to_bytes(3, "big") + body


def greeting(*args: object, **kwargs: object) -> bytes:
    """A record with a ClientHello."""
    return record(HANDSHAKE, hello(*args, **kwargs))  # type: ignore[arg-type]


SSL2_HELLO = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01\x00\x80" * 7 + bytes(16)
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

OLD = [
    Case("SSL 2", SSL2_HELLO, "refused"),
    Case("SSL 3", greeting(0x0300, (0x000A,), b""), "refused"),
    Case("TLS 1.0", greeting(TLS10, (0xC013, 0x002F), extensions((TLS10,))), "refused"),
    Case("TLS 1.1", greeting(TLS11, (0xC013, 0x002F), extensions((TLS11,))), "refused"),
    Case("TLS 1.0 without a list", greeting(TLS10, GOOD_SUITES, b""), "refused"),
    Case("a version below all", greeting(0x0001, GOOD_SUITES, b""), "refused"),
    Case("only versions to come", greeting(more=extensions((0x0305, 0x7F1C))), "refused"),
    Case("no version at all", greeting(more=extensions(())), "refused"),
    Case("a fallback from TLS 1.3", greeting(TLS11, (*GOOD_SUITES, 0x5600), b""), "refused"),
]

WEAK_SUITES = {
    "no encryption": (0x0001, 0x0002, 0x003B, 0xC006, 0xC010),
    "no authentication": (0x0018, 0x0034, 0x006C, 0xC018, 0xC019),
    "export keys": (0x0003, 0x0006, 0x0008, 0x000B, 0x0011, 0x0014),
    "DES": (0x0009, 0x000C, 0x0012, 0x0015),
    "triple DES": (0x000A, 0x0016, 0xC008, 0xC012),
    "RC4": (0x0004, 0x0005, 0xC007, 0xC011),
    "CBC with SHA-1": (0xC009, 0xC00A, 0xC013, 0xC014),
    "CBC with SHA-256": (0xC023, 0xC024, 0xC027, 0xC028),
    "RSA key transport": (0x009C, 0x009D, 0x002F, 0x0035, 0x003C),
    "finite-field Diffie-Hellman": (0x009E, 0x009F, 0xCCAA, 0x0033, 0x0067),
    "pre-shared keys": (0x008C, 0x00A8, 0xCCAB, 0xD001),
    "Camellia and ARIA": (0xC072, 0xC086, 0xC05C, 0xC060),
    "CCM of eight bytes": (0xC0A0, 0xC0AE, 0xC0A2),
    "unknown numbers": (0x0A0A, 0x1A1A, 0xFAFA),
}
SUITES = [
    Case(f"only suites with {name}", greeting(suites=suites), "refused")
    for name, suites in WEAK_SUITES.items()
]

MALFORMED = [
    Case("a request in the clear", REQUEST, "refused"),
    Case(
        "an upgrade in the clear",
        REQUEST.replace(b"Host", b"Upgrade: websocket\r\nHost"),
        "refused",
    ),
    Case("a post in the clear", b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", "refused"),
    Case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "refused"),
    Case("a proxy line", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + greeting(), "refused"),
    Case("zeros", bytes(512), "refused"),
    Case("ones", b"\xff" * 512, "refused"),
    Case("application records", record(APPLICATION, REQUEST, TLS12), "refused"),
    Case("a record of no known kind", record(99, bytes(40)), "refused"),
    Case("a change of cipher first", record(20, b"\x01"), "refused"),
    Case("a fatal alert first", record(ALERT, b"\x02\x28"), "refused"),
    Case("a good-bye first", record(ALERT, b"\x01\x00"), "refused"),
    Case("an alert of one byte", record(ALERT, b"\x02"), "refused"),
    Case("a hundred warnings", record(ALERT, b"\x01\x5a") * 100, "refused"),
    Case("empty records", record(HANDSHAKE, b"") * 100, "refused"),
    Case("a heartbeat", record(HEARTBEAT, b"\x01\x40\x00"), "refused"),
    Case(
        "a heartbeat behind the hello", greeting() + record(HEARTBEAT, b"\x01\x40\x00"), "refused"
    ),
    Case("a record that is too long", b"\x16\x03\x01\xff\xff" + bytes(65_535), "refused"),
    Case("a server hello", record(HANDSHAKE, b"\x02" + hello()[1:]), "refused"),
    Case("a finished first", record(HANDSHAKE, b"\x14\x00\x00\x0c" + bytes(12)), "refused"),
    Case("a hello of 16 MiB", record(HANDSHAKE, b"\x01\xff\xff\xff" + bytes(16_000)), "refused"),
    Case("no suites", greeting(suites=()), "refused"),
    Case(
        "half a suite",
        record(HANDSHAKE, hello().replace(b"\x00\x08\x13", b"\x00\x07\x13")),
        "refused",
    ),
    Case("a session of 33 bytes", greeting(session=bytes(33)), "refused"),
    Case("no compression method", greeting(compression=b"\x00"), "refused"),
    Case("only deflate", greeting(compression=b"\x01\x01"), "refused"),
    Case("extensions that end early", greeting(more=extensions()[:-3]), "refused"),
    Case(
        "an extension longer than all",
        greeting(more=extension(10, b"")[:2] + b"\xff\xff"),
        "refused",
    ),
    Case("an extension twice", greeting(more=extensions() * 2), "refused"),
    Case("only groups that nobody has", greeting(more=extensions(groups=(0x9999,))), "refused"),
    Case("only a weak group", greeting(more=extensions(groups=(0x0015, 0x0013))), "refused"),
    Case("an empty list of groups", greeting(more=extensions(groups=())), "refused"),
    Case("no name, but a length", greeting(more=extension(0, b"\x00\x0c")), "refused"),
    Case(
        "a name with a nul", greeting(more=extension(0, b"\x00\x06\x00\x00\x03a\x00b")), "refused"
    ),
    Case(
        "a key share that is no point",
        greeting(
            more=extensions((TLS13,))
            + extension(51, b"\x00\x45\x00\x17\x00\x41\x04" + b"\xff" * 64)
        ),
        "refused",
    ),
    Case(
        "a key share of zeros",
        greeting(
            more=extensions((TLS13,), (X25519,))
            + extension(51, b"\x00\x24\x00\x1d\x00\x20" + bytes(32))
        ),
        "refused",
    ),
]

SLOW = [
    Case("silence", b"", "late"),
    Case("half a record header", b"\x16\x03", "late"),
    Case("a record without its end", greeting()[:-1], "late"),
    Case("a hello without its end", record(HANDSHAKE, hello()[:40]), "late"),
]

TABLE = [*OLD, *SUITES, *MALFORMED, *SLOW]
